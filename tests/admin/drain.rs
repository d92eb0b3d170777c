//! A drain without a signal.

use crate::{
    bench::{admin, submit},
    support::{http::Server, start},
};

#[test]
fn a_drain_does_what_sigterm_does_and_the_job_goes_on_at_the_next_start() {
    let server = Server::with(&[("CVRSD__ENGINE__CHECKPOINT_ROWS", "100")]);
    let job = submit(&server, 30_000);
    assert_eq!(admin(&server.daemon, &["drain"]), "draining\n");
    let Server { daemon, dir } = server;
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(!dir.path().join("data/listen.json").exists());
    let daemon = start(&dir.path().join("data"), &[]);
    let server = Server { daemon, dir };
    server.wait(&job);
    assert_eq!(server.full(&job)["rowsApplied"], 30_000);
}
