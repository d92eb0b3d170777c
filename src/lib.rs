//! The rooms of cvrsd. `docs/ARCHITECTURE.md` has the picture.

pub mod activity;
pub mod admin;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cvrs;
pub mod daemon;
pub mod domain;
pub mod engine;
pub mod error;
pub mod exit;
pub mod failpoint;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod grpc;
pub mod intake;
pub mod journal;
pub mod limits;
pub mod listener;
pub mod poison;
pub mod proto;
pub mod records;
mod replace;
pub mod rest;
pub mod restore;
pub mod shares;
mod sync;
pub mod telemetry;
pub mod tls;
pub mod traces;
pub mod verify;
pub mod watch;
