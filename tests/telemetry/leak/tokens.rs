//! Callers who are refused for their token, or for what they ask one with.

use std::fs;

use serde_json::json;

use super::{
    STORES, below, home,
    marks::{silent, tells},
    started,
};
use crate::support::{
    against, clients,
    http::{JOBS, Server},
};

/// Malformed ones, as of a caller who puts a field of something else there.
const SENT: [&str; 5] = [
    "Zqxlastname",
    "Bearer Zqxlastname",
    "Bearer Zqxfirstname.Zqxmiddle.Zqxlastname",
    "Basic Zqxlastname",
    "Zqxlastname 1903-07-29",
];

#[test]
fn nothing_that_a_refused_caller_sends_is_told_and_no_secret_is() {
    let home = home();
    let (dir, log) = (home.path().join("data"), home.path().join("log"));
    let config = home.path().join("cvrsd.toml");
    let client = clients::block("A", "TA", &["UPLOAD"], "");
    fs::write(&config, format!("[auth]\nmode = \"token\"\n{client}")).unwrap();
    let args = ["--config", config.to_str().unwrap()];
    let server = Server { daemon: started(&dir, &log, STORES, &args, &[]), dir: home };
    refuse(&server);
    let token = clients::token(&server, "A", &["UPLOAD"]);
    let answer = server.call("GET", JOBS, &[("Authorization", token.as_str())], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    let Server { daemon, dir: home } = server;
    assert!(daemon.stop().success());
    let mut texts = vec![("log".to_owned(), fs::read_to_string(log).unwrap())];
    below(&dir, false, &mut Vec::new(), &mut texts);
    assert!(texts[0].1.contains("TRACE"), "it was a full log");
    assert!(texts.iter().any(|(_, text)| text.contains(r#""kind":"auth.refuse""#)));
    for (name, text) in texts {
        assert_eq!(tells(&text), None, "{name}");
        assert!(!text.contains(&token) && !text.contains(&clients::secret("A")), "{name}");
    }
    drop(home);
}

/// Every way of being refused, none of which tells what was sent.
fn refuse(server: &Server) {
    for sent in SENT {
        let token = [("Authorization", sent)];
        for (method, path) in [("GET", JOBS), ("POST", "/v0/token/refresh")] {
            let answer = server.call(method, path, &token, b"");
            assert_eq!(answer.status, 401, "{answer:?}");
            silent("a refusal", &answer.body);
        }
        for args in [["list", "--token", sent].as_slice(), &["records", "count", "--token", sent]] {
            let output = against(&server.daemon, args).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            silent("a refusal", &String::from_utf8(output.stderr).unwrap());
        }
    }
    let (mark, secret) = ("Zqxlastname", clients::secret("A"));
    let on_behalf = json!({
        "clientID": "A", "clientSecret": secret, "onBehalfOfClientID": mark, "scopes": ["UPLOAD"],
    });
    for body in [
        mark.to_owned(),
        json!({ "clientID": mark, "clientSecret": mark, "scopes": ["UPLOAD"] }).to_string(),
        json!({ "clientID": "A", "clientSecret": mark, "scopes": ["UPLOAD"] }).to_string(),
        clients::asked("A", &[mark]),
        on_behalf.to_string(),
    ] {
        let answer = clients::generate(server, &body);
        assert!(answer.status >= 400, "{answer:?}");
        silent("a refusal", &answer.body);
    }
}
