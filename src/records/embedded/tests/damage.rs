//! Damage that fjall would take for something else, noticed before it opens.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{super::changes::Changes, *};

/// A store of some batches in its journal, none of which is in a table.
fn store() -> (TempDir, PathBuf) {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let store = Store::open(&dir, &CONFIG).unwrap();
    for round in 0..3 {
        run(&store, Operation::Create, &ids(round * 2..round * 2 + 2));
        run(&store, Operation::Delete, &ids(round * 2..round * 2 + 1));
    }
    (temp, dir)
}

/// Whether it is refused as damaged, with everything of its journal still there. Otherwise all rows must
/// be there.
fn is_refused(dir: &std::path::Path, what: &str) -> bool {
    let journal = fs::read(dir.join("0.jnl")).unwrap();
    match Store::open(dir, &CONFIG) {
        Err(Error::Damaged(_)) => {
            let left = fs::read(dir.join("0.jnl")).unwrap();
            let torn = fs::read(dir.join("torn")).unwrap_or_default();
            // All of it, or cut where the rest was put aside, which ends before the zeros.
            let rest = journal.get(left.len()..).unwrap();
            let is_whole = rest.iter().all(|byte| *byte == 0) || {
                let (kept, zeros) = rest.split_at(torn.len());
                kept == torn && zeros.iter().all(|byte| *byte == 0)
            };
            assert!(is_whole && journal.starts_with(&left), "{what}: {} left", left.len());
            fs::remove_file(dir.join("torn")).unwrap_or_default();
            true
        }
        Err(other) => panic!("{what}: {other}"),
        Ok(store) => {
            for storage in Storage::ALL {
                assert_eq!(exported(&store, storage).unwrap(), 3, "{what}");
            }
            assert!(!dir.join("torn").exists(), "{what}");
            false
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_journal_loses_no_batch_in_silence() {
    let (_temp, dir) = store();
    let path = dir.join("0.jnl");
    let good = fs::read(&path).unwrap();
    let end = good.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut passed = Vec::new();
    for at in 0..end {
        let mut bad = good.get(..end).unwrap().to_vec();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, bad).unwrap();
        if !is_refused(&dir, &format!("byte {at}")) {
            passed.push(at);
        }
    }
    // A batch's own number, where it still stands between its neighbours.
    assert!(passed.len() < end / 50, "{passed:?} of {end}");
}

#[test]
fn a_journal_that_is_cut_short_or_gone_is_refused() {
    let (_temp, dir) = store();
    let path = dir.join("0.jnl");
    let good = fs::read(&path).unwrap();
    let end = good.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for cut in (0..end).step_by(37) {
        let mut bad = good[..cut].to_vec();
        fs::write(&path, &bad).unwrap();
        assert!(is_refused(&dir, &format!("cut at {cut}")));
        bad.resize(end, 0);
        fs::write(&path, &bad).unwrap();
        assert!(is_refused(&dir, &format!("zeros from {cut}")));
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(Store::open(&dir, &CONFIG), Err(Error::Damaged(_))));
}

#[test]
fn a_list_of_tables_that_is_not_what_was_written_is_refused() {
    let (_temp, dir) = store();
    for keyspace in fs::read_dir(dir.join("keyspaces")).unwrap() {
        let keyspace = keyspace.unwrap().path();
        let current = keyspace.join("current");
        let number = u64::from_le_bytes(fs::read(&current).unwrap()[..8].try_into().unwrap());
        for path in [current, keyspace.join(format!("v{number}"))] {
            let good = fs::read(&path).unwrap();
            for at in (0..good.len()).step_by(7) {
                let mut bad = good.clone();
                bad[at] ^= 1 << (at % 8);
                fs::write(&path, bad).unwrap();
                assert!(is_refused(&dir, &format!("{} byte {at}", path.display())));
            }
            fs::remove_file(&path).unwrap();
            assert!(is_refused(&dir, &format!("{} gone", path.display())));
            fs::write(&path, good).unwrap();
        }
    }
    assert!(!is_refused(&dir, "mended"));
}

#[test]
fn a_keyspace_or_tip_that_is_gone_is_refused() {
    let (temp, dir) = store();
    for part in ["keyspaces/3", "tip"] {
        let (place, aside) = (dir.join(part), temp.path().join("aside"));
        fs::rename(&place, &aside).unwrap();
        assert!(is_refused(&dir, part));
        fs::rename(&aside, &place).unwrap();
    }
    fs::write(dir.join("tip"), [7; 12]).unwrap();
    assert!(is_refused(&dir, "another tip"));
}

/// A full journal whose rows are in no table, with another one behind it.
#[test]
fn damage_to_an_older_journal_is_noticed_wherever_it_is() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let config = config::Records { memtable_bytes: 1 << 40, ..CONFIG };
    let store = Store::open(&dir, &config).unwrap();
    run(&store, Operation::Create, &ids(0..10));
    let value = vec![7; 4 << 20];
    for number in 0..16_u32 {
        let mut changes = Changes::new(&store.spaces, 1);
        changes.insert(&store.spaces.misses, number.to_be_bytes(), value.clone());
        changes.commit().unwrap();
    }
    // fjall looks at the length of its journal when it has written a table.
    store.spaces.stages.insert("stage", "none").unwrap();
    store.spaces.stages.rotate_memtable_and_wait().unwrap();
    for _ in 0..1_000 {
        if dir.join("1.jnl").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    run(&store, Operation::Create, &ids(10..20));
    drop(store);
    let (older, newer) = (dir.join("0.jnl"), dir.join("1.jnl"));
    assert!(older.exists() && newer.exists());
    let refused = || matches!(Store::open(&dir, &config), Err(Error::Damaged(_)));
    let good = [&older, &newer].map(|path| fs::read(path).unwrap());
    let restore = || {
        fs::write(&older, &good[0]).unwrap();
        fs::write(&newer, &good[1]).unwrap();
    };
    let end = good[0].iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for at in [0, 1, 13, 14, 33, 60, end / 2, end - 1, end - 8] {
        let mut bad = good[0].clone();
        bad[at] ^= 1;
        fs::write(&older, bad).unwrap();
        assert!(refused(), "byte {at}");
        restore();
    }
    for length in [0, 1, end / 2, end - 1] {
        fs::write(&older, &good[0][..length]).unwrap();
        assert!(refused(), "cut at {length}");
        restore();
    }
    for at in [0, 1, 13] {
        let mut bad = good[1].clone();
        bad[at] ^= 1;
        fs::write(&newer, bad).unwrap();
        assert!(refused(), "byte {at} of the newer one");
        restore();
    }
    let store = Store::open(&dir, &config).unwrap();
    assert_eq!(exported(&store, Storage::Redacted).unwrap(), 20);
}
