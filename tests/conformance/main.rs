//! The documented interface of the Data Clearinghouse, row by row: one test for each row that this
//! project has decided on, over the real binary. `README.md` beside this file is the table of rows;
//! a test here holds it against the tests that exist.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod s1_10_statuses;
mod s1_1_endpoints;
mod s1_2_headers;
mod s1_3_zip;
mod s1_4_clients;
mod s1_4_tokens;
mod s1_5_submit;
mod s1_6_status;
mod s1_7_sync;
mod s1_8_storage_result;
mod s2_errors;
mod s2_shapes;
mod s3_delete;
mod s4_file;
mod s4_rules;
mod s4_values;
mod s4_versions;
mod s5_profiles;
mod s7_operation;
mod s7_silence;
mod s9_contradictions;
mod table;
