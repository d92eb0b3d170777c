//! The steps of a job over real files and both record stores, interrupted wherever they can be.

mod applying;
mod finishing;
mod interrupted;
mod oddities;
mod payloads;
mod small;
mod staged;
mod store;
mod support;
mod text;
mod validating;
