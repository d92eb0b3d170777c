//! Every refusal that a caller can meet, with its stable code.
//!
//! One table: the faces map a [`Kind`] to their own status, the documents have a page for each code.

use std::fmt;

/// What class of refusal a code belongs to. Each face maps it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed.
    Invalid,
    /// The upload exceeds a bound.
    TooLarge,
    /// The media type or content encoding is not taken, or is not what the body is.
    Unsupported,
    /// The upload stalled.
    Timeout,
    /// The caller is not known.
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// No such thing, or not the caller's.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The idempotency key is taken.
    Conflict,
    /// A number points past what exists.
    OutOfRange,
    /// A byte range lies beyond the end.
    Range,
    /// A quota is used up.
    Exhausted,
    /// The disk has no room.
    Full,
    /// Starting or draining.
    Unavailable,
    /// Our fault.
    Internal,
    /// Only inside a job: the file failed, or the job waits.
    Job,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $kind:ident;)*) => {
        /// A stable code. Its text never changes once released.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The text of the code.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it means, as a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// What class of refusal it is.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

codes! {
    /// The body has no byte.
    BodyEmpty = "CVRS-BODY-EMPTY", Invalid;
    /// The body is as long as `intake.max_body_bytes` or longer.
    BodyTooLarge = "CVRS-BODY-TOO-LARGE", TooLarge;
    /// The body is not as long as announced.
    BodyLength = "CVRS-BODY-LENGTH", Invalid;
    /// The body's digest is not the announced one.
    BodyDigest = "CVRS-BODY-DIGEST", Invalid;
    /// Fewer than 32 KiB, and not the end, came within `intake.idle_timeout`.
    BodyTimeout = "CVRS-BODY-TIMEOUT", Timeout;
    /// The connection broke before the body ended.
    BodyAborted = "CVRS-BODY-ABORTED", Invalid;
    /// No media type was given.
    MediaTypeMissing = "CVRS-MEDIA-TYPE-MISSING", Unsupported;
    /// The media type is neither `application/zip` nor `text/plain`.
    MediaTypeUnsupported = "CVRS-MEDIA-TYPE-UNSUPPORTED", Unsupported;
    /// A zip was sent as text.
    MediaTypeMismatch = "CVRS-MEDIA-TYPE-MISMATCH", Unsupported;
    /// The content encoding is neither `gzip` nor `deflate` nor `identity`.
    EncodingUnsupported = "CVRS-ENCODING-UNSUPPORTED", Unsupported;
    /// The content encoding is broken.
    EncodingBroken = "CVRS-ENCODING-BROKEN", Invalid;
    /// The first message of a gRPC upload is not a header, or a later one is not a chunk.
    UploadSequence = "CVRS-UPLOAD-SEQUENCE", Invalid;
    /// A field of the upload's header is malformed.
    UploadHeader = "CVRS-UPLOAD-HEADER", Invalid;
    /// A chunk is longer than 1 MiB.
    ChunkTooLarge = "CVRS-CHUNK-TOO-LARGE", Invalid;
    /// A chunk does not start where the last one ended.
    ChunkOffset = "CVRS-CHUNK-OFFSET", Invalid;

    /// The body is not a zip, or its directory cannot be read.
    ZipMalformed = "CVRS-ZIP-MALFORMED", Invalid;
    /// The zip holds no entry.
    ZipEmpty = "CVRS-ZIP-EMPTY", Invalid;
    /// The zip holds several entries.
    ZipEntries = "CVRS-ZIP-ENTRIES", Invalid;
    /// The zip holds a folder.
    ZipFolder = "CVRS-ZIP-FOLDER", Invalid;
    /// The zip holds `__MACOSX` or `.DS_Store`.
    ZipMacFiles = "CVRS-ZIP-MAC-FILES", Invalid;
    /// The entry's name has control characters, a backslash, `..`, a leading slash or is not UTF-8.
    ZipName = "CVRS-ZIP-NAME", Invalid;
    /// The entry is a symbolic link or another special file.
    ZipLink = "CVRS-ZIP-LINK", Invalid;
    /// The entry is encrypted.
    ZipEncrypted = "CVRS-ZIP-ENCRYPTED", Invalid;
    /// The entry is compressed by a method other than deflate.
    ZipMethod = "CVRS-ZIP-METHOD", Invalid;
    /// Bytes stand before, between or after the zip's parts, or parts overlap.
    ZipLayout = "CVRS-ZIP-LAYOUT", Invalid;
    /// The directory and the entry's local header disagree.
    ZipHeaders = "CVRS-ZIP-HEADERS", Invalid;
    /// The directory announces more than `intake.max_inflated_bytes`.
    ZipTooLarge = "CVRS-ZIP-TOO-LARGE", TooLarge;
    /// The directory announces a ratio above `intake.max_ratio`.
    ZipRatio = "CVRS-ZIP-RATIO", TooLarge;

    /// No `Authorization` was sent.
    TokenMissing = "CVRS-TOKEN-MISSING", Unauthenticated;
    /// The token is none of this daemon, or its client is gone or has another secret.
    TokenInvalid = "CVRS-TOKEN-INVALID", Unauthenticated;
    /// The token has expired, or its chain can be refreshed no longer.
    TokenExpired = "CVRS-TOKEN-EXPIRED", Unauthenticated;
    /// The client certificate has expired since the connection began, or names no client, or several.
    CertificateInvalid = "CVRS-CERTIFICATE-INVALID", Unauthenticated;
    /// The token is another client's than the certificate of the connection.
    CertificateMismatch = "CVRS-CERTIFICATE-MISMATCH", Unauthenticated;
    /// The client id is unknown or the secret is wrong.
    ClientUnknown = "CVRS-CLIENT-UNKNOWN", Unauthenticated;
    /// Authentication is off, and a page of another origin sends the request.
    Origin = "CVRS-ORIGIN", Forbidden;
    /// The client or its token does not have the scope.
    Scope = "CVRS-SCOPE", Forbidden;
    /// The client may not act on behalf of that other one, or has no storage in common with it.
    OnBehalf = "CVRS-ON-BEHALF", Forbidden;
    /// The body of a token request is not what is asked for.
    TokenRequest = "CVRS-TOKEN-REQUEST", Invalid;
    /// A token request names a scope that does not exist.
    ScopeUnknown = "CVRS-SCOPE-UNKNOWN", Invalid;
    /// The body of a token request is longer than `limits::TOKEN_REQUEST_BYTES_MAX`.
    TokenRequestTooLarge = "CVRS-TOKEN-REQUEST-TOO-LARGE", TooLarge;
    /// More uploads of the client run than its quota allows.
    QuotaUploads = "CVRS-QUOTA-UPLOADS", Exhausted;
    /// The client has more jobs that have not ended than its quota allows.
    QuotaJobs = "CVRS-QUOTA-JOBS", Exhausted;
    /// The client's payloads have more bytes than its quota allows.
    QuotaBytes = "CVRS-QUOTA-BYTES", Exhausted;
    /// The client makes more calls in a second than its quota allows.
    QuotaRequests = "CVRS-QUOTA-REQUESTS", Exhausted;

    /// The job id is not a hyphenated UUID.
    JobIdMalformed = "CVRS-JOB-ID", Invalid;
    /// No such job, or another tenant's.
    JobNotFound = "CVRS-JOB-NOT-FOUND", NotFound;
    /// The job's report was removed after `retention.reports`.
    ReportPurged = "CVRS-REPORT-PURGED", NotFound;
    /// The idempotency key is empty, too long or has other than visible ASCII characters.
    RequestIdMalformed = "CVRS-REQUEST-ID", Invalid;
    /// The idempotency key was used with another upload.
    RequestConflict = "CVRS-REQUEST-CONFLICT", Conflict;
    /// `after_seq` is above the newest event.
    SeqOutOfRange = "CVRS-SEQ-OUT-OF-RANGE", OutOfRange;
    /// The byte range lies beyond the report.
    Range = "CVRS-RANGE", Range;
    /// The page token is not one of ours.
    PageToken = "CVRS-PAGE-TOKEN", Invalid;
    /// A query parameter or request field is malformed.
    Parameter = "CVRS-PARAMETER", Invalid;
    /// No such path.
    PathNotFound = "CVRS-PATH-NOT-FOUND", NotFound;
    /// The path does not take this method.
    MethodNotAllowed = "CVRS-METHOD", MethodNotAllowed;
    /// No such tenant, storage or record.
    RecordNotFound = "CVRS-RECORD-NOT-FOUND", NotFound;
    /// The job that a synchronous upload waited for was cancelled.
    JobCancelled = "CVRS-JOB-CANCELLED", Conflict;
    /// As many uploads run as `intake.uploads_max` and none makes room, or this one was slow and had to; or too
    /// many synchronous ones are waited for.
    UploadsExhausted = "CVRS-UPLOADS-EXHAUSTED", Exhausted;
    /// A backup is taken already, or so many exports of records.
    ReadersExhausted = "CVRS-READERS-EXHAUSTED", Exhausted;
    /// The disk has less room than `data.reserve_bytes`, or would with the upload.
    DiskReserve = "CVRS-DISK-RESERVE", Full;
    /// The daemon is starting and does not serve yet.
    Starting = "CVRS-STARTING", Unavailable;
    /// The daemon is draining.
    Draining = "CVRS-DRAINING", Unavailable;
    /// Something failed in the daemon.
    Internal = "CVRS-INTERNAL", Internal;

    /// The payload's bytes are not those that were accepted, or its zip is damaged inside.
    FileDamaged = "CVRS-FILE-DAMAGED", Job;
    /// The text is empty.
    FileEmpty = "CVRS-FILE-EMPTY", Job;
    /// The text inflates to more than `intake.max_inflated_bytes`.
    FileTooLarge = "CVRS-FILE-TOO-LARGE", Job;
    /// The text inflates by more than `intake.max_ratio`.
    FileRatio = "CVRS-FILE-RATIO", Job;
    /// A line is longer than `intake.max_line_bytes`.
    FileLine = "CVRS-FILE-LINE", Job;
    /// The file has more rows than `intake.max_rows`.
    FileRows = "CVRS-FILE-ROWS", Job;
    /// The first line is not a CVRS header.
    HeaderMalformed = "CVRS-HEADER", Job;
    /// A column that the operation needs is missing.
    HeaderColumn = "CVRS-HEADER-COLUMN", Job;
    /// A column is named twice.
    HeaderDuplicate = "CVRS-HEADER-DUPLICATE", Job;
    /// A file of the job could not be read or written.
    JobIo = "CVRS-JOB-IO", Job;
    /// The job failed without progress as often as `engine.max_attempts` allows.
    JobHeld = "CVRS-JOB-HELD", Job;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// Counts a caller who was refused with it at that face.
    pub fn count(self, face: &'static str) {
        let labels = [("face", face), ("code", self.as_str())];
        metrics::counter!("cvrsd_refusals_total", &labels).increment(1);
    }

    /// The code of that text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str() == text)
    }
}

/// A refusal: a stable code and one lower-case sentence that never holds a row's values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Error {
    /// Stable code.
    pub code: Code,
    /// One sentence with the value that was wrong.
    pub message: String,
}

impl Error {
    /// A refusal with that code and sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// There is no such job for the caller.
    pub fn no_job(id: impl fmt::Display) -> Self {
        Self::new(Code::JobNotFound, format!("there is no job {id}"))
    }

    /// Something failed in the daemon. The cause is for the log; callers get a plain sentence.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(error = %cause, "internal error");
        Self::new(Code::Internal, "the daemon could not answer; its log says why")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        let texts: HashSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.as_str().starts_with("CVRS-"));
            assert_eq!(Code::from_text(code.as_str()), Some(*code));
        }
    }
}
