//! What a start refuses, before anything is opened.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use crate::{
    bench::{NOBODY, named, stderr, write_config},
    pki::Authority,
    support::{clients::block, command, program, ready},
};

/// A directory with a configuration whose certificate is good.
fn prepared(tls: &str, clients: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    ca.server(dir.path(), "server");
    write_config(dir.path(), tls, clients);
    dir
}

/// Starts with that configuration, and checks it; both must refuse in the same words.
fn refused(dir: &Path, env: &[(&str, &str)]) -> String {
    let (config, data) = (dir.join("cvrsd.toml"), dir.join("data"));
    let args = ["--config", config.to_str().unwrap()];
    let started = command(&data, &args, env).output().unwrap();
    let mut check = Command::new(program());
    let checked = check.arg("check-config").args(args).envs(env.iter().copied()).output().unwrap();
    let told = |output: &Output| {
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        stderr(output).lines().last().unwrap().to_owned()
    };
    assert_eq!(told(&started), told(&checked));
    assert!(!data.exists(), "nothing was opened");
    told(&started)
}

const OPEN: (&str, &str) = ("CVRSD__REST__LISTEN", "0.0.0.0:0");

#[test]
fn off_loopback_nothing_is_served_without_tls_and_authentication() {
    let dir = prepared("", NOBODY);
    let told = refused(dir.path(), &[OPEN]);
    assert!(told.contains("rest.listen is 0.0.0.0:0") && told.contains("auth.mode"), "{told}");
    let client = block("A", "TA", &["UPLOAD"], "");
    fs::write(dir.path().join("cvrsd.toml"), format!("[auth]\nmode = \"token\"\n{client}"))
        .unwrap();
    let told = refused(dir.path(), &[OPEN]);
    assert!(
        told.contains("rest.listen is 0.0.0.0:0") && told.contains("tls.certificate"),
        "{told}"
    );
}

/// Starts, and gives the log once it serves.
fn served(dir: &Path, env: &[(&str, &str)]) -> String {
    let (config, data) = (dir.join("cvrsd.toml"), dir.join("data"));
    let args = ["--config", config.to_str().unwrap()];
    let log = dir.join("log");
    let child = command(&data, &args, env).stderr(File::create(&log).unwrap()).spawn().unwrap();
    assert!(ready(&data, child).stop().success());
    fs::read_to_string(log).unwrap()
}

#[test]
fn with_both_any_address_is_served_and_with_the_key_that_says_so_each_start_warns() {
    const WARNING: &str = "tls.insecure_off_loopback: others can reach this listener";
    let dir = prepared("", &block("A", "TA", &["UPLOAD"], ""));
    assert!(!served(dir.path(), &[OPEN]).contains(WARNING));
    fs::write(dir.path().join("cvrsd.toml"), "[tls]\ninsecure_off_loopback = true\n").unwrap();
    for _ in 0..2 {
        let log = served(dir.path(), &[OPEN]);
        assert_eq!(log.matches(WARNING).count(), 1, "{log}");
        assert!(log.contains("rest.listen"), "{log}");
    }
    assert!(!served(dir.path(), &[]).contains(WARNING), "on loopback there is nothing to warn of");
}

#[test]
fn files_that_are_missing_or_do_not_fit_are_refused_by_key_and_name() {
    let dir = prepared("client_ca = \"DIR/ca.crt\"", &named("A", "TA", "a.example"));
    let path = dir.path();
    for (file, content, told) in [
        ("server.crt", None, "tls.certificate: cannot read"),
        ("server.crt", Some("x"), "tls.certificate: "),
        ("server.key", None, "tls.key: cannot read"),
        ("server.key", Some("x"), "tls.key: "),
        ("ca.crt", None, "tls.client_ca: cannot read"),
        ("ca.crt", Some("x"), "tls.client_ca: "),
    ] {
        let good = fs::read(path.join(file)).unwrap();
        match content {
            Some(content) => fs::write(path.join(file), content).unwrap(),
            None => fs::remove_file(path.join(file)).unwrap(),
        }
        let line = refused(path, &[]);
        assert!(line.contains(told) && line.contains(path.join(file).to_str().unwrap()), "{line}");
        fs::write(path.join(file), good).unwrap();
    }
    let elsewhere = path.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let other = Authority::new(&elsewhere, "ca").server(&elsewhere, "server");
    fs::copy(other.key, path.join("server.key")).unwrap();
    let line = refused(path, &[]);
    assert!(line.contains("tls.key: the key in") && line.contains("server.crt"), "{line}");
}

#[test]
fn a_certificate_that_expires_soon_is_warned_of_and_one_that_has_expired_is_an_error() {
    let dir = prepared("", NOBODY);
    let ca = Authority::new(dir.path(), "ca");
    let today = cvrsd::clock::utc_day(cvrsd::clock::now_us());
    for (days, told) in [
        (16, None),
        (12, Some("the certificate of the listeners expires soon")),
        (-2, Some("the certificate of the listeners has expired")),
    ] {
        let until = today + jiff::Span::new().days(days);
        let mut params = crate::pki::named("server");
        let (month, day) = (until.month().unsigned_abs(), until.day().unsigned_abs());
        params.not_after = rcgen::date_time_ymd(i32::from(until.year()), month, day);
        ca.sign(&params, dir.path(), "server");
        let log = served(dir.path(), &[]);
        assert_eq!(log.contains("the certificate of the listeners"), told.is_some(), "{log}");
        assert!(log.contains(told.unwrap_or_default()), "{log}");
        assert!(told.is_none() || log.contains(&until.to_string()), "{log}");
    }
}

/// Starts; how it ends, and its last words.
fn ended(dir: &Path, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let (config, data) = (dir.join("cvrsd.toml"), dir.join("data"));
    let output = command(&data, &["--config", config.to_str().unwrap()], env).output().unwrap();
    (output.status.code(), stderr(&output).lines().last().unwrap().to_owned())
}

#[test]
fn an_address_that_is_taken_ends_it_for_good_and_one_that_is_missing_until_the_next_start() {
    let dir = prepared("", &block("A", "TA", &["UPLOAD"], ""));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    // For documentation, so nobody has it.
    for (address, code) in [(taken.as_str(), 64), ("192.0.2.1:0", 70)] {
        let (exit, told) = ended(dir.path(), &[("CVRSD__ADMIN__LISTEN", address)]);
        assert_eq!(exit, Some(code), "{told}");
        assert!(told.contains(&format!("admin.listen: cannot bind {address}")), "{told}");
    }
    served(dir.path(), &[]);
}
