//! What the figures were taken on.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{Result, child, daemon};

/// CPU, cores, memory, kernel, file system, versions of ours.
pub fn describe(dir: &Path) -> Result<Value> {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
    let files = child::output("stat", Command::new("stat").args(["-f", "-c", "%T"]).arg(dir));
    Ok(json!({
        "cpu": cpu,
        "cores": std::thread::available_parallelism()?.get(),
        "memory_mib": memory_kib / 1_024,
        "kernel": kernel,
        "file_system": files.unwrap_or_default().trim(),
        "cvrsd": format!("{} (binary {})", daemon::version()?, binary()?),
    }))
}

/// The first digits of the BLAKE3 of the program under test: its version alone tells no build.
fn binary() -> Result<String> {
    let digest = blake3::hash(&fs::read(daemon::program())?).to_hex();
    Ok(digest.chars().take(12).collect())
}

/// Processes that wanted a CPU in the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
