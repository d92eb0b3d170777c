//! The built binary as a black box: what callers see over gRPC and REST.

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

mod backup;
mod batch;
mod cancel;
mod drain;
mod drain_states;
mod grpc;
mod lifecycle;
mod openapi;
mod reserve;
mod rest;
mod retention;
mod twice;
mod watch;
