//! `cvrsd backup`: a backup of a running daemon, in one file.

use std::{
    fs::File,
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
};

use tokio::sync::mpsc;

use super::{
    Failure,
    client::{AdminTarget, refused},
    render,
};
use crate::{
    backup::{self, Manifest},
    exit::Exit,
    proto::admin::BackupRequest,
};

/// Options of `backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to make; there must be none
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    target: AdminTarget,
}

/// Takes a backup, checks every byte of it and only then gives it its name.
///
/// # Errors
/// When it is refused or breaks off, or the file cannot be made.
pub async fn run(args: Args) -> Result<(), Failure> {
    let Args { out, target } = args;
    if out.exists() {
        return Err(Failure::new(Exit::Usage, format!("{} is there already", out.display())));
    }
    let mut client = target.backups().await?;
    let mut stream = client.backup(BackupRequest {}).await.map_err(|s| refused(&s))?.into_inner();
    let (sender, receiver) = mpsc::channel(4);
    let writing = tokio::task::spawn_blocking(move || keep(&out, receiver));
    let broken = loop {
        let message = tokio::select! {
            message = stream.message() => message,
            // What is there of it goes.
            _ = tokio::signal::ctrl_c() => break Some(Failure::new(Exit::Failed, "interrupted")),
        };
        match message {
            // Where it cannot be written, that is told below.
            Ok(Some(piece)) if sender.send(piece.bytes.clone()).await.is_ok() => {}
            Ok(_) => break None,
            Err(status) => break Some(refused(&status)),
        }
    };
    drop(sender);
    let kept = writing.await.map_err(|e| Failure::new(Exit::Stopped, e.to_string()))?;
    if let Some(failure) = broken {
        return Err(failure);
    }
    let manifest = kept.map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    render::print_line(serde_json::json!({
        "bytes": manifest.bytes(),
        "takenUs": manifest.taken_us,
        "parts": manifest.parts,
    }))
}

/// Keeps what comes in a file that is nobody else's to read, beside its place, and gives it its name once it is whole.
/// It goes where it is not.
fn keep(out: &Path, mut pieces: mpsc::Receiver<bytes::Bytes>) -> io::Result<Manifest> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".cvrsd-backup-").tempfile_in(parent)?;
    while let Some(piece) = pieces.blocking_recv() {
        file.write_all(&piece)?;
    }
    file.as_file().sync_all()?;
    let manifest = backup::check(BufReader::new(file.reopen()?))?;
    file.persist_noclobber(out)?;
    File::open(parent)?.sync_all()?;
    Ok(manifest)
}
