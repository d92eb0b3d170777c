//! How values of the keyspaces are stored. What does not read back whole is damage.

use std::borrow::Cow;

use roaring::RoaringBitmap;

use crate::{
    domain::{Applied, JobId, PerStorage},
    limits::LIVE_BLOCK_ROWS,
    records::{Error, Misses},
};

/// First byte of rows and cursors.
const FORMAT: u8 = 1;
/// Format, job, line and checksum before a row's cells.
const ROW_HEAD_BYTES: usize = 1 + 16 + 4 + 4;

/// CRC-32 before a bitmap, which would else read back with other rows where a run's length has changed.
const CRC_BYTES: usize = 4;

/// Row numbers that one index entry points at, by storage; 0 points at none.
pub(super) type Pointers = PerStorage<u64>;

/// Puts a row into its envelope, in a buffer that is used again and again.
pub(super) fn write_row(out: &mut Vec<u8>, key: &[u8; 12], job: JobId, line: u32, cells: &[u8]) {
    out.clear();
    out.reserve(ROW_HEAD_BYTES + cells.len());
    out.push(FORMAT);
    out.extend_from_slice(job.as_bytes());
    out.extend_from_slice(&line.to_be_bytes());
    out.extend_from_slice(&row_crc(key, job.as_bytes(), line, cells).to_be_bytes());
    out.extend_from_slice(cells);
}

/// The cells of a row, once its checksum holds.
pub(super) fn read_row<'a>(key: &[u8; 12], value: &'a [u8]) -> Result<&'a [u8], Error> {
    let damaged = |what| Error::Damaged(format!("a row {what}"));
    let (format, rest) = value.split_first().ok_or_else(|| damaged("is empty"))?;
    if *format != FORMAT {
        return Err(damaged("has an unknown format"));
    }
    let Some((job, rest)) = rest.split_first_chunk::<16>() else {
        return Err(damaged("is cut short"));
    };
    let Some((line, rest)) = rest.split_first_chunk::<4>() else {
        return Err(damaged("is cut short"));
    };
    let Some((crc, cells)) = rest.split_first_chunk::<4>() else {
        return Err(damaged("is cut short"));
    };
    if row_crc(key, job, u32::from_be_bytes(*line), cells) != u32::from_be_bytes(*crc) {
        return Err(damaged("does not match its checksum"));
    }
    Ok(cells)
}

/// Covers the row's key too: a row that turns up in another place is damage.
fn row_crc(key: &[u8; 12], job: &[u8; 16], line: u32, cells: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(job);
    crc.update(&line.to_be_bytes());
    crc.update(cells);
    crc.finalize()
}

/// Stored form of an index entry.
pub(super) fn write_pointers(pointers: Pointers) -> [u8; 16] {
    let both = (u128::from(pointers.non_redacted) << 64) | u128::from(pointers.redacted);
    both.to_be_bytes()
}

/// An index entry as stored.
pub(super) fn read_pointers(value: &[u8]) -> Result<Pointers, Error> {
    let [non_redacted, redacted] = numbers(value, "an index entry")?;
    Ok(Pointers { non_redacted, redacted })
}

/// Stored form of a cursor.
pub(super) fn write_cursor(cursor: &Applied) -> Vec<u8> {
    let numbers = [
        cursor.position,
        cursor.rows_applied,
        cursor.processed.non_redacted,
        cursor.processed.redacted,
        cursor.errors.non_redacted,
        cursor.errors.redacted,
    ];
    let mut value = vec![FORMAT];
    value.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    value
}

/// A cursor as stored.
pub(super) fn read_cursor(value: &[u8]) -> Result<Applied, Error> {
    let Some((&FORMAT, rest)) = value.split_first() else {
        return Err(Error::Damaged("a cursor has an unknown format".to_owned()));
    };
    let [
        position,
        rows_applied,
        done_non_redacted,
        done_redacted,
        missed_non_redacted,
        missed_redacted,
    ] = numbers(rest, "a cursor")?;
    Ok(Applied {
        position,
        rows_applied,
        processed: PerStorage { non_redacted: done_non_redacted, redacted: done_redacted },
        errors: PerStorage { non_redacted: missed_non_redacted, redacted: missed_redacted },
    })
}

/// Exactly `N` big-endian numbers.
pub(super) fn numbers<const N: usize>(value: &[u8], what: &str) -> Result<[u64; N], Error> {
    let (chunks, rest) = value.as_chunks::<8>();
    if chunks.len() != N || !rest.is_empty() {
        return Err(Error::Damaged(format!("{what} has {} bytes", value.len())));
    }
    let mut numbers = [0; N];
    for (number, chunk) in numbers.iter_mut().zip(chunks) {
        *number = u64::from_be_bytes(*chunk);
    }
    Ok(numbers)
}

/// Where the rows of a job were staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StageRecord {
    /// Number of the tenant.
    pub(super) tenant: u32,
    /// Number that a row in line 0 would have.
    pub(super) base: u64,
    /// All of them are on disk.
    pub(super) done: bool,
}

/// Stored form of a stage record.
pub(super) fn write_stage(record: &StageRecord) -> Vec<u8> {
    let numbers = [u64::from(record.tenant), record.base, u64::from(record.done)];
    let mut value = vec![FORMAT];
    value.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    value
}

/// A stage record as stored.
pub(super) fn read_stage(value: &[u8]) -> Result<StageRecord, Error> {
    let Some((&FORMAT, rest)) = value.split_first() else {
        return Err(Error::Damaged("a stage record has an unknown format".to_owned()));
    };
    let [tenant, base, done] = numbers(rest, "a stage record")?;
    match (u32::try_from(tenant), done) {
        (Ok(tenant), 0 | 1) => Ok(StageRecord { tenant, base, done: done == 1 }),
        _ => Err(Error::Damaged("a stage record has impossible numbers".to_owned())),
    }
}

/// Rows up to which a bitmap is stored as a list; those are small, and runs take longer to read back.
const LISTED_ROWS_MAX: u64 = 4_096;

/// Stored form of a bitmap. Runs are stored as such: most blocks of live rows are full but for a few, and
/// a job that touches each block of a large store would else write 8 KiB for each.
pub(super) fn write_bitmap(bitmap: &RoaringBitmap) -> Result<Vec<u8>, Error> {
    let mut bitmap = Cow::Borrowed(bitmap);
    if bitmap.len() > LISTED_ROWS_MAX {
        bitmap.to_mut().optimize();
    }
    let mut value = Vec::with_capacity(CRC_BYTES + bitmap.serialized_size());
    value.extend_from_slice(&[0; CRC_BYTES]);
    bitmap.serialize_into(&mut value).map_err(|error| Error::Storage(error.to_string()))?;
    if let Some((crc, bytes)) = value.split_first_chunk_mut::<CRC_BYTES>() {
        *crc = crc32fast::hash(bytes).to_be_bytes();
    }
    Ok(value)
}

/// A block's bitmap as stored.
pub(super) fn read_block(mut value: &[u8]) -> Result<RoaringBitmap, Error> {
    let bitmap = read_bitmap(&mut value)?;
    if !value.is_empty() || bitmap.max().is_some_and(|max| u64::from(max) >= LIVE_BLOCK_ROWS) {
        return Err(Error::Damaged("a bitmap goes beyond its block".to_owned()));
    }
    Ok(bitmap)
}

/// Stored form of the misses of a batch: one bitmap after the other.
pub(super) fn write_misses(misses: &Misses) -> Result<Vec<u8>, Error> {
    let mut value = write_bitmap(&misses.non_redacted)?;
    value.extend(write_bitmap(&misses.redacted)?);
    Ok(value)
}

/// The misses of a batch as stored.
pub(super) fn read_misses(mut value: &[u8]) -> Result<Misses, Error> {
    let misses =
        Misses { non_redacted: read_bitmap(&mut value)?, redacted: read_bitmap(&mut value)? };
    if !value.is_empty() {
        return Err(Error::Damaged("misses are longer than they say".to_owned()));
    }
    Ok(misses)
}

/// Without runs, whose ends would move with every bit that is cleared.
fn read_bitmap(value: &mut &[u8]) -> Result<RoaringBitmap, Error> {
    let damaged = |what: &str| Error::Damaged(format!("a bitmap does not read back: {what}"));
    let (crc, mut rest) = value.split_first_chunk().ok_or_else(|| damaged("it has no checksum"))?;
    let bytes = rest;
    let bitmap = RoaringBitmap::deserialize_from(&mut rest);
    let mut bitmap = bitmap.map_err(|error| damaged(&error.to_string()))?;
    let bytes = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
    if crc32fast::hash(bytes).to_be_bytes() != *crc {
        return Err(damaged("its checksum is wrong"));
    }
    bitmap.remove_run_compression();
    *value = rest;
    Ok(bitmap)
}

#[cfg(test)]
mod tests {
    use super::{super::keys, *};

    fn is_damage<T>(result: &Result<T, Error>) -> bool {
        matches!(result, Err(Error::Damaged(_)))
    }

    #[test]
    fn a_row_reads_back_and_every_changed_or_missing_byte_is_noticed() {
        let key = keys::row(7, 42);
        let mut value = Vec::new();
        write_row(&mut value, &key, JobId::generate(), 9, b"EV1\tP1");
        assert_eq!(read_row(&key, &value).unwrap(), b"EV1\tP1");
        for place in 0..value.len() {
            let mut wrong = value.clone();
            wrong[place] ^= 0x10;
            assert!(is_damage(&read_row(&key, &wrong)), "byte {place}");
            assert!(is_damage(&read_row(&key, &value[..place])), "cut at {place}");
        }
        assert!(is_damage(&read_row(&keys::row(7, 43), &value)));
    }

    #[test]
    fn cursors_and_pointers_read_back_and_only_whole() {
        let cursor = Applied {
            position: 1,
            rows_applied: 2,
            processed: PerStorage { non_redacted: 3, redacted: 4 },
            errors: PerStorage { non_redacted: 5, redacted: u64::MAX },
        };
        let value = write_cursor(&cursor);
        assert_eq!(read_cursor(&value).unwrap(), cursor);
        assert!(is_damage(&read_cursor(&value[..value.len() - 1])));
        assert!(is_damage(&read_cursor(&[])));
        assert!(is_damage(&read_cursor(&[vec![2], value[1..].to_vec()].concat())));

        let pointers = Pointers { non_redacted: 1, redacted: u64::MAX };
        let value = write_pointers(pointers);
        assert_eq!(read_pointers(&value).unwrap(), pointers);
        assert!(is_damage(&read_pointers(&value[1..])));
    }

    #[test]
    fn stage_records_read_back_and_only_whole() {
        for done in [false, true] {
            let record = StageRecord { tenant: 7, base: u64::MAX, done };
            let value = write_stage(&record);
            assert_eq!(read_stage(&value).unwrap(), record);
            assert!(is_damage(&read_stage(&value[..value.len() - 1])));
            assert!(is_damage(&read_stage(&[value, vec![0]].concat())));
        }
        assert!(is_damage(&read_stage(&[])));
        let mut wrong = write_stage(&StageRecord { tenant: 7, base: 1, done: true });
        *wrong.last_mut().unwrap() = 2;
        assert!(is_damage(&read_stage(&wrong)));
    }

    #[test]
    fn bitmaps_read_back_and_only_whole_and_inside_their_block() {
        let last = u32::try_from(LIVE_BLOCK_ROWS - 1).unwrap();
        let block: RoaringBitmap = [0, 7, last].into_iter().collect();
        let value = write_bitmap(&block).unwrap();
        assert_eq!(read_block(&value).unwrap(), block);
        assert!(is_damage(&read_block(&value[..value.len() - 1])));
        assert!(is_damage(&read_block(&[value.clone(), vec![0]].concat())));
        let mut almost_full: RoaringBitmap = (0..=last).collect();
        almost_full.remove(77);
        let value = write_bitmap(&almost_full).unwrap();
        assert!(value.len() < 100, "{}", value.len());
        assert_eq!(read_block(&value).unwrap(), almost_full);
        assert!((0..value.len()).all(|at| is_damage(&read_block(&value[..at]))));
        for at in 0..value.len() {
            let mut wrong = value.clone();
            wrong[at] ^= 1;
            assert!(is_damage(&read_block(&wrong)), "byte {at}");
        }
        let beyond: RoaringBitmap = [last + 1].into_iter().collect();
        assert!(is_damage(&read_block(&write_bitmap(&beyond).unwrap())));

        let misses = Misses { non_redacted: block, redacted: RoaringBitmap::new() };
        let value = write_misses(&misses).unwrap();
        assert_eq!(read_misses(&value).unwrap(), misses);
        assert!(is_damage(&read_misses(&value[..value.len() - 1])));
        assert!(is_damage(&read_misses(&[value, vec![0]].concat())));
    }
}
