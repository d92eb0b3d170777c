//! What the daemon must have done, worked out row by row from the files themselves, with none of its
//! code.

use std::collections::BTreeMap;

use cvrsd::proto::{
    admin::{ExportRecordsRequest, admin_service_client::AdminServiceClient},
    jobs::{Job, Operation, RowError, RowErrorKind},
};
use tokio_stream::StreamExt;

pub const STORAGES: [&str; 2] = ["NON_REDACTED_DB", "REDACTED_DB"];

/// Live records by folded key.
#[derive(Clone, Default)]
pub struct Model {
    pub live: BTreeMap<String, String>,
}

/// What one job must report.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub total: u64,
    pub valid: u64,
    pub validation: Vec<(u64, String)>,
    pub processed: u64,
    /// Line and text, the same in both storages.
    pub processing: Vec<(u64, String)>,
}

impl Model {
    /// Applies a file whose rows are in canonical order and whose only defects are an empty
    /// `vax_event_id` or, where that counts (not in a delete), an empty `recip_id`.
    pub fn apply(&mut self, operation: Operation, text: &[u8]) -> Expected {
        let text = std::str::from_utf8(text).unwrap();
        let mut expected = Expected::default();
        for (index, row) in text.lines().enumerate().skip(1) {
            let line = index as u64 + 1;
            let cells: Vec<&str> = row.split('\t').collect();
            expected.total += 1;
            let must: &[usize] = if operation == Operation::Delete { &[0] } else { &[0, 3] };
            let nulls = must.iter().filter(|column| cells[**column].is_empty()).count();
            if nulls > 0 {
                let error = (line, "must not be null".to_owned());
                expected.validation.extend(std::iter::repeat_n(error, nulls));
                continue;
            }
            expected.valid += 1;
            let key = cells[0].to_ascii_lowercase();
            let known = self.live.contains_key(&key);
            let refusal = match operation {
                Operation::Create if known => Some("Record already exists"),
                Operation::Update | Operation::Delete if !known => Some("Record does not exist"),
                _ => None,
            };
            if let Some(text) = refusal {
                expected.processing.push((line, text.to_owned()));
                continue;
            }
            expected.processed += 1;
            match operation {
                Operation::Delete => self.live.remove(&key),
                _ => self.live.insert(key, row.to_owned()),
            };
        }
        expected
    }

    /// Fails the test unless the daemon with that admin address has exactly these records.
    pub async fn check_live(&self, admin: &str) {
        let mut records = AdminServiceClient::connect(format!("http://{admin}")).await.unwrap();
        let request =
            ExportRecordsRequest { tenant: "local".to_owned(), storage: STORAGES[0].to_owned() };
        let mut stream = records.export_records(request).await.unwrap().into_inner();
        let mut text = Vec::new();
        while let Some(page) = stream.next().await {
            text.extend_from_slice(&page.unwrap().lines);
        }
        let text = String::from_utf8(text).unwrap();
        let live: BTreeMap<String, &str> = text
            .lines()
            .skip(1)
            .map(|row| (row.split('\t').next().unwrap().to_ascii_lowercase(), row))
            .collect();
        assert_eq!(live.len(), text.lines().count() - 1, "an id is live twice");
        assert_eq!(live.len(), self.live.len());
        for (key, row) in &self.live {
            assert_eq!(live[key], row);
        }
    }
}

impl Expected {
    /// Fails the test unless job and report are as expected.
    pub fn check(&self, job: &Job, errors: &[RowError]) {
        let rows = job.rows.unwrap();
        let id = &job.job_id;
        assert_eq!(rows.total, self.total, "rows of {id}");
        assert_eq!(rows.valid, self.valid, "valid rows of {id}");
        assert_eq!(rows.validation_errors, self.validation.len() as u64, "errors of {id}");
        assert_eq!(rows.applied, self.processed, "applied rows of {id}");
        let names: Vec<&str> = job.storages.iter().map(|s| s.storage.as_str()).collect();
        assert_eq!(names, STORAGES, "storages of {id}");
        for storage in &job.storages {
            assert_eq!(storage.records_processed, self.processed, "processed of {id}");
            let refused = self.processing.len() as u64;
            assert_eq!(storage.processing_errors, refused, "processing errors of {id}");
        }
        let mut told = errors.iter();
        for (line, text) in &self.validation {
            let error = told.next().unwrap();
            assert_eq!(error.kind(), RowErrorKind::Validation);
            assert_eq!((error.line, &error.message), (*line, text), "validation of {id}");
        }
        for name in STORAGES {
            for (line, text) in &self.processing {
                let error = told.next().unwrap();
                assert_eq!(error.kind(), RowErrorKind::Processing);
                let got = (error.storage.as_str(), error.line, &error.message);
                assert_eq!(got, (name, *line, text), "processing of {id}");
            }
        }
        assert_eq!(told.next(), None, "surplus errors of {id}");
    }
}
