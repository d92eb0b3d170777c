//! `unzip -p`, alone or in front of another.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    Result,
    child::{self, Guarded},
};

const PROGRAM: &str = "/usr/bin/unzip";

/// What its first line says; `None` where it is not installed.
pub fn version() -> Option<String> {
    let text = child::output("unzip", Command::new(PROGRAM).arg("-v")).ok()?;
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Some(words.join(" "))
}

/// Seconds to inflate a zip to nowhere.
pub fn seconds(zip: &Path) -> Result<f64> {
    let began = Instant::now();
    let mut command = command(zip);
    command.stdout(Stdio::null());
    Guarded::spawn("unzip", &mut command)?.finish()?;
    Ok(began.elapsed().as_secs_f64())
}

/// Its command, whose output is the text.
pub fn command(zip: &Path) -> Command {
    let mut command = child::tied(PROGRAM);
    command.arg("-p").arg(zip).stdin(Stdio::null());
    command
}
