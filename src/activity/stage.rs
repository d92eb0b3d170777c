//! Writing the rows of a large create or update ahead of its batches.

use super::{
    Context, Error, Step,
    apply::{Order, read_row},
    keys::KeysReader,
    payload::{Text, beside_check, damaged},
};
use crate::{
    domain::{Job, Operation},
    error::Code,
    limits::STAGED_ROWS_MIN,
    records::{self, Stage, Staged},
};

/// Whether the job's rows are staged. The same for the whole life of a job.
pub(super) fn is_staged(job: &Job) -> bool {
    job.spec.operation != Operation::Delete && job.validated.rows_valid > STAGED_ROWS_MIN
}

/// Stages the valid rows of a job that stands at that position, unless an earlier attempt has.
///
/// # Errors
/// [`Error::Stopped`], and nothing shows of what was staged; [`Error::File`] where payload and keys do
/// not agree; where rows were applied without being staged, as builds before staging did, in another
/// order: going on would pass over rows; or as files and store fail.
pub(super) fn stage(step: &Step<'_>, position: u64) -> Result<(), Error> {
    let spec = &step.job.spec;
    let last_line = u32::try_from(step.job.validated.line)
        .map_err(|_| Error::file(Code::FileRows, "the file has too many lines"))?;
    let staged = Staged {
        job: spec.id,
        tenant: &spec.tenant,
        operation: spec.operation,
        storages: spec.storages,
        last_line,
    };
    let Some(mut stage) = step.store.stage(&staged)? else { return Ok(()) };
    if position > 0 {
        let text = format!("job {} has applied {position} rows that were not staged", spec.id);
        return Err(records::Error::Damaged(text).into());
    }
    beside_check(step, || {
        push_keys(step, &mut *stage)?;
        push_rows(step, &mut *stage)
    })?;
    Ok(stage.finish()?)
}

fn push_keys(step: &Step<'_>, stage: &mut dyn Stage) -> Result<(), Error> {
    let mut order = Order::open(step)?;
    while let Some(entry) = order.next()? {
        step.stop.check()?;
        stage.key(entry.key(), entry.line())?;
    }
    Ok(())
}

fn push_rows(step: &Step<'_>, stage: &mut dyn Stage) -> Result<(), Error> {
    let wanted = stage.wanted()?;
    let keys = step.workspace.keys(step.job.spec.id);
    let mut keys = KeysReader::open(&keys, step.job.validated.keys_length)
        .context("cannot open the keys file")?;
    let mut text = Text::open_unchecked(step)?;
    let mut row = Vec::new();
    for line in &wanted {
        step.stop.check()?;
        let Some(entry) = keys.find(line).context("cannot read the keys file")? else {
            return Err(damaged(u64::from(line)));
        };
        row.clear();
        read_row(&mut text, &entry, step.store, &mut row)?;
        stage.row(line, &row)?;
    }
    Ok(())
}
