//! What an entry says.

use std::{
    fmt::{self, Write as _},
    net::SocketAddr,
    sync::Arc,
};

use serde::{Serialize, Serializer};

use crate::{
    domain::{JobId, Operation, Storage, Trace},
    error::Code,
    limits::{AUDIT_DETAIL_CHARS_MAX, AUDIT_FORWARDED_CHARS_MAX},
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
    /// An upload is accepted and becomes that job. Durable before the job is.
    Submit = "job.submit";
    /// The job of an entry before was not made after all.
    Unmade = "job.unmade";
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

/// A listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Face {
    /// The gRPC listener.
    Grpc,
    /// The REST listener.
    Rest,
    /// The admin listener.
    Admin,
}

/// Where a call comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub face: Option<Face>,
    /// The address at the other end of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// What a proxy claims of the caller's address. Anybody can claim it, so nothing is decided by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Arc<str>>,
    /// The request's span; shown is the id of the trace, which the log and the answer name too.
    #[serde(rename = "request", skip_serializing_if = "Option::is_none", serialize_with = "id")]
    pub trace: Option<Trace>,
}

impl Origin {
    /// An origin at that listener. Of the claim only printable ASCII is kept, and not more than
    /// `limits::AUDIT_FORWARDED_CHARS_MAX`.
    #[must_use]
    pub fn new(
        face: Face,
        peer: Option<SocketAddr>,
        forwarded: Option<&[u8]>,
        trace: Option<Trace>,
    ) -> Self {
        let printable =
            |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
        let kept = |bytes: &[u8]| -> String {
            bytes.iter().take(AUDIT_FORWARDED_CHARS_MAX).map(printable).collect()
        };
        let forwarded = forwarded.map(|bytes| kept(bytes).into());
        Self { face: Some(face), peer, forwarded, trace }
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

/// A digest in hexadecimal digits.
#[must_use]
pub fn hex(digest: impl AsRef<[u8]>) -> String {
    let bytes = digest.as_ref();
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn id<S: Serializer>(trace: &Option<Trace>, serializer: S) -> Result<S::Ok, S::Error> {
    trace.as_ref().map(Trace::id_text).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn text<T: fmt::Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}
