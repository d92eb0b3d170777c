//! `cvrsd generate`: writes a valid CVRS file of made-up records.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use tokio::task::spawn_blocking;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::Failure;
use crate::{
    cvrs::sample::{Model, Sample},
    exit::Exit,
};

/// Rows above which the text could pass 4 GiB, which a zip must know before.
const ROWS_OF_PLAIN_ZIP: u64 = 2_000_000;

/// Options of `generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Data rows
    #[arg(long, value_name = "N")]
    rows: u64,
    /// File to write; what is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write a zip with the text as its one entry
    #[arg(long)]
    zip: bool,
    /// How much of a person a row shows
    #[arg(long, value_enum, default_value_t = Shown::Redacted)]
    model: Shown,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shown {
    /// Names and addresses read `Redacted`
    Redacted,
    /// Everything
    Identified,
    /// A linkage id in place of the person
    Pprl,
}

impl From<Shown> for Model {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Redacted => Self::Redacted,
            Shown::Identified => Self::Identified,
            Shown::Pprl => Self::Pprl,
        }
    }
}

/// Writes the file.
///
/// # Errors
/// When it cannot be written.
pub async fn run(args: Args) -> Result<(), Failure> {
    let name = args.out.display().to_string();
    spawn_blocking(move || write_file(&args))
        .await
        .map_err(io::Error::from)?
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write {name}: {e}")))
}

fn write_file(args: &Args) -> io::Result<()> {
    let sample = Sample::new(args.seed, args.model.into());
    let file = BufWriter::with_capacity(1 << 20, File::create(&args.out)?);
    if args.zip {
        let large = args.rows > ROWS_OF_PLAIN_ZIP;
        write_zip(file, &entry_name(&args.out), large, |out| write_text(&sample, args.rows, out))
    } else {
        let mut file = file;
        write_text(&sample, args.rows, &mut file)?;
        file.flush()
    }
}

/// Writes header and rows, each ended by a line feed.
pub(super) fn write_text(sample: &Sample, rows: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut line = Vec::new();
    writeln!(out, "{}", sample.header_line())?;
    for index in 0..rows {
        line.clear();
        sample.write_row(index, &mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

/// Writes a zip of one deflated entry, the same bytes for the same text. `large` says that the
/// text may pass 4 GiB.
pub(super) fn write_zip<W: Write + Seek>(
    out: W,
    entry: &str,
    large: bool,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644)
        .large_file(large);
    let mut zip = ZipWriter::new(out);
    zip.start_file(entry, options)?;
    text(&mut zip)?;
    zip.finish()?.flush()
}

/// The archive's own name with `.txt`.
fn entry_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain: String =
        stem.chars().map(|c| if c.is_control() || c == '\\' { '_' } else { c }).collect();
    format!("{plain}.txt")
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    fn text(seed: u64, rows: u64) -> Vec<u8> {
        let mut text = Vec::new();
        write_text(&Sample::new(seed, Model::Redacted), rows, &mut text).unwrap();
        text
    }

    fn zipped(seed: u64) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let sample = Sample::new(seed, Model::Identified);
        write_zip(&mut out, "a.txt", false, |out| write_text(&sample, 50, out)).unwrap();
        out.into_inner()
    }

    #[test]
    fn the_text_is_a_header_and_the_rows_asked_for() {
        for rows in [0, 1, 100] {
            let text = String::from_utf8(text(1, rows)).unwrap();
            assert!(text.ends_with('\n'));
            let cells: Vec<usize> = text.lines().map(|line| line.split('\t').count()).collect();
            assert_eq!(cells, vec![45; usize::try_from(rows).unwrap() + 1]);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
        assert_eq!(text(7, 20), text(7, 20));
        assert_ne!(text(7, 20), text(8, 20));
        assert_eq!(zipped(7), zipped(7));
        assert_ne!(zipped(7), zipped(8));
    }

    #[test]
    fn a_zip_holds_the_text_as_its_one_entry() {
        let mut archive = zip::ZipArchive::new(Cursor::new(zipped(7))).unwrap();
        assert_eq!(archive.len(), 1);
        let mut entry = archive.by_index(0).unwrap();
        assert_eq!(entry.name().unwrap(), "a.txt");
        assert_eq!(entry.compression(), CompressionMethod::Deflated);
        let mut inflated = Vec::new();
        entry.read_to_end(&mut inflated).unwrap();
        let mut expected = Vec::new();
        write_text(&Sample::new(7, Model::Identified), 50, &mut expected).unwrap();
        assert!(inflated == expected);
    }

    #[test]
    fn the_entry_is_named_like_the_archive() {
        assert_eq!(entry_name(Path::new("/x/20210401_01_AAA.zip")), "20210401_01_AAA.txt");
        assert_eq!(entry_name(Path::new("a\\b.zip")), "a_b.txt");
    }
}
