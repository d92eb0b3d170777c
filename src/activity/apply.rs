//! Applying the valid rows to the record store, in batches that each move the job's cursor.
//!
//! Deletes go in index order, so that a batch walks the index instead of jumping through it; equal
//! ids keep file order. So do large creates and updates, whose rows are staged before; small ones go
//! in file order, as their rows are read from the payload. Each order is the same on every run, so the
//! cursor's position alone says what is done.

use std::time::Instant;

use super::{
    Context, Error, Step,
    keys::{KeyEntry, KeysReader},
    pace::Pace,
    payload::Text,
    sort::Sorted,
    stage::{is_staged, stage},
};
use crate::{
    domain::{Applied, EventKind, Operation},
    failpoint::{Point, hit},
    limits::{BATCH_BYTES_MAX, CHECKPOINTS_MAX},
    records::{self, Batch, Entry, RecordStore, Row},
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
    if cursor.position == step.job.validated.rows_valid {
        return Ok(cursor);
    }
    if is_staged(step.job) {
        let began = Instant::now();
        let staged = stage(step, cursor.position);
        metrics::histogram!("cvrsd_job_step_seconds", "step" => "stage").record(began.elapsed());
        staged?;
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
        source.fill(step)?;
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
            hit(Point::BatchRecorded);
            pace.took(cursor.position);
        }
    }
}

/// The valid rows of a job from some position on, a batch at a time.
struct Source {
    order: Order,
    /// Where the rows are; a delete needs none, nor does a job whose rows were staged.
    text: Option<Text>,
    is_staged: bool,
    keys: Vec<KeyEntry>,
    /// The rows of `keys`, one after the other; empty where there is no text.
    rows: Vec<u8>,
    ends: Vec<usize>,
}

impl Source {
    fn open(step: &Step<'_>, position: u64) -> Result<Self, Error> {
        let is_staged = is_staged(step.job);
        let text = match step.job.spec.operation {
            Operation::Create | Operation::Update if !is_staged => Some(Text::open(step)?),
            _ => None,
        };
        let mut order = Order::open(step)?;
        order.skip(position)?;
        let (keys, rows, ends) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { order, text, is_staged, keys, rows, ends })
    }

    /// Takes the next rows, as many as a batch may have.
    fn fill(&mut self, step: &Step<'_>) -> Result<(), Error> {
        self.keys.clear();
        self.rows.clear();
        self.ends.clear();
        while self.keys.len() < step.engine.checkpoint_rows
            && self.rows.len() < BATCH_BYTES_MAX
            && let Some(entry) = self.order.next()?
        {
            if let Some(text) = &mut self.text {
                read_row(text, &entry, step.store, &mut self.rows)?;
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
            let cells = self.rows.get(start..*end).unwrap_or_default();
            let row = if self.is_staged { Row::Staged } else { Row::Cells(cells) };
            entries.push(Entry { key: key.key(), line: key.line(), row });
            start = *end;
        }
        entries
    }
}

/// The keys of a job's valid rows in the order in which it applies them.
pub(super) enum Order {
    Index(Sorted),
    File(KeysReader),
}

impl Order {
    pub(super) fn open(step: &Step<'_>) -> Result<Self, Error> {
        let id = step.job.spec.id;
        let keys = KeysReader::open(&step.workspace.keys(id), step.job.validated.keys_length)
            .context("cannot open the keys file")?;
        if step.job.spec.operation != Operation::Delete && !is_staged(step.job) {
            return Ok(Self::File(keys));
        }
        let dir = step.workspace.make_dir(id).context("cannot make the job's directory")?;
        let sorted = Sorted::new(keys, step.job.validated.rows_valid, step.engine.sort_bytes, &dir);
        Ok(Self::Index(sorted.context("cannot sort the keys")?))
    }

    fn skip(&mut self, count: u64) -> Result<(), Error> {
        for _ in 0..count {
            self.next()?;
        }
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Option<KeyEntry>, Error> {
        match self {
            Self::Index(sorted) => sorted.next().context("cannot read the sorted keys"),
            Self::File(keys) => keys.next().context("cannot read the keys file"),
        }
    }
}

/// Appends the row of an entry in canonical order; it must still be the row that was validated.
pub(super) fn read_row(
    text: &mut Text,
    entry: &KeyEntry,
    store: &dyn RecordStore,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let row = text.row(u64::from(entry.line()))?;
    if store.key(row.event_id()) != entry.key() {
        return Err(row.damaged());
    }
    row.canonical(out);
    Ok(())
}

/// The lines that come after the first `position` rows in the order in which the job applies them.
pub(super) fn lines_after(
    step: &Step<'_>,
    position: u64,
    mut each: impl FnMut(u32),
) -> Result<(), Error> {
    let mut order = Order::open(step)?;
    order.skip(position)?;
    while let Some(entry) = order.next()? {
        each(entry.line());
    }
    Ok(())
}
