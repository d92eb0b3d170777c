//! A full run with people who are easy to find, and a search for them in all that the daemon tells.

mod acts;
mod marks;
mod tokens;
mod views;

use std::{
    fs::{self, File},
    path::Path,
};

use cvrsd::proto::jobs::Operation;
use tempfile::TempDir;

use self::marks::{mixed, row, silent, tells};
use crate::collector::Collector;
use crate::support::{
    self, Daemon,
    http::{self, Server},
    jobs, rows,
};

/// What was told, and where.
type Told = Vec<(&'static str, String)>;

/// Everything, also of what the daemon is built from; a level alone would be for cvrsd.
const LEVEL: &str = "trace,cvrsd=trace";
/// The same with the stores by name: they have rows in hand.
const STORES: &str = "trace,sled=trace,fjall=trace,lsm_tree=trace,cvrsd=trace";
/// Places below the data directory that hold rows by design; names of files there count all the same.
const DATA: [&str; 6] = ["journal", "records", "payloads", "spool", "reports", "work"];

/// A directory whose name, which is random and is told, is not taken for a mark.
fn home() -> TempDir {
    let mut homes = std::iter::repeat_with(|| tempfile::tempdir().unwrap());
    let is_no_mark = |home: &TempDir| tells(&home.path().to_string_lossy()).is_none();
    homes.find(is_no_mark).unwrap()
}

/// A daemon whose whole log goes to the end of that file.
fn started(dir: &Path, log: &Path, level: &str, args: &[&str], traces: &[(&str, &str)]) -> Daemon {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = support::command(dir, args, traces);
    command.env("CVRSD__LOG__LEVEL", level).env("CVRSD__LOG__FORMAT", "json").stderr(log);
    support::ready(dir, command.spawn().unwrap())
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

/// Runs jobs of both media types until they end, with valid and wrong rows and as files that fail; gives their ids
/// and what was refused.
async fn run_all(daemon: &Daemon) -> (Vec<String>, Told) {
    let mut client = daemon.jobs().await;
    let text = mixed(0..40);
    let mut uploads = Vec::new();
    for operation in [Operation::Create, Operation::Update] {
        uploads.push(jobs::Upload::text(operation, text.as_bytes()));
        uploads.push(jobs::Upload::zip(operation, text.as_bytes()));
    }
    // A header that is none, a column twice, columns of others, and rows of delete that are not there.
    let (header, row) = (rows::header(), row(1, &[]));
    for (operation, text) in [
        (Operation::Create, format!("{row}\n")),
        (Operation::Create, format!("{header}\trecip_last_name\n{row}\tZqxlastname\n")),
        (Operation::Update, format!("{header}\tvax_prov_suffix\n{row}\tZqxlastname\n")),
        (Operation::Delete, rows::ids(&["ZqxEV3", "ZqxEVnobody"])),
    ] {
        uploads.push(jobs::Upload::text(operation, text.as_bytes()));
    }
    let mut ids = Vec::new();
    for upload in &uploads {
        ids.push(jobs::run(&mut client, upload).await.job_id);
    }
    let wrong = jobs::Upload {
        media_type: "application/zip",
        ..jobs::Upload::text(Operation::Create, text.as_bytes())
    };
    let status = jobs::submit(&mut client, &wrong).await.unwrap_err();
    // Large, so that the cancel finds it at work.
    let large = jobs::Upload::text(Operation::Create, mixed(100..20_000).as_bytes());
    let (id, _) = jobs::submit(&mut client, &large).await.unwrap();
    jobs::cancel(&mut client, &id).await;
    jobs::wait(&mut client, &id).await;
    ids.push(id);
    (ids, vec![("a problem over gRPC", format!("{status:?}"))])
}

async fn scrape(daemon: &Daemon) -> (&'static str, String) {
    let answer = reqwest::get(format!("http://{}/metrics", daemon.admin)).await.unwrap();
    ("/metrics", answer.text().await.unwrap())
}

fn check_no_core(daemon: &Daemon) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(core, ["0", "0"], "no core file is ever written");
}

/// Searches the names of all files below the directories, and those files that hold no rows by design.
fn check_files(dirs: [&Path; 2]) {
    let (mut names, mut texts) = (Vec::new(), Vec::new());
    for dir in dirs {
        below(dir, false, &mut names, &mut texts);
    }
    assert!(names.iter().any(|name| name == "listen.json"), "{names:?}");
    silent("a file name", &names.join("\n"));
    for kind in ["job.submit", "job.cancel", "admin.act"] {
        let entry = format!(r#""kind":"{kind}""#);
        let read = texts.iter().any(|(_, text)| text.contains(&entry));
        assert!(read, "the audit log is among what is searched, with {kind}");
    }
    for (name, text) in texts {
        assert_eq!(tells(&text), None, "the file {name} tells of somebody");
    }
}

/// That it is a whole log, whose lines name their job or request, and tells of nobody.
fn check_log(log: &str) {
    assert!(log.contains("\"job completed\"") && log.contains("TRACE"), "it was a full log");
    for line in log.lines().filter(|line| line.contains("\"job completed\"")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["job"].is_string(), "{line}");
    }
    for line in log.lines().filter(|line| line.contains("\"job accepted\"")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["span"]["request_id"].as_str().unwrap().len(), 32, "{line}");
    }
    silent("the log", log);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_daemon_tells_of_itself_tells_of_somebody_in_its_files() {
    let (collector, address) = Collector::start().await;
    let address = format!("http://{address}");
    let traces = [("CVRSD__TRACES__ENDPOINT", address.as_str())];
    let home = home();
    let (dir, log) = (home.path().join("data"), home.path().join("log"));
    let (backup, restored) = (home.path().join("backup"), home.path().join("restored"));
    let daemon = started(&dir, &log, STORES, &[], &traces);
    let (ids, mut told) = run_all(&daemon).await;
    told.extend(views::of(&daemon, &ids).await);
    collector.wait_for("job update").await;
    check_no_core(&daemon);
    // A kill while a large job runs, so that the next process recovers it.
    let mut client = daemon.jobs().await;
    let large = jobs::Upload::text(Operation::Create, mixed(20_000..40_000).as_bytes());
    let (id, _) = jobs::submit(&mut client, &large).await.unwrap();
    told.push(scrape(&daemon).await);
    daemon.kill();
    let daemon = started(&dir, &log, LEVEL, &[], &traces);
    let mut client = daemon.jobs().await;
    jobs::wait(&mut client, &id).await;
    let server = Server { daemon, dir: home };
    let server = tokio::task::spawn_blocking(move || {
        let id = server.submit("POST", mixed(50..90));
        server.wait(&id);
        (problems(&server), server)
    });
    let (problems, server) = server.await.unwrap();
    told.extend(problems.into_iter().map(|problem| ("a problem over REST", problem)));
    told.extend(acts::on(&server.daemon, &backup).await);
    told.push(scrape(&server.daemon).await);
    told.push(("a trace", collector.told()));
    told.extend(acts::restored(&backup, &restored));
    check_files([&dir, &restored]);
    let Server { daemon, dir: home } = server;
    assert!(daemon.stop().success());
    for (what, text) in told {
        silent(what, &text);
    }
    check_log(&fs::read_to_string(log).unwrap());
    drop(home);
}
