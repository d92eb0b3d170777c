//! Every changed and every missing byte of a backup is noticed.

use std::io::{Read, Write};

use super::*;
use crate::limits::BACKUP_FRAME_BYTES;

fn backup(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes).unwrap();
    for (name, content) in parts {
        writer.begin(name).unwrap();
        writer.write_all(content).unwrap();
    }
    let manifest = writer.finish(7).unwrap();
    assert_eq!(manifest.parts.len(), parts.len());
    bytes
}

#[test]
fn parts_read_back_in_order_whatever_their_length() {
    let long = vec![5; 2 * BACKUP_FRAME_BYTES + 3];
    let parts = [("journal", b"abc".to_vec()), ("records", Vec::new()), ("reports/x", long)];
    let bytes = backup(&parts);
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    for (name, content) in &parts {
        let mut part = reader.next_part().unwrap().unwrap();
        assert_eq!(part.name(), *name);
        let mut read = Vec::new();
        part.read_to_end(&mut read).unwrap();
        assert!(read == *content, "{name}");
    }
    assert!(reader.next_part().unwrap().is_none());
    let manifest = reader.finish().unwrap();
    assert_eq!((manifest.taken_us, manifest.bytes()), (7, 6 + 2 * BACKUP_FRAME_BYTES as u64));
    assert_eq!(check(bytes.as_slice()).unwrap(), manifest);
}

#[test]
fn every_changed_missing_or_further_byte_is_noticed() {
    let good = backup(&[("journal", b"abc".to_vec()), ("records", b"de".to_vec())]);
    check(good.as_slice()).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 4;
        assert!(check(bad.as_slice()).is_err(), "byte {at}");
        assert!(check(&good[..at]).is_err(), "cut at {at}");
    }
    assert!(check([good, vec![0]].concat().as_slice()).is_err());
}
