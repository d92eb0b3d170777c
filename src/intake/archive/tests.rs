use std::io::{Cursor, Read, Write};

use proptest::prelude::*;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{
    sample::{Sample, deflate, descriptor, end, extra64, length32},
    *,
};

const TEXT: &[u8] = b"vax_event_id\trecip_id\nE1\tP1\nE2\tP2\n";

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn look(bytes: &[u8]) -> Result<Entry, Code> {
    inspect(&file(bytes)).map_err(|defect| match defect {
        Defect::Refused(error) => error.code,
        Defect::Io(cause) => panic!("{cause}"),
    })
}

/// The entry's data lies where the inspection says, and another reader sees the same text.
fn assert_taken(bytes: &[u8], what: &str) {
    let entry = look(bytes).unwrap_or_else(|code| panic!("{what}: {code}"));
    let start = usize::try_from(entry.data_start).unwrap();
    let data = &bytes[start..start + usize::try_from(entry.compressed_length).unwrap()];
    assert_eq!(data, if entry.stored { TEXT.to_vec() } else { deflate(TEXT) }, "{what}");
    assert_eq!(entry.inflated_length, TEXT.len() as u64, "{what}");
    assert_eq!(entry.crc32, crc32fast::hash(TEXT), "{what}");
    let mut read = Vec::new();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    archive.by_index(0).unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, TEXT, "{what}");
}

fn assert_refused(code: Code, cases: &[(&str, Vec<u8>)]) {
    for (what, bytes) in cases {
        assert_eq!(look(bytes), Err(code), "{what}");
    }
}

fn with(change: impl FnOnce(&mut Sample)) -> Vec<u8> {
    let mut sample = Sample::deflated(TEXT);
    change(&mut sample);
    sample.build()
}

fn written(options: SimpleFileOptions, entries: &[&str]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for name in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(TEXT).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_usual_form_is_taken() {
    let sample = Sample::deflated(TEXT);
    assert_taken(&sample.build(), "deflated");
    assert_taken(&Sample::stored(TEXT).build(), "stored");
    for (signature, wide) in [(false, false), (true, false), (false, true), (true, true)] {
        let what = format!("descriptor, signature {signature}, wide {wide}");
        assert_taken(&sample.clone().streamed(signature, wide).build(), &what);
        assert_taken(&Sample::stored(TEXT).streamed(signature, wide).build(), &what);
    }
    let mut half = sample.clone().streamed(true, false);
    half.local.inflated = half.central.inflated;
    assert_taken(&half.build(), "descriptor, and a length that was known before");
    assert_taken(&with(|s| s.comment = b"a comment".to_vec()), "comment");
    assert_taken(&with(|s| s.comment = vec![b'x'; 0xffff]), "longest comment");
    assert_taken(&with(|s| s.entry_comment = b"a comment".to_vec()), "entry comment");
    assert_taken(&with(|s| s.local.extra = b"UT\x05\0\x01abcd".to_vec()), "local extra field");
    assert_taken(&with(|s| s.central.extra = b"UT\x05\0\x01abcd".to_vec()), "extra field");
    assert_taken(&with(|s| s.attributes = 0), "no attributes");
    assert_taken(&with(|s| s.attributes = 0o010_600 << 16), "read from a pipe");
    assert_taken(&sample.clone().named("dätä..txt".as_bytes()).build(), "name in UTF-8");
    assert_taken(&sample.build64(|_| ()), "zip64 end record");
    let offset = 30 + 8 + length32(&sample.data);
    let plain = sample.build64(|e| e.short = (1, 46 + 8, offset));
    assert_taken(&plain, "zip64 end record that was not needed");
}

#[test]
fn zip64_sizes_are_taken() {
    let (compressed, inflated) = (deflate(TEXT).len() as u64, TEXT.len() as u64);
    let local = with(|s| {
        (s.local.compressed, s.local.inflated) = (u32::MAX, u32::MAX);
        s.local.extra = extra64(&[inflated, compressed]);
    });
    assert_taken(&local, "local header");
    let both = with(|s| {
        for header in [&mut s.local, &mut s.central] {
            (header.compressed, header.inflated) = (u32::MAX, u32::MAX);
            header.extra = extra64(&[inflated, compressed]);
        }
    });
    assert_taken(&both, "both headers");
    let one = with(|s| {
        s.central.compressed = u32::MAX;
        s.central.extra = extra64(&[compressed]);
    });
    assert_taken(&one, "one size only");
    let offset = with(|s| {
        s.offset = u32::MAX;
        s.central.extra = extra64(&[0]);
    });
    assert_taken(&offset, "offset");
    let mut streamed = Sample::deflated(TEXT).streamed(true, true);
    (streamed.local.compressed, streamed.local.inflated) = (u32::MAX, u32::MAX);
    streamed.local.extra = extra64(&[0, 0]);
    assert_taken(&streamed.build64(|_| ()), "streamed with zeros in the extra field");
}

#[test]
fn what_the_zip_crate_writes_is_taken() {
    let options = SimpleFileOptions::default();
    let taken = |bytes: &[u8]| look(bytes).unwrap();
    assert!(!taken(&written(options, &["data.txt"])).stored);
    taken(&written(options.large_file(true), &["data.txt"]));
    let stored = options.compression_method(zip::CompressionMethod::Stored);
    assert!(taken(&written(stored, &["data.txt"])).stored);
    let mut streamed = Vec::new();
    let mut writer = ZipWriter::new_stream(&mut streamed);
    writer.start_file("data.txt", options).unwrap();
    writer.write_all(TEXT).unwrap();
    writer.finish().unwrap();
    taken(&streamed);
}

#[test]
fn what_is_no_zip_is_malformed() {
    let whole = with(|_| ());
    let mut cases = vec![
        ("text", TEXT.to_vec()),
        ("one byte", b"P".to_vec()),
        ("a local header alone", whole[..30].to_vec()),
        ("a stray mark", b"PK\x05\x06".to_vec()),
        ("comment cut short", {
            let mut bytes = with(|s| s.comment = b"comment".to_vec());
            bytes.truncate(bytes.len() - 1);
            bytes
        }),
        ("directory mark broken", {
            let mut bytes = whole.clone();
            let at = whole.len() - 22 - 46 - 8;
            bytes[at] = b'Q';
            bytes
        }),
        ("several disks", {
            let mut bytes = whole.clone();
            let at = bytes.len() - 18;
            bytes[at] = 1;
            bytes
        }),
        ("stored with two lengths", {
            let mut sample = Sample::stored(TEXT);
            sample.central.inflated += 1;
            sample.build()
        }),
        ("zip64 size missing", with(|s| s.central.inflated = u32::MAX)),
        ("zip64 size missing in the local header", with(|s| s.local.inflated = u32::MAX)),
        ("zip64 field twice", {
            with(|s| s.central.extra = [extra64(&[1]), extra64(&[2])].concat())
        }),
    ];
    for length in 1..22 {
        cases.push(("end record cut short", whole[..whole.len() - length].to_vec()));
    }
    assert_refused(Code::ZipMalformed, &cases);
}

#[test]
fn zip64_records_that_lie_are_malformed() {
    let sample = Sample::deflated(TEXT);
    assert_refused(
        Code::ZipMalformed,
        &[
            ("no zip64 record", end(1, 46, u32::MAX, b"")),
            ("entries", sample.build64(|e| e.short.0 = 2)),
            ("2^40 entries", sample.build64(|e| e.entries = 1 << 40)),
            ("length", sample.build64(|e| e.short.1 = 1)),
            ("offset", sample.build64(|e| e.short.2 = 1)),
            ("disk", sample.build64(|e| e.disk = 1)),
            ("disks", sample.build64(|e| e.disks = 2)),
            ("record elsewhere", sample.build64(|e| e.end_at -= 1)),
            ("record outside", sample.build64(|e| e.end_at = u64::MAX - 3)),
        ],
    );
    assert_refused(
        Code::ZipLayout,
        &[
            ("huge length", sample.build64(|e| e.length = u64::MAX)),
            ("huge offset", sample.build64(|e| e.offset = u64::MAX)),
            ("other length", sample.build64(|e| e.length -= 1)),
        ],
    );
}

#[test]
fn other_than_one_entry_is_refused() {
    let options = SimpleFileOptions::default();
    let two = written(options, &["a.txt", "b.txt"]);
    let same = {
        let one = Sample::deflated(TEXT).build();
        let at = one.len() - 22 - 46 - 8;
        let directory = &one[at..one.len() - 22];
        let mut bytes = [&one[..at], directory, directory].concat();
        bytes.extend(end(2, length32(directory) * 2, length32(&one[..at]), b""));
        bytes
    };
    assert_refused(Code::ZipEmpty, &[("no entry", end(0, 0, 0, b""))]);
    assert_refused(Code::ZipEntries, &[("two", two), ("the same twice", same)]);
}

#[test]
fn sixty_five_thousand_entries_are_refused_at_once() {
    let names: Vec<String> = (0..65_000).map(|n| format!("{n}.txt")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for name in names {
        writer.start_file(name, stored).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let file = file(&bytes);
    let start = std::time::Instant::now();
    assert!(matches!(inspect(&file), Err(Defect::Refused(e)) if e.code == Code::ZipEntries));
    assert!(start.elapsed() < std::time::Duration::from_millis(500));
}

#[test]
fn folders_are_refused() {
    let named = |name: &str| Sample::deflated(TEXT).named(name.as_bytes()).build();
    let options = SimpleFileOptions::default();
    assert_refused(
        Code::ZipFolder,
        &[
            ("file in a folder", named("a/b.txt")),
            ("folder", named("a/")),
            ("folder and file", written(options, &["a/", "a/b.txt"])),
            ("file beside a folder", written(options, &["a.txt", "b/c.txt"])),
            ("by attribute", with(|s| s.attributes = 0x10)),
            ("by mode", with(|s| s.attributes = 0o040_755 << 16)),
        ],
    );
}

#[test]
fn mac_files_are_refused_before_anything_else_about_the_entries() {
    let named = |name: &str| Sample::deflated(TEXT).named(name.as_bytes()).build();
    let options = SimpleFileOptions::default();
    assert_refused(
        Code::ZipMacFiles,
        &[
            ("as macOS makes it", written(options, &["a.txt", "__MACOSX/", "__MACOSX/._a.txt"])),
            ("desktop", written(options, &["folder/", "folder/.DS_Store"])),
            ("alone", named(".DS_Store")),
            ("folder alone", named("__MACOSX/._a.txt")),
            ("other case", named("__macosx/a")),
        ],
    );
}

#[test]
fn odd_names_are_refused() {
    let names: [&[u8]; 12] = [
        b"",
        b"/data.txt",
        b"/",
        b"..",
        b"../data.txt",
        b"a/../data.txt",
        b"a\\data.txt",
        b"..\\data.txt",
        b"data\0.txt",
        b"data\n.txt",
        b"d\xe4ta.txt",
        "data\u{85}.txt".as_bytes(),
    ];
    let cases = names.map(|name| ("name", Sample::deflated(TEXT).named(name).build()));
    assert_refused(Code::ZipName, &cases);
}

#[test]
fn links_and_special_files_are_refused() {
    for mode in [0o120_777u32, 0o140_644, 0o060_644, 0o020_644] {
        assert_refused(Code::ZipLink, &[("mode", with(|s| s.attributes = mode << 16))]);
    }
}

#[test]
fn encrypted_entries_are_refused() {
    for flags in [1u16, 1 << 6, 1 | 8, 1 << 13] {
        let bytes = with(|s| (s.local.flags, s.central.flags) = (flags, flags));
        assert_refused(Code::ZipEncrypted, &[("flags", bytes)]);
    }
    let aes = with(|s| {
        (s.local.flags, s.central.flags) = (1, 1);
        (s.local.method, s.central.method) = (99, 99);
    });
    assert_refused(Code::ZipEncrypted, &[("AES", aes)]);
}

#[test]
fn other_methods_are_refused() {
    for method in [1u16, 6, 9, 12, 14, 93, 95, 98, 99] {
        let bytes = with(|s| (s.local.method, s.central.method) = (method, method));
        assert_refused(Code::ZipMethod, &[("method", bytes)]);
    }
    let patch = with(|s| (s.local.flags, s.central.flags) = (32, 32));
    assert_refused(Code::ZipMethod, &[("patched data", patch)]);
}

#[test]
fn bytes_that_belong_to_nothing_are_refused() {
    let whole = with(|_| ());
    assert_refused(
        Code::ZipLayout,
        &[
            ("before", [b"MZ".as_slice(), &whole].concat()),
            ("before, offsets right", { with(|s| (s.before, s.offset) = (b"MZ".to_vec(), 2)) }),
            ("after", with(|s| s.after = b"x".to_vec())),
            ("a newline after", with(|s| s.after = b"\n".to_vec())),
            ("before the directory", with(|s| s.between = b"x".to_vec())),
            ("descriptor too long", {
                let mut sample = Sample::deflated(TEXT).streamed(true, false);
                sample.between = b"x".to_vec();
                sample.build()
            }),
            ("descriptor missing", {
                let mut sample = Sample::deflated(TEXT).streamed(true, false);
                sample.descriptor.clear();
                sample.build()
            }),
            ("entry behind the directory's only one", {
                let mut bytes = whole[..whole.len() - 22].to_vec();
                let at = length32(&bytes) - 46 - 8;
                bytes.push(0);
                bytes.extend(end(1, 46 + 8 + 1, at, b""));
                bytes
            }),
            (
                "data over the directory",
                with(|s| {
                    (s.local.compressed, s.central.compressed) = (4_000, 4_000);
                }),
            ),
            (
                "huge data",
                with(|s| {
                    for header in [&mut s.local, &mut s.central] {
                        header.compressed = u32::MAX;
                        header.extra = extra64(&[u64::MAX]);
                    }
                }),
            ),
        ],
    );
}

#[test]
fn two_end_records_are_refused() {
    let whole = with(|_| ());
    let doubled = with(|s| s.comment = end(1, 54, 0, b""));
    let marked = with(|s| s.comment = b"a PK\x05\x06 mark".to_vec());
    let ends = with(|s| s.comment = b"PK\x05\x06".to_vec());
    assert_refused(
        Code::ZipLayout,
        &[
            ("end record inside the comment", doubled),
            ("mark inside the comment", marked),
            ("mark at the comment's end", ends),
            ("two zips", [whole.clone(), whole.clone()].concat()),
            ("end record twice", [&whole[..], &whole[whole.len() - 22..]].concat()),
        ],
    );
}

#[test]
fn headers_that_disagree_are_refused() {
    let streamed = |change: fn(&mut sample::Header)| {
        let mut sample = Sample::deflated(TEXT).streamed(true, false);
        let mut header = sample.central.clone();
        change(&mut header);
        sample.descriptor = descriptor(&header, true, false);
        sample.build()
    };
    assert_refused(
        Code::ZipHeaders,
        &[
            ("name", with(|s| s.local.name = b"date.txt".to_vec())),
            ("method", with(|s| s.local.method = 0)),
            ("flags", with(|s| s.local.flags = 1 << 11)),
            ("descriptor flag", with(|s| s.local.flags = 8)),
            ("checksum", with(|s| s.local.crc32 ^= 1)),
            ("compressed", with(|s| s.local.compressed += 1)),
            ("inflated", with(|s| s.local.inflated += 1)),
            ("zeros without a descriptor", with(|s| s.local.inflated = 0)),
            ("no local header", {
                let mut bytes = with(|_| ());
                bytes[0] = b'Q';
                bytes
            }),
            ("other sizes before a descriptor", {
                let mut sample = Sample::deflated(TEXT).streamed(true, false);
                sample.local.inflated = 1;
                sample.build()
            }),
            ("descriptor's checksum", streamed(|h| h.crc32 ^= 1)),
            ("descriptor's compressed", streamed(|h| h.compressed ^= 1)),
            ("descriptor's inflated", streamed(|h| h.inflated ^= 1)),
            ("descriptor's mark", {
                let mut sample = Sample::deflated(TEXT).streamed(true, false);
                sample.descriptor[0] = b'Q';
                sample.build()
            }),
        ],
    );
}

#[test]
fn announced_bounds_hold_at_n_and_break_at_n_plus_1() {
    let entry = look(&with(|_| ())).unwrap();
    let inflated = entry.inflated_length;
    assert_eq!(entry.check_announced(inflated, 200), Ok(()));
    assert_eq!(entry.check_announced(inflated - 1, 200).unwrap_err().code, Code::ZipTooLarge);
    let entry = Entry { compressed_length: 10, inflated_length: 2_000, ..entry };
    assert_eq!(entry.check_announced(1 << 20, 200), Ok(()));
    let entry = Entry { inflated_length: 2_001, ..entry };
    assert_eq!(entry.check_announced(1 << 20, 200).unwrap_err().code, Code::ZipRatio);
}

#[test]
fn a_zip_that_announces_more_than_memory_holds_is_only_a_number() {
    let bytes = with(|s| {
        for header in [&mut s.local, &mut s.central] {
            header.inflated = u32::MAX;
            header.extra = extra64(&[u64::MAX]);
        }
    });
    let entry = look(&bytes).unwrap();
    assert_eq!(entry.check_announced(4 << 30, 200).unwrap_err().code, Code::ZipTooLarge);
    assert_eq!(entry.check_announced(u64::MAX, 200).unwrap_err().code, Code::ZipRatio);
}

#[test]
fn a_zip_sent_as_text_is_told_by_its_first_bytes() {
    let sent = |bytes: &[u8]| match refuse_zip(&file(bytes)) {
        Ok(()) => None,
        Err(Defect::Refused(error)) => Some(error.code),
        Err(Defect::Io(cause)) => panic!("{cause}"),
    };
    assert_eq!(sent(&with(|_| ())), Some(Code::MediaTypeMismatch));
    assert_eq!(sent(&end(0, 0, 0, b"")), Some(Code::MediaTypeMismatch));
    for text in [TEXT, b"PK", b"PK\x03", b"PKs\tare\tfine"] {
        assert_eq!(sent(text), None);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = look(&bytes);
    }

    #[test]
    fn a_zip_with_any_few_bytes_changed_never_panics_nor_reads_outside(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        streamed: bool,
        wide: bool,
    ) {
        let mut sample = Sample::deflated(TEXT);
        if streamed {
            sample = sample.streamed(true, wide);
        }
        let mut bytes = if wide { sample.build64(|_| ()) } else { sample.build() };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(entry) = look(&bytes) {
            prop_assert!(entry.data_start + entry.compressed_length <= bytes.len() as u64);
        }
    }

    #[test]
    fn a_zip_cut_anywhere_is_refused(length in 0usize..400) {
        let bytes = Sample::deflated(TEXT).streamed(true, true).build64(|_| ());
        if length < bytes.len() {
            prop_assert!(look(&bytes[..length]).is_err());
        }
    }
}
