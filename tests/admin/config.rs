//! The configuration in force.

use crate::{
    bench::{admin, run},
    support::{clients, http::Server},
};

#[test]
fn the_configuration_in_force_has_its_origins_and_no_secret() {
    let scopes = ["UPLOAD", "ADMIN"];
    let block = clients::block("OPS", "T", &scopes, "[auth.client.quota]\nuploads_max = 3\n");
    let digest = block.split("secret_sha256 = \"").nth(1).unwrap().split('"').next().unwrap();
    let server = Server::with_clients(&block);
    let token = clients::token(&server, "OPS", &scopes);
    let toml = admin(&server.daemon, &["config", "--token", &token]);
    for secret in [digest, &clients::secret("OPS"), &token] {
        assert!(!toml.contains(secret), "a secret is shown: {toml}");
    }
    assert!(toml.contains("\nsecret_sha256 = \"redacted\"\n"), "{toml}");
    assert!(toml.contains("\nuploads_max = 3\n"), "{toml}");
    let line = |start: &str| toml.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("mode = \"token\"").ends_with("cvrsd.toml"), "{toml}");
    assert!(line("dir = ").ends_with("CVRSD__DATA__DIR"), "{toml}");
    assert!(line("max_attempts = 10").ends_with("# default"), "{toml}");
}

#[test]
fn what_is_printed_is_a_configuration_that_check_config_takes() {
    let server = Server::with(&[("CVRSD__ENGINE__WORKERS", "3")]);
    let file = server.dir.path().join("printed.toml");
    std::fs::write(&file, admin(&server.daemon, &["config"])).unwrap();
    let output = run(&server.daemon, &["check-config", "--config", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
}
