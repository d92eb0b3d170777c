//! Commands against a daemon.

use std::process::Output;

use serde_json::Value;

use crate::support::{Daemon, against, files, http::Server};

pub fn run(daemon: &Daemon, args: &[&str]) -> Output {
    against(daemon, args).output().unwrap()
}

/// Standard output of a command that must end well.
pub fn admin(daemon: &Daemon, args: &[&str]) -> String {
    let output = run(daemon, &[&["admin"], args].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same as JSON.
pub fn admin_json(daemon: &Daemon, args: &[&str]) -> Value {
    let text = admin(daemon, &[args, &["--output", "json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub fn explain(daemon: &Daemon, job: &str) -> Value {
    admin_json(daemon, &["explain", job])
}

/// Submits so many new rows to be created.
pub fn submit(server: &Server, rows: u64) -> String {
    server.submit("POST", files::text(1, 0..rows))
}

/// The job's status in the documented spelling.
pub fn status(server: &Server, job: &str) -> String {
    server.full(job)["status"].as_str().unwrap().to_owned()
}

/// Restarts the daemon of a server on the same data, after a kill.
pub fn kill_and_start(server: Server, env: &[(&str, &str)]) -> Server {
    let Server { daemon, dir } = server;
    daemon.kill();
    let daemon = crate::support::start(&dir.path().join("data"), env);
    Server { daemon, dir }
}
