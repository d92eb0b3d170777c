//! What the process takes of the system.

use std::{fs, io, time::SystemTime};

use rustix::process::{Resource, getrlimit};

use super::as_gauge;

/// Notes when the process started.
pub(super) fn started() {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("process_start_time_seconds").set(since.as_secs_f64());
}

/// Looks anew. Blocks the thread.
///
/// # Errors
/// When the system does not tell.
pub(super) fn measure() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if let Some(kib) = kib {
        metrics::gauge!("process_resident_memory_bytes").set(as_gauge(kib << 10));
    }
    // The one that the listing itself takes is not counted.
    let open = fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
    metrics::gauge!("process_open_fds").set(as_gauge(open as u64));
    if let Some(most) = getrlimit(Resource::Nofile).current {
        metrics::gauge!("process_max_fds").set(as_gauge(most));
    }
    Ok(())
}
