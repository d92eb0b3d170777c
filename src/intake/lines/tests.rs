use std::path::Path;

use std::io::Write;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;
use crate::{
    intake::archive::sample::{Sample, deflate, length32},
    limits::{TEXT_BLOCK_BYTES, TEXT_QUEUE_BLOCKS},
};

const LIMITS: TextLimits =
    TextLimits { max_inflated_bytes: 1 << 30, max_ratio: 1 << 20, max_line_bytes: 1 << 30 };

type Numbered = Vec<(u64, Vec<u8>)>;

fn payload(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn drain(mut lines: Lines) -> Result<Numbered, Failure> {
    let mut read = Vec::new();
    while let Some(line) = lines.next()? {
        read.push((line.number, line.bytes.to_vec()));
    }
    assert_eq!(lines.next(), Ok(None), "the end stays the end");
    Ok(read)
}

fn read(bytes: &[u8], media: MediaType, limits: Option<TextLimits>) -> Result<Numbered, Failure> {
    drain(Lines::open(payload(bytes).path(), media, limits)?)
}

fn read_zip(sample: &Sample) -> Result<Numbered, Failure> {
    read(&sample.build(), MediaType::Zip, Some(LIMITS))
}

/// The promise in its simplest form.
fn split(text: &[u8]) -> Numbered {
    let mut lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
    if lines.last().is_some_and(|l| l.is_empty()) {
        lines.pop();
    }
    (1..).zip(lines.into_iter().map(<[u8]>::to_vec)).collect()
}

fn assert_fails(code: Code, words: &str, result: Result<Numbered, Failure>) {
    let failure = result.unwrap_err();
    assert_eq!(failure.code, code, "{failure:?}");
    assert!(failure.message.contains(words), "{failure:?}");
}

/// Text of many blocks that does not compress to nothing.
fn long_text() -> Vec<u8> {
    let mut text = Vec::new();
    let mut state = 1u64;
    while text.len() < (TEXT_QUEUE_BLOCKS + 4) * TEXT_BLOCK_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        writeln!(text, "{state}\t{:width$}", "x", width = usize::from(state.to_le_bytes()[7]))
            .unwrap();
    }
    text
}

#[test]
fn lines_are_counted_and_kept_as_they_are() {
    let text = b"header\r\n\nrow 1\n\r\nlast";
    let expected: Numbered = vec![
        (1, b"header\r".to_vec()),
        (2, b"".to_vec()),
        (3, b"row 1".to_vec()),
        (4, b"\r".to_vec()),
        (5, b"last".to_vec()),
    ];
    assert_eq!(read(text, MediaType::Text, None).unwrap(), expected);
    assert_eq!(read_zip(&Sample::deflated(text)).unwrap(), expected);
    assert_eq!(read_zip(&Sample::stored(text)).unwrap(), expected);
    assert_eq!(read_zip(&Sample::deflated(text).streamed(true, true)).unwrap(), expected);
}

#[test]
fn nothing_follows_the_last_newline() {
    assert_eq!(read(b"", MediaType::Text, None).unwrap(), vec![]);
    assert_eq!(read_zip(&Sample::deflated(b"")).unwrap(), vec![]);
    assert_eq!(read_zip(&Sample::stored(b"")).unwrap(), vec![]);
    assert_eq!(read(b"\n", MediaType::Text, None).unwrap(), vec![(1, vec![])]);
    assert_eq!(read(b"a\n", MediaType::Text, None).unwrap(), vec![(1, b"a".to_vec())]);
    assert_eq!(read(b"\n\n", MediaType::Text, None).unwrap().len(), 2);
}

#[test]
fn text_of_many_blocks_is_the_same_in_every_form() {
    let text = long_text();
    let expected = split(&text);
    assert!(read(&text, MediaType::Text, Some(LIMITS)).unwrap() == expected);
    assert!(read_zip(&Sample::deflated(&text)).unwrap() == expected);
    assert!(read_zip(&Sample::stored(&text)).unwrap() == expected);
}

#[test]
fn lines_around_block_boundaries_are_whole() {
    for length in TEXT_BLOCK_BYTES - 2..=TEXT_BLOCK_BYTES + 2 {
        let mut text = vec![b'x'; length];
        text.extend(b"\nsecond\n\n");
        text.extend(vec![b'y'; 2 * TEXT_BLOCK_BYTES]);
        assert!(read(&text, MediaType::Text, Some(LIMITS)).unwrap() == split(&text), "{length}");
        assert!(read_zip(&Sample::deflated(&text)).unwrap() == split(&text), "{length}");
    }
}

#[test]
fn skipping_leads_to_the_line_of_that_number() {
    let text = long_text();
    let expected = split(&text);
    let file = payload(&Sample::deflated(&text).build());
    for number in [0, 1, 2, 1_000, expected.len() as u64] {
        let mut lines = Lines::open(file.path(), MediaType::Zip, None).unwrap();
        lines.skip_to(number).unwrap();
        let line = lines.next().unwrap().unwrap();
        assert_eq!(line.number, number.max(1));
        assert_eq!(line.bytes, expected[usize::try_from(number.max(1) - 1).unwrap()].1);
    }
    let mut lines = Lines::open(file.path(), MediaType::Zip, None).unwrap();
    lines.skip_to(expected.len() as u64 + 1).unwrap();
    assert_eq!(lines.next(), Ok(None));
    lines.skip_to(u64::MAX).unwrap();
    lines.skip_to(1).unwrap();
    assert_eq!(lines.next(), Ok(None));
}

#[test]
fn line_bytes_hold_at_n_and_break_at_n_plus_1() {
    for max_line_bytes in [1, 10, TEXT_BLOCK_BYTES, TEXT_BLOCK_BYTES + 10] {
        let limits = Some(TextLimits { max_line_bytes, ..LIMITS });
        let line = vec![b'x'; max_line_bytes];
        for end in ["", "\n", "\nx\n"] {
            let whole = [b"\n", line.as_slice(), end.as_bytes()].concat();
            assert!(read(&whole, MediaType::Text, limits).unwrap() == split(&whole));
            let longer = [b"\n", line.as_slice(), b"x", end.as_bytes()].concat();
            let result = read(&longer, MediaType::Text, limits);
            assert_fails(Code::FileLine, "line 2 is longer than", result);
        }
    }
}

#[test]
fn inflated_bytes_hold_at_n_and_break_at_n_plus_1() {
    let text = vec![b'x'; 1_000];
    let bytes = Sample::deflated(&text).build();
    let at = |max| Some(TextLimits { max_inflated_bytes: max, ..LIMITS });
    assert_eq!(read(&bytes, MediaType::Zip, at(1_000)).unwrap(), split(&text));
    let result = read(&bytes, MediaType::Zip, at(999));
    assert_fails(Code::FileTooLarge, "more than 999 bytes", result);
    assert_eq!(read(&bytes, MediaType::Zip, None).unwrap(), split(&text));
}

#[test]
fn the_ratio_holds_at_n_and_breaks_at_n_plus_1() {
    let at = |max_ratio| Some(TextLimits { max_ratio, ..LIMITS });
    let data = deflate(&vec![b'x'; 100_000]);
    let ratio = 100_000 / data.len() as u64;
    let text = vec![b'x'; usize::try_from(ratio).unwrap() * data.len()];
    let bytes = Sample::deflated(&text).build();
    assert_eq!(deflate(&text).len(), data.len(), "the sample compresses alike");
    assert_eq!(read(&bytes, MediaType::Zip, at(ratio)).unwrap(), split(&text));
    let result = read(&bytes, MediaType::Zip, at(ratio - 1));
    assert_fails(Code::FileRatio, "times its size", result);
    let longer = [text.as_slice(), b"x"].concat();
    assert_eq!(deflate(&longer).len(), data.len(), "the sample compresses alike");
    let result = read(&Sample::deflated(&longer).build(), MediaType::Zip, at(ratio));
    assert_fails(Code::FileRatio, "times its size", result);
}

#[test]
fn damage_inside_an_entry_is_named() {
    let text = long_text();
    let sample = Sample::deflated(&text);
    let changed = |change: &dyn Fn(&mut Sample)| {
        let mut sample = sample.clone();
        change(&mut sample);
        read_zip(&sample)
    };
    let both = |sample: &mut Sample, change: &dyn Fn(&mut u32, &mut u32, &mut u32)| {
        for h in [&mut sample.local, &mut sample.central] {
            change(&mut h.crc32, &mut h.compressed, &mut h.inflated);
        }
    };
    let damaged = |words: &str, result| assert_fails(Code::FileDamaged, words, result);
    damaged("checksum", changed(&|s| both(s, &|crc, _, _| *crc ^= 1)));
    damaged("longer than", changed(&|s| both(s, &|_, _, inflated| *inflated -= 1)));
    damaged("longer than", changed(&|s| both(s, &|_, _, inflated| *inflated = 0)));
    damaged("announced", changed(&|s| both(s, &|_, _, inflated| *inflated += 1)));
    damaged(
        "bytes follow",
        changed(&|s| {
            s.data.push(0);
            both(s, &|_, compressed, _| *compressed += 1);
        }),
    );
    damaged(
        "cut short",
        changed(&|s| {
            s.data.pop();
            both(s, &|_, compressed, _| *compressed -= 1);
        }),
    );
    damaged(
        "cut short",
        changed(&|s| {
            s.data.clear();
            both(s, &|_, compressed, _| *compressed = 0);
        }),
    );
    damaged("damaged", changed(&|s| s.data[0] = 0xff));
}

#[test]
fn damage_inside_a_stored_entry_is_found() {
    let mut sample = Sample::stored(b"one\ntwo\n");
    sample.data[1] = b'N';
    assert_fails(Code::FileDamaged, "checksum", read_zip(&sample));
}

#[test]
fn a_payload_that_is_not_the_zip_it_was_is_damaged() {
    let bytes = Sample::deflated(b"one\ntwo\n").build();
    let result = read(&bytes[..bytes.len() - 1], MediaType::Zip, None);
    assert_fails(Code::FileDamaged, "cut short", result);
    assert_fails(Code::FileDamaged, "not a zip", read(b"one\ntwo\n", MediaType::Zip, None));
}

#[test]
fn a_payload_that_is_gone_is_an_io_failure() {
    let directory = tempfile::tempdir().unwrap();
    let result = Lines::open(&directory.path().join("none"), MediaType::Text, None);
    assert_eq!(result.err().unwrap().code, Code::JobIo);
    let result = read_directory(directory.path());
    assert_fails(Code::JobIo, "could not be read", result);
}

fn read_directory(path: &Path) -> Result<Numbered, Failure> {
    drain(Lines::open(path, MediaType::Text, None)?)
}

#[test]
fn a_failure_stays() {
    let mut sample = Sample::deflated(b"one\ntwo");
    sample.local.crc32 ^= 1;
    sample.central.crc32 ^= 1;
    let file = payload(&sample.build());
    let mut lines = Lines::open(file.path(), MediaType::Zip, None).unwrap();
    assert_eq!(lines.next().unwrap().unwrap().bytes, b"one");
    let failure = lines.next().unwrap_err();
    assert_eq!(lines.next().unwrap_err(), failure);
    assert_eq!(lines.skip_to(9).unwrap_err(), failure);
}

#[test]
fn lines_that_are_dropped_early_end_their_thread() {
    let text = vec![b'\n'; 64 << 20];
    let file = payload(&Sample::deflated(&text).build());
    assert!(length32(&text) > 0);
    for read in [0, 1, 2 * TEXT_BLOCK_BYTES] {
        let mut lines = Lines::open(file.path(), MediaType::Zip, None).unwrap();
        for _ in 0..read {
            assert!(lines.next().unwrap().is_some());
        }
        let start = std::time::Instant::now();
        drop(lines); // joins the thread
        assert!(start.elapsed() < std::time::Duration::from_millis(500));
    }
}

proptest! {
    #[test]
    fn any_bytes_split_as_plainly_as_can_be(
        mut text in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300),
        stretch in prop::collection::vec((any::<prop::sample::Index>(), 1usize..3 * TEXT_BLOCK_BYTES), 0..3),
    ) {
        for (at, length) in stretch {
            let at = at.index(text.len() + 1);
            text.splice(at..at, std::iter::repeat_n(b'x', length));
        }
        let expected = split(&text);
        prop_assert!(read(&text, MediaType::Text, Some(LIMITS)).unwrap() == expected);
        prop_assert!(read_zip(&Sample::deflated(&text)).unwrap() == expected);
        prop_assert!(read_zip(&Sample::stored(&text)).unwrap() == expected);
    }

    #[test]
    fn arbitrary_data_in_an_entry_never_panics(data: Vec<u8>, text: Vec<u8>, method in prop_oneof![Just(0), Just(8)]) {
        let text = if method == 0 { &data } else { &text };
        let sample = Sample::of(text, data.clone(), method);
        if let Ok(lines) = read_zip(&sample) {
            prop_assert!(lines == split(text), "only what the headers promise is read");
        }
    }

    #[test]
    fn arbitrary_payloads_never_panic(bytes: Vec<u8>) {
        let _ = read(&bytes, MediaType::Zip, Some(LIMITS));
        prop_assert!(read(&bytes, MediaType::Text, Some(LIMITS)).unwrap() == split(&bytes));
    }
}

#[test]
fn a_probe_reads_what_announces_over_20_times_its_size_and_nothing_else() {
    let dense = vec![b'x'; 100_000];
    let mut lying = Sample::deflated(&dense);
    lying.local.crc32 ^= 1;
    lying.central.crc32 ^= 1;
    let data = lying.data.len();
    let probe = |sample: &Sample, media, go_on: bool| {
        super::super::reader::probe(payload(&sample.build()).path().into(), media, LIMITS, || go_on)
    };
    assert!(data * 21 < dense.len());
    assert_eq!(probe(&lying, MediaType::Zip, true).unwrap_err().code, Code::FileDamaged);
    assert_eq!(probe(&lying, MediaType::Zip, false), Ok(()), "it was told to stop");
    assert_eq!(probe(&lying, MediaType::Text, true), Ok(()));
    assert_eq!(probe(&Sample::deflated(&dense), MediaType::Zip, true), Ok(()));
    // Its lie shows when it is read, but at that ratio it is read with its rows.
    for (ratio, probed) in [(20, false), (21, true)] {
        let inflated = length32(&lying.data) * ratio;
        lying.local.inflated = inflated;
        lying.central.inflated = inflated;
        assert_eq!(probe(&lying, MediaType::Zip, true).is_err(), probed, "{ratio}");
    }
}
