//! The built binary as a black box: what callers see over gRPC and REST.

#[path = "../support/mod.rs"]
mod support;

mod cancel;
mod grpc;
mod lifecycle;
mod rest;
mod watch;
