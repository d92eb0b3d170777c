//! What both sides are given: files of made-up rows, made once a run.

use std::{
    collections::HashMap,
    fs::{self, File},
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use cvrsd::cvrs::sample::{Model, Sample};
use serde_json::{Value, json};
use tokio_stream::{Stream, wrappers::ReceiverStream};

use crate::{
    Result, child,
    client::{Body, CHUNK},
    daemon,
};

/// Of every input, unless several must differ.
pub const SEED: u64 = 1;
/// The zip of input X has fewer bytes.
const X_BYTES: u64 = 150_000_000;
/// And not fewer than that.
const X_BYTES_MIN: u64 = 149_000_000;

/// A zip and what is in it.
#[derive(Clone, Debug)]
pub struct Input {
    pub path: PathBuf,
    pub rows: u64,
    pub bytes: u64,
    pub text_bytes: u64,
}

impl Input {
    pub fn body(&self) -> Result<Body> {
        Ok(Body::zip(Bytes::from(fs::read(&self.path)?)))
    }

    pub fn described(&self) -> Value {
        json!({
            "rows": self.rows,
            "zip_bytes": self.bytes,
            "text_bytes": self.text_bytes,
            "seed": SEED,
        })
    }
}

/// Zips that were made in this run, by their rows.
pub struct Inputs {
    dir: PathBuf,
    zips: HashMap<u64, Input>,
    rows_of_x: Option<u64>,
}

impl Inputs {
    pub fn new(dir: PathBuf) -> Result<Self> {
        fs::create_dir(&dir)?;
        Ok(Self { dir, zips: HashMap::new(), rows_of_x: None })
    }

    /// A zip of so many identified people; U with 1,000,000.
    pub fn zip(&mut self, rows: u64) -> Result<Input> {
        if let Some(input) = self.zips.get(&rows) {
            return Ok(input.clone());
        }
        let path = self.dir.join(format!("{rows}.zip"));
        let (count, seed) = (rows.to_string(), SEED.to_string());
        let mut command = Command::new(daemon::program());
        command.args(["generate", "--model", "identified", "--zip", "--rows", &count]);
        child::output("cvrsd generate", command.args(["--seed", &seed, "--out"]).arg(&path))?;
        let bytes = fs::metadata(&path)?.len();
        let text_bytes = text_bytes(&path)?;
        let input = Input { path, rows, bytes, text_bytes };
        self.zips.insert(rows, input.clone());
        Ok(input)
    }

    /// Input X: a zip just under 150,000,000 bytes, or of so many rows where the command line says so.
    pub fn x(&mut self, rows: Option<u64>) -> Result<Input> {
        if let Some(rows) = rows.or(self.rows_of_x) {
            return self.zip(rows);
        }
        let mut rows = 100_000;
        for _ in 0..5 {
            let input = self.zip(rows)?;
            if (X_BYTES_MIN..X_BYTES).contains(&input.bytes) {
                self.rows_of_x = Some(rows);
                return Ok(input);
            }
            fs::remove_file(&input.path)?;
            self.zips.remove(&rows);
            let aim = u128::from(X_BYTES - (X_BYTES - X_BYTES_MIN) / 3);
            rows = u64::try_from(u128::from(rows) * aim / u128::from(input.bytes))?;
        }
        Err("no number of rows makes a zip just under 150,000,000 bytes".into())
    }
}

fn text_bytes(zip: &Path) -> Result<u64> {
    let mut archive = zip::ZipArchive::new(File::open(zip)?)?;
    Ok(archive.by_index(0)?.size())
}

/// The text of a file with those rows of that seed.
pub fn text(seed: u64, rows: impl IntoIterator<Item = u64>) -> Bytes {
    let sample = Sample::new(seed, Model::Identified);
    let mut out = sample.header_line().as_bytes().to_vec();
    out.push(b'\n');
    for index in rows {
        sample.write_row(index, &mut out);
        out.push(b'\n');
    }
    Bytes::from(out)
}

/// The same as a stream, for more rows than one would keep in memory.
pub fn text_stream(seed: u64, rows: Range<u64>) -> impl Stream<Item = Bytes> + Send + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let sample = Sample::new(seed, Model::Identified);
        let mut out = Vec::with_capacity(CHUNK);
        out.extend_from_slice(sample.header_line().as_bytes());
        out.push(b'\n');
        for index in rows {
            if out.len() > CHUNK - (8 << 10) {
                let full = std::mem::replace(&mut out, Vec::with_capacity(CHUNK));
                // The upload was refused; its caller is told.
                if sender.blocking_send(Bytes::from(full)).is_err() {
                    return;
                }
            }
            sample.write_row(index, &mut out);
            out.push(b'\n');
        }
        // As above.
        let _ = sender.blocking_send(Bytes::from(out));
    });
    ReceiverStream::new(receiver)
}
