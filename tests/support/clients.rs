//! Clients of a daemon in mode `token`.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::http::{Answer, Server};

/// A configured client; its secret is its id and `-secret`. `more` are further lines of its block.
pub fn block(id: &str, tenant: &str, scopes: &[&str], more: &str) -> String {
    let digest = Sha256::digest(secret(id));
    let digest: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = digest.concat();
    format!(
        "[[auth.client]]\nid = \"{id}\"\ntenant = \"{tenant}\"\nsecret_sha256 = \"{digest}\"\nscopes = {scopes:?}\n{more}\n"
    )
}

pub fn secret(id: &str) -> String {
    format!("{id}-secret")
}

/// The documented request for a token.
pub fn asked(id: &str, scopes: &[&str]) -> String {
    json!({ "clientID": id, "clientSecret": secret(id), "scopes": scopes }).to_string()
}

/// Asks for a token.
pub fn generate(server: &Server, body: &str) -> Answer {
    let json = [("Content-Type", "application/json")];
    server.call("POST", "/v0/token/gen", &json, body.as_bytes())
}

/// A token of that client with these scopes.
pub fn token(server: &Server, id: &str, scopes: &[&str]) -> String {
    let answer = generate(server, &asked(id, scopes));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}
