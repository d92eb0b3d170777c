//! What cvrsd is compared with. Each is `None` where it is not installed, which is said loudly.

pub mod checks;
pub mod duckdb;
pub mod postgres;
pub mod restate;
pub mod sync;
pub mod unzip;

use std::path::{Path, PathBuf};

/// Where `scripts/yardsticks.sh` puts what is not a package of the system.
pub fn installed(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let path = root.join(target).join("yardsticks").join(name);
    path.exists().then_some(path)
}

/// A name that SQL takes as it is.
pub fn columns() -> impl Iterator<Item = &'static str> {
    cvrsd::cvrs::canonical_header().split('\t')
}
