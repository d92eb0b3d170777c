//! Places that callers take for as long as they keep the daemon waiting: so many for all, and of those so many for
//! one client, so that one who is slow keeps no other out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the places that are taken. A cheap handle.
#[derive(Clone, Debug)]
pub struct Shares {
    all_max: usize,
    client_max: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// By client; none with zero.
    by_client: HashMap<String, usize>,
}

/// One place, as long as it is kept.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    client: String,
}

impl Shares {
    /// So many places for all, and for one client.
    #[must_use]
    pub fn new(all_max: usize, client_max: usize) -> Self {
        Self { all_max, client_max, counts: Arc::default() }
    }

    /// Takes one more for that client.
    ///
    /// # Errors
    /// How many are taken, where all or the client's own are.
    pub fn enter(&self, client: &str) -> Result<Share, usize> {
        let mut counts = self.lock();
        let own = counts.by_client.get(client).copied().unwrap_or_default();
        if own >= self.client_max {
            return Err(own);
        }
        if counts.all >= self.all_max {
            return Err(counts.all);
        }
        counts.all += 1;
        counts.by_client.insert(client.to_owned(), own + 1);
        Ok(Share { shares: self.clone(), client: client.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.shares.lock();
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
        let shares = Shares::new(10, 4);
        let mut taken: Vec<_> = (0..4).map(|_| shares.enter("a").unwrap()).collect();
        assert_eq!(shares.enter("a").unwrap_err(), 4);
        assert!(shares.enter("b").is_ok());
        taken.pop();
        assert!(shares.enter("a").is_ok());
        drop(taken);
        assert!(shares.lock().by_client.is_empty());
        assert_eq!(shares.lock().all, 0);
    }

    #[test]
    fn all_clients_together_take_as_many_as_there_are() {
        let shares = Shares::new(10, 4);
        let client = |n: usize| (n / 4).to_string();
        let taken: Vec<_> = (0..10).map(|n| shares.enter(&client(n)).unwrap()).collect();
        assert_eq!(shares.enter("another").unwrap_err(), 10);
        drop(taken);
        assert!(shares.enter("another").is_ok());
    }
}
