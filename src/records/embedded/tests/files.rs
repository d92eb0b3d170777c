//! The directory: made whole or not at all, opened by one, refused when it is not ours.

use std::fs;

use tempfile::TempDir;

use super::{super::spaces, *};

fn refusal(dir: &std::path::Path) -> Error {
    match Store::open(dir, &CONFIG) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[test]
fn a_store_is_made_where_the_directory_is_missing_or_empty() {
    let temp = TempDir::new().unwrap();
    let (missing, empty) = (temp.path().join("a/b"), temp.path().join("c"));
    fs::create_dir(&empty).unwrap();
    for dir in [missing, empty] {
        let (_, cursor) = run(&Store::open(&dir, &CONFIG).unwrap(), Operation::Create, &ids(0..3));
        assert_eq!(cursor.rows_applied, 3);
        assert!(!spaces::unfinished(&dir).exists());
    }
}

#[test]
fn what_a_kill_while_making_left_is_swept() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let unfinished = spaces::unfinished(&dir);
    fs::create_dir_all(unfinished.join("keyspaces")).unwrap();
    fs::write(unfinished.join("0.jnl"), b"").unwrap();
    fs::write(unfinished.join("version"), b"").unwrap();
    let store = Store::open(&dir, &CONFIG).unwrap();
    assert_eq!(count(&store, Storage::NonRedacted), 0);
    assert!(!unfinished.exists());
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let temp = TempDir::new().unwrap();
    fs::write(temp.path().join("notes.txt"), b"mine").unwrap();
    assert!(matches!(refusal(temp.path()), Error::Damaged(_)));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn another_format_is_refused() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let store = Store::open(&dir, &CONFIG).unwrap();
    drop(store);
    for other in ["cvrsd records 2\n", "cvrsd records 4\n", ""] {
        fs::write(dir.join("format"), other).unwrap();
        let refusal = refusal(&dir).to_string();
        assert!(refusal.contains(&format!("format {:?} of another version", other.trim_end())));
    }
    fs::remove_file(dir.join("format")).unwrap();
    assert!(refusal(&dir).to_string().contains("of another version"));
}

#[test]
fn a_store_is_open_once() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let store = Store::open(&dir, &CONFIG).unwrap();
    assert!(matches!(refusal(&dir), Error::Storage(_)));
    drop(store);
    assert!(Store::open(&dir, &CONFIG).is_ok());
}

#[test]
fn each_store_hashes_with_its_own_key_and_keeps_it() {
    let temp = TempDir::new().unwrap();
    let key = |name: &str| Store::open(&temp.path().join(name), &CONFIG).unwrap().key(b"EV1");
    assert_ne!(key("a"), key("b"));
    assert_eq!(key("a"), key("a"));
}
