//! What stands inside a zip.

use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    run::{Attack, End, over_grpc, over_rest},
    support::{
        files, rows,
        zips::{Header, Sample, deflate, extra64},
    },
};

pub const ZIP: &str = "application/zip";

pub fn attack(name: &'static str, body: Vec<u8>, end: End) -> Attack {
    Attack { name, media: ZIP, body, end }
}

pub fn refused(code: &'static str) -> End {
    End::Refused(400, code)
}

/// The text of a harmless delete.
pub fn text() -> Vec<u8> {
    let ids: Vec<_> = (0..50).map(|n| format!("EV{n}")).collect();
    rows::ids(&ids.iter().map(String::as_str).collect::<Vec<_>>()).into_bytes()
}

pub fn good() -> Sample {
    Sample::deflated(&text())
}

/// The sample with both headers changed alike.
pub fn both(mut sample: Sample, change: impl Fn(&mut Header)) -> Vec<u8> {
    change(&mut sample.local);
    change(&mut sample.central);
    sample.build()
}

fn several(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn with_attributes(attributes: u32) -> Vec<u8> {
    let mut sample = good();
    sample.attributes = attributes;
    sample.build()
}

fn names() -> Vec<Attack> {
    let named = |name: &[u8]| good().named(name).build();
    vec![
        attack("a path", named(b"a/b.txt"), refused("CVRS-ZIP-FOLDER")),
        attack("a folder by its name", named(b"a/"), refused("CVRS-ZIP-FOLDER")),
        attack(
            "a folder by its type",
            with_attributes(0o040_755 << 16),
            refused("CVRS-ZIP-FOLDER"),
        ),
        attack("a folder of DOS", with_attributes(0x10), refused("CVRS-ZIP-FOLDER")),
        attack("a link", with_attributes(0o120_777 << 16), refused("CVRS-ZIP-LINK")),
        attack("a device", with_attributes(0o020_666 << 16), refused("CVRS-ZIP-LINK")),
        attack("macOS by itself", named(b"__MACOSX/._x"), refused("CVRS-ZIP-MAC-FILES")),
        attack("a desktop file", named(b".DS_Store"), refused("CVRS-ZIP-MAC-FILES")),
        attack("a way up", named(b"../x.txt"), refused("CVRS-ZIP-NAME")),
        attack("a way up inside", named(b"a/../../x.txt"), refused("CVRS-ZIP-NAME")),
        attack("two dots", named(b".."), refused("CVRS-ZIP-NAME")),
        attack("a leading slash", named(b"/etc/passwd"), refused("CVRS-ZIP-NAME")),
        attack("a backslash", named(b"a\\b.txt"), refused("CVRS-ZIP-NAME")),
        attack("a drive", named(b"C:\\b.txt"), refused("CVRS-ZIP-NAME")),
        attack("a NUL", named(b"a.txt\0.exe"), refused("CVRS-ZIP-NAME")),
        attack("a line feed", named(b"a\n.txt"), refused("CVRS-ZIP-NAME")),
        attack("an escape", named(b"\x1b[2J.txt"), refused("CVRS-ZIP-NAME")),
        attack("no name", named(b""), refused("CVRS-ZIP-NAME")),
        attack("a name that is not UTF-8", named(b"\xff\xfe.txt"), refused("CVRS-ZIP-NAME")),
        attack("a name of 65,535 bytes", named(&[b'x'; 65_535]), End::Read),
    ]
}

fn entries() -> Vec<Attack> {
    let text = text();
    let mac: [(&str, &[u8]); 2] = [("a.txt", &text), ("__MACOSX/._a.txt", b"x")];
    vec![
        attack("22 bytes", several(&[]), refused("CVRS-ZIP-EMPTY")),
        attack("two files", several(&[("a", &text), ("b", &text)]), refused("CVRS-ZIP-ENTRIES")),
        attack("two files, one of macOS", several(&mac), refused("CVRS-ZIP-MAC-FILES")),
        attack("one name twice", twice(), refused("CVRS-ZIP-ENTRIES")),
        attack("65,535 entries", crowd(65_535), refused("CVRS-ZIP-ENTRIES")),
        attack(
            "an empty entry, deflated",
            Sample::deflated(b"").build(),
            End::Failed("CVRS-FILE-EMPTY"),
        ),
        attack(
            "an empty entry, stored",
            Sample::stored(b"").build(),
            End::Failed("CVRS-FILE-EMPTY"),
        ),
        attack("a zip in a zip", files::zip(&files::zip(&text)), End::Failed("CVRS-HEADER")),
        attack(
            "a stored zip in a zip",
            Sample::stored(&good().build()).build(),
            End::Failed("CVRS-HEADER"),
        ),
    ]
}

/// Two entries of one name, one behind the other.
fn twice() -> Vec<u8> {
    let zip = several(&[("a", &text()), ("b", &text())]);
    let mut out = zip;
    for at in 0..out.len() - 4 {
        let name = match &out[at..at + 4] {
            b"PK\x03\x04" => at + 30,
            b"PK\x01\x02" => at + 46,
            _ => continue,
        };
        out[name] = b'a';
    }
    out
}

/// That many entries without data.
fn crowd(count: u16) -> Vec<u8> {
    let one = Sample::stored(b"").build();
    let (local, central) = (&one[..38], &one[38..one.len() - 22]);
    let mut out = local.to_vec();
    for _ in 0..count {
        out.extend_from_slice(central);
    }
    let length = u32::try_from(out.len() - 38).unwrap();
    out.extend(crate::support::zips::end(count, length, 38, b""));
    out
}

fn data() -> Vec<Attack> {
    let text = text();
    let damaged = End::Failed("CVRS-FILE-DAMAGED");
    let flagged = |flag| both(good(), |h| h.flags |= flag);
    let method = |method| both(good(), |h| h.method = method);
    let mut stored = Sample::stored(&text);
    stored.data[text.len() - 3] ^= 1;
    let mut broken = good();
    broken.data[4] ^= 0x55;
    let mut short = Sample::of(&text, deflate(&text[..100]), 8);
    let cut = deflate(&text);
    short.central.crc32 = crc32fast::hash(&text);
    let tail = [deflate(&text), b"behind".to_vec()].concat();
    vec![
        attack("encrypted", flagged(1), refused("CVRS-ZIP-ENCRYPTED")),
        attack("strongly encrypted", flagged(1 | 1 << 6), refused("CVRS-ZIP-ENCRYPTED")),
        attack("masked headers", flagged(1 << 13), refused("CVRS-ZIP-ENCRYPTED")),
        attack("a patch", flagged(1 << 5), refused("CVRS-ZIP-METHOD")),
        attack("deflate64", method(9), refused("CVRS-ZIP-METHOD")),
        attack("bzip2", method(12), refused("CVRS-ZIP-METHOD")),
        attack("lzma", method(14), refused("CVRS-ZIP-METHOD")),
        attack("zstd", method(93), refused("CVRS-ZIP-METHOD")),
        attack("a wrong checksum", both(good(), |h| h.crc32 ^= 1), damaged),
        attack("a flipped bit, stored", stored.build(), damaged),
        attack("a flipped byte, deflated", broken.build(), damaged),
        attack("less text than announced", short.build(), damaged),
        attack(
            "a stream cut short",
            Sample::of(&text, cut[..cut.len() / 2].to_vec(), 8).build(),
            damaged,
        ),
        attack("bytes behind the stream", Sample::of(&text, tail, 8).build(), damaged),
        attack("no deflate at all", Sample::of(&text, vec![0xff; 200], 8).build(), damaged),
    ]
}

fn bombs() -> Vec<Attack> {
    let zeros = vec![b'0'; 20_000_000];
    let honest = Sample::deflated(&zeros);
    let announced = |sample: Sample, inflated: u32| both(sample, |h| h.inflated = inflated);
    let wide = |inflated: u64| {
        both(good(), |h| {
            h.inflated = u32::MAX;
            h.extra = extra64(&[inflated]);
        })
    };
    // Its text has lines, so that it is not the length of one that stops it.
    let lines = b"vax_event_id\n".repeat(2_000_000);
    let small = Sample::deflated(&zeros[..400_000]);
    vec![
        attack("a bomb", honest.build(), End::Refused(413, "CVRS-ZIP-RATIO")),
        attack(
            "a bomb of 4 GiB, announced",
            wide((4 << 30) + 1),
            End::Refused(413, "CVRS-ZIP-TOO-LARGE"),
        ),
        attack(
            "a bomb of 2^64, announced",
            wide(u64::MAX),
            End::Refused(413, "CVRS-ZIP-TOO-LARGE"),
        ),
        attack(
            "a bomb that announces little",
            announced(small, 100),
            End::Failed("CVRS-FILE-RATIO"),
        ),
        attack(
            "a large bomb that announces little",
            announced(Sample::deflated(&lines), 100),
            End::Failed("CVRS-FILE-DAMAGED"),
        ),
    ]
}

/// Rows that each have an error for most columns, of which the directory announces a small part: as many
/// as are let in. Checked before the lie shows they would take half a minute.
fn dear_rows() -> Vec<Attack> {
    let text = [rows::header().as_bytes(), b"\n", &b"x\n".repeat(20_000_000)].concat();
    let sample = Sample::deflated(&text);
    let announced = sample.central.compressed * 100;
    let body = both(sample, |h| h.inflated = announced);
    vec![attack("dear rows behind a lie", body, End::Failed("CVRS-FILE-DAMAGED"))]
}

#[test]
fn a_zip_that_announces_much_is_known_before_its_rows_are_checked_over_rest() {
    over_rest(dear_rows(), &[("CVRSD__VALIDATION__PROFILE", "strict")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_announces_much_is_known_before_its_rows_are_checked_over_grpc() {
    over_grpc(dear_rows(), &[("CVRSD__VALIDATION__PROFILE", "strict")]).await;
}

#[test]
fn odd_names_are_refused_over_rest() {
    over_rest(names(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_refused_over_grpc() {
    over_grpc(names(), &[]).await;
}

#[test]
fn odd_entries_are_refused_over_rest() {
    over_rest(entries(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_entries_are_refused_over_grpc() {
    over_grpc(entries(), &[]).await;
}

#[test]
fn odd_data_is_refused_or_fails_the_job_over_rest() {
    over_rest(data(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_data_is_refused_or_fails_the_job_over_grpc() {
    over_grpc(data(), &[]).await;
}

#[test]
fn bombs_are_refused_or_fail_the_job_over_rest() {
    over_rest(bombs(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_or_fail_the_job_over_grpc() {
    over_grpc(bombs(), &[]).await;
}
