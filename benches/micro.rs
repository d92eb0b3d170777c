//! What each hot piece costs by itself: `cargo bench --bench micro -- [FILTER]`.
//!
//! Runs are short; `-- --measurement-time 10` makes them longer. Files lie where temporary files go.

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufWriter, Cursor, Read, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use criterion::{BatchSize, Criterion, Throughput};
use cvrsd::{
    activity::{KeyEntry, ReportRow},
    config,
    cvrs::{
        Checker, Header, Need, Profile, RowKind, Rules,
        sample::{Model, Sample},
    },
    domain::{
        JobId, MediaType, Operation, Origin, Payload, Storage, StorageSet, Submitted, Tenant,
    },
    intake::{Lines, TextLimits},
    journal::{self, Handle, Sled},
    poison::Poison,
    proto::storage,
    records::{Batch, Entry, KeyHash, RecordStore, Row, embedded::Store},
};
use jiff::civil::Date;
use prost::Message;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Rows of the text that is read and checked.
const ROWS: u64 = 20_000;
/// Rows of one batch of the record store.
const BATCH: u64 = 10_000;
/// Keys that are sorted.
const KEYS: u32 = 200_000;
/// Submits that wait for one commit.
const WAITING: usize = 64;

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let dir = tempfile::Builder::new().prefix("cvrsd-micro-").tempdir()?;
    rows(&mut criterion, dir.path())?;
    keys(&mut criterion, dir.path())?;
    store(&mut criterion, dir.path())?;
    commits(&mut criterion, dir.path())?;
    events(&mut criterion);
    reports(&mut criterion, dir.path())?;
    criterion.final_summary();
    Ok(())
}

fn sample() -> Sample {
    Sample::new(1, Model::Identified)
}

fn text(rows: u64) -> Vec<u8> {
    let mut out = sample().header_line().as_bytes().to_vec();
    for index in 0..rows {
        out.push(b'\n');
        sample().write_row(index, &mut out);
    }
    out.push(b'\n');
    out
}

fn zipped(text: &[u8]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("rows.txt", options)?;
    zip.write_all(text)?;
    Ok(zip.finish()?.into_inner())
}

fn rules() -> Rules {
    Rules {
        profile: Profile::Dch2021,
        admin_date_min: Date::constant(2020, 12, 2),
        admin_type_max: 42,
        submission_date: Date::constant(2026, 11, 23),
        future_tolerance_days: 1,
    }
}

/// Inflating, cutting into lines, checking.
fn rows(criterion: &mut Criterion, dir: &Path) -> Result<()> {
    let text = text(ROWS);
    let zip = zipped(&text)?;
    let (text_path, zip_path) = (dir.join("rows.txt"), dir.join("rows.zip"));
    fs::write(&text_path, &text)?;
    fs::write(&zip_path, &zip)?;
    let limits =
        TextLimits { max_inflated_bytes: 1 << 32, max_ratio: 200, max_line_bytes: 1 << 20 };

    let mut group = criterion.benchmark_group("text");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("inflate, zlib-rs, no checksum", |bencher| {
        bencher.iter(|| inflate(&zip).map(|length| assert_eq!(length, text.len() as u64)));
    });
    for (name, path, media) in [
        ("lines of a zip, inflated on a second thread", &zip_path, MediaType::Zip),
        ("lines of a text file", &text_path, MediaType::Text),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(count_lines(path, media, limits), Some(ROWS + 1)));
        });
    }
    group.finish();

    let header = Header::parse(sample().header_line().as_bytes(), Need::All);
    let header = header.map_err(|e| e.message)?;
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').skip(1).collect();
    let lines = lines.split_last().map(|(_, rows)| rows).unwrap_or_default();
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(ROWS));
    for (name, kind) in [("rows of a create", RowKind::Full), ("rows of a delete", RowKind::Delete)]
    {
        let mut checker = Checker::new(&rules(), &header, kind);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut errors = Vec::new();
                for (number, line) in (2..).zip(lines) {
                    checker.check(number, line, &mut errors);
                }
                assert!(errors.is_empty());
            });
        });
    }
    group.finish();
    Ok(())
}

/// Bytes of the entry.
fn inflate(zip: &[u8]) -> Result<u64> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip))?;
    let start = archive.by_index(0)?.data_start().ok_or("no data")?;
    let raw = zip.get(usize::try_from(start)?..).ok_or("no data")?;
    let mut inflated = flate2::bufread::DeflateDecoder::new(raw);
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        match inflated.read(&mut buffer)? {
            0 => return Ok(length),
            read => length += read as u64,
        }
    }
}

fn count_lines(path: &Path, media: MediaType, limits: TextLimits) -> Option<u64> {
    let mut lines = Lines::open(path, media, Some(limits)).ok()?;
    let mut count = 0;
    while let Some(line) = lines.next().ok()? {
        black_box(line.bytes);
        count += 1;
    }
    Some(count)
}

/// Hashing and sorting keys.
fn keys(criterion: &mut Criterion, dir: &Path) -> Result<()> {
    let store = Store::open(&dir.join("keys"), &config::Records::default())?;
    let mut group = criterion.benchmark_group("keys");
    group.throughput(Throughput::Elements(1));
    group.bench_function("hash of one id of 36 characters", |bencher| {
        bencher.iter(|| store.key(black_box(b"528bbb6d-bfaa-4791-a3fb-9e2717af65bb")));
    });
    group.throughput(Throughput::Elements(u64::from(KEYS)));
    let mut random = fastrand::Rng::with_seed(7);
    let entry = |line| KeyEntry::new(KeyHash(random.u128(..).to_be_bytes()), line);
    let entries: Vec<KeyEntry> = (0..KEYS).map(entry).collect();
    group.bench_function("sort in memory", |bencher| {
        bencher.iter_batched(
            || entries.clone(),
            |mut entries| {
                entries.sort_unstable();
                entries
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    Ok(())
}

/// Rows of one batch with their keys, in index order.
struct Rows(Vec<(KeyHash, u32, Vec<u8>)>);

impl Rows {
    fn new(store: &Store, from: u64) -> Result<Self> {
        let mut rows = Vec::new();
        for (line, index) in (2..).zip(from..from + BATCH) {
            let mut row = Vec::new();
            sample().write_row(index, &mut row);
            let id = row.split(|byte| *byte == b'\t').next().ok_or("a row without an id")?;
            rows.push((store.key(id), line, row.clone()));
        }
        rows.sort_unstable();
        Ok(Self(rows))
    }

    /// Applies them as a job of its own; every row must take effect.
    fn apply<'a>(&'a self, store: &Store, operation: Operation) -> Result<()> {
        let with_row = operation != Operation::Delete;
        let entry = |(key, line, row): &'a (KeyHash, u32, Vec<u8>)| Entry {
            key: *key,
            line: *line,
            row: Row::Cells(if with_row { row.as_slice() } else { &[] }),
        };
        let entries: Vec<Entry<'a>> = self.0.iter().map(entry).collect();
        let batch = Batch {
            job: JobId::generate(),
            tenant: &Tenant::local(),
            operation,
            storages: StorageSet::ALL,
            position: 0,
            entries: &entries,
        };
        let applied = store.apply(&batch)?;
        if *applied.processed.get(Storage::NonRedacted) == BATCH {
            return Ok(());
        }
        Err("not every row took effect".into())
    }
}

/// One synced batch of the record store.
fn store(criterion: &mut Criterion, dir: &Path) -> Result<()> {
    let store = Store::open(&dir.join("records"), &config::Records::default())?;
    let mut next = 0;
    let mut fresh = || {
        next += BATCH;
        Rows::new(&store, next)
    };
    let mut group = criterion.benchmark_group("store, batch of 10,000, synced");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("create", |bencher| {
        bencher.iter_batched(
            &mut fresh,
            |rows| told(rows.and_then(|rows| rows.apply(&store, Operation::Create))),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("delete", |bencher| {
        bencher.iter_batched(
            || {
                let rows = fresh()?;
                rows.apply(&store, Operation::Create).map(|()| rows)
            },
            |rows| told(rows.and_then(|rows| rows.apply(&store, Operation::Delete))),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    Ok(())
}

/// A failure inside a measured loop ends the run.
fn told<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "micro: {error}");
        std::process::exit(1)
    })
}

fn spec() -> Submitted {
    Submitted {
        id: JobId::generate(),
        tenant: Tenant::local(),
        client: String::new(),
        operation: Operation::Delete,
        storages: StorageSet::ALL,
        validate_only: false,
        request_id: None,
        payload: Payload {
            media_type: MediaType::Zip,
            length: 1_000,
            sha256: [7; 32],
            inline: false,
        },
        order: 0,
        rules: rules(),
        origin: Origin::default(),
    }
}

/// Submits until they are durable, through the committer and sled.
fn commits(criterion: &mut Criterion, dir: &Path) -> Result<()> {
    let sled = Sled::open(&dir.join("journal"), &config::Journal::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let handle = journal::start(Arc::new(sled), Vec::new(), Poison::default())?;
    let mut group = criterion.benchmark_group("journal, submits until durable");
    for waiting in [1, WAITING] {
        group.throughput(Throughput::Elements(waiting as u64));
        group.bench_function(format!("{waiting} at once"), |bencher| {
            bencher.iter(|| told(runtime.block_on(submit(&handle, waiting))));
        });
    }
    group.finish();
    runtime.block_on(handle.close())?;
    Ok(())
}

async fn submit(handle: &Handle, waiting: usize) -> Result<()> {
    let submits = (0..waiting).map(|_| handle.submit(spec(), None));
    futures_util::future::try_join_all(submits).await?;
    Ok(())
}

/// The message of a checkpoint as bytes, its checksum and its place in the chain of hashes: what the
/// journal does to each event, rebuilt here from the same messages.
fn events(criterion: &mut Criterion) {
    let at = storage::Applied::default();
    let kind =
        storage::event::Kind::ProcessingAdvanced(storage::ProcessingAdvanced { at: Some(at) });
    let event = storage::Event { kind: Some(kind), ..storage::Event::default() };
    let mut group = criterion.benchmark_group("event");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode, CRC-32, BLAKE3", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(&event).encode_to_vec();
            (crc32fast::hash(&bytes), blake3::hash(&bytes))
        });
    });
    group.finish();
}

/// Lines of an error report.
fn reports(criterion: &mut Criterion, dir: &Path) -> Result<()> {
    let row = ReportRow {
        line: 123_456,
        storage: Some(Storage::NonRedacted),
        vax_event_id: "528bbb6d-bfaa-4791-a3fb-9e2717af65bb".to_owned(),
        recip_id: "c86a2a4f-a044-4f78-a2bc-1b64dd1df2d3".to_owned(),
        field: String::new(),
        code: "CVRS-ROW-UNKNOWN".to_owned(),
        message: "Record does not exist".to_owned(),
    };
    let mut file = BufWriter::new(File::create(dir.join("report.tsv"))?);
    let mut group = criterion.benchmark_group("report");
    group.throughput(Throughput::Elements(1));
    group.bench_function("format and write a line", |bencher| {
        bencher.iter(|| writeln!(file, "{}", black_box(&row).tsv()));
    });
    group.finish();
    Ok(())
}
