//! Uploads from their first byte to the payload.

use std::{collections::HashSet, io::Write, path::PathBuf, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{archive::sample::Sample, *};
use crate::{
    config::{Data, Intake},
    domain::{JobId, MediaType},
    error::{Code, Error},
    limits::{
        ENCODED_GROWTH_MAX, SMALL_PAYLOAD_BYTES_MAX, SMALL_TEXT_BYTES_MAX, SPOOL_QUEUE_CHUNKS,
        UPLOAD_BYTES_MIN, UPLOAD_SLOW,
    },
};

const TEXT: &[u8] = b"vax_event_id\nE1\n";

fn unmetered() -> Meter {
    Box::new(|_| Ok(()))
}

/// A text that has a file.
fn large() -> Bytes {
    [TEXT, &b"E2\n".repeat(SMALL_PAYLOAD_BYTES_MAX)].concat().into()
}

/// A text that a zip makes small, but not too small.
fn of_length(bytes: u64) -> Vec<u8> {
    let lines = (0..).flat_map(|n| format!("E{}\n", n % 300).into_bytes());
    lines.take(usize::try_from(bytes).unwrap()).collect()
}

/// Takes uploads as long as the disk takes them.
fn data_at(dir: &std::path::Path) -> Data {
    Data { dir: dir.to_owned(), reserve_bytes: 0 }
}

struct Fixture {
    data: TempDir,
    spool: Spool,
}

impl Fixture {
    fn new(config: &Intake) -> Self {
        let data = tempfile::tempdir().unwrap();
        let spool = Spool::open(&data_at(data.path()), config).unwrap();
        Self { data, spool }
    }

    fn small(max_body_bytes: u64) -> Self {
        Self::new(&Intake { max_body_bytes, ..Intake::default() })
    }

    async fn begin(&self, media: MediaType, encoding: Encoding) -> Upload {
        self.metered(media, encoding, unmetered()).await
    }

    async fn metered(&self, media: MediaType, encoding: Encoding, meter: Meter) -> Upload {
        self.spool.begin(media, encoding, None, meter, u64::MAX).await.unwrap()
    }

    async fn send(
        &self,
        media: MediaType,
        encoding: Encoding,
        body: &[u8],
        expected: Expected,
    ) -> Result<Received, Error> {
        let mut upload = self.begin(media, encoding).await;
        for chunk in body.chunks(7) {
            upload.write(Bytes::copy_from_slice(chunk)).await?;
        }
        upload.finish(expected).await
    }

    async fn code(&self, media: MediaType, encoding: Encoding, body: &[u8]) -> Code {
        self.send(media, encoding, body, Expected::default()).await.unwrap_err().code
    }

    fn files(&self, directory: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data.path().join(directory)).unwrap();
        entries.map(|e| e.unwrap().path()).collect()
    }

    /// Removal may run on another thread.
    async fn assert_nothing_is_left(&self) {
        for _ in 0..500 {
            if self.files("spool").is_empty() {
                assert_eq!(self.files("payloads"), Vec::<PathBuf>::new());
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} is left", self.files("spool"));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[tokio::test]
async fn a_body_that_is_kept_is_the_payload_of_its_job() {
    let fixture = Fixture::new(&Intake::default());
    let text = large();
    // It is small, but not its text.
    let zip = Sample::deflated(&of_length(SMALL_TEXT_BYTES_MAX + 1)).build();
    assert!(zip.len() <= SMALL_PAYLOAD_BYTES_MAX);
    for (media, body) in [(MediaType::Text, &*text), (MediaType::Zip, zip.as_slice())] {
        for (encoding, sent) in [(Encoding::Identity, body.to_vec()), (Encoding::Gzip, gzip(body))]
        {
            let expected = Expected { length: Some(body.len() as u64), sha256: Some(sha256(body)) };
            let received = fixture.send(media, encoding, &sent, expected).await.unwrap();
            assert_eq!(received.payload.media_type, media);
            assert_eq!(received.payload.length, body.len() as u64);
            assert_eq!(received.payload.sha256, sha256(body));
            assert!(!received.payload.inline);
            let id = JobId::generate();
            assert_eq!(received.keep(id).await.unwrap(), None);
            let path = fixture.spool.path(id);
            assert_eq!(std::fs::read(&path).unwrap(), body);
            assert_eq!(digest(&path).unwrap(), sha256(body));
            let mut lines = Lines::open(&path, media, None).unwrap();
            lines.next().unwrap().unwrap();
        }
    }
    assert_eq!(fixture.files("payloads").len(), 4);
    assert_eq!(fixture.files("spool"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_small_body_meets_no_file_and_reads_the_same() {
    let fixture = Fixture::new(&Intake::default());
    let text: Vec<u8> = TEXT.iter().copied().cycle().take(SMALL_PAYLOAD_BYTES_MAX).collect();
    let most = of_length(SMALL_TEXT_BYTES_MAX);
    let zips = [Sample::deflated(&most).build(), Sample::stored(TEXT).build()];
    let zips = zips.iter().map(|zip| (MediaType::Zip, zip.as_slice()));
    for (media, body) in zips.chain([(MediaType::Text, TEXT), (MediaType::Text, &text)]) {
        for (encoding, sent) in [(Encoding::Identity, body.to_vec()), (Encoding::Gzip, gzip(body))]
        {
            let expected = Expected { length: Some(body.len() as u64), sha256: Some(sha256(body)) };
            let received = fixture.send(media, encoding, &sent, expected).await.unwrap();
            assert!(received.payload.inline);
            assert_eq!(fixture.files("spool"), Vec::<PathBuf>::new());
            let kept = received.keep(JobId::generate()).await.unwrap().unwrap();
            assert_eq!(kept, body);
            let on_disk = fixture.data.path().join("body");
            std::fs::write(&on_disk, body).unwrap();
            let mut there = Lines::open(&on_disk, media, None).unwrap();
            let mut here = Lines::open(Stored::Memory(&kept), media, None).unwrap();
            while let Some(line) = there.next().unwrap() {
                assert_eq!(here.next().unwrap(), Some(line));
            }
            assert_eq!(here.next().unwrap(), None);
        }
    }
    assert_eq!(fixture.files("payloads"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_body_is_small_up_to_its_bound_and_has_a_file_above() {
    let fixture = Fixture::new(&Intake::default());
    for (bytes, inline) in [(SMALL_PAYLOAD_BYTES_MAX, true), (SMALL_PAYLOAD_BYTES_MAX + 1, false)] {
        let body = vec![b'x'; bytes];
        for (encoding, sent) in [(Encoding::Identity, body.clone()), (Encoding::Gzip, gzip(&body))]
        {
            let received = fixture.send(MediaType::Text, encoding, &sent, Expected::default());
            let received = received.await.unwrap();
            assert_eq!(received.payload.inline, inline, "{bytes}");
            assert_eq!(fixture.files("spool").len(), usize::from(!inline), "{bytes}");
            drop(received);
            fixture.assert_nothing_is_left().await;
        }
    }
}

#[tokio::test]
async fn a_body_one_byte_below_the_bound_is_taken_and_one_at_it_is_not() {
    let fixture = Fixture::small(1_000);
    for (encoding, encode) in
        [(Encoding::Identity, (|b| b.to_vec()) as fn(&[u8]) -> Vec<u8>), (Encoding::Gzip, gzip)]
    {
        let below = encode(&[b'x'; 999]);
        let received = fixture.send(MediaType::Text, encoding, &below, Expected::default()).await;
        assert_eq!(received.unwrap().payload.length, 999);
        let at = encode(&[b'x'; 1_000]);
        assert_eq!(fixture.code(MediaType::Text, encoding, &at).await, Code::BodyTooLarge);
    }
    fixture.assert_nothing_is_left().await;
}

#[tokio::test]
async fn an_announced_length_at_the_bound_is_refused_at_once() {
    let fixture = Fixture::small(1_000);
    let begin = |encoding, length| {
        fixture.spool.begin(MediaType::Text, encoding, Some(length), unmetered(), u64::MAX)
    };
    assert!(begin(Encoding::Identity, 999).await.is_ok());
    let refused = begin(Encoding::Identity, 1_000).await.unwrap_err();
    assert_eq!(refused.code, Code::BodyTooLarge);
    assert!(begin(Encoding::Gzip, 1_000).await.is_ok(), "its decoded length is not known yet");
}

#[tokio::test]
async fn a_bomb_in_the_content_encoding_is_stopped_early() {
    let fixture = Fixture::small(10_000);
    let mut upload = fixture.begin(MediaType::Text, Encoding::Gzip).await;
    let bomb = Bytes::from(gzip(&vec![0; 64 << 20]));
    let mut refused = None;
    for _ in 0..=SPOOL_QUEUE_CHUNKS + 1 {
        if let Err(error) = upload.write(bomb.clone()).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the refusal surfaces while more is written");
    assert_eq!(refused.code, Code::BodyTooLarge);
    assert_eq!(upload.write(bomb).await.unwrap_err(), refused, "it stays the same");
    assert_eq!(upload.finish(Expected::default()).await.unwrap_err(), refused);
    fixture.assert_nothing_is_left().await;
}

#[tokio::test]
async fn an_encoded_body_that_decodes_to_nothing_ends_too() {
    let fixture = Fixture::small(100);
    let member = gzip(b"");
    let bound = usize::try_from(100 * ENCODED_GROWTH_MAX).unwrap();
    let fits = member.repeat(bound / member.len());
    assert_eq!(fixture.code(MediaType::Text, Encoding::Gzip, &fits).await, Code::BodyEmpty);
    let more = member.repeat(bound / member.len() + 1);
    assert_eq!(fixture.code(MediaType::Text, Encoding::Gzip, &more).await, Code::BodyTooLarge);
}

#[tokio::test]
async fn what_is_wrong_with_a_body_has_its_own_code_and_leaves_nothing() {
    let fixture = Fixture::new(&Intake { max_ratio: 200, ..Intake::default() });
    let zip = Sample::deflated(TEXT).build();
    let gzipped = gzip(TEXT);
    let ratio = Sample::deflated(&vec![b'x'; 1 << 20]).build();
    let cases = [
        (MediaType::Text, Encoding::Identity, b"".to_vec(), Code::BodyEmpty),
        (MediaType::Zip, Encoding::Identity, b"".to_vec(), Code::BodyEmpty),
        (MediaType::Text, Encoding::Gzip, b"".to_vec(), Code::BodyEmpty),
        (MediaType::Text, Encoding::Gzip, gzip(b""), Code::BodyEmpty),
        (MediaType::Text, Encoding::Gzip, TEXT.to_vec(), Code::EncodingBroken),
        (MediaType::Text, Encoding::Gzip, gzipped[..9].to_vec(), Code::EncodingBroken),
        (MediaType::Text, Encoding::Deflate, gzipped, Code::EncodingBroken),
        (MediaType::Text, Encoding::Identity, zip, Code::MediaTypeMismatch),
        (MediaType::Zip, Encoding::Identity, TEXT.to_vec(), Code::ZipMalformed),
        (MediaType::Zip, Encoding::Identity, ratio, Code::ZipRatio),
    ];
    for (media, encoding, body, code) in cases {
        assert_eq!(fixture.code(media, encoding, &body).await, code);
    }
    fixture.assert_nothing_is_left().await;
}

#[tokio::test]
async fn announced_text_over_the_bound_is_refused() {
    let max = TEXT.len() as u64;
    let zip = Sample::deflated(TEXT).build();
    let at = Fixture::new(&Intake { max_inflated_bytes: max, ..Intake::default() });
    assert!(at.send(MediaType::Zip, Encoding::Identity, &zip, Expected::default()).await.is_ok());
    let above = Fixture::new(&Intake { max_inflated_bytes: max - 1, ..Intake::default() });
    assert_eq!(above.code(MediaType::Zip, Encoding::Identity, &zip).await, Code::ZipTooLarge);
}

#[tokio::test]
async fn announced_length_and_digest_are_held_against_the_body() {
    let fixture = Fixture::new(&Intake::default());
    let send = |expected| fixture.send(MediaType::Text, Encoding::Identity, TEXT, expected);
    for length in [0, TEXT.len() as u64 - 1, TEXT.len() as u64 + 1] {
        let refused = send(Expected { length: Some(length), sha256: None }).await.unwrap_err();
        assert_eq!(refused.code, Code::BodyLength);
    }
    let refused = send(Expected { length: None, sha256: Some([0; 32]) }).await.unwrap_err();
    assert_eq!(refused.code, Code::BodyDigest);
    fixture.assert_nothing_is_left().await;
}

#[tokio::test]
async fn dropping_an_upload_or_what_was_received_removes_the_file() {
    let fixture = Fixture::new(&Intake::default());
    let mut upload = fixture.begin(MediaType::Text, Encoding::Identity).await;
    upload.write(large()).await.unwrap();
    while fixture.files("spool").is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(upload);
    fixture.assert_nothing_is_left().await;

    let body = large();
    let sent = fixture.send(MediaType::Text, Encoding::Identity, &body, Expected::default()).await;
    assert_eq!(fixture.files("spool").len(), 1);
    drop(sent.unwrap());
    fixture.assert_nothing_is_left().await;
}

#[tokio::test]
async fn an_upload_that_would_reach_into_the_reserve_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = rustix::fs::statvfs(dir.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    let begin = async |reserve_bytes: u64, length| {
        let data = Data { dir: dir.path().to_owned(), reserve_bytes };
        let spool = Spool::open(&data, &Intake::default()).unwrap();
        spool.begin(MediaType::Text, Encoding::Identity, length, unmetered(), u64::MAX).await
    };
    assert_eq!(begin(u64::MAX, None).await.unwrap_err().code, Code::DiskReserve);
    // Others write to this disk too, so not to the byte.
    let announced = begin(free - (64 << 20), Some(149_000_000)).await;
    assert_eq!(announced.unwrap_err().code, Code::DiskReserve);
    let mut upload = begin(free - (64 << 20), None).await.unwrap();
    let mut sent = 0;
    let refused = loop {
        if let Err(error) = upload.write(Bytes::from(vec![b'a'; 1 << 20])).await {
            break error;
        }
        sent += 1;
        assert!(sent < 149, "the reserve is not looked at");
    };
    assert_eq!(refused.code, Code::DiskReserve, "{refused}");
    drop(upload);
    assert!(std::fs::read_dir(dir.path().join("spool")).unwrap().next().is_none());
}

#[tokio::test]
async fn as_many_uploads_have_a_file_as_there_are_slots() {
    let fixture = Fixture::new(&Intake { uploads_max: 2, ..Intake::default() });
    let begin = async || fixture.begin(MediaType::Text, Encoding::Identity).await;
    let (mut one, mut two, mut three) = (begin().await, begin().await, begin().await);
    one.write(large()).await.unwrap();
    two.write(large()).await.unwrap();
    three.write(Bytes::from_static(TEXT)).await.unwrap();
    let refused = three.write(large()).await.unwrap_err();
    assert_eq!(refused.code, Code::UploadsExhausted);
    let two = two.finish(Expected::default()).await.unwrap();
    let mut small = begin().await;
    small.write(Bytes::from_static(TEXT)).await.unwrap();
    assert!(small.finish(Expected::default()).await.is_ok(), "a small one needs none");
    let refused = begin().await.write(large()).await.unwrap_err();
    assert_eq!(refused.code, Code::UploadsExhausted, "its file is still there");
    two.keep(JobId::generate()).await.unwrap();
    let mut again = begin().await;
    again.write(large()).await.unwrap();
    drop((one, again));
    for _ in 0..500 {
        if begin().await.write(large()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a dropped upload keeps its slot");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_makes_room_and_a_fast_one_does_not() {
    let fixture = Fixture::new(&Intake { uploads_max: 2, ..Intake::default() });
    let begin = async || fixture.begin(MediaType::Text, Encoding::Identity).await;
    let (mut silent, mut fast, mut late) = (begin().await, begin().await, begin().await);
    let silent = tokio::spawn(async move {
        silent.pump(stream::iter([Ok(large())]).chain(stream::pending())).await
    });
    let chunks = stream::repeat_with(|| Ok(Bytes::from(vec![b'x'; UPLOAD_BYTES_MIN])));
    let chunks = chunks.take(30).then(|chunk| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        chunk
    });
    let fast = tokio::spawn(async move { fast.pump(chunks).await });
    tokio::time::sleep(UPLOAD_SLOW / 2).await;
    let early = begin().await.write(large()).await.unwrap_err();
    assert_eq!(early.code, Code::UploadsExhausted, "nobody is slow yet");
    tokio::time::sleep(UPLOAD_SLOW).await;
    late.write(large()).await.unwrap();
    assert_eq!(silent.await.unwrap().unwrap_err().code, Code::UploadsExhausted);
    let refused = begin().await.write(large()).await.unwrap_err();
    assert_eq!(refused.code, Code::UploadsExhausted, "nobody is slow any more");
    fast.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_upload_that_stalls_is_cut() {
    let idle_timeout = Duration::from_millis(100);
    let fixture = Fixture::new(&Intake { idle_timeout, ..Intake::default() });
    let mut upload = fixture.begin(MediaType::Text, Encoding::Identity).await;
    let body = stream::iter([Ok(Bytes::from_static(TEXT))]).chain(stream::pending());
    assert_eq!(upload.pump(body).await.unwrap_err().code, Code::BodyTimeout);
}

#[tokio::test]
async fn an_upload_that_trickles_is_cut_below_the_bound_and_taken_at_it() {
    let idle_timeout = Duration::from_millis(800);
    let fixture = Fixture::new(&Intake { idle_timeout, ..Intake::default() });
    // The second chunk comes after the first timeout.
    let trickle = |bytes: usize| {
        stream::iter(0..2).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(Bytes::from(vec![b'x'; bytes]))
        })
    };
    let mut upload = fixture.begin(MediaType::Text, Encoding::Identity).await;
    upload.pump(trickle(UPLOAD_BYTES_MIN)).await.unwrap();
    let mut upload = fixture.begin(MediaType::Text, Encoding::Identity).await;
    let refused = upload.pump(trickle(UPLOAD_BYTES_MIN - 1)).await.unwrap_err();
    assert_eq!(refused.code, Code::BodyTimeout);
}

#[tokio::test]
async fn a_stream_that_breaks_gives_its_own_error() {
    let fixture = Fixture::new(&Intake::default());
    let mut upload = fixture.begin(MediaType::Text, Encoding::Identity).await;
    let body = stream::iter([Ok(Bytes::from_static(TEXT)), Err(aborted("reset by peer"))]);
    assert_eq!(upload.pump(body).await.unwrap_err().code, Code::BodyAborted);
    drop(upload);
    fixture.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_disk_that_fails_is_an_internal_error() {
    let fixture = Fixture::new(&Intake::default());
    std::fs::remove_dir(fixture.data.path().join("spool")).unwrap();
    let mut upload = fixture.begin(MediaType::Text, Encoding::Identity).await;
    let code = loop {
        if let Err(error) = upload.write(Bytes::from_static(TEXT)).await {
            break error.code;
        }
    };
    assert_eq!(code, Code::Internal);

    let fixture = Fixture::new(&Intake::default());
    let body = large();
    let received = fixture.send(MediaType::Text, Encoding::Identity, &body, Expected::default());
    let received = received.await.unwrap();
    std::fs::remove_dir(fixture.data.path().join("payloads")).unwrap();
    assert_eq!(received.keep(JobId::generate()).await.unwrap_err().code, Code::Internal);
}

#[tokio::test]
async fn opening_removes_uploads_and_keeps_payloads() {
    let fixture = Fixture::new(&Intake::default());
    let id = JobId::generate();
    let body = large();
    let send = || fixture.send(MediaType::Text, Encoding::Identity, &body, Expected::default());
    send().await.unwrap().keep(id).await.unwrap();
    let left = send().await.unwrap();
    std::mem::forget(left); // as a kill does
    assert_eq!(fixture.files("spool").len(), 1);
    let folder = fixture.data.path().join("spool/lost+found"); // where it is a mount point
    std::fs::create_dir(&folder).unwrap();
    let again = Spool::open(&data_at(fixture.data.path()), &Intake::default()).unwrap();
    assert_eq!(fixture.files("spool"), [folder]);
    assert_eq!(std::fs::read(again.path(id)).unwrap(), body);
}

#[tokio::test]
async fn a_sweep_removes_payloads_without_a_job() {
    let fixture = Fixture::new(&Intake::default());
    let ids = [JobId::generate(), JobId::generate(), JobId::generate()];
    for id in ids {
        std::fs::write(fixture.spool.path(id), TEXT).unwrap();
    }
    let stranger = fixture.data.path().join("payloads/README");
    std::fs::write(&stranger, "not ours").unwrap();
    let keep = HashSet::from([ids[0], JobId::generate()]);
    assert_eq!(fixture.spool.sweep(&keep).unwrap(), 2);
    assert_eq!(fixture.spool.sweep(&keep).unwrap(), 0);
    assert!(fixture.spool.path(ids[0]).exists());
    assert!(stranger.exists());
    fixture.spool.remove(ids[0]).unwrap();
    fixture.spool.remove(ids[0]).unwrap();
    assert!(!fixture.spool.path(ids[0]).exists());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_what_comes_in() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new(&Intake::default());
    let id = JobId::generate();
    let body = large();
    let sent = fixture.send(MediaType::Text, Encoding::Identity, &body, Expected::default()).await;
    sent.unwrap().keep(id).await.unwrap();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(fixture.spool.path(id)), 0o600);
    assert_eq!(mode(fixture.data.path().join("payloads")), 0o700);
    assert_eq!(mode(fixture.data.path().join("spool")), 0o700);
}

/// Takes that many bytes and refuses the next.
fn up_to(max: u64) -> Meter {
    let mut came = 0;
    Box::new(move |bytes| {
        came += bytes;
        if came > max { Err(Error::new(Code::QuotaBytes, "enough")) } else { Ok(()) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_sees_decoded_bytes_before_they_are_written() {
    let fixture = Fixture::small(1 << 20);
    let text = vec![b'x'; 300_000];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&text).unwrap();
    let bodies = [(Encoding::Identity, text.clone()), (Encoding::Gzip, gzip.finish().unwrap())];
    for (encoding, body) in bodies {
        for (max, good) in [(300_000, true), (299_999, false)] {
            let mut upload = fixture.metered(MediaType::Text, encoding, up_to(max)).await;
            let sent = upload.write(Bytes::from(body.clone())).await;
            let ended = upload.finish(Expected::default()).await;
            assert!(sent.is_ok());
            assert_eq!(ended.err().map(|e| e.code), (!good).then_some(Code::QuotaBytes));
        }
    }
    fixture.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_pauses_is_told_of_its_refusal() {
    let fixture = Fixture::small(1 << 20);
    let mut upload = fixture.metered(MediaType::Text, Encoding::Identity, up_to(3)).await;
    let body = stream::iter([Ok(Bytes::from_static(b"four"))]).chain(stream::pending());
    assert_eq!(upload.pump(body).await.unwrap_err().code, Code::QuotaBytes);
    drop(upload);
    fixture.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_longer_than_what_is_kept_is_hashed_to_its_end_and_takes_no_more_room() {
    let fixture = Fixture::small(1 << 20);
    let text = vec![b'x'; 300_000];
    for (keep_max, kept) in [(300_000, true), (299_999, false), (0, false)] {
        let (media, encoding) = (MediaType::Text, Encoding::Identity);
        let upload = fixture.spool.begin(media, encoding, None, unmetered(), keep_max).await;
        let mut upload = upload.unwrap();
        for chunk in text.chunks(1_000) {
            upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let spooled = std::fs::read_dir(fixture.data.path().join("spool")).unwrap();
        let length: u64 = spooled.map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(length <= keep_max);
        let received = upload.finish(Expected::default()).await.unwrap();
        assert_eq!(received.payload.length, 300_000);
        assert_eq!(received.payload.sha256[..], Sha256::digest(&text)[..]);
        let id = JobId::generate();
        assert_eq!(received.keep(id).await.is_ok(), kept);
        assert_eq!(fixture.spool.path(id).exists(), kept);
        fixture.spool.remove(id).unwrap();
    }
    fixture.assert_nothing_is_left().await;
}
