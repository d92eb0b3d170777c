//! How the parts of a zip lie, and what they say of each other.

use crate::{
    run::{Attack, End, over_grpc, over_rest},
    support::zips::{End64, Sample, end, extra64, length32},
    zips::{attack, both, good, refused, text},
};

fn harmless() -> Vec<Attack> {
    let mut commented = good();
    commented.comment = vec![b'c'; 65_535];
    commented.entry_comment = b"of the entry".to_vec();
    let extended = both(good(), |h| h.extra = b"\x55\x54\x05\x00\x03abcd".to_vec());
    let widened = both(good(), |h| {
        h.extra = extra64(&[h.inflated.into(), h.compressed.into()]);
        h.inflated = u32::MAX;
        h.compressed = u32::MAX;
    });
    let mut piped = good();
    piped.attributes = 0o010_600 << 16;
    let streamed = |signature, wide| good().streamed(signature, wide).build();
    vec![
        attack("deflated", good().build(), End::Read),
        attack("stored", Sample::stored(&text()).build(), End::Read),
        attack("a zip64 end record", good().build64(|_| {}), End::Read),
        attack("zip64 sizes", widened, End::Read),
        attack("a descriptor", streamed(true, false), End::Read),
        attack("a descriptor without signature", streamed(false, false), End::Read),
        attack("a wide descriptor", streamed(true, true), End::Read),
        attack("a wide descriptor without signature", streamed(false, true), End::Read),
        attack("comments", commented.build(), End::Read),
        attack("extra fields", extended, End::Read),
        attack("an entry that came from a pipe", piped.build(), End::Read),
        attack(
            "a name in UTF-8",
            both(good().named("ü.txt".as_bytes()), |h| h.flags |= 1 << 11),
            End::Read,
        ),
    ]
}

fn broken() -> Vec<Attack> {
    let malformed = refused("CVRS-ZIP-MALFORMED");
    let layout = refused("CVRS-ZIP-LAYOUT");
    let zip = good().build();
    let plain = zip.len() - 22;
    let with_end = |entries: u16, length: u32, offset: u32| {
        [&zip[..plain], &end(entries, length, offset, b"")].concat()
    };
    let start = length32(&zip[..plain]) - 54;
    let twice = [&zip[..], &zip[plain..]].concat();
    let mut in_comment = good();
    in_comment.comment = end(0, 0, 0, b"");
    let mut in_comment_only = good();
    in_comment_only.comment = b"a PK\x05\x06 in a comment".to_vec();
    let mut garbage = good();
    garbage.after = b"garbage".to_vec();
    let mut between = good();
    between.between = b"garbage".to_vec();
    let mut leading = good();
    leading.before = b"garbage".to_vec();
    let mut leading_adjusted = leading.clone();
    leading_adjusted.offset = 7;
    let mut on_other_disk = zip.clone();
    on_other_disk[plain + 4] = 1;
    let mut second_entry = good();
    second_entry.entries = 2;
    let overlapping = both(good(), |h| h.compressed += 20);
    let hidden = [&zip[..plain], &zip[plain - 54..plain], &end(1, 108, start, b"")].concat();
    let shared = [&zip[..plain], &zip[plain - 54..plain], &end(2, 108, start, b"")].concat();
    vec![
        attack("one byte", b"P".to_vec(), malformed),
        attack("a mark and no more", b"PK\x03\x04".to_vec(), malformed),
        attack("text", text(), malformed),
        attack("a zip cut by one byte", zip[..zip.len() - 1].to_vec(), malformed),
        attack("a zip without its end", zip[..plain].to_vec(), malformed),
        attack("half a zip", zip[..zip.len() / 2].to_vec(), malformed),
        attack("a part of several", on_other_disk, malformed),
        attack("two entries announced, one there", second_entry.build(), malformed),
        attack("one entry announced, two there", hidden, layout),
        attack("two entries that share their data", shared, refused("CVRS-ZIP-ENTRIES")),
        attack("an entry that reaches into the directory", overlapping, layout),
        attack("a directory behind the file's end", with_end(1, 54, u32::MAX - 1), layout),
        attack("a directory too long", with_end(1, u32::MAX - 1, 0), layout),
        attack("bytes behind", garbage.build(), layout),
        attack("bytes before", [b"garbage", &zip[..]].concat(), layout),
        attack("bytes before, half counted in", leading.build(), refused("CVRS-ZIP-HEADERS")),
        attack("bytes before, counted in", leading_adjusted.build(), layout),
        attack("bytes between", between.build(), layout),
        attack("two end records", twice, layout),
        attack("an end record in the comment", in_comment.build(), layout),
        attack("an end mark in the comment", in_comment_only.build(), layout),
    ]
}

fn lies() -> Vec<Attack> {
    let headers = refused("CVRS-ZIP-HEADERS");
    let layout = refused("CVRS-ZIP-LAYOUT");
    let malformed = refused("CVRS-ZIP-MALFORMED");
    let local = |change: fn(&mut Sample)| {
        let mut sample = good();
        change(&mut sample);
        sample.build()
    };
    let end64 = |lie: fn(&mut End64)| good().build64(lie);
    let streamed = |change: fn(&mut Sample)| {
        let mut sample = good().streamed(true, false);
        change(&mut sample);
        sample.build()
    };
    vec![
        attack("another name", local(|s| s.local.name = b"other.txt".to_vec()), headers),
        attack("another method", local(|s| s.local.method = 0), headers),
        attack("other flags", local(|s| s.local.flags = 1 << 11), headers),
        attack("another checksum", local(|s| s.local.crc32 ^= 1), headers),
        attack("another length", local(|s| s.local.compressed += 1), headers),
        attack("another inflated length", local(|s| s.local.inflated += 1), headers),
        attack("no local header there", local(|s| s.offset = 9), layout),
        attack(
            "stored with two lengths",
            local(|s| {
                s.local.method = 0;
                s.central.method = 0;
            }),
            malformed,
        ),
        attack(
            "a descriptor that lies of the checksum",
            streamed(|s| s.descriptor[4] ^= 1),
            headers,
        ),
        attack("a descriptor that lies of the length", streamed(|s| s.descriptor[8] ^= 1), headers),
        attack("no descriptor", streamed(|s| s.descriptor.clear()), layout),
        attack("a descriptor cut short", streamed(|s| s.descriptor.truncate(9)), layout),
        attack("zip64: other entries", end64(|e| e.short.0 = 2), malformed),
        attack("zip64: another offset", end64(|e| e.short.2 = 5), malformed),
        attack("zip64: a directory elsewhere", end64(|e| e.offset += 1), layout),
        attack("zip64: a directory behind 2^64", end64(|e| e.offset = u64::MAX), layout),
        attack("zip64: 2^64 entries", end64(|e| e.entries = u64::MAX), malformed),
        attack("zip64: no entry", end64(|e| e.entries = 0), refused("CVRS-ZIP-EMPTY")),
        attack("zip64: an end record elsewhere", end64(|e| e.end_at = u64::MAX - 1), malformed),
        attack("zip64: several disks", end64(|e| e.disks = 2), malformed),
        attack("zip64: sizes that are missing", both(good(), |h| h.inflated = u32::MAX), malformed),
        attack(
            "zip64: sizes twice",
            both(good(), |h| h.extra = extra64(&[1]).repeat(2)),
            malformed,
        ),
        attack(
            "an extra field that runs over",
            both(good(), |h| h.extra = vec![1, 0, 0xff, 0xff]),
            End::Read,
        ),
    ]
}

#[test]
fn unusual_but_sound_zips_are_read_over_rest() {
    over_rest(harmless(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_but_sound_zips_are_read_over_grpc() {
    over_grpc(harmless(), &[]).await;
}

#[test]
fn a_zip_of_which_two_readers_could_see_two_things_is_refused_over_rest() {
    over_rest(broken(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_of_which_two_readers_could_see_two_things_is_refused_over_grpc() {
    over_grpc(broken(), &[]).await;
}

#[test]
fn a_zip_that_contradicts_itself_is_refused_over_rest() {
    over_rest(lies(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_contradicts_itself_is_refused_over_grpc() {
    over_grpc(lies(), &[]).await;
}
