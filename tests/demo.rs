//! The demonstration: the whole way through the house, checked by a model of its own.

use std::process::{Command, Stdio};

#[test]
fn the_demonstration_agrees_with_its_model_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cvrsd"))
        .args(["demo", "--rows", "3000"])
        .env("TMPDIR", dir.path())
        // The demonstration's daemon has settings of its own.
        .env("CVRSD__GRPC__LISTEN", "nonsense")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}{notes}");
    assert!(text.ends_with("every count and every live record agrees\n"), "{text}");
    assert!(!text.contains("DIFFERS"), "{text}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the directory is gone");
}
