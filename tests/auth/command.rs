//! The command line with tokens.

use std::process::{Command, Output};

use reqwest::Method;

use crate::{
    bench::{ALL, Bench, READING, client},
    support::{against, files},
};

fn cvrsd(bench: &Bench, args: &[&str], token: Option<&str>) -> Output {
    let mut command = against(&bench.daemon, args);
    if let Some(token) = token {
        command.env("CVRSD_TOKEN", token);
    }
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_sends_its_token() {
    let clients = client("A", "TA", &format!("scopes = {READING:?}"));
    let bench = Bench::with(&clients, &[]);
    let token = bench.token("A", READING).await;
    let job = bench.run(Method::POST, &token, 0..3).await;
    let id = job["id"].as_str().unwrap();
    let text = files::text(1, 0..3);
    let key = std::str::from_utf8(&text).unwrap().lines().nth(1).unwrap();
    let key = key.split('\t').next().unwrap();
    let file = bench.dir.path().join("delete.txt");
    std::fs::write(&file, &text).unwrap();
    let calls: [&[&str]; 9] = [
        &["get", id],
        &["list"],
        &["watch", id],
        &["errors", id],
        &["cancel", id],
        &["records", "count"],
        &["records", "get", key, "--tenant", "TA"],
        &["records", "export", "--tenant", "TA"],
        &["submit", "delete", file.to_str().unwrap(), "--watch"],
    ];
    for args in calls {
        let without = cvrsd(&bench, args, None);
        let error = String::from_utf8(without.stderr).unwrap();
        assert_eq!(without.status.code(), Some(1), "{args:?}: {error}");
        assert!(error.contains("CVRS-TOKEN-MISSING"), "{args:?}: {error}");
        let with = cvrsd(&bench, args, Some(&token));
        let error = String::from_utf8(with.stderr).unwrap();
        assert_eq!(with.status.code(), Some(0), "{args:?}: {error}");
        let mut args = args.to_vec();
        let bearer = format!("Bearer {token}");
        args.extend(["--token", &bearer]);
        if args[0] != "records" || args[1] != "get" {
            // The record is deleted by the last call, and that call finds it gone.
            let code = cvrsd(&bench, &args, None).status.code();
            assert!(matches!(code, Some(0 | 1)) && (code == Some(0) || args[0] == "submit"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_printed_with_an_export_scope_alone() {
    let clients = client("A", "TA", &format!("scopes = {READING:?}"));
    let bench = Bench::with(&clients, &[]);
    let token = bench.token("A", ALL).await;
    bench.run(Method::POST, &token, 0..3).await;
    for args in
        [&["records", "get", "X", "--tenant", "TA"][..], &["records", "export", "--tenant", "TA"]]
    {
        let refused = cvrsd(&bench, args, Some(&token));
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(refused.stdout.is_empty(), "{args:?}");
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(error.contains("CVRS-SCOPE") && error.contains("EXPORT_NON_REDACTED"), "{error}");
    }
    assert_eq!(cvrsd(&bench, &["records", "count"], Some(&token)).status.code(), Some(0));
}

#[test]
fn a_client_that_is_added_is_accepted_by_the_daemon_and_its_secret_is_in_no_file() {
    let run = |more: &[&str]| {
        let mut args = vec![
            "client",
            "add",
            "--id",
            "CV1-UPLOAD",
            "--tenant",
            "CV1",
            "--scopes",
            "Upload,DELETE",
        ];
        args.extend(more);
        Command::new(env!("CARGO_BIN_EXE_cvrsd")).args(args).output().unwrap()
    };
    let json = run(&["--output", "json", "--storages", "REDACTED_DB", "--validate-only"]);
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let (secret, config) = (answer["secret"].as_str().unwrap(), answer["config"].as_str().unwrap());
    assert!(secret.len() == 64 && !config.contains(secret));
    assert!(config.contains("\nscopes = [\"UPLOAD\", \"DELETE\"]\nstorages = [\"REDACTED_DB\"]\n"));
    assert!(config.ends_with("validate_only = true\n"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cvrsd.toml");
    std::fs::write(&file, format!("[auth]\nmode = \"token\"\n{config}")).unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_cvrsd"))
        .args(["check-config", "--config", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));

    let text = String::from_utf8(run(&["--act-for", "A,B"]).stdout).unwrap();
    assert!(text.starts_with("secret of CV1-UPLOAD, shown this once: "), "{text}");
    assert!(text.contains("\n[[auth.client]]\nid = \"CV1-UPLOAD\"\ntenant = \"CV1\"\n"), "{text}");
    assert!(text.ends_with(
        "storages = [\"NON_REDACTED_DB\", \"REDACTED_DB\"]\nact_for = [\"A\", \"B\"]\n"
    ));
    assert!(!text.contains(secret), "each secret is another");
    for bad in [["--storages", "X"], ["--scopes", "EXPORT"], ["--act-for", "a b"]] {
        assert_eq!(run(&bad).status.code(), Some(64), "{bad:?}");
    }
}
