//! Damage to every kind of file: what is wrong is noticed and named, or changes no answer.
//!
//! `CVRSD_DAMAGE_FLIPS` (24) flips that many single bits, spread over all files; `CVRSD_DAMAGE_SEED` (printed)
//! repeats a run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod case;
mod files;
mod place;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, fs, path::Path};

use case::{Case, Noticed};
use files::Part;
use place::Place;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_changes_no_answer() {
    let flips = setting("CVRSD_DAMAGE_FLIPS", 24);
    let seed = setting("CVRSD_DAMAGE_SEED", u64::from(std::process::id()));
    println!("CVRSD_DAMAGE_FLIPS={flips} CVRSD_DAMAGE_SEED={seed}");
    let place = Place::new();
    let parts = files::parts(&place.dir());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut told: BTreeMap<(&str, Noticed), u64> = BTreeMap::new();
    for number in 0..flips {
        let part = &parts[usize::try_from(number).unwrap() % parts.len()];
        let spot = part.spot(&place.dir(), &mut random);
        let what = format!("{} byte {} bit {}", spot.file.display(), spot.at, spot.bit);
        let noticed = Case::new(&place, &what, |dir| spot.flip(dir)).check();
        *told.entry((part.name, noticed)).or_default() += 1;
    }
    for ((part, noticed), times) in told {
        println!("{part:<16} {noticed:<12?} {times}");
    }
}

/// What a file can suffer.
type Suffering = (&'static str, fn(&Path));

const WHOLE: &[Suffering] = &[
    ("cut in half", |file| cut(file, false)),
    ("its second half is zeros", |file| cut(file, true)),
    ("empty", |file| fs::write(file, b"").unwrap()),
    ("gone", |file| fs::remove_file(file).unwrap()),
];

fn cut(file: &Path, zeros: bool) {
    let mut bytes = fs::read(file).unwrap();
    let length = bytes.len();
    bytes.truncate(files::data_length(&bytes) / 2);
    if zeros {
        bytes.resize(length, 0);
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_file_that_is_cut_short_zeroed_emptied_or_gone_is_noticed_or_changes_no_answer() {
    let place = Place::new();
    let parts = files::parts(&place.dir());
    for Part { name, files, .. } in &parts {
        let file =
            files.iter().max_by_key(|file| fs::metadata(place.dir().join(file)).unwrap().len());
        let file = file.unwrap();
        for (how, damage) in WHOLE {
            let what = format!("{name}: {} {how}", file.display());
            let noticed = Case::new(&place, &what, |dir| damage(&dir.join(file))).check();
            println!("{what}: {noticed:?}");
        }
    }
}

/// Formats of other versions, and what belongs to nobody.
#[test]
fn another_format_is_refused_and_nothing_is_written() {
    let place = Place::new();
    for (file, markers) in [
        ("journal/format", ["cvrsd journal 2\n", "cvrsd journal 5\n"]),
        ("records/format", ["cvrsd records 2\n", "cvrsd records 4\n"]),
        ("records/version", ["FJL\x02", "FJL\x04"]),
    ] {
        for marker in markers {
            let what = format!("{file} is {marker:?}");
            let case = Case::new(&place, &what, |dir| fs::write(dir.join(file), marker).unwrap());
            // The audit log tells of the start that was refused.
            let digest = |dir: &Path| {
                let mut files = files::digest(dir);
                files.retain(|(name, _)| !name.starts_with("audit/"));
                files
            };
            let before = digest(&case.dir());
            assert_eq!(case.check(), Noticed::AtStart, "{what}");
            let after = digest(&case.dir());
            assert_eq!(before, after, "{what}: something was written");
        }
    }
}

#[test]
fn a_snapshot_of_sled_that_is_gone_empty_stale_or_unfinished_changes_no_answer() {
    let place = Place::new();
    let sled = Path::new("journal/sled");
    let snapshots = place::snapshots(&place.dir());
    let damages: [Suffering; 4] = [
        ("gone", |file| fs::remove_file(file).unwrap()),
        ("empty", |file| fs::write(file, b"").unwrap()),
        ("torn", |file| cut(file, false)),
        ("joined by an unfinished one", |file| {
            fs::write(file.with_file_name("snap.00000000ffffffff.generating"), [1]).unwrap();
        }),
    ];
    for (how, damage) in damages {
        let damage_all =
            |dir: &Path| snapshots.iter().for_each(|file| damage(&dir.join(sled).join(file)));
        assert_eq!(Case::new(&place, how, damage_all).check(), Noticed::Never, "{how}");
    }
    let stale = |dir: &Path| {
        for name in &snapshots {
            fs::remove_file(dir.join(sled).join(name)).unwrap();
        }
        for name in files::below(&place.stale) {
            fs::copy(place.stale.join(&name), dir.join(sled).join(&name)).unwrap();
        }
    };
    println!("stale: {:?}", Case::new(&place, "stale", stale).check());
}

#[test]
fn a_damaged_payload_fails_its_job_alone() {
    let place = Place::new();
    let payloads = files::below(&place.dir().join("payloads"));
    assert!(payloads.len() >= 2);
    for payload in payloads {
        let what = format!("payload {}", payload.display());
        let damage = |dir: &Path| {
            let path = dir.join("payloads").join(&payload);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        };
        assert_eq!(Case::new(&place, &what, damage).check(), Noticed::InItsJob, "{what}");
    }
}
