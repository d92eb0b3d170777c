//! `cvrsd top`, once and in a terminal.

use crate::{
    bench::{admin, run, submit},
    pty::{Pty, has_colour},
    support::{against, clients, http::Server},
};

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

#[test]
fn once_prints_one_plain_picture_of_jobs_lanes_and_health() {
    let server = Server::new();
    let done = submit(&server, 30);
    server.wait(&done);
    admin(&server.daemon, &["pause", "--all"]);
    let waits = submit(&server, 3);
    for args in [&["top", "--once"][..], &["top"]] {
        let output = run(&server.daemon, args);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\u{1b}'), "no control sequence: {text:?}");
        for part in ["serving  up ", "paused: everything", "queued 1 (oldest ", "of 4 busy"] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        let found = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(found(&done).contains("COMPLETED SUCCEEDED"), "{text}");
        assert!(found(&waits).contains("QUEUED"), "{text}");
        let lane = found("local");
        assert!(lane.contains("paused") && lane.ends_with(&waits), "{text}");
        assert!(found("ended").contains("succeeded 1 "), "{text}");
    }
}

#[test]
fn a_token_shows_what_it_may_see_and_without_any_right_nothing_is_shown() {
    let scopes = ["UPLOAD", "ADMIN", "EXPORT_REDACTED"];
    let server = Server::with_clients(&clients::block("A", "TA", &scopes, ""));
    let once = |scope: &str| {
        let token = clients::token(&server, "A", &[scope]);
        let output = against(&server.daemon, &["top", "--once", "--token", &token]).output();
        let output = output.unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), text.concat())
    };
    let (code, jobs) = once("UPLOAD");
    assert!(code == Some(0) && jobs.contains("does not have the scope ADMIN"), "{jobs}");
    let (code, health) = once("ADMIN");
    assert!(code == Some(0) && health.contains("serving") && health.contains("UPLOAD"), "{health}");
    let (code, refused) = once("EXPORT_REDACTED");
    assert!(code == Some(1) && refused.contains("CVRS-SCOPE"), "{refused}");
}

#[test]
fn in_a_terminal_q_ends_it_and_the_terminal_is_given_back() {
    let server = Server::new();
    let job = submit(&server, 30);
    server.wait(&job);
    let Some(mut pty) = Pty::start(&server.daemon, server.dir.path(), "top", &[]) else { return };
    pty.wait_for(&job);
    pty.wait_for("quit");
    pty.press(b"\x1b[C");
    pty.wait_for("QUEUED");
    // A terminal of another size is drawn on anew, down to its new last line.
    pty.resize(20, 80);
    pty.wait_for("\u{1b}[20;1H");
    pty.press(b"q");
    let (status, shown) = pty.end();
    assert!(status.success(), "{status}: {shown:?}");
    let (entered, left) = (shown.find(ENTER).unwrap(), shown.rfind(LEAVE).unwrap());
    assert!(entered < left);
    assert!(has_colour(&shown), "a terminal gets colours: {shown:?}");
}

#[test]
fn in_a_terminal_a_signal_ends_it_too_and_no_color_is_heeded() {
    let server = Server::new();
    for name in ["INT", "TERM"] {
        let env = [("NO_COLOR", "1")];
        let Some(pty) = Pty::start(&server.daemon, server.dir.path(), "top", &env) else { return };
        pty.wait_for("quit");
        pty.signal(name);
        let (status, shown) = pty.end();
        assert!(status.success() && shown.contains(LEAVE), "{name} {status}: {shown:?}");
        assert!(!has_colour(&shown), "{shown:?}");
    }
}

#[test]
fn a_watch_draws_a_bar_in_a_terminal_and_writes_lines_elsewhere() {
    let server = Server::new();
    admin(&server.daemon, &["pause", "--all"]);
    let job = submit(&server, 30_000);
    let args = format!("watch {job}");
    let lines = {
        let mut watch = against(&server.daemon, &["watch", &job]);
        watch.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        watch.spawn().unwrap()
    };
    let in_terminal = |env: &[(&str, &str)], name: &str| {
        let dir = server.dir.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        Pty::start(&server.daemon, &dir, &args, env)
    };
    let plain = in_terminal(&[("NO_COLOR", "1")], "plain");
    let bar = in_terminal(&[], "bar");
    for pty in plain.iter().chain(&bar) {
        pty.wait_for("QUEUED");
    }
    admin(&server.daemon, &["resume", "--all"]);
    let output = lines.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.lines().all(|line| line.starts_with("cvrsd: #")), "{told}");
    assert!(told.contains("COMPLETED SUCCEEDED") && !told.contains('\u{1b}'), "{told}");
    if let Some(pty) = plain {
        let (status, shown) = pty.end();
        assert!(status.success() && shown.contains("SUCCEEDED"), "{shown:?}");
        assert!(!shown.contains("cvrsd: #") && !has_colour(&shown), "{shown:?}");
    }
    if let Some(pty) = bar {
        assert!(pty.end().0.success());
    }
}
