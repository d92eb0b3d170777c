//! What an operator paused, durably: `<data>/paused.json`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::{
    backup::PAUSES as PAUSE_FILE, clock, domain::Tenant, limits::PAUSES_MAX, replace::replace,
};

/// The file of pauses cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("cannot use {0}: {1}")]
    Io(PathBuf, io::Error),
    /// It is not what was written.
    #[error("{0} is damaged: {1}; remove it to start with nothing paused")]
    Damaged(PathBuf, &'static str),
}

/// One pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whose lane; `None` pauses every lane.
    pub tenant: Option<Tenant>,
    /// Since when, in microseconds since the Unix epoch.
    pub since_us: i64,
    /// The client that asked for it last.
    pub by: String,
    /// Why, as it said.
    pub reason: String,
}

/// All pauses: one of everything at most, and one of a tenant.
pub(super) struct Pauses {
    dir: PathBuf,
    current: ArcSwap<Vec<Pause>>,
    /// Held while the file is replaced.
    writing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    /// BLAKE3 of the pauses as compact JSON.
    check: String,
    paused: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    since_us: i64,
    by: String,
    reason: String,
}

impl Pauses {
    /// The pauses of that data directory. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let current = ArcSwap::from_pointee(read(dir)?);
        Ok(Self { dir: dir.to_owned(), current, writing: Mutex::new(()) })
    }

    /// What is paused, everything first, then by tenant.
    pub(super) fn list(&self) -> Arc<Vec<Pause>> {
        self.current.load_full()
    }

    /// Pauses that tenant, or everything; of what is paused already, keeps since when. `then` sees all
    /// pauses once they are durable, before anybody else can change them. `None` where
    /// `limits::PAUSES_MAX` are paused already. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written; nothing has changed for this process then.
    pub(super) fn pause(
        &self,
        tenant: Option<Tenant>,
        by: &str,
        reason: &str,
        then: impl FnOnce(&[Pause]),
    ) -> Result<Option<Pause>, Error> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = Vec::clone(&self.list());
        let before = list.iter().position(|pause| pause.tenant == tenant);
        let before = before.map(|at| list.remove(at).since_us);
        if list.len() >= PAUSES_MAX {
            return Ok(None);
        }
        let since_us = before.unwrap_or_else(clock::now_us);
        let (by, reason) = (by.to_owned(), reason.to_owned());
        let pause = Pause { tenant, since_us, by, reason };
        list.push(pause.clone());
        list.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        self.store(list, then)?;
        Ok(Some(pause))
    }

    /// Ends the pause of that tenant, or the one of everything; others stay. Returns whether there was
    /// one. Blocks.
    ///
    /// # Errors
    /// As [`Pauses::pause`].
    pub(super) fn resume(
        &self,
        tenant: Option<&Tenant>,
        then: impl FnOnce(&[Pause]),
    ) -> Result<bool, Error> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = Vec::clone(&self.list());
        let before = list.len();
        list.retain(|pause| pause.tenant.as_ref() != tenant);
        if list.len() == before {
            return Ok(false);
        }
        self.store(list, then)?;
        Ok(true)
    }

    fn store(&self, list: Vec<Pause>, then: impl FnOnce(&[Pause])) -> Result<(), Error> {
        write(&self.dir, &list)?;
        then(&list);
        self.current.store(Arc::new(list));
        Ok(())
    }
}

/// Whether the pauses of a data directory read back. Blocks.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn check_pauses(dir: &Path) -> Result<(), Error> {
    read(dir).map(drop)
}

fn read(dir: &Path) -> Result<Vec<Pause>, Error> {
    let path = dir.join(PAUSE_FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|e| Error::Io(path.clone(), e))?,
    };
    parse(&bytes).map_err(|what| Error::Damaged(path, what))
}

fn parse(bytes: &[u8]) -> Result<Vec<Pause>, &'static str> {
    let document: Document = serde_json::from_slice(bytes).map_err(|_| "it is not as written")?;
    if document.version != 1 {
        return Err("its version is unknown");
    }
    if checksum(&document.paused).as_deref() != Some(document.check.as_str()) {
        return Err("its checksum is wrong");
    }
    let pause = |entry: Entry| {
        let Entry { tenant, since_us, by, reason } = entry;
        let tenant = tenant.map(|name| Tenant::new(&name)).transpose();
        let tenant = tenant.map_err(|_| "a tenant is not a name")?;
        Ok(Pause { tenant, since_us, by, reason })
    };
    document.paused.into_iter().map(pause).collect()
}

fn write(dir: &Path, list: &[Pause]) -> Result<(), Error> {
    let entry = |pause: &Pause| Entry {
        tenant: pause.tenant.as_ref().map(ToString::to_string),
        since_us: pause.since_us,
        by: pause.by.clone(),
        reason: pause.reason.clone(),
    };
    let paused: Vec<_> = list.iter().map(entry).collect();
    let check = checksum(&paused).unwrap_or_default();
    let document = serde_json::to_vec(&Document { version: 1, check, paused });
    let written = document.map_err(io::Error::from).and_then(|mut bytes| {
        bytes.push(b'\n');
        replace(dir, PAUSE_FILE, &bytes)
    });
    written.map_err(|e| Error::Io(dir.join(PAUSE_FILE), e))
}

fn checksum(paused: &[Entry]) -> Option<String> {
    let json = serde_json::to_vec(paused).ok()?;
    Some(blake3::hash(&json).to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    #[test]
    fn pauses_read_back_and_each_ends_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(dir.path()).unwrap();
        assert!(pauses.list().is_empty());
        let mut told = Vec::new();
        for target in [Some(tenant("b")), None, Some(tenant("a"))] {
            let seen = |list: &[Pause]| told.push(list.len());
            assert!(pauses.pause(target, "me", "disk \"x\"\u{e9}", seen).unwrap().is_some());
        }
        assert_eq!(told, [1, 2, 3]);
        let list = pauses.list();
        let names: Vec<_> = list.iter().map(|pause| pause.tenant.clone()).collect();
        assert_eq!(names, [None, Some(tenant("a")), Some(tenant("b"))]);
        assert_eq!(Pauses::open(dir.path()).unwrap().list(), list);
        let missing = pauses.resume(Some(tenant("c")).as_ref(), |_| panic!("nothing has changed"));
        assert!(!missing.unwrap());
        assert!(pauses.resume(None, |list| assert_eq!(list.len(), 2)).unwrap());
        assert_eq!(*Pauses::open(dir.path()).unwrap().list(), list[1..]);
    }

    #[test]
    fn another_pause_of_the_same_keeps_since_when_and_tells_the_newest_reason() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(dir.path()).unwrap();
        pauses.pause(Some(tenant("a")), "me", "one", |_| {}).unwrap();
        let first = pauses.list()[0].clone();
        std::thread::sleep(std::time::Duration::from_millis(2));
        pauses.pause(Some(tenant("a")), "you", "two", |_| {}).unwrap();
        let (by, reason) = ("you".to_owned(), "two".to_owned());
        assert_eq!(*pauses.list(), [Pause { by, reason, ..first }]);
    }

    #[test]
    fn as_many_are_paused_as_allowed_and_not_one_more() {
        let dir = tempfile::tempdir().unwrap();
        let many = (0..PAUSES_MAX).map(|n| Pause {
            tenant: Some(tenant(&format!("t{n}"))),
            since_us: 1,
            by: String::new(),
            reason: String::new(),
        });
        write(dir.path(), &many.collect::<Vec<_>>()).unwrap();
        let pauses = Pauses::open(dir.path()).unwrap();
        assert_eq!(pauses.pause(None, "me", "", |_| panic!()).unwrap(), None);
        assert!(pauses.pause(Some(tenant("t0")), "me", "", |_| {}).unwrap().is_some());
    }

    #[test]
    fn a_file_with_any_byte_changed_or_missing_is_damaged_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(dir.path()).unwrap();
        pauses.pause(Some(tenant("a")), "me", "why", |_| {}).unwrap();
        let path = dir.path().join(PAUSE_FILE);
        let whole = fs::read(&path).unwrap();
        let end = whole.len() - 1; // behind it is only the newline
        let cut = (0..end).map(|n| whole[..n].to_vec());
        let flipped = (0..end).map(|n| {
            let mut bytes = whole.clone();
            bytes[n] ^= 1;
            bytes
        });
        for bytes in cut.chain(flipped) {
            fs::write(&path, &bytes).unwrap();
            let error = check_pauses(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Damaged(..)), "{error}");
            assert!(error.to_string().contains(PAUSE_FILE));
        }
    }

    #[test]
    fn what_could_not_be_written_has_not_happened() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(&dir.path().join("gone")).unwrap();
        pauses.pause(None, "me", "", |_| panic!("it is not durable")).unwrap_err();
        assert!(pauses.list().is_empty());
    }
}
