//! Reading live records back, for the admin face.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    audit::{self, Entry, Kind},
    auth::Principal,
    cvrs,
    domain::{Storage, Tenant},
    error::{Code, Error},
    limits::EXPORT_PAGE_BYTES,
    records::RecordStore,
};

/// Reads records on blocking threads.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn RecordStore>,
    audit: audit::Log,
}

impl Records {
    pub(super) fn new(store: Arc<dyn RecordStore>, audit: audit::Log) -> Self {
        Self { store, audit }
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
    /// goes away ends the export. The audit log has an entry before the first of them, and another at the end.
    #[must_use]
    pub fn export(
        &self,
        caller: &Principal,
        storage: Storage,
    ) -> mpsc::Receiver<Result<Bytes, Error>> {
        let (sender, receiver) = mpsc::channel(2);
        let (records, tenant) = (self.clone(), caller.tenant.clone());
        let begun = caller.entry(Kind::Export).on(storage);
        tokio::task::spawn_blocking(move || {
            let mut told = Told { sender, rows: 0, bytes: 0 };
            let mut ended = Entry { kind: Kind::Exported, ..begun.clone() };
            let begun = records.audit.record_blocking(begun).map_err(Error::internal);
            let exported =
                begun.and_then(|()| export(&*records.store, &tenant, storage, &mut told));
            (ended.rows, ended.bytes) = (Some(told.rows), Some(told.bytes));
            match exported {
                Ok(true) => {}
                Ok(false) => ended = ended.saying("its reader went away"),
                Err(error) => {
                    ended = ended.refused(error.code);
                    // A reader that is gone needs no error.
                    let _ = told.sender.blocking_send(Err(error));
                }
            }
            // A log that failed stops the process.
            let _ = records.audit.record_blocking(ended);
        });
        receiver
    }
}

/// What was handed to the reader.
struct Told {
    sender: mpsc::Sender<Result<Bytes, Error>>,
    rows: u64,
    bytes: u64,
}

impl Told {
    /// Whether the reader is still there.
    fn page(&mut self, page: &mut Vec<u8>, rows: &mut u64) -> bool {
        let (full, rows) = (Bytes::from(std::mem::take(page)), std::mem::take(rows));
        let bytes = full.len() as u64;
        let there = self.sender.blocking_send(Ok(full)).is_ok();
        if there {
            self.rows += rows;
            self.bytes += bytes;
        }
        there
    }
}

/// Whether the reader stayed to the end.
fn export(
    store: &dyn RecordStore,
    tenant: &Tenant,
    storage: Storage,
    told: &mut Told,
) -> Result<bool, Error> {
    if store.counts(Some(tenant)).map_err(Error::internal)?.is_empty() {
        return Err(Records::no_tenant(tenant));
    }
    let mut page = format!("{}\n", cvrs::canonical_header()).into_bytes();
    let (mut rows, mut there) = (0, true);
    let mut visit = |row: &[u8]| {
        page.extend_from_slice(row);
        page.push(b'\n');
        rows += 1;
        there = page.len() < EXPORT_PAGE_BYTES || told.page(&mut page, &mut rows);
        if there { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.export(tenant, storage, &mut visit).map_err(Error::internal)?;
    Ok(there && (page.is_empty() || told.page(&mut page, &mut rows)))
}
