//! Offline verification: everything in a data directory held against everything else.

use std::path::Path;

use crate::{
    activity::{self, Workspace},
    audit, auth,
    config::Config,
    daemon::{self, Found},
    domain::Job,
    engine,
    exit::Exit,
    intake::{self, Stored},
    journal::{Journal, Purged, Sled},
    limits::DAMAGES_LISTED_MAX,
    records::{
        RecordStore,
        embedded::{Audit, Audited, Store},
    },
};

/// Parts of a directory of which damage stops one job and nothing else.
const OF_JOBS: [&str; 3] = ["payloads", "work", "reports"];

/// Whether damage of that part stops one job and nothing else.
pub(crate) fn is_of_a_job(part: &str) -> bool {
    OF_JOBS.contains(&part)
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Jobs in the journal.
    pub jobs: u64,
    /// What the record store holds.
    pub records: Audited,
    /// Payloads of jobs that have not ended.
    pub payloads: u64,
    /// Reports with errors in them.
    pub reports: u64,
    /// Entries of the audit log.
    pub audited: u64,
    /// How many things are wrong.
    pub damages: u64,
    /// How many of them harm a single job, each.
    pub of_jobs: u64,
    /// The first of them: the part of the data directory, and what is wrong there.
    pub listed: Vec<(&'static str, String)>,
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// The exit code.
    pub exit: Exit,
    /// One sentence.
    pub reason: String,
}

impl Findings {
    fn note(&mut self, part: &'static str, what: impl std::fmt::Display) {
        self.damages += 1;
        self.of_jobs += u64::from(is_of_a_job(part));
        if self.listed.len() < DAMAGES_LISTED_MAX {
            self.listed.push((part, what.to_string()));
        }
    }
}

/// Verifies the data directory of that configuration, which no daemon may have meanwhile. The stores are
/// opened as at a start, so what a crash left is cleared away. Blocks.
///
/// # Errors
/// When there is no such directory or another process has it.
pub fn run(config: &Config) -> Result<Findings, Refused> {
    let dir = &config.data.dir;
    let refused = |exit, reason: String| Refused { exit, reason };
    if !dir.join("journal").is_dir() && !dir.join("records").is_dir() {
        let reason = format!("{} holds no data", dir.display());
        return Err(refused(Exit::Failed, reason));
    }
    // What is put aside holds rows.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let _lock = daemon::lock(dir).map_err(|ended| refused(ended.exit, ended.reason))?;
    Ok(locked(config))
}

/// The same, for who has the directory locked. Blocks.
pub(crate) fn locked(config: &Config) -> Findings {
    let dir = &config.data.dir;
    let mut findings = Findings::default();
    if let Err(error) = auth::check_keys(dir) {
        findings.note("keys.json", error);
    }
    if let Err(error) = engine::check_pauses(dir) {
        findings.note("paused.json", error);
    }
    let audit_dir = dir.join(audit::FOLDER);
    // A directory of an older release has none until its next start.
    if audit_dir.is_dir() {
        match audit::verify(&audit_dir, None, &mut |_, _| ()) {
            Ok(summary) => findings.audited = summary.entries,
            Err(broken) => findings.note(audit::FOLDER, broken),
        }
    }
    let found = Found::look(dir);
    let journal =
        found.check_journal().and_then(|()| Sled::open(&dir.join("journal"), &config.journal));
    let journal = journal.map_err(|e| findings.note("journal", e)).ok();
    if let Some(Err(error)) = journal.as_ref().map(|journal| found.check_records(journal)) {
        findings.note("records", error);
    }
    let store = dir.join("records");
    let store = store.is_dir().then(|| Store::open(&store, &config.records)).transpose();
    let store = store.unwrap_or_else(|error| {
        findings.note("records", error);
        None
    });
    let purged = journal.as_ref().map(Journal::purged).transpose().unwrap_or_else(|error| {
        findings.note("journal", error);
        None
    });
    let purged = purged.unwrap_or_default();
    // What a crash left of a purge, as a start does it.
    if let Some(Err(error)) = store.as_ref().map(|store| store.purge(&purged.newest)) {
        findings.note("records", error);
    }
    check(dir, journal.as_ref().map(|journal| (journal, &purged)), store.as_ref(), &mut findings);
    findings
}

/// Goes through the jobs once, then through the records.
fn check(
    dir: &Path,
    journal: Option<(&Sled, &Purged)>,
    store: Option<&Store>,
    findings: &mut Findings,
) {
    let mut audit = store.map(Audit::new);
    let mut knows_jobs = false;
    if let Some((journal, purged)) = journal {
        let workspace = Workspace::of(dir);
        let verified = journal.verify_each(&mut |job| {
            check_files(dir, &workspace, journal, purged, job, findings);
            let Some(open) = &mut audit else { return };
            let told = open.job(job, &mut |what| findings.note("records", what));
            if let Err(error) = told {
                findings.note("records", error);
                audit = None;
            }
        });
        match verified {
            Ok(jobs) => (findings.jobs, knows_jobs) = (jobs, true),
            Err(error) => findings.note("journal", error),
        }
    }
    if let Some(audit) = audit {
        match audit.finish(knows_jobs, &mut |what| findings.note("records", what)) {
            Ok(audited) => findings.records = audited,
            Err(error) => findings.note("records", error),
        }
    }
}

/// The files that belong to one job.
fn check_files(
    dir: &Path,
    workspace: &Workspace,
    journal: &Sled,
    purged: &Purged,
    job: &Job,
    findings: &mut Findings,
) {
    let id = job.spec.id;
    let (length, crc) = job.report();
    if length > 0 && !purged.has_report_of(job) {
        findings.reports += 1;
        if let Err(error) = activity::check_report(&workspace.report(id), length, crc) {
            findings.note("reports", format_args!("job {id}: {error}"));
        }
    }
    if job.is_terminal() {
        return;
    }
    findings.payloads += 1;
    let path = intake::payload_path(dir, id);
    let inline = match journal.payload(job) {
        Ok(inline) => inline,
        Err(error) => return findings.note("journal", error),
    };
    let stored = inline.as_deref().map_or(Stored::File(&path), Stored::Memory);
    if let Err(error) = activity::check_payload(stored, &job.spec.payload) {
        findings.note("payloads", format_args!("job {id}: {error}"));
    }
    if let Err(error) = activity::check_keys(&workspace.keys(id), job.validated.keys_length) {
        findings.note("work", format_args!("job {id}: {error}"));
    }
}
