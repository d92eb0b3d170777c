//! Ids that a file has already had.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
};

use siphasher::sip128::{Hasher128, SipHasher13};

/// The line of the first row with each id. Holds 128 bits of a keyed hash and four bytes of line for
/// an id, not the id, so that its size depends on the number of rows alone.
pub(super) struct Seen {
    hasher: SipHasher13,
    lines: HashMap<[u8; 16], u32>,
}

impl Seen {
    /// With a key of its own, so that nobody can make up two ids that look alike.
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0_u8), random.hash_one(1_u8));
        Self { hasher, lines: HashMap::new() }
    }

    /// The line of the first row with that id, in any case; `None` where this is the first, which is
    /// noted, or where the id is null.
    pub(super) fn first(&mut self, id: &[u8], line: u64) -> Option<u64> {
        if id.is_empty() {
            return None;
        }
        let mut hasher = self.hasher;
        hasher.write(&id.to_ascii_uppercase());
        let key = hasher.finish128().as_bytes();
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let first = *self.lines.entry(key).or_insert(line);
        (first != line).then_some(u64::from(first))
    }
}
