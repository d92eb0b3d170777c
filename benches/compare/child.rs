//! Child processes that don't outlive this one.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Result, report, scratch};

/// How long a child may take to end once told to.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(2);
/// What ties a child to the life of its parent; part of util-linux.
const SETPRIV: &str = "/usr/bin/setpriv";

/// Every child that runs, with the signal that ends it at once.
static RUNNING: Mutex<Vec<(u32, Signal)>> = Mutex::new(Vec::new());

/// A child. Dropped, it is ended at once and waited for.
pub struct Guarded {
    what: String,
    child: Child,
    end: Signal,
    ended: bool,
}

/// A command whose process dies with this one, also where this one is killed.
pub fn tied(program: impl AsRef<std::ffi::OsStr>) -> Command {
    tied_as(program, None, "KILL")
}

/// [`tied`] as another user; the signal is what it gets when this process dies.
pub fn tied_as(program: impl AsRef<std::ffi::OsStr>, user: Option<&str>, signal: &str) -> Command {
    if !Path::new(SETPRIV).exists() {
        return Command::new(program);
    }
    let mut command = Command::new(SETPRIV);
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

impl Guarded {
    /// Starts it; SIGKILL ends it.
    pub fn spawn(what: &str, command: &mut Command) -> Result<Self> {
        Self::spawn_with(what, command, Signal::KILL)
    }

    /// Starts it; `end` is what ends it at once, and all of its own children.
    pub fn spawn_with(what: &str, command: &mut Command, end: Signal) -> Result<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn().map_err(|e| format!("cannot start {what}: {e}"))?;
        running.push((child.id(), end));
        Ok(Self { what: what.to_owned(), child, end, ended: false })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn take_stdout(&mut self) -> Result<std::process::ChildStdout> {
        self.child.stdout.take().ok_or_else(|| format!("{} has no output", self.what).into())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        if self.child.try_wait()?.is_some() {
            self.note_end();
        }
        Ok(!self.ended)
    }

    /// Waits until it ends by itself, well.
    pub fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        self.note_end();
        self.well(status)
    }

    /// Sends a signal and waits until it ended, well.
    pub fn stop(mut self, signal: Signal) -> Result<()> {
        send(self.id(), signal);
        let status = self.wait_for(PATIENCE)?;
        let status = status.ok_or_else(|| format!("{} does not end", self.what))?;
        self.well(status)
    }

    /// Ends it without a chance to clean up.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.note_end();
        Ok(())
    }

    fn well(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        Err(format!("{} ended with {status}", self.what).into())
    }

    fn wait_for(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                self.note_end();
                return Ok(Some(status));
            }
            thread::sleep(POLL);
        }
        Ok(None)
    }

    fn note_end(&mut self) {
        self.ended = true;
        let id = self.child.id();
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|(pid, _)| *pid != id);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        send(self.id(), self.end);
        if !matches!(self.wait_for(Duration::from_secs(10)), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.note_end();
        }
    }
}

/// Runs a command to its good end and gives what it wrote.
pub fn output(what: &str, command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null());
    output_of(what, command)
}

/// [`output`] of a command that has its input.
pub fn output_of(what: &str, command: &mut Command) -> Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut guarded = Guarded::spawn(what, command)?;
    let Output { status, stdout, stderr } = collect(&mut guarded)?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        let last = stderr.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
        return Err(format!("{what} ended with {status}: {last}").into());
    }
    Ok(String::from_utf8(stdout)?)
}

fn collect(guarded: &mut Guarded) -> Result<Output> {
    use std::io::Read;
    let mut stderr = guarded.child.stderr.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = &mut stderr {
            // What could be read is all that there is to show.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    });
    let mut stdout = Vec::new();
    guarded.take_stdout()?.read_to_end(&mut stdout)?;
    let status = guarded.child.wait()?;
    guarded.note_end();
    let stderr = reader.join().map_err(|_| "the reader of standard error panicked")?;
    Ok(Output { status, stdout, stderr })
}

fn send(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // One that is gone already is what is wanted.
        let _ = kill_process(pid, signal);
    }
}

/// From now on a signal that ends this process first ends its children and removes its files.
pub fn end_with_signals() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        report::note("compare: interrupted");
        end_all();
        scratch::remove_made();
        std::process::exit(130);
    });
    Ok(())
}

fn end_all() {
    // Held to the end of the process: no further child starts.
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for (id, signal) in running.iter() {
        send(*id, *signal);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while running.iter().any(|(id, _)| is_alive(*id)) {
        if Instant::now() > deadline {
            for (id, _) in running.iter() {
                send(*id, Signal::KILL);
            }
            break;
        }
        thread::sleep(POLL);
    }
    std::mem::forget(running);
}

/// Whether a process is there and no zombie.
fn is_alive(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Clock ticks (10 ms) of CPU that a process and its threads used.
pub fn cpu_ticks(id: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("an odd line of a process")?;
    let mut fields = rest.split(' ').skip(11).map(str::parse::<u64>);
    let mut next = || fields.next().ok_or("an odd line of a process");
    Ok(next()?? + next()??)
}

/// `VmRSS` or `VmHWM`, its peak, of a process, in bytes.
pub fn memory(id: u32, which: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with(which));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).ok_or("no such process")?;
    Ok(kib.parse::<u64>()? * 1_024)
}
