//! `cvrsd backup`: a backup of a running daemon, in one file.

use std::{
    fs::{self, File},
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
    let unfinished = Unfinished::beside(&out);
    let writing = tokio::task::spawn_blocking(move || keep(&unfinished, &out, receiver));
    let broken = loop {
        match stream.message().await {
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

/// The file before it is whole; it goes where it is not given its name.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(out: &Path) -> Self {
        let mut name = out.as_os_str().to_owned();
        name.push(".part");
        Self(name.into())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It has its name by now, or is not whole.
        let _ = fs::remove_file(&self.0);
    }
}

fn keep(
    unfinished: &Unfinished,
    out: &Path,
    mut pieces: mpsc::Receiver<bytes::Bytes>,
) -> io::Result<Manifest> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = &unfinished.0;
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    while let Some(piece) = pieces.blocking_recv() {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let manifest = backup::check(BufReader::new(File::open(path)?))?;
    fs::rename(path, out)?;
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(manifest)
}
