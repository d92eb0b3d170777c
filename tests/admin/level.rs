//! The log level of the running daemon.

use std::{
    fs::{self, File},
    time::{Duration, Instant},
};

use crate::{
    bench::{admin, admin_json, run, submit},
    support::{PATIENCE, command, http::Server, ready},
};

#[test]
fn a_level_counts_at_once_until_sighup_brings_the_configured_one_back() {
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    let mut serve = command(&data, &[], &[("CVRSD__LOG__LEVEL", "warn")]);
    let daemon = ready(&data, serve.stderr(File::create(&log).unwrap()).spawn().unwrap());
    let server = Server { daemon, dir };
    let accepted = || fs::read_to_string(&log).unwrap().matches("job accepted").count();
    let wait = |until: &dyn Fn() -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !until() {
            assert!(Instant::now() < deadline, "the level does not change");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    submit(&server, 3);
    assert_eq!(admin(&server.daemon, &["level"]), "warn\n");
    assert_eq!(admin(&server.daemon, &["level", "info"]), "info (configured: warn)\n");
    submit(&server, 4);
    wait(&|| accepted() == 1);
    assert!(admin(&server.daemon, &["config"]).contains("level = \"info\"  # set at run time"));
    server.daemon.signal("HUP");
    let level = || admin_json(&server.daemon, &["level"]);
    wait(&|| level()["level"] == "warn");
    submit(&server, 5);
    admin(&server.daemon, &["level", "cvrsd=debug"]);
    assert_eq!(admin(&server.daemon, &["level", "--reset"]), "warn\n");
    let output = run(&server.daemon, &["admin", "level", "loud"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("CVRS-PARAMETER"));
    assert_eq!(level()["level"], "warn");
    assert_eq!(accepted(), 1);
}
