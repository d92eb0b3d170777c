//! A command in a terminal of its own, made by util-linux's `script`.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Daemon, PATIENCE, program, wait_exit};

pub struct Pty {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    pid_file: PathBuf,
    tty_file: PathBuf,
}

impl Pty {
    /// Starts a command of the program there; `None` where there is no `script`.
    pub fn start(daemon: &Daemon, dir: &Path, args: &str, env: &[(&str, &str)]) -> Option<Self> {
        if Command::new("script").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("there is no `script`: nothing was tried in a terminal");
            return None;
        }
        let [run, pid_file, tty_file] = ["run", "pid", "tty"].map(|name| dir.join(name));
        let line = format!(
            "#!/bin/sh\nstty rows 40 cols 120\necho $$ > {}\ntty > {}\nexec {} {args}\n",
            pid_file.display(),
            tty_file.display(),
            program().display()
        );
        fs::write(&run, line).unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", run.to_str().unwrap(), "/dev/null"]);
        command.env_remove("NO_COLOR").env_remove("CVRSD_TOKEN").env("TERM", "xterm-256color");
        command.env("CVRSD_SERVER", format!("http://{}", daemon.grpc));
        command.env("CVRSD_ADMIN", format!("http://{}", daemon.admin));
        command.envs(env.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&shown);
        thread::spawn(move || {
            let mut piece = [0; 4_096];
            while let Ok(length @ 1..) = out.read(&mut piece) {
                seen.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Some(Self { child, keys, shown, pid_file, tty_file })
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not shown: {:?}", self.shown());
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
        self.keys.flush().unwrap();
    }

    /// Makes the terminal another size, of which its program is told.
    pub fn resize(&self, rows: u16, columns: u16) {
        let tty = fs::read_to_string(&self.tty_file).unwrap();
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let size = ["-F", tty.trim(), "rows", &rows, "cols", &columns];
        assert!(Command::new("stty").args(size).status().unwrap().success());
    }

    /// Sends a signal to the program itself.
    pub fn signal(&self, name: &str) {
        let pid = fs::read_to_string(&self.pid_file).unwrap();
        let status = Command::new("kill").args([&format!("-{name}"), pid.trim()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end; gives how it ended and all that was shown.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = wait_exit(&mut self.child);
        // The last piece may still be on its way to the thread that reads.
        let deadline = Instant::now() + PATIENCE;
        while Arc::strong_count(&self.shown) > 1 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let shown = self.shown();
        (status, shown)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a colour is set in what was shown.
pub fn has_colour(shown: &str) -> bool {
    shown.split("\u{1b}[").skip(1).any(|sequence| {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic());
        let Some((codes, rest)) = end.map(|at| sequence.split_at(at)) else { return false };
        let sets = |code: &str| matches!(code.parse(), Ok(30..=37 | 90..=97 | 1));
        rest.starts_with('m') && (codes.split(';').any(sets) || codes.starts_with("38"))
    })
}
