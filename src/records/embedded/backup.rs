//! Telling all that a view of the store holds, and making a store of what was told.

use std::path::Path;

use fjall::{Keyspace, Readable, Snapshot};

use super::{
    changes::Changes,
    commits::COMMIT_KEY,
    spaces::{Spaces, failed},
};
use crate::{
    config,
    limits::RESTORE_BATCH,
    records::{Ask, Error, Tell, View},
};

/// The place of the keyspace `meta` in [`Spaces::all`], by which spaces of a backup are numbered. Stored: never
/// change the order there.
const META: usize = 7;

/// All keyspaces as they were at one moment.
pub(super) struct Frozen {
    view: Snapshot,
    spaces: [Keyspace; 8],
}

impl Frozen {
    pub(super) fn new(spaces: &Spaces) -> Self {
        Self { view: spaces.db.snapshot(), spaces: spaces.all().map(Clone::clone) }
    }
}

impl View for Frozen {
    fn dump(&self, tell: Tell<'_>) -> Result<(), Error> {
        for (number, space) in (0_u8..).zip(&self.spaces) {
            for entry in self.view.iter(space) {
                let (key, value) = entry.into_inner().map_err(failed)?;
                // The new store counts its own commits.
                if usize::from(number) != META || *key != *COMMIT_KEY {
                    tell(number, &key, &value)?;
                }
            }
        }
        Ok(())
    }
}

/// Makes the store of that directory, which must be missing or empty, of what a backup tells. It is durable when
/// this returns.
pub(super) fn restore(dir: &Path, config: &config::Records, ask: Ask<'_>) -> Result<(), Error> {
    let spaces = Spaces::open(dir, config)?;
    let all = spaces.all();
    let mut changes = Changes::new(&spaces, 0);
    let (mut count, mut bytes) = (0, 0);
    while let Some((number, key, value)) = ask()? {
        let space = all.get(usize::from(number));
        let space =
            space.ok_or_else(|| Error::Damaged(format!("an entry is of space {number}")))?;
        (count, bytes) = (count + 1, bytes + key.len() + value.len());
        changes.insert(space, key, value);
        if count >= RESTORE_BATCH.0 || bytes >= RESTORE_BATCH.1 {
            std::mem::replace(&mut changes, Changes::new(&spaces, 0)).commit()?;
            (count, bytes) = (0, 0);
        }
    }
    changes.commit()
}
