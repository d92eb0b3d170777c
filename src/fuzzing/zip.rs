//! A body that is sent as a zip.

use std::io::{Cursor, Read};

use bytes::Bytes;

use super::{LIMITS, runtime};
use crate::{
    config,
    domain::{Failure, MediaType},
    error::{Error, Kind},
    intake::{Encoding, Expected, Lines, Received, Spool, Stored, TextLimits, probe},
};

/// What is accepted at submit can be opened, what is refused cannot be read; a text that reads whole keeps its
/// bounds, reads the same again, and is the one that another reader finds.
pub fn zip(data: &[u8]) {
    let accepted = runtime().block_on(submit(data));
    let read = read(data, Some(LIMITS));
    if let Err(error) = &accepted {
        assert_ne!(error.code.kind(), Kind::Internal, "{error:?}");
        assert!(read.is_err(), "refused with {error:?}, yet read");
        return;
    }
    assert!(Lines::open(Stored::Memory(data), MediaType::Zip, Some(LIMITS)).is_ok());
    let Ok(lines) = read else { return };
    probe(Stored::Memory(data), MediaType::Zip, LIMITS, || true).unwrap();
    let bytes: u64 = lines.iter().map(|line| line.len() as u64).sum();
    assert!(bytes <= LIMITS.max_inflated_bytes);
    assert!(bytes <= LIMITS.max_ratio * data.len() as u64);
    assert!(self::read(data, None).unwrap() == lines);
    if let Some(text) = read_by_another(data) {
        assert!(split(&text) == lines, "another reader finds another text");
    }
}

async fn submit(data: &[u8]) -> Result<Received, Error> {
    let dir = tempfile::tempdir().map_err(Error::internal)?;
    let intake = config::Intake {
        max_inflated_bytes: LIMITS.max_inflated_bytes,
        max_ratio: LIMITS.max_ratio,
        ..config::Intake::default()
    };
    let data_dir = config::Data { dir: dir.path().to_owned(), reserve_bytes: 0 };
    let spool = Spool::open(&data_dir, &intake).map_err(Error::internal)?;
    let meter = Box::new(|_| Ok(()));
    let upload = spool.begin(MediaType::Zip, Encoding::Identity, None, meter, u64::MAX);
    let mut upload = upload.await?;
    upload.write(Bytes::copy_from_slice(data)).await?;
    upload.finish(Expected::default()).await
}

fn read(data: &[u8], limits: Option<TextLimits>) -> Result<Vec<Vec<u8>>, Failure> {
    let mut lines = Lines::open(Stored::Memory(data), MediaType::Zip, limits)?;
    let mut found = Vec::new();
    while let Some(line) = lines.next()? {
        found.push(line.bytes.to_vec());
        assert_eq!(line.number, found.len() as u64);
    }
    Ok(found)
}

/// The text of the one entry, where that reader takes the zip at all.
fn read_by_another(data: &[u8]) -> Option<Vec<u8>> {
    let mut archive = ::zip::ZipArchive::new(Cursor::new(data)).ok()?;
    assert_eq!(archive.len(), 1, "another reader finds other entries");
    let mut text = Vec::new();
    archive.by_index(0).ok()?.read_to_end(&mut text).ok()?;
    Some(text)
}

/// The lines of a text; nothing behind its last newline is one.
pub(super) fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop_if(|last| last.is_empty());
    lines
}
