//! The error report of a job: one line of TSV for each error, validation errors by line, then
//! processing errors by storage and line. Ids stand in it as the documented error texts print them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::workspace::open_cut;
use crate::{
    cvrs,
    domain::{Failure, Storage},
};

/// One error of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// Line in the text file; the header is line 1.
    pub line: u64,
    /// The storage of a processing error; `None` for a validation error.
    pub storage: Option<Storage>,
    /// `vax_event_id` as the row spells it, cut for printing.
    pub vax_event_id: String,
    /// `recip_id` as the row spells it, cut for printing.
    pub recip_id: String,
    /// The column of a validation error; empty when the whole row or file is meant.
    pub field: String,
    /// Stable code of the rule.
    pub code: String,
    /// The documented text.
    pub message: String,
}

impl ReportRow {
    /// First line of a report as people download it.
    pub const HEADER: &'static str =
        "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage";

    /// The one error of a file of which nothing was processed. It stands in the job, not in a file.
    #[must_use]
    pub fn of_failure(failure: &Failure) -> Self {
        Self {
            line: 1,
            storage: None,
            vax_event_id: String::new(),
            recip_id: String::new(),
            field: String::new(),
            code: failure.code.as_str().to_owned(),
            message: failure.message.clone(),
        }
    }

    /// `validation` or `processing`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.storage.is_some() { "processing" } else { "validation" }
    }

    /// The exact documented error string.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { line, vax_event_id, recip_id, field, message, .. } = self;
        match self.storage {
            Some(storage) => cvrs::processing_text(storage, vax_event_id, recip_id, message),
            None => cvrs::validation_text(*line, vax_event_id, recip_id, field, message),
        }
    }

    /// The line of the report, without its end.
    #[must_use]
    pub fn tsv(&self) -> String {
        let storage = self.storage.map_or("", Storage::as_str);
        let Self { line, vax_event_id, recip_id, field, code, message, .. } = self;
        let kind = self.kind();
        format!("{line}\t{kind}\t{storage}\t{vax_event_id}\t{recip_id}\t{field}\t{code}\t{message}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut cells = text.split('\t');
        let line = cells.next()?.parse().ok()?;
        let kind = cells.next()?;
        let storage = Storage::from_name(cells.next()?);
        let mut own = || cells.next().map(str::to_owned);
        let row = Self {
            line,
            storage,
            vax_event_id: own()?,
            recip_id: own()?,
            field: own()?,
            code: own()?,
            message: own()?,
        };
        (cells.next().is_none() && row.kind() == kind).then_some(row)
    }
}

/// Appends to a report. The file is made with the first error, so a clean job has none.
pub struct ReportWriter {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    length: u64,
    crc: crc32fast::Hasher,
}

impl ReportWriter {
    /// Goes on after the first `length` bytes, which must have that CRC-32.
    pub fn open(path: PathBuf, length: u64, crc: u32) -> io::Result<Self> {
        let mut file = None;
        if path.exists() || length > 0 {
            file = Some(BufWriter::new(open_cut(&path, length)?));
            check_report(&path, length, crc)?;
        }
        let crc = crc32fast::Hasher::new_with_initial_len(crc, length);
        Ok(Self { path, file, length, crc })
    }

    pub fn push(&mut self, row: &ReportRow) -> io::Result<()> {
        self.write_all(format!("{}\n", row.tsv()).as_bytes())
    }

    /// Appends the lines of another report file.
    pub fn append_file(&mut self, path: &Path) -> io::Result<()> {
        io::copy(&mut File::open(path)?, self).map(drop)
    }

    /// Makes everything durable; returns length and CRC-32 of the file.
    pub fn sync(&mut self) -> io::Result<(u64, u32)> {
        self.flush()?;
        if let Some(file) = &self.file {
            file.get_ref().sync_data()?;
        }
        Ok((self.length, self.crc.clone().finalize()))
    }

    fn file(&mut self) -> io::Result<&mut BufWriter<File>> {
        if self.file.is_none() {
            self.file = Some(BufWriter::new(open_cut(&self.path, self.length)?));
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("the report is not open"))
    }
}

impl Write for ReportWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file()?.write(bytes)?;
        self.crc.update(bytes.get(..written).unwrap_or_default());
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

/// Reads the first `length` bytes of a report.
#[derive(Debug)]
pub struct ReportReader {
    file: Option<io::Take<BufReader<File>>>,
    line: String,
}

impl ReportReader {
    /// Opens the report; one of no bytes needs no file.
    ///
    /// # Errors
    /// When there is no such file or it is shorter.
    pub fn open(path: &Path, length: u64) -> io::Result<Self> {
        let mut reader = Self { file: None, line: String::new() };
        if length > 0 {
            let file = File::open(path)?;
            if file.metadata()?.len() < length {
                return Err(damaged("it is shorter than it was"));
            }
            reader.file = Some(BufReader::with_capacity(64 << 10, file).take(length));
        }
        Ok(reader)
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.file.as_ref().map_or(0, io::Take::limit)
    }

    /// Passes over so many bytes, or all that are left.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let left = self.left();
        let bytes = bytes.min(left);
        if let Some(file) = &mut self.file {
            let offset = i64::try_from(bytes).map_err(io::Error::other)?;
            file.get_mut().seek_relative(offset)?;
            file.set_limit(left - bytes);
        }
        Ok(())
    }

    /// The next bytes as they are stored, at most so many; none behind the last.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_bytes(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(file) = &mut self.file {
            file.take(most as u64).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// The next error, in report order.
    ///
    /// # Errors
    /// When the file cannot be read or a line is not one of ours.
    pub fn next_row(&mut self) -> io::Result<Option<ReportRow>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        self.line.clear();
        if file.read_line(&mut self.line)? == 0 {
            return Ok(None);
        }
        let text = self.line.strip_suffix('\n').ok_or_else(|| damaged("a line has no end"))?;
        ReportRow::parse(text).map(Some).ok_or_else(|| damaged("a line is not a report line"))
    }
}

/// An id as texts show it.
pub(super) fn printed(id: &[u8]) -> String {
    let mut text = String::new();
    cvrs::id_text(id, &mut text);
    text
}

/// Reads the first `length` bytes of a report, which must have that CRC-32.
///
/// # Errors
/// When they have not, or cannot be read.
pub fn check_report(path: &Path, length: u64, crc: u32) -> io::Result<()> {
    let mut found = crc32fast::Hasher::new();
    let mut left = length;
    if length > 0 {
        let mut file = File::open(path)?.take(length);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|b| !b.is_empty()) else { break };
            found.update(bytes);
        }
        left = file.limit();
    }
    match (left, found.finalize() == crc) {
        (0, true) => Ok(()),
        (0, false) => Err(damaged("its checksum is wrong")),
        _ => Err(damaged("it is shorter than it was")),
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the report is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, storage: Option<Storage>) -> ReportRow {
        ReportRow {
            line,
            storage,
            vax_event_id: format!("EV{line}"),
            recip_id: String::new(),
            field: "cvx".to_owned(),
            code: "CVRS-ROW-FORMAT".to_owned(),
            message: "must be a number".to_owned(),
        }
    }

    #[test]
    fn rows_read_back_and_a_resume_cuts_what_was_not_durable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.tsv");
        let mut writer = ReportWriter::open(path.clone(), 0, 0).unwrap();
        writer.push(&row(2, None)).unwrap();
        let (durable, crc) = writer.sync().unwrap();
        writer.push(&row(3, None)).unwrap();
        writer.sync().unwrap();
        let mut writer = ReportWriter::open(path.clone(), durable, crc).unwrap();
        writer.push(&row(4, Some(Storage::Redacted))).unwrap();
        let (length, crc) = writer.sync().unwrap();
        let mut reader = ReportReader::open(&path, length).unwrap();
        assert_eq!(reader.next_row().unwrap(), Some(row(2, None)));
        assert_eq!(reader.next_row().unwrap(), Some(row(4, Some(Storage::Redacted))));
        assert_eq!(reader.next_row().unwrap(), None);
        let stored = format!("{}\n{}\n", row(2, None).tsv(), row(4, Some(Storage::Redacted)).tsv());
        assert_eq!((stored.len() as u64, crc32fast::hash(stored.as_bytes())), (length, crc));
        check_report(&path, length, crc).unwrap();
        for first in [0, 1, 30, stored.len() - 1, stored.len(), stored.len() + 1] {
            let mut reader = ReportReader::open(&path, length).unwrap();
            reader.skip(first as u64).unwrap();
            let mut read = Vec::new();
            loop {
                let bytes = reader.next_bytes(7).unwrap();
                assert!(bytes.len() <= 7);
                if bytes.is_empty() {
                    break;
                }
                read.extend(bytes);
            }
            assert_eq!(read, stored.as_bytes().get(first..).unwrap_or_default());
        }
    }

    #[test]
    fn a_report_without_errors_has_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.tsv");
        assert_eq!(ReportWriter::open(path.clone(), 0, 0).unwrap().sync().unwrap(), (0, 0));
        assert!(!path.exists());
        assert_eq!(ReportReader::open(&path, 0).unwrap().next_row().unwrap(), None);
        check_report(&path, 0, 0).unwrap();
    }

    #[test]
    fn a_changed_or_missing_byte_is_noticed_before_a_report_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.tsv");
        let mut writer = ReportWriter::open(path.clone(), 0, 0).unwrap();
        writer.push(&row(2, None)).unwrap();
        let (length, crc) = writer.sync().unwrap();
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            for bad in [&bad, &good[..at]] {
                std::fs::write(&path, bad).unwrap();
                assert!(check_report(&path, length, crc).is_err(), "byte {at}");
                assert!(ReportWriter::open(path.clone(), length, crc).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn texts_are_the_documented_ones() {
        assert_eq!(
            row(8, None).text(),
            "line#8: vaxEventId=EV8 recipId= field=cvx message=must be a number"
        );
        assert_eq!(
            row(8, Some(Storage::NonRedacted)).text(),
            "storage=NON_REDACTED_DB vaxEventID=EV8 recipId= message=must be a number"
        );
    }
}
