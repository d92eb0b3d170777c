//! The keys that sign tokens: the newest signs, all verify.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use super::keyfile::{self, Key};
use crate::limits::SIGNING_KEYS_MAX;

/// How long a replaced key may go on signing while its successor is written.
const REPLACING_S: i64 = 60;
/// How far ahead of the clock a key may have been made: one from further ahead was made under a wrong
/// clock, and would otherwise be new for as long as that clock was ahead.
pub(super) const AHEAD_S: i64 = 300;

/// The keys of this daemon. Times are seconds since the Unix epoch.
pub(super) struct Keyring {
    dir: PathBuf,
    max_age_s: i64,
    lifetime_s: i64,
    /// Oldest first, never empty.
    keys: RwLock<Arc<[Key]>>,
    /// Held while the file is replaced.
    renewal: Mutex<()>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.all()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys of the directory, and the id of the one that was made: the first, or where the newest was too old.
    /// Blocks.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read or written.
    pub(super) fn open(
        dir: &Path,
        lifetime: Duration,
        max_age: Duration,
        now_s: i64,
    ) -> Result<(Self, Option<String>), keyfile::Error> {
        let keys = keyfile::read(dir)?;
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let ring = Self {
            dir: dir.to_owned(),
            max_age_s: seconds(max_age),
            lifetime_s: seconds(lifetime),
            keys: RwLock::new(keys.into()),
            renewal: Mutex::new(()),
        };
        let made = ring.renew(now_s)?;
        Ok((ring, made))
    }

    /// Whether [`Keyring::renew`] has something to do.
    pub(super) fn is_due(&self, now_s: i64) -> bool {
        let keys = self.all();
        let old = keys.last().is_none_or(|newest| self.is_old(newest, now_s));
        old || needed(&keys, now_s).count() < keys.len()
    }

    /// Makes a new key where the newest is too old, drops those that no live token needs, and tells
    /// the newest how long its tokens live. Durable before it counts; gives the id of a new key. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written; the keys stay as they were.
    pub(super) fn renew(&self, now_s: i64) -> Result<Option<String>, keyfile::Error> {
        let _one = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.all();
        let mut keys: Vec<Key> = needed(&before, now_s).cloned().collect();
        let old = keys.last().is_none_or(|newest| self.is_old(newest, now_s));
        let mut made = None;
        if old && keys.len() < SIGNING_KEYS_MAX {
            let path = self.dir.join(keyfile::KEY_FILE);
            let key = self.generate(now_s).map_err(|e| keyfile::Error::Io(path, e))?;
            made = Some(key.kid.clone());
            keys.push(key);
        }
        if let Some(newest) = keys.last_mut() {
            newest.lifetime_s = newest.lifetime_s.max(self.lifetime_s);
        }
        if keys[..] != before[..] {
            keyfile::write(&self.dir, &keys)?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        }
        Ok(made)
    }

    /// Calls with the newest key. No key is replaced meanwhile.
    pub(super) fn with_newest<T>(&self, call: impl FnOnce(&Key) -> Option<T>) -> Option<T> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.last().and_then(call)
    }

    /// The key of that name.
    pub(super) fn get(&self, kid: &str) -> Option<Key> {
        self.all().iter().find(|key| key.kid == kid).cloned()
    }

    fn all(&self) -> Arc<[Key]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_old(&self, key: &Key, now_s: i64) -> bool {
        is_ahead(key, now_s) || now_s.saturating_sub(key.created_s) >= self.max_age_s
    }

    fn generate(&self, now_s: i64) -> io::Result<Key> {
        let (mut secret, mut kid) = ([0; 32], [0; 8]);
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        getrandom::fill(&mut kid).map_err(io::Error::other)?;
        let kid = hex::encode(kid);
        Ok(Key { kid, secret, created_s: now_s, lifetime_s: self.lifetime_s })
    }
}

/// The newest key, and those whose successor is younger than the tokens that they signed. The successor
/// is the next key that was not made ahead of the clock.
fn needed(keys: &[Key], now_s: i64) -> impl Iterator<Item = &Key> {
    let live = move |(place, key): &(usize, &Key)| {
        let successor = keys.iter().skip(place + 1).find(|next| !is_ahead(next, now_s));
        successor
            .is_none_or(|next| now_s < next.created_s.saturating_add(key.lifetime_s + REPLACING_S))
    };
    keys.iter().enumerate().filter(live).map(|(_, key)| key)
}

fn is_ahead(key: &Key, now_s: i64) -> bool {
    key.created_s > now_s.saturating_add(AHEAD_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);

    fn kids(ring: &Keyring) -> Vec<String> {
        ring.all().iter().map(|k| k.kid.clone()).collect()
    }

    #[test]
    fn the_newest_key_signs_and_an_older_one_stays_until_its_last_token_has_expired() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::open(dir.path(), HOUR, DAY, 1_000).unwrap().0;
        let first = kids(&ring);
        assert_eq!(first.len(), 1);
        assert!(!ring.is_due(1_000 + 86_399));
        let later = 1_000 + 86_400;
        assert!(ring.is_due(later));
        ring.renew(later).unwrap();
        let both = kids(&ring);
        assert_eq!((both.len(), &both[0]), (2, &first[0]));
        assert_eq!(ring.with_newest(|key| Some(key.kid.clone())).unwrap(), both[1]);
        assert!(!ring.is_due(later + 3_659));
        ring.renew(later + 3_659).unwrap();
        assert_eq!(kids(&ring), both);
        assert!(ring.is_due(later + 3_660));
        ring.renew(later + 3_660).unwrap();
        assert_eq!(kids(&ring), both[1..]);
        assert!(ring.get(&both[0]).is_none() && ring.get(&both[1]).is_some());
    }

    #[test]
    fn a_restart_finds_the_same_keys_and_a_shorter_lifetime_ends_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let before = kids(&Keyring::open(dir.path(), HOUR, DAY, 0).unwrap().0);
        let ring = Keyring::open(dir.path(), Duration::from_secs(1), HOUR, 10).unwrap().0;
        assert_eq!(kids(&ring), before);
        ring.renew(3_600).unwrap();
        ring.renew(3_600 + 3_659).unwrap();
        assert!(ring.get(&before[0]).is_some());
        ring.renew(3_600 + 3_660).unwrap();
        assert!(ring.get(&before[0]).is_none());
    }

    #[test]
    fn a_key_made_under_a_clock_far_ahead_is_replaced_and_goes_with_its_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let open = |now_s| Keyring::open(dir.path(), HOUR, DAY, now_s).unwrap().0;
        let first = kids(&open(1_000));
        let ahead = kids(&open(1_000_000_000));
        assert_eq!(ahead[..1], first, "the first may still be needed, as far as is known");
        let ring = open(2_000);
        let all = kids(&ring);
        assert_eq!(all[..2], ahead);
        assert_eq!(ring.with_newest(|key| Some(key.kid.clone())).as_ref(), all.get(2));
        assert!(!ring.is_due(2_000 + 3_659));
        assert!(ring.is_due(2_000 + 3_660));
        ring.renew(2_000 + 3_660).unwrap();
        assert_eq!(kids(&ring), all[2..]);
    }

    #[test]
    fn a_clock_that_is_put_back_a_little_replaces_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::open(dir.path(), HOUR, DAY, 10_000).unwrap().0;
        assert!(!ring.is_due(10_000 - 300));
        assert!(ring.is_due(10_000 - 301));
    }

    #[test]
    fn keys_stay_within_their_limit() {
        let dir = tempfile::tempdir().unwrap();
        let second = Duration::from_secs(1);
        let ring = Keyring::open(dir.path(), DAY, second, 0).unwrap().0;
        for now in 1..=50 {
            ring.renew(now).unwrap();
        }
        assert_eq!(kids(&ring).len(), SIGNING_KEYS_MAX);
        ring.renew(50 + 86_460).unwrap();
        assert!(kids(&ring).len() < SIGNING_KEYS_MAX);
    }

    #[test]
    fn where_the_file_cannot_be_written_the_old_key_signs_on() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("data");
        std::fs::create_dir(&place).unwrap();
        let ring = Keyring::open(&place, HOUR, HOUR, 0).unwrap().0;
        let before = kids(&ring);
        std::fs::remove_dir_all(&place).unwrap();
        assert!(ring.renew(3_600).is_err());
        assert_eq!(kids(&ring), before);
    }
}
