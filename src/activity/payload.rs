//! The payload, held against what was accepted, and read again after it was validated.

use std::{io, thread};

use super::{Context, Error, Step, validate::read_header};
use crate::{
    cvrs::Header,
    domain::Payload,
    error::Code,
    intake::{self, Lines, Stored},
};

/// Works on the payload while another thread holds its bytes against what was accepted. The result
/// counts only where they are the same.
pub(super) fn beside_check<T>(
    step: &Step<'_>,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let (path, accepted) = (step.payload, &step.job.spec.payload);
    thread::scope(|scope| {
        let digest = thread::Builder::new()
            .name("digest".to_owned())
            .spawn_scoped(scope, || check_payload(path, accepted))
            .context("cannot start the digest thread")?;
        let worked = work();
        let panicked = |_| io::Error::other("the digest thread panicked");
        digest.join().map_err(panicked).context("cannot read the payload")??;
        worked
    })
}

/// Fails unless the payload's bytes are those that were accepted. Nothing else guards a text on disk,
/// and the checksum inside a zip shows only behind the last row.
///
/// # Errors
/// [`Error::File`] where they are not, or are missing; [`Error::Io`] where they cannot be read.
pub fn check_payload(bytes: Stored<'_>, accepted: &Payload) -> Result<(), Error> {
    match intake::digest(bytes) {
        Ok(digest) if digest == accepted.sha256 => Ok(()),
        Ok(_) => {
            let text = "the payload's bytes are not those that were accepted";
            Err(Error::file(Code::FileDamaged, text))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(Error::file(Code::FileDamaged, "the payload is missing"))
        }
        Err(source) => Err(Error::Io { what: "cannot read the payload", source }),
    }
}

/// The rows of a payload that was validated.
pub(super) struct Text {
    lines: Lines,
    header: Header,
}

/// One of them.
pub(super) struct Row<'a> {
    header: &'a Header,
    number: u64,
    bytes: &'a [u8],
}

impl Text {
    /// Opens the payload again, after a look at all its bytes.
    pub(super) fn open(step: &Step<'_>) -> Result<Self, Error> {
        check_payload(step.payload, &step.job.spec.payload)?;
        Self::open_unchecked(step)
    }

    /// [`Text::open`] for a caller that looks at the bytes beside.
    pub(super) fn open_unchecked(step: &Step<'_>) -> Result<Self, Error> {
        let spec = &step.job.spec;
        let mut lines = Lines::open(step.payload, spec.payload.media_type, None)?;
        let header = read_header(&mut lines, spec.operation)?;
        Ok(Self { lines, header })
    }

    /// The row in that line; lines are asked for in ascending order.
    pub(super) fn row(&mut self, number: u64) -> Result<Row<'_>, Error> {
        self.lines.skip_to(number)?;
        let line = self.lines.next()?.filter(|line| line.number == number);
        let bytes = line.ok_or_else(|| damaged(number))?.bytes;
        Ok(Row { header: &self.header, number, bytes })
    }
}

impl Row<'_> {
    pub(super) fn event_id(&self) -> &[u8] {
        self.header.event_id(self.bytes)
    }

    pub(super) fn recip_id(&self) -> &[u8] {
        self.header.recip_id(self.bytes)
    }

    /// Appends the row in canonical order.
    pub(super) fn canonical(&self, out: &mut Vec<u8>) {
        self.header.canonical(self.bytes, out);
    }

    /// The error of a row that is not the one that was validated.
    pub(super) fn damaged(&self) -> Error {
        damaged(self.number)
    }
}

pub(super) fn damaged(line: u64) -> Error {
    let text = format!("line {line} of the payload is not the line that was validated");
    Error::file(Code::FileDamaged, text)
}
