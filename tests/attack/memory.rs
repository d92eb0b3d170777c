//! The memory of another process, as Linux tells it.

use std::fs;

/// Resident bytes that a process may grow by over one file.
const GROWTH_MAX: u64 = 64 << 20;

/// Resident bytes of a process at one moment.
pub struct Mark {
    pid: u32,
    resident: u64,
}

impl Mark {
    /// Notes what is resident and lets the peak start anew from there.
    pub fn set(pid: u32) -> Self {
        // Where that is not permitted the peak is that since the start: no smaller than the true one.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        Self { pid, resident: field(pid, "VmRSS:") }
    }

    /// Fails the test where the process grew by more than its bound since.
    pub fn check(&self, name: &str) {
        let growth = field(self.pid, "VmHWM:").saturating_sub(self.resident);
        eprintln!("{name}, {} KiB", growth / 1024);
        assert!(growth <= GROWTH_MAX, "{name}: resident memory grew by {growth} bytes");
    }
}

fn field(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
