//! Formats beside those of the two stores, as the present program writes them.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{operate, others::with_tokens, support};

/// What each begins with, or its version, and the members that it has. An audit segment tells its format as `count`.
const KNOWN: [(&str, &str); 4] = [
    ("audit/00000001.log", "1 {seq,time,kind,segment,count,prev,hash}"),
    ("backup", "cvrsd backup 1"),
    ("keys.json", "1 {version,check,keys[{kid,secret,created_s,lifetime_s}]}"),
    ("paused.json", "1 {version,check,paused[{since_us,by,reason}]}"),
];

/// A release that writes any of them in another form has a test that reads the form before it.
#[test]
fn every_other_format_is_one_that_a_test_was_made_for() {
    let home = tempfile::tempdir().unwrap();
    write_all(home.path());
    for (name, known) in KNOWN {
        let bytes = fs::read(home.path().join(name)).unwrap();
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap();
        let line = std::str::from_utf8(line).unwrap();
        let written = if name == "backup" { line.to_owned() } else { told(line) };
        assert_eq!(
            written, known,
            "{name} has another format than before. Put one that the program before this change wrote into \
             tests/upgrade, let a test open it, and only then change this constant"
        );
    }
}

/// A directory with the pauses and the backup that a daemon made there, and the keys of one in mode `token`.
fn write_all(dir: &Path) {
    let daemon = support::start(dir, &[]);
    operate(&daemon, &["pause", "--all", "--reason", "a format"]);
    let mut backup = Command::new(support::program());
    backup.args(["backup", "--admin", &format!("http://{}", daemon.admin), "--out"]);
    assert!(backup.arg(dir.join("backup")).status().unwrap().success());
    assert!(daemon.stop().success());
    assert!(with_tokens(dir).stop().success());
}

/// The version that a line of JSON names, and its members.
fn told(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    let version = value.get("version").or_else(|| value.get("count")).unwrap();
    format!("{version} {}", members(&value))
}

/// Names of members in their order, of a list those of its first item.
fn members(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let names = object.iter().map(|(name, value)| name.clone() + &members(value));
            format!("{{{}}}", names.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.first().map(members).unwrap_or_default())
        }
        _ => String::new(),
    }
}
