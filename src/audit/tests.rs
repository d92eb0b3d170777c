use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Entry, Error, Kind, Log, Summary, chain,
    verify::{Broken, verify},
    writer::Writer,
};
use crate::{
    config,
    domain::{Face, JobId, Origin, Trace},
    poison::Poison,
};

const DAY_US: i64 = 24 * 3_600 * 1_000_000;
const NOW_US: i64 = 1_800_000_000 * 1_000_000;

fn config() -> config::Audit {
    config::Audit {
        segment_bytes: 4_096,
        keep: Duration::from_hours(72),
        ..config::Audit::default()
    }
}

fn entry(n: u64) -> Entry {
    let peer = Some("192.0.2.7:4711".parse().unwrap());
    let origin = Origin::new(Face::Rest, peer, Some(b"for=203.0.113.9"), None);
    let entry = Entry::new(Kind::Submit).from(origin).of(JobId::generate());
    Entry { bytes: Some(n), ..entry }
}

/// A log of several segments, written in small groups.
fn written(dir: &Path, entries: u64) -> Summary {
    let mut writer = Writer::open(dir, &config(), NOW_US).unwrap();
    for n in 0..entries {
        writer.append(&[entry(n)], NOW_US + i64::try_from(n).unwrap()).unwrap();
    }
    sound(dir)
}

fn checked(dir: &Path, head: Option<&str>) -> Result<Summary, Broken> {
    verify(dir, head, &mut |_, _| ())
}

fn sound(dir: &Path) -> Summary {
    checked(dir, None).unwrap()
}

fn file(dir: &Path, number: u64) -> PathBuf {
    chain::path(dir, number)
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(|line| format!("{line}\n")).collect()
}

fn cut_kinds(dir: &Path) -> Vec<u64> {
    let mut cuts = Vec::new();
    verify(dir, None, &mut |_, line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        if entry["kind"] == "audit.cut" {
            cuts.push(entry["bytes"].as_u64().unwrap());
        }
    })
    .unwrap();
    cuts
}

#[test]
fn a_log_goes_on_over_segments_and_starts_and_its_chain_holds() {
    let dir = tempfile::tempdir().unwrap();
    let first = written(dir.path(), 30);
    assert!(first.segments > 2, "{first:?}");
    assert_eq!(first.entries, 30 + first.segments);
    let second = written(dir.path(), 30);
    assert_eq!(second.entries, 60 + second.segments);
    assert!(checked(dir.path(), Some(&first.head)).unwrap().has_head);
    assert!(!checked(dir.path(), Some(&"0".repeat(64))).unwrap().has_head);
}

#[test]
fn any_changed_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let whole = written(dir.path(), 12);
    for number in 1..=whole.segments {
        let path = file(dir.path(), number);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, changed).unwrap();
            let noticed = match checked(dir.path(), None) {
                Err(broken) => broken.file == path.file_name().unwrap().to_str().unwrap(),
                // The last line feed alone: its entry is unfinished then, and named so.
                Ok(summary) => summary.unfinished > 0 && at == bytes.len() - 1,
            };
            assert!(noticed, "byte {at} of segment {number}");
        }
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(sound(dir.path()), whole);
}

#[test]
fn a_removed_a_doubled_and_a_moved_line_are_noticed_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 6);
    let path = file(dir.path(), 1);
    let all = lines(&path);
    for at in 1..all.len() - 1 {
        let (mut removed, mut doubled, mut moved) = (all.clone(), all.clone(), all.clone());
        removed.remove(at);
        doubled.insert(at, all[at].clone());
        moved.swap(at, at + 1);
        for (spoilt, line) in [(removed, at + 1), (doubled, at + 2), (moved, at + 1)] {
            fs::write(&path, spoilt.concat()).unwrap();
            assert_eq!(checked(dir.path(), None).unwrap_err().line, line as u64);
        }
    }
}

#[test]
fn a_removed_end_is_noticed_against_a_head_that_was_noted_down() {
    let dir = tempfile::tempdir().unwrap();
    let whole = written(dir.path(), 6);
    let path = file(dir.path(), whole.segments);
    let mut kept = lines(&path);
    kept.pop();
    fs::write(&path, kept.concat()).unwrap();
    assert!(sound(dir.path()).has_head, "without a head nothing tells");
    assert!(!checked(dir.path(), Some(&whole.head)).unwrap().has_head);
}

#[test]
fn a_missing_segment_is_noticed_and_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let whole = written(dir.path(), 40);
    assert!(whole.segments > 3);
    for missing in [1, 2] {
        let bytes = fs::read(file(dir.path(), missing)).unwrap();
        fs::remove_file(file(dir.path(), missing)).unwrap();
        assert!(checked(dir.path(), None).is_err(), "{missing}");
        fs::write(file(dir.path(), missing), bytes).unwrap();
    }
    fs::remove_file(file(dir.path(), 2)).unwrap();
    let refused = Writer::open(dir.path(), &config(), NOW_US).err().unwrap();
    assert!(refused.to_string().contains("00000003.log line 0: the one before it is missing"));
    assert!(refused.to_string().contains("cvrsd audit verify"));
}

#[test]
fn an_unfinished_entry_is_cut_off_at_the_next_start_which_an_entry_tells() {
    let dir = tempfile::tempdir().unwrap();
    let whole = written(dir.path(), 3);
    let path = file(dir.path(), 1);
    let bytes = fs::read(&path).unwrap();
    let last = lines(&path).last().unwrap().len();
    for left in 1..last {
        let unfinished = &bytes[..bytes.len() - last + left];
        fs::write(&path, unfinished).unwrap();
        assert_eq!(sound(dir.path()).unfinished, left as u64);
        drop(Writer::open(dir.path(), &config(), NOW_US).unwrap());
        assert_eq!(cut_kinds(dir.path()), [left as u64]);
        assert_eq!(sound(dir.path()).entries, whole.entries);
    }
}

#[test]
fn a_segment_whose_first_entry_is_unfinished_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let whole = written(dir.path(), 12);
    let path = file(dir.path(), whole.segments);
    let first = lines(&path)[0].clone();
    for left in 0..first.len() {
        fs::write(&path, &first[..left]).unwrap();
        drop(Writer::open(dir.path(), &config(), NOW_US).unwrap());
        assert_eq!(lines(&path).len(), 1);
        assert_eq!(sound(dir.path()).segments, whole.segments);
    }
}

#[test]
fn a_broken_newest_segment_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    let path = file(dir.path(), 1);
    let text = fs::read_to_string(&path).unwrap().replacen("192.0.2.7", "192.0.2.8", 1);
    fs::write(&path, text).unwrap();
    let refused = Writer::open(dir.path(), &config(), NOW_US).err().unwrap();
    assert!(matches!(&refused, Error::Broken(broken) if broken.line == 2), "{refused}");
}

#[test]
fn each_day_begins_a_segment_and_old_ones_are_purged_whole_with_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), &config(), NOW_US).unwrap();
    for day in 0..8 {
        writer.append(&[entry(day)], NOW_US + i64::try_from(day).unwrap() * DAY_US).unwrap();
    }
    let kept = sound(dir.path());
    assert_eq!((kept.first_segment, kept.segments), (4, 5));
    let newest = file(dir.path(), 8);
    assert!(fs::read_to_string(newest).unwrap().contains(r#""kind":"audit.purge","segment":3"#));
    fs::remove_file(file(dir.path(), 4)).unwrap();
    let broken = checked(dir.path(), None).unwrap_err();
    assert_eq!(broken.file, "00000005.log");
}

#[test]
fn a_clock_that_is_years_ahead_does_not_end_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), &config(), NOW_US).unwrap();
    for day in 0..4 {
        writer.append(&[entry(1)], NOW_US + day * DAY_US).unwrap();
    }
    for day in 0..2 {
        writer.append(&[entry(2)], NOW_US + (7 * 365 + day) * DAY_US).unwrap();
    }
    drop(writer);
    drop(Writer::open(dir.path(), &config(), NOW_US + 9 * 365 * DAY_US).unwrap());
    let kept = sound(dir.path());
    assert_eq!((kept.first_segment, kept.segments), (3, 4));
}

#[test]
fn a_segment_that_cannot_be_removed_stays_with_all_behind_it_and_stops_nothing() {
    for stuck in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), &config(), NOW_US).unwrap();
        let day = |n: i64| NOW_US + n * DAY_US;
        for n in 0..4 {
            writer.append(&[entry(1)], day(n)).unwrap();
        }
        // A folder in its place can be neither read nor removed as a file.
        let (path, aside) = (file(dir.path(), stuck), dir.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        for n in 4..7 {
            writer.append(&[entry(2)], day(n)).unwrap();
        }
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        for n in 7..10 {
            writer.append(&[entry(3)], day(n)).unwrap();
        }
        drop(writer);
        let kept = sound(dir.path());
        assert!(kept.first_segment > stuck, "{kept:?}");
    }
}

#[test]
fn a_last_group_that_a_power_loss_tore_is_cut_off_and_nothing_before_it() {
    let group: Vec<_> = (0..30).map(entry).collect();
    let config = config::Audit { segment_bytes: 1 << 20, ..config() };
    for holes in 1..4_usize {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), &config, NOW_US).unwrap();
        writer.append(&group, NOW_US + 1).unwrap();
        let before = sound(dir.path());
        let path = file(dir.path(), 1);
        let start = fs::metadata(&path).unwrap().len();
        writer.append(&group, NOW_US + 2).unwrap();
        drop(writer);
        let mut bytes = fs::read(&path).unwrap();
        for hole in 0..holes {
            let at = usize::try_from(start).unwrap() + 512 * (1 + 2 * hole);
            bytes[at..at + 512].fill(0);
        }
        fs::write(&path, &bytes).unwrap();
        assert!(checked(dir.path(), None).is_err());
        drop(Writer::open(dir.path(), &config, NOW_US + 3).unwrap());
        // What stood before the first hole may stay; the cut has an entry.
        let kept = sound(dir.path());
        assert!(kept.entries > before.entries && kept.entries < before.entries + 30, "{kept:?}");
        assert_eq!(cut_kinds(dir.path()).len(), 1);
        // The same in a group that was synced: another followed it.
        let mut writer = Writer::open(dir.path(), &config, NOW_US + 4).unwrap();
        writer.append(&group, NOW_US + 5).unwrap();
        drop(writer);
        let mut bytes = fs::read(&path).unwrap();
        bytes[512..1_024].fill(0);
        fs::write(&path, &bytes).unwrap();
        assert!(Writer::open(dir.path(), &config, NOW_US + 6).is_err());
    }
}

#[test]
fn what_a_proxy_claims_is_printable_and_bounded() {
    let claimed = [b"a\n\"\x7f\xff".as_slice(), &[b'x'; 300]].concat();
    let origin = Origin::new(Face::Grpc, None, Some(&claimed), None);
    let kept = origin.forwarded.unwrap();
    assert!(kept.starts_with("a?\"??x"));
    assert_eq!(kept.len(), crate::limits::AUDIT_FORWARDED_CHARS_MAX);
}

#[test]
fn the_longest_entry_fits_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), &config(), NOW_US).unwrap();
    let peer = Some("[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap());
    let longest = Entry {
        client: Some("c".repeat(64)),
        tenant: Some("t".repeat(64)),
        code: Some(crate::error::Code::TokenRequestTooLarge),
        storage: Some("NON_REDACTED_DB"),
        operation: Some("delete"),
        segment: Some(u64::MAX),
        rows: Some(u64::MAX),
        count: Some(u64::MAX),
        order: Some(u64::MAX),
        sha256: Some("a".repeat(64)),
        origin: Origin::new(
            Face::Admin,
            peer,
            Some(&[b'"'; 300]),
            Some(Trace { id: u128::MAX, span: u64::MAX, sampled: true }),
        ),
        ..entry(u64::MAX).saying("\u{1}".repeat(300))
    };
    writer.append(&[longest], NOW_US).unwrap();
    assert_eq!(sound(dir.path()).entries, 2);
}

#[test]
fn what_was_recorded_is_durable_and_a_closed_log_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), &config(), &Poison::default()).unwrap();
    for n in 0..5 {
        log.record_blocking(entry(n)).unwrap();
        assert_eq!(sound(dir.path()).entries, n + 2);
    }
    log.close();
    assert!(matches!(log.record_blocking(entry(9)), Err(Error::Stopped)));
}

#[test]
fn a_write_that_fails_stops_the_process_and_the_caller_is_not_told_that_it_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let poison = Poison::default();
    let log = Log::open(dir.path(), &config(), &poison).unwrap();
    // The next segment cannot be made where its name is taken.
    fs::create_dir(file(dir.path(), 2)).unwrap();
    let failed = (0..100).map(|n| log.record_blocking(entry(n))).find(Result::is_err);
    assert!(matches!(failed, Some(Err(Error::Stopped))));
    assert!(poison.reason().unwrap().starts_with("audit log: "));
}
