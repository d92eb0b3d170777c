//! A full run with people who are easy to find, and a search for them in all that the daemon tells.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use cvrsd::proto::jobs::Operation;

use crate::collector::Collector;
use crate::support::{
    self, Daemon,
    http::{self, Server},
    jobs, rows,
};

/// Values of rows that stand nowhere else. Ids are too, but may stand in reports.
const MARKS: [(&str, &str); 8] = [
    ("recip_first_name", "Zqxfirstname"),
    ("recip_middle_name", "Zqxmiddle"),
    ("recip_last_name", "Zqxlastname"),
    ("recip_dob", "1903-07-29"),
    ("recip_address_street", "77 Zqxstreet"),
    ("recip_address_street_2", "Zqxflat"),
    ("recip_address_city", "Zqxcity"),
    ("recip_id", "ZqxP"),
];
const EVENT: &str = "ZqxEV";
/// Everything, also of what the daemon is built from; a level alone would be for cvrsd.
const LEVEL: &str = "trace,cvrsd=trace";
/// Any part of a mark but for the date.
const STEM: &str = "zqx";
/// Places below the data directory that hold rows by design; names of files there count all the same.
const DATA: [&str; 6] = ["journal", "records", "payloads", "spool", "reports", "work"];

fn row(number: usize, changes: &[(&str, &str)]) -> String {
    let event = format!("{EVENT}{number}");
    let mut cells = vec![("vax_event_id", event.as_str())];
    // What stands first counts, so what is to be wrong goes before the marks.
    cells.splice(0..0, changes.iter().copied());
    cells.extend(MARKS);
    rows::row(&cells)
}

/// Rows of which some are wrong, each in a cell with a mark.
fn mixed(rows: std::ops::Range<usize>) -> String {
    let wrong = [
        ("recip_dob", "Zqx-29-07-1903"),
        ("admin_date", "Zqxdate"),
        ("recip_address_state", "Zqxstate"),
        ("recip_sex", "Zqxsex"),
        ("cvx", "Zqxcvx"),
        ("vax_event_id", ""),
    ];
    let row = |n: usize| match n % 4 {
        0 => row(n, &[wrong[n / 4 % wrong.len()]]),
        _ => row(n, &[]),
    };
    rows::file(&rows.map(row).collect::<Vec<_>>())
}

fn started(dir: &Path, log: &Path, collector: &str) -> Daemon {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let env = [
        ("CVRSD__LOG__LEVEL", LEVEL),
        ("CVRSD__LOG__FORMAT", "json"),
        ("CVRSD__TRACES__ENDPOINT", collector),
    ];
    let mut command = support::command(dir, &[], &env);
    support::ready(dir, command.stderr(Stdio::from(log)).spawn().unwrap())
}

/// Whether it tells of somebody.
fn tells(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let at = lower.find(STEM).or_else(|| lower.find("1903-07-29"))?;
    let around = lower.char_indices().filter(|(i, _)| i.abs_diff(at) < 200);
    Some(around.map(|(_, c)| c).collect())
}

fn silent(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} is there");
    if let Some(found) = tells(text) {
        panic!("{what} tells of somebody: {found}");
    }
}

/// Every name below a directory, and the text of every file that is not there to hold rows.
fn below(dir: &Path, holds_rows: bool, names: &mut Vec<String>, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            let holds_rows = holds_rows || DATA.contains(&name.as_str());
            below(&path, holds_rows, names, texts);
        } else if !holds_rows {
            let bytes = fs::read(&path).unwrap();
            texts.push((name.clone(), String::from_utf8_lossy(&bytes).into_owned()));
        }
        names.push(name);
    }
}

/// Problems that requests with marks in them get over REST.
fn problems(server: &Server) -> Vec<String> {
    let jobs = http::JOBS;
    let marked = format!("{}Zqxlastname", rows::file(&[row(1, &[])]));
    let answers = [
        server.upload("POST", "application/zip", &marked),
        server.upload("POST", "application/json", &marked),
        server.upload("POST", "text/plain", ""),
        server.call(
            "POST",
            jobs,
            &[("Content-Type", "text/plain"), ("Content-Encoding", "gzip")],
            marked.as_bytes(),
        ),
    ];
    answers
        .map(|answer| {
            assert!(answer.status >= 400, "{answer:?}");
            answer.body
        })
        .to_vec()
}

/// Runs jobs over both faces until they end, each with valid and wrong rows; returns what was refused.
async fn run_all(daemon: &Daemon) -> Vec<String> {
    let mut client = daemon.jobs().await;
    let text = mixed(0..40);
    for operation in [Operation::Create, Operation::Update] {
        for upload in [
            jobs::Upload::text(operation, text.as_bytes()),
            jobs::Upload::zip(operation, text.as_bytes()),
        ] {
            let job = jobs::run(&mut client, &upload).await;
            let errors = jobs::errors(&mut client, &job.job_id).await;
            assert!(!errors.is_empty(), "{job:?}");
            assert!(tells(&format!("{errors:?}")).is_some(), "a report holds the ids of rows");
        }
    }
    // A header that is none, a column twice, and rows of delete that are not there.
    let mut twice = rows::header();
    twice.push_str("\trecip_last_name");
    for (operation, text) in [
        (Operation::Create, format!("{}\n", row(1, &[]))),
        (Operation::Create, format!("{twice}\n{}\tZqxlastname\n", row(1, &[]))),
        (Operation::Delete, rows::ids(&["ZqxEV3", "ZqxEVnobody"])),
    ] {
        jobs::run(&mut client, &jobs::Upload::text(operation, text.as_bytes())).await;
    }
    let mut refused = Vec::new();
    let wrong = jobs::Upload {
        media_type: "application/zip",
        ..jobs::Upload::text(Operation::Create, text.as_bytes())
    };
    let status = jobs::submit(&mut client, &wrong).await.unwrap_err();
    refused.push(format!("{status:?}"));
    // Large, so that the cancel and the kill below find it at work.
    let large = jobs::Upload::text(Operation::Create, mixed(100..20_000).as_bytes());
    let (id, _) = jobs::submit(&mut client, &large).await.unwrap();
    jobs::cancel(&mut client, &id).await;
    jobs::wait(&mut client, &id).await;
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_daemon_tells_of_itself_tells_of_somebody_in_its_files() {
    let (collector, address) = Collector::start().await;
    let address = format!("http://{address}");
    let home = tempfile::tempdir().unwrap();
    let (dir, log) = (home.path().join("data"), home.path().join("log"));
    let daemon = started(&dir, &log, &address);
    let mut told = run_all(&daemon).await;
    collector.wait_for("job update").await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(core, ["0", "0"], "no core file is ever written");
    // A kill while a large job runs, so that the next process recovers it.
    let mut client = daemon.jobs().await;
    let large = jobs::Upload::text(Operation::Create, mixed(20_000..40_000).as_bytes());
    let (id, _) = jobs::submit(&mut client, &large).await.unwrap();
    daemon.kill();
    let daemon = started(&dir, &log, &address);
    let mut client = daemon.jobs().await;
    jobs::wait(&mut client, &id).await;
    let server = Server { daemon, dir: home };
    let server = tokio::task::spawn_blocking(move || {
        let body = mixed(50..90);
        let id = server.submit("POST", body);
        server.wait(&id);
        (problems(&server), server)
    });
    let (problems, server) = server.await.unwrap();
    told.extend(problems);
    let url = format!("http://{}/metrics", server.daemon.admin);
    silent("/metrics", &reqwest::get(url).await.unwrap().text().await.unwrap());
    silent("a trace", &collector.told());
    let (mut names, mut texts) = (Vec::new(), Vec::new());
    below(&dir, false, &mut names, &mut texts);
    assert!(names.iter().any(|name| name == "listen.json"), "{names:?}");
    silent("a file name", &names.join("\n"));
    for (name, text) in texts {
        assert!(tells(&text).is_none(), "the file {name} tells of somebody");
    }
    for problem in &told {
        silent("a problem", problem);
    }
    let Server { daemon, dir: home } = server;
    assert!(daemon.stop().success());
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("\"job completed\"") && log.contains("TRACE"), "it was a full log");
    for line in log.lines().filter(|line| line.contains("\"job completed\"")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["job"].is_string(), "{line}");
    }
    let accepted = log.lines().filter(|line| line.contains("\"job accepted\""));
    for line in accepted {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["span"]["request_id"].as_str().unwrap().len(), 32, "{line}");
    }
    silent("the log", &log);
    drop(home);
}
