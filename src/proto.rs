//! The generated types of `proto/`. They stop at the rooms that speak a protocol or store it.

#![expect(
    missing_docs,
    clippy::pedantic,
    clippy::all,
    reason = "generated code; the documentation is in the proto files"
)]

/// `cvrsd.jobs.v1`.
pub mod jobs {
    tonic::include_proto!("cvrsd.jobs.v1");
}

/// `cvrsd.admin.v1`.
pub mod admin {
    tonic::include_proto!("cvrsd.admin.v1");
}

/// `cvrsd.storage.v1`.
pub mod storage {
    tonic::include_proto!("cvrsd.storage.v1");
}

/// The file descriptors of all of them, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
