//! The log as `cvrsd audit` prints it.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::program;

/// Runs `cvrsd audit` on that data directory.
pub fn audit(action: &str, dir: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["audit", action, "--dir"]).arg(dir).args(more).output().unwrap()
}

/// Every entry; the log must hold together.
pub fn entries(dir: &Path) -> Vec<Value> {
    let output = audit("export", dir, &[]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `audit verify` says of a sound log.
pub fn verified(dir: &Path, more: &[&str]) -> Value {
    let output = audit("verify", dir, &[&["--output", "json"], more].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Kind, face and code of an entry.
pub fn told(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    [text("kind"), text("face"), text("code")].join(" ")
}
