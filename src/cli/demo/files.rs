//! The two files of the demonstration.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    cli::generate::{write_text, write_zip},
    cvrs::sample::{Model, Sample},
};

const SEED: u64 = 20_201_202;

/// The files, and how many data rows they hold.
#[derive(Clone, Debug)]
pub struct Files {
    /// Records to create, as text.
    pub create: PathBuf,
    /// Data rows in it.
    pub create_rows: u64,
    /// What to delete, as text.
    pub delete: PathBuf,
    /// The same text as the one entry of a zip; this is what is sent.
    pub delete_zip: PathBuf,
    /// Data rows in it.
    pub delete_rows: u64,
}

impl Files {
    /// Writes both. The delete file names most records in another order, some of them twice or in
    /// other letters, some that do not exist, and has rows that are not valid.
    pub fn write(dir: &Path, rows: u64) -> io::Result<Self> {
        let create = dir.join("create.txt");
        let mut out = BufWriter::new(File::create(&create)?);
        write_text(&Sample::new(SEED, Model::Identified), rows, &mut out)?;
        out.flush()?;

        let lines = delete_rows(&ids(&create)?);
        let delete = dir.join("delete.txt");
        let mut out = BufWriter::new(File::create(&delete)?);
        writeln!(out, "vax_event_id\trecip_id\trecip_dob")?;
        for line in &lines {
            writeln!(out, "{line}")?;
        }
        out.flush()?;

        let delete_zip = dir.join("delete.zip");
        let zip = BufWriter::new(File::create(&delete_zip)?);
        write_zip(zip, "delete.txt", false, |out| {
            io::copy(&mut File::open(&delete)?, out).map(drop)
        })?;
        let delete_rows = lines.len() as u64;
        Ok(Self { create, create_rows: rows, delete, delete_zip, delete_rows })
    }
}

/// The ids and recipients of a file's rows.
fn ids(path: &Path) -> io::Result<Vec<(String, String)>> {
    let mut lines = BufReader::new(File::open(path)?).lines();
    let header = lines.next().transpose()?.unwrap_or_default();
    let place = |name: &str| header.split('\t').position(|column| column == name);
    let (Some(event), Some(recipient)) = (place("vax_event_id"), place("recip_id")) else {
        return Err(io::Error::other("the generated file has no ids"));
    };
    lines
        .map(|line| {
            let line = line?;
            let cell = |at: usize| line.split('\t').nth(at).unwrap_or_default().to_owned();
            Ok((cell(event), cell(recipient)))
        })
        .collect()
}

/// Three of four records; every 50th a second time, every 7th in other letters, and one row in a
/// hundred each that names an unknown record, has no id, has an id too long, or a date that is
/// none.
fn delete_rows(ids: &[(String, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (i, (event, recipient)) in ids.iter().enumerate() {
        let spelled =
            if i % 7 == 0 { event.to_ascii_lowercase() } else { event.to_ascii_uppercase() };
        if i % 4 != 3 {
            lines.push(format!("{spelled}\t{recipient}\t"));
        }
        if i % 50 == 1 {
            lines.push(format!("{event}\t{recipient}\t"));
        }
        match i % 100 {
            10 => lines.push(format!("no-such-record-{i}\t{recipient}\t")),
            20 => lines.push(format!("\t{recipient}\t")),
            30 => lines.push(format!("{}\t{recipient}\t", "x".repeat(256))),
            40 => lines.push(format!("{event}\t{recipient}\t2021-02-30")),
            _ => {}
        }
    }
    fastrand::Rng::with_seed(SEED).shuffle(&mut lines);
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_delete_file_holds_every_kind_of_row() {
        let ids: Vec<(String, String)> =
            (0..400).map(|i| (format!("Ev{i}"), format!("P{i}"))).collect();
        let lines = delete_rows(&ids);
        let known: HashSet<String> = ids.iter().map(|(id, _)| id.to_lowercase()).collect();
        let first = |line: &String| line.split('\t').next().unwrap().to_lowercase();
        let named: Vec<String> = lines.iter().map(first).collect();
        let distinct: HashSet<&String> = named.iter().filter(|id| known.contains(*id)).collect();
        assert!(distinct.len() < ids.len(), "some records stay");
        assert!(named.iter().filter(|id| known.contains(*id)).count() > distinct.len(), "twice");
        assert!(named.iter().any(|id| id.starts_with("no-such-record")));
        assert!(named.iter().any(String::is_empty));
        assert!(named.iter().any(|id| id.len() > 255));
        assert!(lines.iter().any(|line| line.ends_with("2021-02-30")));
        assert!(lines.iter().any(|line| line.starts_with("ev")));
        assert_eq!(lines, delete_rows(&ids));
    }

    #[test]
    fn the_zip_holds_the_delete_text() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::write(dir.path(), 300).unwrap();
        let mut zip = zip::ZipArchive::new(File::open(&files.delete_zip).unwrap()).unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut zip.by_index(0).unwrap(), &mut text).unwrap();
        assert_eq!(text, std::fs::read_to_string(&files.delete).unwrap());
        assert_eq!(text.lines().count() as u64, files.delete_rows + 1);
    }
}
