//! How many calls a client makes in a second.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use crate::error::{Code, Error};

/// A token bucket for each client that has a bound; it holds one second's calls.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<String, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Takes one call of the client.
    ///
    /// # Errors
    /// `CVRS-QUOTA-REQUESTS` where it has made too many.
    pub(super) fn take(&self, client: &str, per_s: Option<u32>, now: Instant) -> Result<(), Error> {
        let Some(per_s) = per_s else { return Ok(()) };
        let most = f64::from(per_s);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { left: most, at: now };
        let mut bucket = buckets.get(client).copied().unwrap_or(full);
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = since.mul_add(most, bucket.left).min(most);
        bucket.at = now;
        let taken = bucket.left >= 1.0;
        if taken {
            bucket.left -= 1.0;
        }
        buckets.insert(client.to_owned(), bucket);
        if taken {
            return Ok(());
        }
        let text = format!("the client makes more than {per_s} calls in a second");
        Err(Error::new(Code::QuotaRequests, text))
    }

    /// Forgets clients that are gone.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_holds_as_many_calls_as_allowed_and_a_pause_earns_no_more() {
        let rates = Rates::default();
        let start = Instant::now();
        let count = |client: &str, at: Duration| {
            (0..100).filter(|_| rates.take(client, Some(5), start + at).is_ok()).count()
        };
        assert_eq!(count("a", Duration::ZERO), 5);
        assert_eq!(count("b", Duration::ZERO), 5, "another client has its own");
        assert_eq!(count("a", Duration::from_millis(200)), 1);
        assert_eq!(count("a", Duration::from_hours(1)), 5);
        assert!((0..100).all(|_| rates.take("a", None, start).is_ok()));
        let refused = rates.take("a", Some(5), start + Duration::from_hours(1)).unwrap_err();
        assert_eq!(refused.code, Code::QuotaRequests);
        rates.retain(|id| id == "b");
        assert_eq!(count("a", Duration::from_hours(1)), 5);
    }
}
