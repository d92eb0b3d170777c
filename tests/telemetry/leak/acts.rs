//! What operators do, and what they are told: through the running daemon, and with its backup.

use std::{fs, path::Path, process::Command};

use cvrsd::proto::{admin::GetOverviewRequest, jobs::Operation};

use super::{STORES, Told, marks::mixed};
use crate::support::{Daemon, against, jobs, program};

/// Acts on a running daemon while a job waits. Leaves a backup in that file.
pub async fn on(daemon: &Daemon, backup: &Path) -> Told {
    let mut told = vec![run(daemon, &["admin", "pause", "--all", "--reason", "a look"])];
    let mut client = daemon.jobs().await;
    let waits = jobs::Upload::text(Operation::Create, mixed(90..99).as_bytes());
    let (id, _) = jobs::submit(&mut client, &waits).await.unwrap();
    for args in [
        &["admin", "level", STORES][..],
        &["admin", "level"],
        &["admin", "explain", &id],
        &["admin", "explain", &id, "--output", "json"],
        &["admin", "release", &id],
        &["admin", "paused"],
        &["admin", "config"],
        &["records", "count"],
        &["list"],
        &["get", &id],
        &["backup", "--out", backup.to_str().unwrap()],
        &["admin", "resume", "--all"],
        &["watch", &id],
        &["top", "--once"],
    ] {
        told.push(run(daemon, args));
    }
    // These show rows to whoever may ask for them, and nobody else.
    for args in [&["records", "get", "ZqxEV1"][..], &["records", "export"]] {
        assert!(against(daemon, args).output().unwrap().status.success(), "{args:?}");
    }
    let refused = against(daemon, &["records", "get", "ZqxEVnobody"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    told.push(("a refusal of an operator", String::from_utf8(refused.stderr).unwrap()));
    let mut admin = daemon.records().await;
    let overview = admin.get_overview(GetOverviewRequest {}).await.unwrap().into_inner();
    told.push(("the overview", format!("{overview:?}")));
    told
}

/// Makes a directory of the backup and looks through it, each with its whole log.
pub fn restored(backup: &Path, dir: &Path) -> Told {
    assert!(fs::metadata(backup).unwrap().len() > 0);
    let mut restore = Command::new(program());
    restore.arg("restore").arg(backup).arg("--data-dir").arg(dir);
    let mut verify = Command::new(program());
    verify.arg("verify").arg("--dir").arg(dir);
    let commands = [("a restore", restore), ("a verification", verify)];
    commands.into_iter().map(|(what, command)| (what, logged(command))).collect()
}

fn logged(mut command: Command) -> String {
    command.env("CVRSD__LOG__LEVEL", STORES).env("CVRSD__LOG__FORMAT", "json");
    answer(&mut command)
}

fn run(daemon: &Daemon, args: &[&str]) -> (&'static str, String) {
    ("an answer to an operator", answer(&mut against(daemon, args)))
}

/// Both outputs of a command, which must end well.
fn answer(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{command:?}: {told}");
    told
}
