//! The keyspaces: making them, opening them, and committing to them.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode,
    config::{BlockSizePolicy, FilterPolicy, PartitioningPolicy},
};

use super::{
    changes::{Changes, Unflushed},
    commits::{COMMIT_KEY, Commit, Commits},
    journals, lists,
    tenants::State,
};
use crate::{
    config,
    domain::Tenant,
    failpoint::{Point, hit},
    limits::RECORD_JOURNAL_BYTES,
    records::Error,
};

/// Layout of the keyspaces; another one is refused.
const FORMAT: &str = "cvrsd records 3\n";
const FORMAT_FILE: &str = "format";
/// What the meta keyspace holds beside tenants and the newest commit.
const HASH_KEY: &[u8] = b"hash-key";
const TENANT_PREFIX: &[u8] = b"tenant/";
/// Where fjall says of which version a database is; written last when it makes one.
const FJALL_MARKER: &str = "version";
const FJALL_VERSION: &[u8] = b"FJL\x03";
/// Our keyspaces and the one in which fjall keeps their names.
const KEYSPACES: usize = 9;
/// Threads of fjall. Of two, one hands merges on to the other, without a pause while that one is busy.
const WORKERS: usize = 1;
/// What fjall itself takes for a full memtable; see [`Unflushed`].
const FJALL_MEMTABLE_BYTES: u64 = 1 << 40;

/// The database with its keyspaces.
pub(super) struct Spaces {
    pub(super) db: Database,
    /// Hash key, newest commit and tenants.
    pub(super) meta: Keyspace,
    /// (tenant, row number) to the row as received.
    pub(super) rows: Keyspace,
    /// (tenant, key hash) to the newest row number of each storage.
    pub(super) index: Keyspace,
    /// (tenant, storage, block) to the bitmap of its live rows.
    pub(super) live: Keyspace,
    /// (job, storage, block) to the bitmap of rows that the job created or deleted.
    pub(super) effects: Keyspace,
    /// Job to its cursor.
    pub(super) cursors: Keyspace,
    /// (job, position) to the lines of that batch that had no effect.
    pub(super) misses: Keyspace,
    /// Job to where its rows were staged.
    pub(super) stages: Keyspace,
    pub(super) unflushed: Unflushed,
    pub(super) commits: Commits,
    dir: PathBuf,
}

impl Spaces {
    /// Opens the database in `dir`; makes one where there is none.
    ///
    /// It is made beside its place and moved there whole: a kill while fjall makes its files
    /// would else leave some that it refuses for ever.
    pub(super) fn open(dir: &Path, config: &config::Records) -> Result<Self, Error> {
        if is_missing_or_empty(dir).map_err(io_failed)? {
            make(dir, config)?;
        }
        check_format(dir)?;
        lists::check(dir, KEYSPACES)?;
        journals::check(dir, Commits::acknowledged(dir)?)?;
        let spaces = Self::open_in(dir, config)?;
        journals::settle(dir).map_err(io_failed)?;
        Ok(spaces)
    }

    fn open_in(dir: &Path, config: &config::Records) -> Result<Self, Error> {
        let db = database(dir, config)?;
        let space = |name: &str, options: fn() -> KeyspaceCreateOptions| {
            let options = || options().max_memtable_size(FJALL_MEMTABLE_BYTES);
            db.keyspace(name, options).map_err(failed)
        };
        let meta = space("meta", KeyspaceCreateOptions::default)?;
        let newest = meta.get(COMMIT_KEY).map_err(failed)?;
        let commits = Commits::open(dir, newest.and_then(|value| Commit::read(&value)))?;
        Ok(Self {
            meta,
            rows: space("rows", row_options)?,
            index: space("index", index_options)?,
            live: space("live", KeyspaceCreateOptions::default)?,
            effects: space("effects", KeyspaceCreateOptions::default)?,
            cursors: space("cursors", KeyspaceCreateOptions::default)?,
            misses: space("misses", KeyspaceCreateOptions::default)?,
            stages: space("stages", KeyspaceCreateOptions::default)?,
            unflushed: Unflushed::new(&db, config.memtable_bytes),
            commits,
            dir: dir.to_owned(),
            db,
        })
    }

    /// The key of this store's hashes.
    pub(super) fn hash_key(&self) -> Result<[u8; 16], Error> {
        let stored = self.meta.get(HASH_KEY).map_err(failed)?;
        let key = stored.as_deref().and_then(|key| <[u8; 16]>::try_from(key).ok());
        key.ok_or_else(|| Error::Damaged("it has no hash key".to_owned()))
    }

    /// The tenants that a view of the store has, by name.
    pub(super) fn tenants(
        &self,
        view: &impl fjall::Readable,
    ) -> impl Iterator<Item = Result<(Tenant, State), Error>> {
        view.prefix(&self.meta, TENANT_PREFIX).map(|entry| {
            let (key, value) = entry.into_inner().map_err(failed)?;
            let name = key.strip_prefix(TENANT_PREFIX).and_then(|name| str::from_utf8(name).ok());
            let Some(Ok(tenant)) = name.map(Tenant::new) else {
                return Err(Error::Damaged("a tenant has an impossible name".to_owned()));
            };
            Ok((tenant, State::read(&value)?))
        })
    }

    /// One tenant of a view of the store; `None` when it never had a record.
    pub(super) fn tenant(
        &self,
        view: &impl fjall::Readable,
        tenant: &Tenant,
    ) -> Result<Option<State>, Error> {
        let stored = view.get(&self.meta, tenant_key(tenant)).map_err(failed)?;
        stored.map(|value| State::read(&value)).transpose()
    }

    /// Puts a tenant into a write batch.
    pub(super) fn write_tenant(&self, changes: &mut Changes<'_>, tenant: &Tenant, state: &State) {
        changes.insert(&self.meta, tenant_key(tenant), state.write());
    }

    /// Where the database is.
    pub(super) fn db_dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a write has failed, also one of fjall's own thread, which nobody else is told of.
    pub(super) fn failure(&self) -> Result<(), Error> {
        // The public way to ask: nothing waits in that buffer.
        self.db.persist(PersistMode::Buffer).map_err(failed)
    }

    /// Every keyspace, meta last: they become tables in this order, so a table that has a commit says that those of
    /// the others are there, but for what was committed while they were handed over.
    pub(super) fn all(&self) -> [&Keyspace; 8] {
        let Self { meta, rows, index, live, effects, cursors, misses, stages, .. } = self;
        [rows, index, live, effects, cursors, misses, stages, meta]
    }
}

/// Opens fjall, which may panic on a damaged file. What the panic said is left out, as it may hold stored
/// values.
fn database(dir: &Path, config: &config::Records) -> Result<Database, Error> {
    let builder = Database::builder(dir)
        .cache_size(config.cache_bytes)
        .max_journaling_size(RECORD_JOURNAL_BYTES)
        .worker_threads(WORKERS);
    catch_unwind(AssertUnwindSafe(|| builder.open()))
        .unwrap_or(Err(fjall::Error::Poisoned))
        .map_err(|error| match error {
            fjall::Error::Poisoned => Error::Damaged("fjall panicked during open".to_owned()),
            error => failed(error),
        })
}

/// Rows are only read where the index or a bitmap says that they are there: filters would never
/// answer "no". They are read in order by exports, so blocks are large.
fn row_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .filter_policy(FilterPolicy::disabled())
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
}

/// A look-up reads one block of each kind, however large its table is. Otherwise it would need all of a
/// table's filter and block index, more than the cache holds once tables are many.
fn index_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .index_block_partitioning_policy(PartitioningPolicy::all(true))
        .filter_block_partitioning_policy(PartitioningPolicy::all(true))
}

fn tenant_key(tenant: &Tenant) -> Vec<u8> {
    [TENANT_PREFIX, tenant.as_str().as_bytes()].concat()
}

/// Makes an empty store, so that `dir` is either not there or whole.
fn make(dir: &Path, config: &config::Records) -> Result<(), Error> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let unfinished = unfinished(dir);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io_failed)?;
    }
    fs::create_dir_all(&unfinished).map_err(io_failed)?;
    let mut hash_key = [0; 16];
    getrandom::fill(&mut hash_key).map_err(|error| Error::Storage(error.to_string()))?;

    Commits::create(&unfinished).map_err(io_failed)?;
    let spaces = Spaces::open_in(&unfinished, config)?;
    let mut changes = Changes::new(&spaces, 1);
    changes.insert(&spaces.meta, HASH_KEY, hash_key);
    changes.commit()?;
    drop(spaces);

    let format = unfinished.join(FORMAT_FILE);
    fs::write(&format, FORMAT).map_err(io_failed)?;
    File::open(format).and_then(|file| file.sync_all()).map_err(io_failed)?;
    // fjall syncs each keyspace's directory, but not the one that lists them.
    sync_directory(&unfinished.join("keyspaces")).map_err(io_failed)?;
    sync_directory(&unfinished).map_err(io_failed)?;
    hit(Point::MakeRecords);
    fs::rename(&unfinished, dir).map_err(io_failed)?;
    sync_directory(parent).map_err(io_failed)
}

/// Whether a directory, where there is something in it, holds a store that this version reads. Looks at
/// its markers alone.
///
/// # Errors
/// [`Error::Damaged`] where it is of another version or something else.
pub fn check_format(dir: &Path) -> Result<(), Error> {
    if is_missing_or_empty(dir).map_err(io_failed)? {
        return Ok(());
    }
    let fjall = fs::read(dir.join(FJALL_MARKER));
    let fjall =
        fjall.map_err(|_| Error::Damaged("the directory holds something else".to_owned()))?;
    if fjall != FJALL_VERSION {
        return Err(Error::Damaged("it was written by another version of fjall".to_owned()));
    }
    let format = match fs::read(dir.join(FORMAT_FILE)) {
        // Those before 3 have none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(io_failed)?,
    };
    if format == FORMAT.as_bytes() {
        return Ok(());
    }
    let known = FORMAT.trim_end();
    let found = String::from_utf8_lossy(format.get(..64).unwrap_or(&format)).trim_end().to_owned();
    Err(Error::Damaged(format!(
        "it has the format {found:?} of another version, known is {known:?}"
    )))
}

/// Where a store is made before it is moved to `dir`.
pub(super) fn unfinished(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

fn is_missing_or_empty(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().transpose()?.is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn io_failed(error: io::Error) -> Error {
    failed(fjall::Error::Io(error))
}

/// What an error of fjall is to us. Its texts hold no keys and no values.
pub(super) fn failed(error: fjall::Error) -> Error {
    use fjall::Error as Fjall;
    match error {
        Fjall::Locked => Error::Storage("another process has it open".to_owned()),
        Fjall::Poisoned => Error::Storage("an earlier write failed".to_owned()),
        Fjall::Io(error) | Fjall::Storage(LsmError::Io(error)) => Error::Storage(error.to_string()),
        Fjall::Storage(error) => Error::Damaged(format!("{error:?}")),
        error => Error::Damaged(format!("{error:?}")),
    }
}
