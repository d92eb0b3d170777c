//! Applying the valid rows to the record store, in batches that each move the job's cursor.
//!
//! Deletes go in index order, so that a batch walks the index instead of jumping through it; equal
//! ids keep file order. Creates and updates go in file order, as their rows are read from the payload.
//! Both orders are the same on every run, so the cursor's position alone says what is done.

use super::{
    Context, Error, Step,
    keys::{KeyEntry, KeysReader},
    pace::Pace,
    sort::Sorted,
    validate::read_header,
};
use crate::{
    cvrs::Header,
    domain::{Applied, EventKind, Operation},
    error::Code,
    intake::Lines,
    limits::CHECKPOINTS_MAX,
    records::{self, Batch, Entry},
};

/// Applies the job's valid rows from the record store's cursor on. Returns where the cursor stands
/// after the last row.
///
/// # Errors
/// [`Error::Stopped`] between two batches; [`Error::File`] where payload and keys do not agree; or as
/// files, journal and store fail.
pub fn apply(step: &Step<'_>) -> Result<Applied, Error> {
    let mut cursor = step.store.cursor(step.job.spec.id)?;
    if cursor.position < step.job.applied.position {
        let (id, told) = (step.job.spec.id, step.job.applied.position);
        let text = format!("job {id} stands at {}, but {told} rows were told", cursor.position);
        return Err(records::Error::Damaged(text).into());
    }
    let mut source = Source::open(step, cursor.position)?;
    let engine = step.engine;
    let mut pace = Pace::new(
        engine.checkpoint_rows,
        engine.checkpoint_interval,
        step.job.checkpoints,
        CHECKPOINTS_MAX,
        step.job.applied.position,
    );
    loop {
        step.stop.check()?;
        source.fill(engine.checkpoint_rows, step)?;
        let entries = source.entries();
        if entries.is_empty() {
            return Ok(cursor);
        }
        let spec = &step.job.spec;
        cursor = step.store.apply(&Batch {
            job: spec.id,
            tenant: &spec.tenant,
            operation: spec.operation,
            storages: spec.storages,
            position: cursor.position,
            entries: &entries,
        })?;
        let last = cursor.position == step.job.validated.rows_valid;
        if !last && pace.is_due(cursor.position) {
            (step.record)(EventKind::ProcessingAdvanced(cursor))?;
            pace.took(cursor.position);
        }
    }
}

/// The valid rows of a job from some position on, a batch at a time.
struct Source {
    order: Order,
    keys: Vec<KeyEntry>,
    /// The rows of `keys`, one after the other; empty for a delete.
    rows: Vec<u8>,
    ends: Vec<usize>,
}

enum Order {
    Index(Sorted),
    File { keys: Box<KeysReader>, lines: Box<Lines>, header: Box<Header> },
}

impl Order {
    fn open(step: &Step<'_>) -> Result<Self, Error> {
        let spec = &step.job.spec;
        let path = step.workspace.keys(spec.id);
        let keys = KeysReader::open(&path, step.job.validated.keys_length)
            .context("cannot open the keys file")?;
        if spec.operation == Operation::Delete {
            let dir =
                step.workspace.make_dir(spec.id).context("cannot make the job's directory")?;
            let sorted = Sorted::new(keys, step.engine.sort_bytes, &dir);
            return Ok(Self::Index(sorted.context("cannot sort the keys")?));
        }
        let mut lines = Lines::open(step.payload, spec.payload.media_type, None)?;
        let header = Box::new(read_header(&mut lines, spec.operation)?);
        Ok(Self::File { keys: Box::new(keys), lines: Box::new(lines), header })
    }

    fn next_key(&mut self) -> Result<Option<KeyEntry>, Error> {
        match self {
            Self::Index(sorted) => sorted.next().context("cannot read the sorted keys"),
            Self::File { keys, .. } => keys.next().context("cannot read the keys file"),
        }
    }
}

impl Source {
    fn open(step: &Step<'_>, position: u64) -> Result<Self, Error> {
        let mut order = Order::open(step)?;
        for _ in 0..position {
            order.next_key()?;
        }
        Ok(Self { order, keys: Vec::new(), rows: Vec::new(), ends: Vec::new() })
    }

    /// Takes the next `most` rows.
    fn fill(&mut self, most: usize, step: &Step<'_>) -> Result<(), Error> {
        self.keys.clear();
        self.rows.clear();
        self.ends.clear();
        while self.keys.len() < most
            && let Some(entry) = self.order.next_key()?
        {
            if let Order::File { lines, header, .. } = &mut self.order {
                read_row(lines, header, &entry, step, &mut self.rows)?;
            }
            self.keys.push(entry);
            self.ends.push(self.rows.len());
        }
        Ok(())
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let mut start = 0;
        let mut entries = Vec::with_capacity(self.keys.len());
        for (key, end) in self.keys.iter().zip(&self.ends) {
            let row = self.rows.get(start..*end).unwrap_or_default();
            entries.push(Entry { key: key.key(), line: key.line(), row });
            start = *end;
        }
        entries
    }
}

/// Appends the row of an entry in canonical order; it must still be the row that was validated.
fn read_row(
    lines: &mut Lines,
    header: &Header,
    entry: &KeyEntry,
    step: &Step<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let number = u64::from(entry.line());
    lines.skip_to(number)?;
    let damaged = || {
        let text = format!("line {number} of the payload is not the line that was validated");
        Error::file(Code::FileDamaged, text)
    };
    let line = lines.next()?.ok_or_else(damaged)?;
    if line.number != number || step.store.key(header.event_id(line.bytes)) != entry.key() {
        return Err(damaged());
    }
    header.canonical(line.bytes, out);
    Ok(())
}

/// The lines that come after the first `position` rows in the order in which the job applies them.
pub(super) fn lines_after(
    step: &Step<'_>,
    position: u64,
    mut each: impl FnMut(u32),
) -> Result<(), Error> {
    let mut order = Order::open(step)?;
    for _ in 0..position {
        order.next_key()?;
    }
    while let Some(entry) = order.next_key()? {
        each(entry.line());
    }
    Ok(())
}
