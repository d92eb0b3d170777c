//! Who is not let in.

use std::{
    thread,
    time::{Duration, Instant},
};

use cvrsd::limits::AUDIT_REFUSALS_MAX;

use crate::{
    log::{entries, told},
    support::{
        PATIENCE,
        clients::{asked, block, generate, token},
        http::{JOBS, Server},
    },
};

#[test]
fn tokens_and_refusals_are_recorded_and_a_flood_of_them_is_counted() {
    let server = Server::with_clients(&block("A", "TA", &["UPLOAD"], ""));
    let good = token(&server, "A", &["UPLOAD"]);
    assert_eq!(generate(&server, &asked("secret-in-the-wrong-field", &["UPLOAD"])).status, 401);
    assert_eq!(generate(&server, &asked("A", &["DELETE"])).status, 403);
    let header = format!("Bearer {good}");
    let bearer = [("Authorization", header.as_str())];
    assert_eq!(server.call("POST", "/v0/token/refresh", &bearer, b"").status, 200);
    for _ in 0..AUDIT_REFUSALS_MAX + 10 {
        assert_eq!(server.get(JOBS).status, 401);
    }
    let dir = server.daemon.dir.clone();
    server.daemon.signal("HUP");
    // Also a daemon that runs lets its log be read.
    let deadline = Instant::now() + PATIENCE;
    while !entries(&dir).iter().any(|entry| entry["kind"] == "clients.reload") {
        assert!(Instant::now() < deadline, "the reload is not recorded");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(server.daemon.stop().success());
    let entries = entries(&dir);
    let of = |wanted: &str| entries.iter().filter(|e| told(e) == wanted).collect::<Vec<_>>();
    assert_eq!(of("token.issue rest -")[0]["client"], "A");
    assert_eq!(of("token.refresh rest -")[0]["client"], "A");
    assert!(of("token.issue rest CVRS-CLIENT-UNKNOWN")[0].get("client").is_none());
    assert_eq!(of("token.issue rest CVRS-SCOPE")[0]["client"], "A");
    // Two refusals were tokens'.
    let refused = of("auth.refuse rest CVRS-TOKEN-MISSING").len() as u64;
    let suppressed: u64 =
        of("audit.suppressed - -").iter().map(|e| e["count"].as_u64().unwrap()).sum();
    assert_eq!(refused + suppressed, AUDIT_REFUSALS_MAX + 10);
    let text = serde_json::to_string(&entries).unwrap();
    for secret in ["secret", good.as_str()] {
        assert!(!text.contains(secret));
    }
}
