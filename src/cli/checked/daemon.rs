//! A command's own daemon: this program's `serve` as a child.

use std::{
    env,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::{
    cli::{Failure, render},
    exit::Exit,
    limits::OWN_DAEMON_WAIT,
};

const POLL: Duration = Duration::from_millis(20);
/// Lines of its log that are shown when something went wrong.
const LOG_LINES_SHOWN: usize = 20;

/// A daemon on a directory of its own. It does not outlive this value.
pub struct Daemon {
    child: Child,
    dir: PathBuf,
}

/// Where it listens.
#[derive(Debug, Deserialize)]
pub struct Listen {
    /// Host and port of the gRPC listener.
    pub grpc: String,
    /// Host and port of the admin listener.
    pub admin: String,
    pid: u32,
}

impl Daemon {
    /// Starts the daemon with these settings; its data and log stay inside the directory.
    pub fn start(dir: &Path, settings: &[(&str, &str)]) -> Result<Self, Failure> {
        let log = OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
        let mut command = Command::new(env::current_exe()?);
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"CVRSD__") {
                command.env_remove(name);
            }
        }
        let child = command
            .arg("serve")
            .env("CVRSD__DATA__DIR", dir.join("data"))
            .env("CVRSD__GRPC__LISTEN", "127.0.0.1:0")
            .env("CVRSD__REST__LISTEN", "127.0.0.1:0")
            .env("CVRSD__ADMIN__LISTEN", "127.0.0.1:0")
            .env("CVRSD__DATA__RESERVE_BYTES", "0")
            .env("CVRSD__LOG__FORMAT", "text")
            .env("CVRSD__LOG__LEVEL", "warn")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self { child, dir: dir.to_owned() })
    }

    /// The directory, for further files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until the daemon serves.
    ///
    /// # Errors
    /// When it ends before, or takes too long.
    pub async fn ready(&mut self) -> Result<Listen, Failure> {
        let path = self.dir.join("data/listen.json");
        let deadline = Instant::now() + OWN_DAEMON_WAIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(failed(format!("the daemon ended at its start: {status}")));
            }
            match fs::read(&path) {
                Ok(text) => {
                    let listen: Listen = serde_json::from_slice(&text)
                        .map_err(|e| failed(format!("listen.json: {e}")))?;
                    // One that was killed left its addresses behind.
                    if listen.pid == self.child.id() {
                        return Ok(listen);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e.into()),
            }
            if Instant::now() > deadline {
                return Err(failed(format!("the daemon did not serve in {OWN_DAEMON_WAIT:?}")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Asks the daemon to end and waits until it did; kills it where that takes too long.
    ///
    /// # Errors
    /// When it did not end by itself, or not well.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // A child that is gone already is told apart by its exit status.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + OWN_DAEMON_WAIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return ended(status);
            }
            tokio::time::sleep(POLL).await;
        }
        self.child.kill()?;
        self.child.wait()?;
        Err(failed(format!("the daemon did not end in {OWN_DAEMON_WAIT:?} and was killed")))
    }

    /// Kills it without a chance to clean up.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn kill(&mut self) -> Result<(), Failure> {
        if let Some(status) = self.child.try_wait()? {
            return Err(failed(format!("the daemon ended by itself: {status}")));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Shows the end of the log.
    pub fn print_log(&self) {
        let text = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES_SHOWN)) {
            render::note(line);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn ended(status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    Err(failed(format!("the daemon did not end well: {status}")))
}

fn failed(message: String) -> Failure {
    Failure::new(Exit::Failed, message)
}
