//! Starting the real binary and talking to it.

#![allow(dead_code, unused_imports, reason = "each test target uses its own part")]

pub mod clients;
pub mod files;
pub mod http;
pub mod jobs;
pub mod memory;
pub mod model;
pub mod rows;
pub mod shared;
pub mod zips;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use cvrsd::proto::{
    admin::admin_service_client::AdminServiceClient, jobs::job_service_client::JobServiceClient,
};
use tonic::transport::Channel;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    pub dir: PathBuf,
    pub grpc: String,
    pub rest: String,
    pub admin: String,
}

/// Starts the daemon on that directory with free ports and waits until it is ready.
pub fn start(dir: &Path, env: &[(&str, &str)]) -> Daemon {
    start_with(dir, &[], env)
}

/// [`start`] with further arguments of `serve`.
pub fn start_with(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Daemon {
    ready(dir, command(dir, args, env).spawn().unwrap())
}

/// Waits until that process is ready.
pub fn ready(dir: &Path, mut child: Child) -> Daemon {
    let ready = wait_ready(dir, &mut child);
    let Some([grpc, rest, admin]) = ready else {
        let status = child.wait().unwrap();
        panic!("the daemon ended with {status} before it was ready");
    };
    Daemon { child, dir: dir.to_owned(), grpc, rest, admin }
}

/// A command of the program against that daemon, as a client without a token.
pub fn against(daemon: &Daemon, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.env_remove("CVRSD_TOKEN").stdin(Stdio::null()).args(args);
    command
        .env("CVRSD_SERVER", format!("http://{}", daemon.grpc))
        .env("CVRSD_ADMIN", format!("http://{}", daemon.admin));
    command
}

/// The program under test: the one that was built with the tests, or `CVRSD_BIN`.
pub fn program() -> PathBuf {
    std::env::var_os("CVRSD_BIN").map_or(env!("CARGO_BIN_EXE_cvrsd").into(), PathBuf::from)
}

/// Starts the daemon without waiting for anything.
pub fn spawn(dir: &Path, env: &[(&str, &str)]) -> Child {
    command(dir, &[], env).spawn().unwrap()
}

/// The daemon's command line and environment.
pub fn command(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Command {
    let listen = "127.0.0.1:0";
    let mut command = Command::new(program());
    command
        .arg("serve")
        .args(args)
        .env("CVRSD__DATA__DIR", dir)
        .env("CVRSD__GRPC__LISTEN", listen)
        .env("CVRSD__REST__LISTEN", listen)
        .env("CVRSD__ADMIN__LISTEN", listen)
        .env("CVRSD__LOG__LEVEL", std::env::var("TEST_LOG").unwrap_or("warn".to_owned()))
        .stdin(Stdio::null());
    for (key, value) in env {
        command.env(key, value);
    }
    command
}

/// Addresses out of `listen.json` once that process wrote it; `None` where it ended before.
pub fn wait_ready(dir: &Path, child: &mut Child) -> Option<[String; 3]> {
    let path = dir.join("listen.json");
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(text) = std::fs::read_to_string(&path) {
            let listen: serde_json::Value = serde_json::from_str(&text).unwrap();
            if listen["pid"].as_u64() == Some(u64::from(child.id())) {
                let address = |key: &str| listen[key].as_str().unwrap().to_owned();
                return Some([address("grpc"), address("rest"), address("admin")]);
            }
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("the daemon was not ready within {PATIENCE:?}");
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub async fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::connect(format!("http://{}", self.grpc)).await.unwrap()
    }

    pub async fn records(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::connect(format!("http://{}", self.admin)).await.unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.rest)
    }

    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Kills without a chance to clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Drains and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        wait_exit(&mut self.child)
    }

    pub fn wait(mut self) -> ExitStatus {
        wait_exit(&mut self.child)
    }
}

/// Holds everything in a directory that no daemon has against everything else.
pub fn verify(dir: &Path) {
    let output = Command::new(program()).arg("verify").arg("--dir").arg(dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Waits until the daemon has removed what it no longer needs from those parts of its directory: it
/// does so right after a job ended.
pub fn wait_empty(dir: &Path, parts: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    for part in parts {
        while std::fs::read_dir(dir.join(part)).unwrap().next().is_some() {
            assert!(Instant::now() < deadline, "{part} is not empty after {PATIENCE:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn wait_exit(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the process did not end within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
