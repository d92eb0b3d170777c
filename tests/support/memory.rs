//! The memory of another process, as Linux tells it.

use std::fs;

/// Resident bytes by which a process may be over its mark while it deals with one file.
const GROWTH_MAX: u64 = 64 << 20;

/// Resident bytes of a process before the first file. The mark stays for all files: what the allocator
/// keeps of one must not make room for the next.
pub struct Mark {
    pid: u32,
    resident: u64,
}

impl Mark {
    /// Notes what is resident now.
    pub fn set(pid: u32) -> Self {
        Self { pid, resident: field(pid, "VmRSS:") }
    }

    /// Lets the peak start anew from what is resident now.
    pub fn begin(&self) {
        // Where that is not permitted the peak is that since the start: no smaller than the true one.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
    }

    /// Fails the test where the peak since is over the mark by more than its bound.
    pub fn check(&self, name: &str) {
        let growth = field(self.pid, "VmHWM:").saturating_sub(self.resident);
        eprintln!("{name}, {} KiB", growth / 1024);
        assert!(growth <= GROWTH_MAX, "{name}: resident memory grew by {growth} bytes");
    }
}

/// A field of `/proc/PID/status` that is told in KiB, in bytes.
pub fn field(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
