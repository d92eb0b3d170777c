//! The published material, which lies beside the project and is not part of it.

use std::path::{Path, PathBuf};

/// A file of it, where it is there. `scripts/test.sh` names the tests that check nothing without it.
///
/// # Panics
/// Where it is missing and `CVRSD_NEED_SHARED` is 1.
pub fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared", "../../shared"].map(|up| root.join(up).join(name));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        let needed = std::env::var("CVRSD_NEED_SHARED").is_ok_and(|value| value == "1");
        assert!(!needed, "{name} is not in ../shared, and CVRSD_NEED_SHARED is 1");
        eprintln!("SKIPPED: {name} of the published material is not there");
    }
    found
}
