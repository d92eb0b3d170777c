//! Comparing everything that there is with the model.

use std::time::{Duration, Instant};

use cvrsd::{
    domain::{Job, Storage, Tenant},
    engine::ReportRow,
    error::Code,
};
use tokio::time::sleep;

use super::{
    bench::{Bench, PATIENCE, caller, reader, tenants, until},
    tally,
};

/// Jobs of a page.
const PAGE: usize = 50;

impl Bench {
    /// What a new process lists is what the ones before it made.
    pub async fn recall(&mut self) {
        let mut listed = Vec::new();
        for client in [0, 1] {
            listed.extend(self.listed(&caller(client), PAGE, None).await);
        }
        let found = self.oracle.recall(&listed);
        tally::add(self.kind, "lost answers found", found);
    }

    /// Waits until every job has ended, over crashes, and compares everything.
    pub async fn settle(&mut self) {
        let began = Instant::now();
        while let [first, ..] = self.oracle.unfinished()[..] {
            assert!(began.elapsed() < PATIENCE, "{:?}", self.oracle.newest(first));
            if self.life.is_over() {
                self.crash().await;
            }
            let job = self.service.get(&caller(self.oracle.client(first)), first).await.unwrap();
            self.oracle.observe(&job);
            if !job.is_terminal() {
                sleep(Duration::from_micros(100)).await;
            }
        }
        // A cleanup may be cut off too; the next start makes up for it.
        let cleaned = || {
            let left = ["payloads", "work", "spool"].map(|directory| self.files(directory).len());
            left == [0; 3] || self.life.is_over()
        };
        until("no file of a run is left", cleaned).await;
        if self.life.is_over() {
            self.crash().await;
        }
        self.compare().await;
    }

    async fn compare(&mut self) {
        for watching in std::mem::take(&mut self.watching) {
            until("the watch of an ended job has ended", || watching.has_ended()).await;
            watching.end(&mut self.oracle).await;
        }
        let jobs = self.oracle.to_settle();
        tally::add(self.kind, "jobs checked", jobs.len());
        for job in jobs {
            let again = self.service.get(&caller(0), job.spec.id).await;
            if let Ok(again) = again {
                assert_eq!(again, job);
            }
            let events = self.stores.journal.events(job.spec.id, 0, usize::MAX).unwrap();
            let report = self.report(&job).await;
            self.oracle.settle(&job, &events, &report);
        }
        self.stores.journal.verify().unwrap();
        let records = self.service.records().unwrap();
        for tenant in tenants() {
            let counts = records.counts(&reader(&tenant)).await.unwrap();
            for storage in Storage::ALL {
                let expected = self.oracle.live(&tenant, storage);
                let count = counts.iter().find(|count| count.1 == storage).map_or(0, |c| c.2);
                assert_eq!(count, expected.len() as u64, "live records of {tenant} in {storage}");
                assert!(self.exported(&tenant, storage).await == expected, "{tenant} {storage}");
            }
        }
    }

    async fn report(&self, job: &Job) -> Vec<ReportRow> {
        let mut reader = self.service.report(job).await.unwrap();
        let mut rows = Vec::new();
        while let Some(page) = reader.next_page().await.unwrap() {
            rows.extend(page);
        }
        rows
    }

    async fn exported(&self, tenant: &Tenant, storage: Storage) -> Vec<String> {
        let mut pages = self.service.records().unwrap().export(&reader(tenant), storage).unwrap();
        let mut text = Vec::new();
        while let Some(page) = pages.recv().await {
            match page {
                Ok(page) => text.extend_from_slice(&page),
                Err(error) => assert_eq!(error.code, Code::RecordNotFound),
            }
        }
        let text = String::from_utf8(text).unwrap();
        let mut rows: Vec<_> = text.lines().skip(1).map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    }
}
