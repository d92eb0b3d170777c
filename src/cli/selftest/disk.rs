//! What the disk of a directory does.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

/// How long syncs are counted.
const SYNCS_COUNTED: Duration = Duration::from_secs(2);
/// Bytes of each, as much as one commit of the journal writes.
const SYNC_BYTES: usize = 4 << 10;

/// How often a second some KiB at the end of a file become durable. Blocks for two seconds.
pub(super) fn syncs_per_second(dir: &Path) -> io::Result<f64> {
    let path = dir.join("syncs");
    let mut file = File::create(&path)?;
    let block = [7; SYNC_BYTES];
    let (began, mut syncs) = (Instant::now(), 0_u32);
    while began.elapsed() < SYNCS_COUNTED {
        file.write_all(&block)?;
        file.sync_data()?;
        syncs += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(f64::from(syncs) / seconds)
}

/// `ext4 on /dev/sda1` and the like; `None` where the system does not tell.
pub(super) fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let found = mounts.lines().filter_map(mount).filter(|(place, _)| dir.starts_with(place));
    // Of two at one place the later one counts.
    found.max_by_key(|(place, _)| Path::new(place).components().count()).map(|(_, what)| what)
}

/// Where a line of `mountinfo` has what mounted.
fn mount(line: &str) -> Option<(&str, String)> {
    let (place, kind) = line.split_once(" - ")?;
    let place = place.split(' ').nth(4)?;
    let mut kind = kind.split(' ');
    Some((place, format!("{} on {}", kind.next()?, kind.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_told_by_its_kind_and_source() {
        let line = "36 35 98:0 /mnt1 /mnt/data rw,noatime master:1 - ext4 /dev/root rw";
        assert_eq!(mount(line), Some(("/mnt/data", "ext4 on /dev/root".to_owned())));
        assert_eq!(mount("nonsense"), None);
    }

    #[test]
    fn syncs_are_counted_and_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(syncs_per_second(dir.path()).unwrap() > 0.0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
