//! The engine as a whole, over a journal and a record store in memory that break when told to.

mod cancelling;
mod grouping;
mod operating;
mod parts;
mod purging;
mod restarting;
mod running;
mod support;
