//! Reading live records back, for the admin face.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
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
}

impl Records {
    pub(super) fn new(store: Arc<dyn RecordStore>) -> Self {
        Self { store }
    }

    /// The refusal of a tenant that has no record.
    #[must_use]
    pub fn no_tenant(tenant: &Tenant) -> Error {
        Error::new(Code::RecordNotFound, format!("there is no tenant {tenant}"))
    }

    /// Live records of a tenant by storage.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn counts(&self, tenant: Tenant) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        let store = Arc::clone(&self.store);
        let counts = tokio::task::spawn_blocking(move || store.counts(Some(&tenant))).await;
        counts.map_err(Error::internal)?.map_err(Error::internal)
    }

    /// One live record, as that storage shows it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(
        &self,
        tenant: Tenant,
        storage: Storage,
        vax_event_id: String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let store = Arc::clone(&self.store);
        let read = move || store.get(&tenant, storage, vax_event_id.as_bytes());
        let record = tokio::task::spawn_blocking(read).await;
        record.map_err(Error::internal)?.map_err(Error::internal)
    }

    /// The live records of one storage: whole lines with their ends, the header first. A reader that
    /// goes away ends the export.
    #[must_use]
    pub fn export(&self, tenant: Tenant, storage: Storage) -> mpsc::Receiver<Result<Bytes, Error>> {
        let (sender, receiver) = mpsc::channel(2);
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = export(&*store, &tenant, storage, &sender) {
                // A reader that is gone needs no error.
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    }
}

fn export(
    store: &dyn RecordStore,
    tenant: &Tenant,
    storage: Storage,
    sender: &mpsc::Sender<Result<Bytes, Error>>,
) -> Result<(), Error> {
    if store.counts(Some(tenant)).map_err(Error::internal)?.is_empty() {
        return Err(Records::no_tenant(tenant));
    }
    let mut page = format!("{}\n", cvrs::canonical_header()).into_bytes();
    let mut visit = |row: &[u8]| {
        page.extend_from_slice(row);
        page.push(b'\n');
        if page.len() < EXPORT_PAGE_BYTES {
            return ControlFlow::Continue(());
        }
        let full = Bytes::from(std::mem::take(&mut page));
        if sender.blocking_send(Ok(full)).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    store.export(tenant, storage, &mut visit).map_err(Error::internal)?;
    if !page.is_empty() {
        // A reader that is gone needs no rest.
        let _ = sender.blocking_send(Ok(Bytes::from(page)));
    }
    Ok(())
}
