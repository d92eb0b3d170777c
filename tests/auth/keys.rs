//! The keys that sign tokens, over restarts and replacements.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio, time::Instant};

use crate::{
    bench::{ALL, Bench, JOBS, client},
    support::{PATIENCE, command},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_tokens_good() {
    let bench = Bench::new("");
    let token = bench.token("A", ALL).await;
    let file = bench.dir.path().join("data/keys.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let keys = fs::read(&file).unwrap();
    let bench = bench.restart();
    assert_eq!(bench.get(JOBS, &token).await.status(), 200);
    assert_eq!(fs::read(&file).unwrap(), keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_still_verifies_what_it_signed() {
    let bench = Bench::with(&client("A", "TA", ""), &[("CVRSD__AUTH__KEY_MAX_AGE", "1s")]);
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    let first = bench.token("A", ALL).await;
    let deadline = Instant::now() + PATIENCE;
    let second = loop {
        let token = bench.token("A", ALL).await;
        if header(&token) != header(&first) {
            break token;
        }
        assert!(Instant::now() < deadline, "the key is not replaced");
    };
    for token in [&first, &second] {
        assert_eq!(bench.get(JOBS, token).await.status(), 200);
    }
    let bench = bench.restart();
    for token in [&first, &second] {
        assert_eq!(bench.get(JOBS, token).await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_key_file_is_refused_at_start_by_name() {
    let bench = Bench::new("");
    let data = bench.dir.path().join("data");
    let file = data.join("keys.json");
    let Bench { daemon, config, dir, .. } = bench;
    assert!(daemon.stop().success());
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.replacen("lifetime_s\":900", "lifetime_s\":901", 1)).unwrap();
    let mut command = command(&data, &["--config", config.to_str().unwrap()], &[]);
    let output = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(70));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("keys.json is damaged"), "{log}");
    drop(dir);
}
