//! `cvrsd client add`: a new client's secret and its part of the configuration. Offline; changes nothing.

use clap::Subcommand;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Failure,
    render::{self, Output},
};
use crate::{
    domain::{Scope, Storage, is_name},
    exit::Exit,
};

/// Options of `client`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make up a secret, print it once, and print the client's part of the configuration file
    Add(Add),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Name of the client
    #[arg(long, value_parser = name)]
    id: String,
    /// Owner of its jobs and records
    #[arg(long, value_name = "T", value_parser = name)]
    tenant: String,
    /// What it may do: any of UPLOAD, UPDATE, DELETE, `EXPORT_REDACTED`, `EXPORT_NON_REDACTED`,
    /// `EXPORT_SUMMARIZATION`, ADMIN and BACKUP
    #[arg(long, required = true, value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// The storages that its jobs touch
    #[arg(long, value_delimiter = ',', value_parser = storage)]
    #[arg(default_value = "NON_REDACTED_DB,REDACTED_DB")]
    storages: Vec<Storage>,
    /// Its jobs check rows and apply none
    #[arg(long)]
    validate_only: bool,
    /// Clients on whose behalf it may act
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = name)]
    act_for: Vec<String>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Prints the secret and the block to paste.
///
/// # Errors
/// When the system has no random bytes.
pub fn run(args: Args) -> Result<(), Failure> {
    let Action::Add(add) = args.action;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| Failure::new(Exit::Stopped, format!("no random bytes: {e}")))?;
    let secret = hex::encode(bytes);
    let block = block(&add, &secret);
    if add.output == Output::Json {
        let answer = json!({ "id": add.id, "secret": secret, "config": block });
        return render::print_line(answer);
    }
    render::print(format!(
        "secret of {}, shown this once: {secret}\n\nfor the configuration file:\n\n{block}",
        add.id
    ))
}

/// The client's part of the configuration file. All its texts are plain, so none needs escapes.
fn block(add: &Add, secret: &str) -> String {
    let Add { id, tenant, .. } = add;
    let digest = hex::encode(Sha256::digest(secret));
    let scopes = list(add.scopes.iter().map(|s| s.as_str()));
    let storages = list(add.storages.iter().map(|s| s.as_str()));
    let mut block = format!(
        "[[auth.client]]\nid = \"{id}\"\ntenant = \"{tenant}\"\nsecret_sha256 = \"{digest}\"\n\
         scopes = {scopes}\nstorages = {storages}\n"
    );
    if add.validate_only {
        block.push_str("validate_only = true\n");
    }
    if !add.act_for.is_empty() {
        let ids = list(add.act_for.iter().map(String::as_str));
        block = format!("{block}act_for = {ids}\n");
    }
    block
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("it is not 1 to 64 characters of A-Z a-z 0-9 . _ -".to_owned())
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_name(text).ok_or_else(|| "there is no such scope".to_owned())
}

fn storage(text: &str) -> Result<Storage, String> {
    Storage::from_name(text)
        .ok_or_else(|| "it is neither NON_REDACTED_DB nor REDACTED_DB".to_owned())
}
