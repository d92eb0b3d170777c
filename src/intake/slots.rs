//! Places for uploads, of which there are so many. Where all are taken, a slow one makes room.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    error::{Code, Error},
    limits::{SLOT_WAIT, UPLOAD_BYTES_MIN, UPLOAD_SLOW},
};

/// One place; given back when dropped.
pub(super) type Slot = OwnedSemaphorePermit;

/// All places. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    most: usize,
    /// Uploads that are slow, those first that have been so for longest; some are so no more.
    slow: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(most)), most, slow: Arc::default() }
    }

    /// Takes a place; where none is free, that of a slow upload, which is refused then.
    ///
    /// # Errors
    /// `UploadsExhausted` where no upload is slow either.
    pub(super) async fn take(&self) -> Result<Slot, Error> {
        let free = Arc::clone(&self.free);
        let exhausted = || {
            let text = format!("{} uploads run already", self.most);
            Error::new(Code::UploadsExhausted, text)
        };
        if let Ok(slot) = Arc::clone(&free).try_acquire_owned() {
            return Ok(slot);
        }
        if !self.cut_slowest() {
            return Err(exhausted());
        }
        // Its file is removed before its place is free.
        let slot = timeout(SLOT_WAIT, free.acquire_owned()).await.map_err(|_| exhausted())?;
        slot.map_err(Error::internal)
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }

    /// Whether nobody has a place.
    pub(super) fn are_free(&self) -> bool {
        self.free.available_permits() == self.most
    }

    /// Ends with a refusal once an upload that brought too little since `began` has to make room.
    pub(super) async fn yielded(&self, began: Instant) -> Error {
        sleep_until(began + UPLOAD_SLOW).await;
        let (cut, told) = oneshot::channel();
        {
            let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            if slow.len() >= self.most {
                slow.retain(|upload| !upload.is_closed());
            }
            slow.push_back(cut);
        }
        if told.await.is_err() {
            return Error::internal("a slow upload was forgotten");
        }
        let text = format!(
            "fewer than {UPLOAD_BYTES_MIN} bytes came within {UPLOAD_SLOW:?} while others had to wait"
        );
        Error::new(Code::UploadsExhausted, text)
    }

    fn cut_slowest(&self) -> bool {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(upload) = slow.pop_front() {
            if upload.send(()).is_ok() {
                return true;
            }
        }
        false
    }
}
