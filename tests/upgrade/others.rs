//! Backups and keys of earlier formats.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use crate::{
    block_on, fill, folder, goes_on, images,
    support::{self, clients},
};

#[test]
fn a_backup_of_every_format_is_restored_and_gone_on_with() {
    let made = folder().join("backup-1.backup");
    if std::env::var_os("CVRSD_UPDATE").is_some() && !made.exists() {
        let home = tempfile::tempdir().unwrap();
        let daemon = support::start(home.path(), &[]);
        block_on(fill(&daemon));
        assert!(
            support::against(&daemon, &["backup", "--out"]).arg(&made).status().unwrap().success()
        );
    }
    for backup in images("backup") {
        println!("{}", backup.display());
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        let mut restore = Command::new(support::program());
        restore.arg("restore").arg(backup).arg("--data-dir").arg(&dir);
        assert!(restore.status().unwrap().success());
        goes_on(&dir);
    }
}

/// The keys are made up: nobody has them.
#[test]
fn keys_of_every_format_are_read_by_a_start() {
    let made = folder().join("keys-1.json");
    if std::env::var_os("CVRSD_UPDATE").is_some() && !made.exists() {
        let home = tempfile::tempdir().unwrap();
        assert!(with_tokens(home.path()).stop().success());
        fs::copy(home.path().join("keys.json"), &made).unwrap();
    }
    for keys in images("json") {
        println!("{}", keys.display());
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("keys.json");
        fs::copy(keys, &file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(with_tokens(home.path()).stop().success());
        support::verify(home.path());
    }
}

/// A daemon that asks for tokens.
pub fn with_tokens(dir: &Path) -> support::Daemon {
    let config = dir.join("cvrsd.toml");
    let client = clients::block("A", "TA", &["UPLOAD"], "");
    fs::write(&config, format!("[auth]\nmode = \"token\"\n{client}")).unwrap();
    support::start_with(dir, &["--config", config.to_str().unwrap()], &[])
}
