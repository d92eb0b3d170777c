//! What an entry says.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    domain::{JobId, Operation, Origin, Payload, Storage, Submitted},
    error::Code,
    limits::AUDIT_DETAIL_CHARS_MAX,
};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[doc = $doc])* $name,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the log.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// A segment begins. Its `prev` is the hash of the last entry of the segment before.
    Segment = "audit.segment";
    /// Bytes of an unfinished entry were cut off: the process was killed while it wrote.
    Cut = "audit.cut";
    /// The oldest segments, up to `segment`, are removed by `audit.keep`.
    Purge = "audit.purge";
    /// So many refusals were not recorded one by one.
    Suppressed = "audit.suppressed";
    /// The daemon starts.
    Start = "daemon.start";
    /// The daemon has drained and ends.
    Stop = "daemon.stop";
    /// The clients were read again; `sha256` is of their list.
    Clients = "clients.reload";
    /// A new key signs tokens.
    Key = "key.rotate";
    /// A caller is not let in.
    Refused = "auth.refuse";
    /// A token for a secret.
    TokenIssue = "token.issue";
    /// A token for a token.
    TokenRefresh = "token.refresh";
    /// The journal held together at a start, with `count` jobs and that newest one.
    Journal = "journal.verified";
    /// An upload is accepted and has become that job. In the log soon after it, or else at the next start.
    Submit = "job.submit";
    /// An upload under an idempotency key that had made that job before.
    Repeat = "job.repeat";
    /// A job is asked to stop. Durable before it is told.
    Cancel = "job.cancel";
    /// A client reads a job for the first time, or for the first time after its end.
    JobRead = "job.read";
    /// A job's events are followed.
    Watch = "job.watch";
    /// A job's complete error report is read.
    Report = "report.read";
    /// Live records are counted.
    RecordsCount = "records.count";
    /// One live record is read; `rows` is 0 where there is none.
    RecordRead = "record.read";
    /// An export of live records begins.
    Export = "records.export";
    /// An export has ended with so many rows handed over, or broke off.
    Exported = "records.exported";
    /// An operator's act; `detail` names it.
    Admin = "admin.act";
    /// What a clock of retention removed; `detail` names it.
    Retention = "retention.purge";
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One entry, without its place in the chain. What is `None` is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What was done.
    pub kind: Kind,
    /// Why it was refused; done where there is none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub code: Option<Code>,
    /// Where the call came from.
    #[serde(flatten)]
    pub origin: Origin,
    /// The client that called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The tenant whose data it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The job.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub job: Option<JobId>,
    /// Place in the order of all submits: that of the job, or of the newest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// What a job does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    /// The storage that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<&'static str>,
    /// The segment that an entry about the log itself means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<u64>,
    /// Rows read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of a payload, a report, an export or what was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How many things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// SHA-256 of a payload or list, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// In words of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Entry {
    /// An entry of that kind, about nothing yet.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            code: None,
            origin: Origin::default(),
            client: None,
            tenant: None,
            job: None,
            order: None,
            operation: None,
            storage: None,
            segment: None,
            rows: None,
            bytes: None,
            count: None,
            sha256: None,
            detail: None,
        }
    }

    /// With that origin.
    #[must_use]
    pub fn from(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// An upload, before or without a job of its own.
    #[must_use]
    pub fn upload(kind: Kind, spec: &Submitted) -> Self {
        Self {
            client: Some(spec.client.clone()),
            tenant: Some(spec.tenant.to_string()),
            ..Self::new(kind).from(spec.origin.clone()).doing(spec.operation)
        }
    }

    /// A job that was accepted, as the journal has it.
    #[must_use]
    pub fn submitted(spec: &Submitted) -> Self {
        let Payload { length, sha256, .. } = &spec.payload;
        Self {
            job: Some(spec.id),
            order: Some(spec.order),
            bytes: Some(*length),
            sha256: Some(hex::encode(sha256)),
            ..Self::upload(Kind::Submit, spec)
        }
    }

    /// As refused for that reason.
    #[must_use]
    pub fn refused(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// About that job.
    #[must_use]
    pub fn of(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// About a job that does that.
    #[must_use]
    pub fn doing(mut self, operation: Operation) -> Self {
        self.operation = Some(operation.as_str());
        self
    }

    /// About that storage.
    #[must_use]
    pub fn on(mut self, storage: Storage) -> Self {
        self.storage = Some(storage.as_str());
        self
    }

    /// In these words, cut to `limits::AUDIT_DETAIL_CHARS_MAX`. Never a caller's own.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(AUDIT_DETAIL_CHARS_MAX) {
            detail.truncate(end);
        }
        self.detail = Some(detail);
        self
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn text<T: fmt::Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}
