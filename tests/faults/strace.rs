//! The daemon under strace, which makes one of its system calls fail, kill, or take long.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::PATIENCE;

pub const WRITES: &[&str] = &["write", "pwrite64"];
pub const SYNCS: &[&str] = &["fsync", "fdatasync", "sync_file_range"];
/// Calls that change a directory or a length.
pub const CHANGES: &[&str] =
    &["rename", "renameat2", "unlink", "unlinkat", "rmdir", "ftruncate", "mkdir"];

/// One of the calls that an operation makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub place: Place,
    pub call: &'static str,
    /// Counted for each thread and call by itself.
    pub number: usize,
}

/// Where strace counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Calls about that file, relative to the data directory.
    File(PathBuf),
    /// Calls of the one thread with that name.
    Thread(String),
    /// All; the first thread to come so far counts.
    Anywhere,
}

/// What happens at which calls, in strace's words.
#[derive(Clone, Debug)]
pub struct Fault {
    place: Place,
    inject: String,
}

impl Fault {
    /// At that point alone: `signal=SIGKILL`, `error=EIO`.
    pub fn at(point: &Point, what: &str) -> Self {
        let Point { place, call, number } = point;
        Self { place: place.clone(), inject: format!("{call}:{what}:when={number}") }
    }

    /// At every sync: `delay_enter=500000`.
    pub fn at_syncs(what: &str) -> Self {
        Self { place: Place::Anywhere, inject: format!("{}:{what}", SYNCS.join(",")) }
    }
}

/// A call as it was made.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: u32,
    pub name: String,
    /// The file: the first that it names.
    pub path: String,
    /// Seconds since 1970.
    pub at: f64,
    pub injected: bool,
}

/// strace beside a daemon that runs already. It ends with the daemon.
pub struct Strace {
    child: Child,
    log: PathBuf,
    /// Threads at the time, by number.
    pub threads: HashMap<u32, String>,
}

impl Strace {
    /// Attaches to the process, or to its one thread that the fault is about. The data directory is in the
    /// directory that also gets strace's files.
    pub fn attach(pid: u32, dir: &Path, fault: Option<&Fault>) -> Self {
        let (log, notes) = (dir.join("strace"), dir.join("strace.notes"));
        let mut threads = threads(pid);
        let deadline = Instant::now() + PATIENCE;
        let mut command = Command::new("strace");
        command.args(["-y", "-ttt", "-o"]).arg(&log);
        command.args(["-e", &format!("trace={}", [WRITES, SYNCS, CHANGES].concat().join(","))]);
        if let Some(Fault { inject, .. }) = fault {
            command.args(["-e", &format!("inject={inject}")]);
        }
        match fault.map(|fault| &fault.place) {
            Some(Place::Thread(name)) => {
                // It gives itself its name.
                let thread = loop {
                    let mut named = threads.iter().filter(|(_, known)| *known == name);
                    if let Some((thread, _)) = named.next() {
                        break *thread;
                    }
                    assert!(Instant::now() < deadline, "there is no thread {name}");
                    threads = self::threads(pid);
                };
                command.args(["-p", &thread.to_string()]);
            }
            Some(Place::File(path)) => {
                command.arg("-P").arg(dir.join("data").join(path));
                command.args(["-f", "-p", &pid.to_string()]);
            }
            Some(Place::Anywhere) | None => drop(command.args(["-f", "-p", &pid.to_string()])),
        }
        let stderr = std::fs::File::create(&notes).unwrap();
        let child = command.stdin(Stdio::null()).stderr(stderr).spawn().expect("strace is there");
        while !std::fs::read_to_string(&notes).unwrap().contains("attached") {
            assert!(Instant::now() < deadline, "strace did not attach");
            thread::sleep(Duration::from_millis(2));
        }
        // It has every thread then, but not yet seen each of them stop.
        thread::sleep(Duration::from_millis(20));
        Self { child, log, threads }
    }

    /// Whether a call was made to fail.
    pub fn has_injected(&self) -> bool {
        std::fs::read_to_string(&self.log).unwrap().contains("(INJECTED)")
    }

    /// The calls, once the process has ended.
    pub fn calls(mut self) -> Vec<Call> {
        crate::support::wait_exit(&mut self.child);
        calls(&self.log)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program that strace sees from its first call on: it waits until strace has it.
pub fn start(program: &Command, dir: &Path, fault: Option<&Fault>) -> (Child, Strace) {
    let mut command = Command::new("sh");
    command.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""]);
    command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
    for (key, value) in program.get_envs() {
        command.env(key, value.unwrap());
    }
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let stat = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
        assert!(Instant::now() < deadline, "the shell did not stop");
        thread::sleep(Duration::from_millis(1));
    }
    let strace = Strace::attach(child.id(), dir, fault);
    let woken = Command::new("kill").args(["-CONT", &child.id().to_string()]).status();
    assert!(woken.unwrap().success());
    (child, strace)
}

/// The name of a call that is looked at.
pub fn known(call: &str) -> &'static str {
    let known = [WRITES, SYNCS, CHANGES].concat().into_iter().find(|name| *name == call);
    known.expect("strace was asked for it")
}

/// The threads of a process that runs, by number.
pub fn threads(pid: u32) -> HashMap<u32, String> {
    let found = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let name = |path: PathBuf| {
        let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        Some((number, name.trim_end().to_owned()))
    };
    found.filter_map(|entry| name(entry.unwrap().path())).collect()
}

/// Reads strace's log. A call that others came between has two lines.
fn calls(log: &Path) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        // Without a thread where there is one alone.
        let numbered = line.split_once(' ').and_then(|(n, rest)| Some((n.parse().ok()?, rest)));
        let (thread, text) = numbered.unwrap_or((0, line));
        let (at, text) = text.trim_start().split_once(' ').unwrap();
        let injected = text.contains("(INJECTED)");
        if text.starts_with("<... ") {
            let begun = calls.iter_mut().rev().find(|call| call.thread == thread);
            begun.unwrap().injected |= injected;
        } else if let Some((name, arguments)) = text.split_once('(')
            && !text.starts_with("+++")
            && !text.starts_with("---")
        {
            let (name, path, at) =
                (name.to_owned(), path(arguments).to_owned(), at.parse().unwrap());
            calls.push(Call { thread, name, path, at, injected });
        }
    }
    calls
}

/// `7</a/b>, …` or `"/a/b", …`.
fn path(arguments: &str) -> &str {
    let (open, close) = if arguments.starts_with('"') { ('"', '"') } else { ('<', '>') };
    let rest = arguments.split_once(open).map_or("", |(_, rest)| rest);
    rest.split_once(close).map_or(rest, |(path, _)| path)
}

/// Whether the process was killed as a fault does it.
pub fn is_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}
