//! Reading live records back, for the admin face.

use std::{
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use tokio::runtime;

use super::pipe::{Pieces, Pipe};
use crate::{
    audit::{self, Entry, Kind},
    auth::Principal,
    cvrs,
    domain::{Storage, Tenant},
    error::{Code, Error},
    limits::EXPORT_PAGE_BYTES,
    records::RecordStore,
    shares::Shares,
};

/// Reads records on blocking threads.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn RecordStore>,
    audit: audit::Log,
    exports: Shares,
}

impl Records {
    pub(super) fn new(store: Arc<dyn RecordStore>, audit: audit::Log, exports: Shares) -> Self {
        Self { store, audit, exports }
    }

    /// The refusal of a tenant that has no record.
    #[must_use]
    pub fn no_tenant(tenant: &Tenant) -> Error {
        Error::new(Code::RecordNotFound, format!("there is no tenant {tenant}"))
    }

    /// Live records of the caller's tenant by storage.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn counts(&self, caller: &Principal) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        self.audit.note(caller.entry(Kind::RecordsCount)).await.map_err(Error::internal)?;
        let tenant = caller.tenant.clone();
        let store = Arc::clone(&self.store);
        let counts = tokio::task::spawn_blocking(move || store.counts(Some(&tenant))).await;
        counts.map_err(Error::internal)?.map_err(Error::internal)
    }

    /// One live record of the caller's tenant, as that storage shows it. The entry for the audit log is durable
    /// before it is handed out, and leaves the id out: it is a value of the row.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(
        &self,
        caller: &Principal,
        storage: Storage,
        vax_event_id: String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (store, tenant) = (Arc::clone(&self.store), caller.tenant.clone());
        let read = move || store.get(&tenant, storage, vax_event_id.as_bytes());
        let record = tokio::task::spawn_blocking(read).await;
        let record = record.map_err(Error::internal)?.map_err(Error::internal)?;
        let rows = Some(u64::from(record.is_some()));
        let entry = Entry { rows, ..caller.entry(Kind::RecordRead).on(storage) };
        self.audit.record(entry).await.map_err(Error::internal)?;
        Ok(record)
    }

    /// The live records of one storage: whole lines with their ends, the header first. A reader that
    /// goes away, or takes too little, ends the export. The audit log has an entry before the first of them, and
    /// another at the end.
    ///
    /// # Errors
    /// `CVRS-READERS-EXHAUSTED` where so many run already.
    pub fn export(&self, caller: &Principal, storage: Storage) -> Result<Pieces, Error> {
        let place = self.exports.enter(&caller.client).map_err(|taken| {
            Error::new(Code::ReadersExhausted, format!("{taken} exports run already"))
        })?;
        let (pipe, pieces) = Pipe::new(runtime::Handle::current()).map_err(Error::internal)?;
        let (records, tenant) = (self.clone(), caller.tenant.clone());
        let begun = caller.entry(Kind::Export).on(storage);
        tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut told = Told { pipe, rows: 0, bytes: 0 };
            let mut ended = Entry { kind: Kind::Exported, ..begun.clone() };
            let begun = records.audit.record_blocking(begun).map_err(Error::internal);
            let exported = begun.and_then(|()| {
                let all = || export(&*records.store, &tenant, storage, &mut told);
                // Pieces that just end would look like all of them.
                catch_unwind(AssertUnwindSafe(all))
                    .unwrap_or_else(|_| Err(Error::internal("an export ended in a panic")))
            });
            (ended.rows, ended.bytes) = (Some(told.rows), Some(told.bytes));
            match exported {
                Ok(None) => {}
                Ok(Some(gone)) if gone.kind() == io::ErrorKind::TimedOut => {
                    ended = ended.refused(Code::BodyTimeout);
                    told.pipe.refuse(Error::new(Code::BodyTimeout, gone.to_string()));
                }
                Ok(Some(_)) => ended = ended.saying("its reader went away"),
                Err(error) => {
                    ended = ended.refused(error.code);
                    told.pipe.refuse(error);
                }
            }
            // A log that failed stops the process.
            let _ = records.audit.record_blocking(ended);
        });
        Ok(pieces)
    }
}

/// What was handed to the reader.
struct Told {
    pipe: Pipe,
    rows: u64,
    bytes: u64,
}

impl Told {
    fn page(&mut self, page: &mut Vec<u8>, rows: &mut u64) -> io::Result<()> {
        let (full, rows) = (Bytes::from(std::mem::take(page)), std::mem::take(rows));
        let bytes = full.len() as u64;
        self.pipe.give(full)?;
        self.rows += rows;
        self.bytes += bytes;
        Ok(())
    }
}

/// Why the reader did not come to the end; `None` where it did.
fn export(
    store: &dyn RecordStore,
    tenant: &Tenant,
    storage: Storage,
    told: &mut Told,
) -> Result<Option<io::Error>, Error> {
    if store.counts(Some(tenant)).map_err(Error::internal)?.is_empty() {
        return Err(Records::no_tenant(tenant));
    }
    let mut page = format!("{}\n", cvrs::canonical_header()).into_bytes();
    let (mut rows, mut there) = (0, Ok(()));
    let mut visit = |row: &[u8]| {
        page.extend_from_slice(row);
        page.push(b'\n');
        rows += 1;
        if page.len() >= EXPORT_PAGE_BYTES {
            there = told.page(&mut page, &mut rows);
        }
        if there.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.export(tenant, storage, &mut visit).map_err(Error::internal)?;
    if there.is_ok() && !page.is_empty() {
        there = told.page(&mut page, &mut rows);
    }
    Ok(there.err())
}
