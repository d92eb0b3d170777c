//! Named points between two durable steps, at which a test ends the process.
//!
//! With the feature `failpoints` the environment arms one of them: `CVRSD_FAILPOINT=batch.committed:2` aborts
//! the process the second time that it comes there. Without the feature a point is nothing at all.
//! `tests/crash` walks all of them.

macro_rules! points {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// A point that a test can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point { $(#[doc = $doc] $name,)* }

        impl Point {
            /// Every point, in the order in which a job comes by.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the environment.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

points! {
    MakeJournal = "make.journal", "A new journal is whole, beside its place and without its marker.";
    MakeMarker = "make.marker", "It has its marker, and is not in its place.";
    MakeRecords = "make.records", "A new record store is whole, beside its place.";

    StartJournal = "start.journal", "The journal is open, not verified.";
    StartRecords = "start.records", "The record store is open.";
    StartSpool = "start.spool", "Broken uploads are swept.";
    StartVerified = "start.verified", "The journal is verified, nothing is recovered.";
    StartRecovered = "start.recovered", "All jobs are in their lanes, nobody works.";

    UploadSynced = "upload.synced", "A body is on disk, under a passing name.";
    UploadMoved = "upload.moved", "It has its name, of which the directory may not know.";
    UploadKept = "upload.kept", "It is kept, its job not yet in the journal.";

    AuditWritten = "audit.written", "Entries of the audit log are written, not synced.";
    AuditSynced = "audit.synced", "They are durable, nobody was told.";

    JournalWritten = "journal.written", "A group of events is in sled's memory.";
    JournalFlushed = "journal.flushed", "It is in sled's file, not synced by us.";
    JournalSynced = "journal.synced", "It is durable, the tip does not say so.";
    JournalTipped = "journal.tipped", "The tip does, nobody was told.";
    CommitPublished = "commit.published", "Watchers were told, callers were not.";

    ValidationSynced = "validation.synced", "Keys and report are durable, no event says so.";
    ValidationRecorded = "validation.recorded", "An event does.";
    ValidationEnded = "validation.ended", "All rows are checked, keys and report are durable.";

    StageReserved = "stage.reserved", "Row numbers are set aside.";
    StageWritten = "stage.written", "All rows are written, no table is listed.";
    StageRows = "stage.rows", "Tables of rows are listed, those of the index are not.";
    StageIndex = "stage.index", "Both are, without the note that they are whole.";
    StageNoted = "stage.noted", "With it.";

    BatchDecided = "batch.decided", "A batch is in memory.";
    BatchCommitted = "batch.committed", "It is durable, no event says so.";
    BatchRecorded = "batch.recorded", "An event does.";

    ReportSynced = "report.synced", "The report is whole and durable, the job has not ended.";
    JobCompleted = "job.completed", "The job has ended, its files are there.";
    JobForgotten = "job.forgotten", "The record store counts it as forgotten, its files are there.";
    JobCleaned = "job.cleaned", "Its files are gone, its lane is not free.";

    PurgeMarked = "purge.marked", "The journal says that reports may be gone, all are there.";
    PurgeTaken = "purge.taken", "Jobs are out of the journal, the record store notes what they did under their names.";
    PurgeNoted = "purge.noted", "It does no longer, their files are there.";
    PurgeCleaned = "purge.cleaned", "Nothing of them is left.";

    GroupClaimed = "group.claimed", "Attempts of small jobs are counted.";
    GroupApplied = "group.applied", "Their rows are durable, no event says so.";
    GroupCompleted = "group.completed", "They have ended, their lanes are not free.";
}

/// Comes by that point.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_point: Point) {}

/// Comes by that point; does not return where the environment says so.
#[cfg(feature = "failpoints")]
pub fn hit(point: Point) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static ARMED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let armed = std::env::var("CVRSD_FAILPOINT").ok()?;
        let (name, hits) = armed.split_once(':')?;
        Some((name.to_owned(), AtomicU64::new(hits.parse().ok()?)))
    });
    if let Some((name, hits)) = &*ARMED
        && name == point.as_str()
        && hits.fetch_sub(1, Ordering::SeqCst) == 1
    {
        // No destructor runs and nothing is flushed, as for a kill.
        std::process::abort();
    }
}
