//! Every bound that is not a configuration key.

use std::time::Duration;

/// Characters of the name of a tenant or client.
pub const NAME_CHARS_MAX: usize = 64;
/// Characters of an idempotency key.
pub const REQUEST_ID_CHARS_MAX: usize = 255;
/// Characters of an id inside an error text; what is longer is cut.
pub const ID_CHARS_IN_TEXT_MAX: usize = 255;
/// Bytes of a gRPC message that is no piece of an upload.
pub const GRPC_CALL_BYTES_MAX: usize = 16 << 10;
/// Bytes of one chunk of a gRPC upload.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes of one gRPC message; above a chunk, so that a chunk too large gets our own refusal.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Chunks that wait between a connection and the spool's writer thread.
pub const SPOOL_QUEUE_CHUNKS: usize = 8;
/// Bytes that each `intake.idle_timeout` of an upload must bring; a slower sender is cut.
pub const UPLOAD_BYTES_MIN: usize = 32 << 10;
/// Time for which the sizes of directories with a file for each job are not looked at again.
pub const SIZES_LOOK_INTERVAL: Duration = Duration::from_mins(5);
/// How often it is looked how much room the disk has.
pub const DISK_LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Time in which an upload must bring as much where another one waits for its place.
pub const UPLOAD_SLOW: Duration = Duration::from_millis(500);
/// Uploads that have begun; of those that are no longer small, `intake.uploads_max`.
pub const UPLOADS_BEGUN_MAX: usize = 1_024;
/// How long an upload waits for the place of one that was cut.
pub const SLOT_WAIT: Duration = Duration::from_secs(5);
/// Bytes that a content encoding is undone into at a time.
pub const DECODE_BUFFER_BYTES: usize = 64 << 10;
/// How many times `intake.max_body_bytes` an encoded body may have before decoding.
pub const ENCODED_GROWTH_MAX: u64 = 2;
/// Entries of a zip's directory that are looked at to say best why it is refused.
pub const ZIP_ENTRIES_SCANNED: u64 = 64;
/// Most bytes of text in one block between the inflating and the checking thread.
pub const TEXT_BLOCK_BYTES: usize = 256 << 10;
/// Bytes of a zip entry that are read at a time to be inflated.
pub const INFLATE_INPUT_BYTES: usize = 64 << 10;
/// How many times its size a zip entry may announce to inflate to, for its rows to be checked while it is
/// inflated. Files of CVRS compress 3 to 10 times; what announces more is inflated once before.
pub const PLAIN_RATIO_MAX: u64 = 20;
/// Blocks that wait between the inflating and the checking thread.
pub const TEXT_QUEUE_BLOCKS: usize = 8;

/// Columns of a file's header. Each row costs at least a step for each of them, however short it is.
pub const HEADER_COLUMNS_MAX: usize = 1_000;

/// Events of a job that are checkpoints. A re-read folds them all, so they stay few; the
/// interval widens as the job grows.
pub const CHECKPOINTS_MAX: u32 = 1_000;
/// Warnings that a job keeps.
pub const WARNINGS_MAX: usize = 20;
/// Bytes that they take together; so a job, with all else that it holds, fits a journal value.
pub const WARNINGS_BYTES_MAX: usize = 1_536;
/// Characters of one warning or failure sentence.
pub const SENTENCE_CHARS_MAX: usize = 300;

/// Commands that wait for the journal's committer.
pub const COMMIT_QUEUE: usize = 4_096;
/// Commands that are committed together at most.
pub const COMMIT_GROUP_MAX: usize = 512;
/// Bytes of one value in the journal; larger ones would leave sled's pages for files of their own.
pub const JOURNAL_VALUE_BYTES_MAX: usize = 4 << 10;
/// Bytes of a payload that stands in the journal beside its job, in one value with an id and an
/// envelope. A longer one has a file.
pub const SMALL_PAYLOAD_BYTES_MAX: usize = 4_000;
/// Bytes of the text of such a payload; it is read in memory. A zip of more has a file.
pub const SMALL_TEXT_BYTES_MAX: u64 = 16 << 10;
/// Time without a durable step after which a job that runs counts as stalled.
pub const JOB_STALLED: Duration = Duration::from_mins(10);
/// Small jobs that run together.
pub const GROUP_JOBS_MAX: usize = 128;
/// Jobs of one lane among them.
pub const GROUP_LANE_JOBS_MAX: usize = 64;
/// By how much threads of a large job are nicer than the others. Against one other thread that wants the same
/// processor such a thread still gets about a tenth of it, so no job stands still.
pub const LARGE_JOB_NICE: i32 = 10;
/// How long one commit may take before the committer is given up.
pub const COMMIT_STALL: Duration = Duration::from_secs(30);
/// How often a store is asked whether it has failed.
pub const LOOKOUT_INTERVAL: Duration = Duration::from_millis(100);
/// How long the end of that is waited for.
pub const LOOKOUT_END: Duration = Duration::from_secs(1);
/// How long the journal's store may take to open before it is given up.
pub const JOURNAL_OPEN_STALL: Duration = Duration::from_mins(5);
/// How long an open waits for another process to let go of the directory.
pub const OPEN_LOCK_WAIT: Duration = Duration::from_secs(2);

/// Jobs that are purged together: what is left to be done of them fits a journal value.
pub const PURGE_STEP_JOBS: usize = 32;
/// Events that are purged together, but for those of one job.
pub const PURGE_STEP_EVENTS: u64 = 2_000;
/// Jobs or files that a purge looks at before it may find that there is nothing to do.
pub const PURGE_PAGE: usize = 256;
/// Pause between two steps of a purge, in which others get the disk.
pub const PURGE_PAUSE: Duration = Duration::from_millis(20);
/// Longest and shortest time between two looks for what is to be purged; it is a tenth of the shortest clock.
pub const PURGE_INTERVAL: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_mins(10));

/// Bytes of a backup that travel together.
pub const BACKUP_FRAME_BYTES: usize = 256 << 10;
/// Bytes of the manifest of a backup, which names its few parts.
pub const BACKUP_MANIFEST_BYTES_MAX: usize = 64 << 10;
/// Exports of records that run at once.
pub const EXPORTS_MAX: usize = 32;
/// How many of them one client may have.
pub const EXPORTS_CLIENT_MAX: usize = 4;
/// How long whoever takes a backup or an export may take nothing.
pub const READER_STALL: Duration = Duration::from_mins(1);
/// Bytes a second that it must take on average, not counting that time.
pub const READER_RATE_MIN: u64 = 256 << 10;
/// How long commits may wait for a backup; above, it is refused. Far below `COMMIT_STALL`.
pub const BACKUP_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Entries, and bytes of them, that a restore commits together.
pub const RESTORE_BATCH: (usize, usize) = (10_000, 4 << 20);

/// Newest events of a live job that are kept in memory for watchers.
pub const WATCH_RING_EVENTS: usize = 64;
/// Events that a live watcher may lag behind before it gets a coalesced snapshot.
pub const WATCH_LAG_EVENTS_MAX: u64 = 48;
/// Events that a replay reads from the journal at a time.
pub const WATCH_PAGE_EVENTS: usize = 256;
/// Silence after which a watcher gets a bookmark.
pub const WATCH_BOOKMARK: Duration = Duration::from_secs(15);

/// Jobs of a page where the caller names no size.
pub const PAGE_JOBS_DEFAULT: usize = 50;
/// Jobs of a page at most.
pub const PAGE_JOBS_MAX: usize = 500;
/// Jobs that a filtered listing looks at for one page; a page may then hold fewer than asked.
pub const PAGE_SCAN_MAX: usize = 10_000;
/// Errors in one message of a report stream.
pub const REPORT_PAGE_ERRORS: usize = 500;
/// Bytes in one message of a report that is sent as it is stored.
pub const REPORT_PIECE_BYTES: usize = 64 << 10;
/// Bytes in one message of a record export.
pub const EXPORT_PAGE_BYTES: usize = 64 << 10;

/// Files that the process may have open, connections included, where the system sets no lower bound.
pub const FILES_MAX: u64 = 65_536;
/// Files among them that connections leave to the stores and to uploads.
pub const FILES_RESERVED: u64 = 1_536;
/// Connections of one listener.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Streams that one gRPC connection may hold open.
pub const GRPC_STREAMS_MAX: u32 = 4_096;
/// Silence after which an HTTP/2 connection is pinged.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long the answer to a ping may take before the connection is given up.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that a gRPC client may send ahead on one stream.
pub const GRPC_STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// Bytes that a gRPC client may send ahead on one connection; far above a stream's, so that one
/// upload cannot stall the client's other calls.
pub const GRPC_CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// How long a connection may take to send its request head, the first message of an upload, or a gRPC message
/// that is no piece of one.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Synchronous uploads that are received or waited for at once.
pub const SYNC_WAITS_MAX: usize = 1_024;
/// How many of them one client may have.
pub const SYNC_WAITS_CLIENT_MAX: usize = 256;
/// How long the rest of a refused body is read and thrown away, so that its sender gets to read
/// the answer before the connection closes.
pub const REFUSED_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// After what time callers are asked to poll a job again.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// After what time callers are asked to try again what a quota, a start or a drain refused.
pub const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Clients that can be configured.
pub const CLIENTS_MAX: usize = 4_096;
/// Names of certificates that one client can have.
pub const CERTIFICATE_NAMES_MAX: usize = 16;
/// Characters of such a name.
pub const CERTIFICATE_NAME_CHARS_MAX: usize = 255;
/// Bytes of a file of certificates or of a key.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 1 << 20;
/// Time before a certificate expires from which on the log warns of it.
pub const CERTIFICATE_EXPIRY_NOTICE: Duration = Duration::from_hours(14 * 24);
/// How often it does.
pub const CERTIFICATE_EXPIRY_REMINDER: Duration = Duration::from_hours(24);
/// How long after a reading that failed all is read once more.
pub const FILES_RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// How often it is looked whether the files of the configuration and of certificates have changed. A change
/// counts once two looks have found the same.
pub const FILES_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Signing keys that are kept; where so many still have live tokens, the newest signs longer.
pub const SIGNING_KEYS_MAX: usize = 32;
/// Bytes of a token that is looked at; ours have a few hundred.
pub const TOKEN_BYTES_MAX: usize = 4 << 10;
/// Bytes of the body of a token request, as sent and decoded.
pub const TOKEN_REQUEST_BYTES_MAX: usize = 8 << 10;

/// Tenants that can be paused, everything counted as one.
pub const PAUSES_MAX: usize = 4_097;
/// Characters of the reason of a pause.
pub const PAUSE_REASON_CHARS_MAX: usize = 200;
/// Characters of a log level that is set at run time.
pub const LEVEL_CHARS_MAX: usize = 1_000;
/// Lanes that an overview lists; it counts all.
pub const OVERVIEW_LANES_MAX: usize = 50;

/// Reports that count as checked; where there are more, all are checked anew.
pub const REPORTS_CHECKED_MAX: usize = 10_000;

/// Bytes of rows after which a batch takes no further row, however few it has.
pub const BATCH_BYTES_MAX: usize = 32 << 20;
/// Jobs whose cursors wait to be removed from the record store with its next batch.
pub const FORGOTTEN_JOBS_MAX: usize = 1_024;
/// Valid rows above which a create or update writes its rows ahead of its batches. It decides the order
/// in which a job's rows are applied, so another value is for another format of the record store.
pub const STAGED_ROWS_MIN: u64 = 10_000;
/// Keys of staged rows that are looked up together.
pub const STAGED_KEYS_CHUNK: usize = 50_000;
/// Bytes of staged rows, not yet compressed, after which their table is synced as far as it is.
pub const TABLE_SYNC_BYTES: usize = 8 << 20;
/// Keys of one batch of deletes from which on two threads work on it.
pub const PARALLEL_KEYS_MIN: usize = 10_000;
/// How long the record store may take to write one memtable as a table or to merge some, before it is given
/// up.
pub const FLUSH_STALL: Duration = Duration::from_mins(10);
/// Rows in one block of the record store's bitmaps.
pub const LIVE_BLOCK_ROWS: u64 = 65_536;
/// Bytes of the record store's own journals on disk, above which memtables that hold on to an old
/// one are written out.
pub const RECORD_JOURNAL_BYTES: u64 = 128 << 20;

/// Damages that `cvrsd verify` lists; it counts all.
pub const DAMAGES_LISTED_MAX: usize = 100;

/// How long the command line waits for a connection.
pub const CLIENT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence on a connection after which the command line asks whether the server is still there, and
/// how long it waits for the answer.
pub const CLIENT_KEEPALIVE: Duration = Duration::from_secs(20);
/// Times in a row that the command line tries again after it lost the server.
pub const CLIENT_RETRIES_MAX: u32 = 8;
/// Wait before the first of them; doubles with each further one, with jitter.
pub const CLIENT_RETRY_MIN: Duration = Duration::from_millis(200);
/// Longest wait between two of them.
pub const CLIENT_RETRY_MAX: Duration = Duration::from_secs(5);
/// Newest jobs that `cvrsd top` looks at.
pub const TOP_JOBS_MAX: u32 = 100;
/// Lanes whose running job it looks at beside them.
pub const TOP_RUNNING_MAX: usize = 8;
/// Chunks of an upload that the command line reads ahead.
pub const CLIENT_QUEUE_CHUNKS: usize = 4;
/// How long `cvrsd demo` and `selftest` wait for their daemon to serve, and to end.
pub const OWN_DAEMON_WAIT: Duration = Duration::from_secs(30);

/// Entries that wait for the audit log's writer.
pub const AUDIT_QUEUE: usize = 4_096;
/// Entries that are written and synced together at most.
pub const AUDIT_GROUP_MAX: usize = 2_048;
/// How long an entry that nobody waits for may wait for others, before it is synced with them.
pub const AUDIT_DELAY: Duration = Duration::from_millis(100);
/// How often meanwhile the audit log's writer looks whether a group is full.
pub const AUDIT_LOOK: Duration = Duration::from_millis(5);
/// Bytes of one line of the audit log.
pub const AUDIT_LINE_BYTES_MAX: u64 = 4 << 10;
/// Characters that an entry keeps of what a proxy claims.
pub const AUDIT_FORWARDED_CHARS_MAX: usize = 200;
/// Characters of an entry's own words.
pub const AUDIT_DETAIL_CHARS_MAX: usize = 200;
/// Refusals that are recorded one by one in each interval.
pub const AUDIT_REFUSALS_MAX: u64 = 120;
/// The same in each day, so that years of refusals are some gigabytes.
pub const AUDIT_REFUSALS_DAY_MAX: u64 = 5_000;
/// That interval.
pub const AUDIT_REFUSALS_INTERVAL: Duration = Duration::from_mins(1);
/// Reads of jobs that are remembered as recorded; where there are more, all are forgotten.
pub const AUDIT_READS_MAX: usize = 65_536;

/// Requests and jobs whose spans wait to be exported; more are dropped.
pub const TRACES_QUEUE: usize = 4_096;
/// Requests and jobs whose spans are exported together at most.
pub const TRACES_BATCH: usize = 512;
/// How long the first of them waits for more.
pub const TRACES_INTERVAL: Duration = Duration::from_millis(500);
/// How long the collector may take for them.
pub const TRACES_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take for the last ones, while the process ends.
pub const TRACES_CLOSE: Duration = Duration::from_secs(2);
/// The log tells at most so often that spans were dropped.
pub const TRACES_WARN_INTERVAL: Duration = Duration::from_mins(1);
