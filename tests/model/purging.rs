//! Purging jobs, of which nothing may be left, and of what they did everything.

use cvrsd::error::Code;

use super::{
    bench::{Bench, KEPT, caller},
    tally,
};

impl Bench {
    /// Purges all that ended before the job so many before the newest.
    pub async fn purge(&mut self, back: usize) {
        self.settle().await;
        let Some(first_kept) = self.oracle.pick(back) else { return };
        let before_us = self.oracle.newest(first_kept).end_time_us.unwrap();
        let now_us = before_us + i64::try_from(KEPT.as_micros()).unwrap();
        let service = self.service.clone();
        let purge = move || service.engine().unwrap().purge(now_us);
        let purged = tokio::task::spawn_blocking(purge).await.unwrap();
        if let Err(error) = purged {
            self.assert_over(&error);
            self.oracle.may_be_purged(before_us);
            return;
        }
        let gone = self.oracle.purge(before_us);
        tally::add(self.kind, "jobs purged", gone.len());
        for id in gone {
            for client in [0, 1] {
                let refused = self.service.get(&caller(client), id).await.unwrap_err();
                assert_eq!(refused.code, Code::JobNotFound);
            }
            assert!(!self.files("reports").contains(&format!("{id}.tsv")));
        }
        assert_eq!(self.stores.journal.verify().unwrap(), self.oracle.jobs.len() as u64);
    }
}
