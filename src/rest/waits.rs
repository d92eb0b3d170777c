//! Who waits for a synchronous upload.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::{Code, Error},
    limits::{SYNC_WAITS_CLIENT_MAX, SYNC_WAITS_MAX},
};

/// Counts the synchronous uploads that are received or waited for. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// By client; none with zero.
    by_client: HashMap<String, usize>,
}

/// One of them, as long as it is kept.
#[derive(Debug)]
pub(super) struct Wait {
    waits: Waits,
    client: String,
}

impl Waits {
    /// Counts one more of that client, whose share is a part of all: one with a slow lane must not
    /// keep the others out.
    ///
    /// # Errors
    /// `CVRS-UPLOADS-EXHAUSTED` where all, or the client's share, are taken.
    pub(super) fn enter(&self, client: &str) -> Result<Wait, Error> {
        let mut counts = self.lock();
        let own = counts.by_client.get(client).copied().unwrap_or_default();
        if counts.all >= SYNC_WAITS_MAX || own >= SYNC_WAITS_CLIENT_MAX {
            let most = if own >= SYNC_WAITS_CLIENT_MAX { own } else { counts.all };
            let sentence = format!("{most} synchronous uploads are being waited for already");
            return Err(Error::new(Code::UploadsExhausted, sentence));
        }
        counts.all += 1;
        counts.by_client.insert(client.to_owned(), own + 1);
        Ok(Wait { waits: self.clone(), client: client.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut counts = self.waits.lock();
        counts.all -= 1;
        let left = counts.by_client.get_mut(&self.client).map_or(0, |own| {
            *own -= 1;
            *own
        });
        if left == 0 {
            counts.by_client.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_takes_its_share_and_leaves_the_rest() {
        let waits = Waits::default();
        let mut taken: Vec<_> =
            (0..SYNC_WAITS_CLIENT_MAX).map(|_| waits.enter("a").unwrap()).collect();
        assert_eq!(waits.enter("a").unwrap_err().code, Code::UploadsExhausted);
        assert!(waits.enter("b").is_ok());
        taken.pop();
        assert!(waits.enter("a").is_ok());
        drop(taken);
        assert!(waits.lock().by_client.is_empty());
        assert_eq!(waits.lock().all, 0);
    }

    #[test]
    fn all_clients_together_take_as_many_as_the_limit() {
        let waits = Waits::default();
        let client = |n: usize| (n / SYNC_WAITS_CLIENT_MAX).to_string();
        let taken: Vec<_> = (0..SYNC_WAITS_MAX).map(|n| waits.enter(&client(n)).unwrap()).collect();
        assert!(waits.enter("another").is_err());
        drop(taken);
        assert!(waits.enter("another").is_ok());
    }
}
