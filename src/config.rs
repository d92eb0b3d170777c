//! Every configuration key with its default. `config/cvrsd.toml` documents them.
//!
//! Order: defaults, the file, then environment `CVRSD__SECTION__KEY`.

mod audit;
mod auth;
mod check;
mod effective;
mod load;
mod retention;
mod tls;
mod traces;

pub use audit::Audit;
pub use auth::{Auth, AuthMode, Client, Quota};
pub use effective::{Effective, Origins};
pub use load::{Error, load, load_with_origins};
pub use retention::{Clock, Retention};
pub use tls::Tls;
pub use traces::Traces;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gRPC listener.
    pub grpc: Grpc,
    /// The REST listener.
    pub rest: Rest,
    /// The admin listener.
    pub admin: Admin,
    /// Where everything is stored.
    pub data: Data,
    /// Bounds of an upload.
    pub intake: Intake,
    /// Which rules files are held to.
    pub validation: Validation,
    /// The journal.
    pub journal: Journal,
    /// The record store.
    pub records: Records,
    /// Running jobs.
    pub engine: Engine,
    /// How long what a job leaves is kept.
    pub retention: Retention,
    /// Who may call.
    pub auth: Auth,
    /// TLS of the listeners.
    pub tls: Tls,
    /// The audit log.
    pub audit: Audit,
    /// Export of traces.
    pub traces: Traces,
    /// Logging.
    pub log: Log,
}

/// The gRPC listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    /// Address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Serves the reflection services, which describe the API to tools.
    pub reflection: bool,
}

impl Default for Grpc {
    fn default() -> Self {
        Self { listen: loopback(50_051), reflection: true }
    }
}

/// The REST listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rest {
    /// Address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// HTTP status of an accepted submit: 202 or 200.
    pub submit_status: u16,
    /// Characters of a whole compact status body; the inline error lists are cut to fit.
    pub inline_error_chars: usize,
    /// How long a synchronous upload waits for its job to end before it is answered like an
    /// asynchronous one.
    #[serde(with = "humantime_serde")]
    pub sync_timeout: Duration,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            listen: loopback(8_080),
            submit_status: 202,
            inline_error_chars: 4_000,
            sync_timeout: Duration::from_mins(10),
        }
    }
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address; port 0 picks a free one.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: loopback(9_464) }
    }
}

/// Where everything is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The data directory; made when missing.
    pub dir: PathBuf,
    /// Bytes of its disk that are kept for running jobs: with less no upload is taken.
    pub reserve_bytes: u64,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("data"), reserve_bytes: 1 << 30 }
    }
}

/// Bounds of an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Intake {
    /// A body of that many bytes or more, after content decoding, is refused.
    pub max_body_bytes: u64,
    /// Data rows of a file.
    pub max_rows: u64,
    /// Bytes of text that a zip may inflate to.
    pub max_inflated_bytes: u64,
    /// How many times its compressed size a zip entry may inflate to.
    pub max_ratio: u64,
    /// Bytes of one line.
    pub max_line_bytes: usize,
    /// Each such time of an upload must bring `limits::UPLOAD_BYTES_MIN` bytes or its end, or it is cut.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Uploads that run at once, but for small ones.
    pub uploads_max: usize,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            max_body_bytes: 150_000_000,
            max_rows: 5_000_000,
            max_inflated_bytes: 4 << 30,
            max_ratio: 200,
            max_line_bytes: 1 << 20,
            idle_timeout: Duration::from_secs(30),
            uploads_max: 64,
        }
    }
}

/// Which rules files are held to. A job keeps the rules that were in force when it was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// `dch-2020`, `dch-2021` or `strict`.
    pub profile: ProfileName,
    /// First `admin_date` that is accepted (`dch-2021`).
    pub admin_date_min: Date,
    /// Greatest `admin_type` (`dch-2020`, `dch-2021`); the profile's own, 28 or 42, where it is left
    /// out.
    pub admin_type_max: Option<u32>,
    /// Days after the submission date that still count as not in the future.
    pub future_tolerance_days: u32,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            profile: ProfileName::Dch2021,
            admin_date_min: Date::constant(2020, 12, 2),
            admin_type_max: None,
            future_tolerance_days: 1,
        }
    }
}

/// Name of a validation profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfileName {
    /// The published list of November 2020.
    #[serde(rename = "dch-2020")]
    Dch2020,
    /// The same with what was seen in 2021.
    #[serde(rename = "dch-2021")]
    Dch2021,
    /// The rules of the validator that the CDC offered to senders.
    #[serde(rename = "strict")]
    Strict,
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Bytes of its page cache.
    pub cache_bytes: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20 }
    }
}

/// The record store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Records {
    /// Bytes of its block cache.
    pub cache_bytes: u64,
    /// Bytes of changes that it keeps in memory until they are written out as sorted tables; it begins at a
    /// quarter.
    pub memtable_bytes: u64,
}

impl Default for Records {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, memtable_bytes: 32 << 20 }
    }
}

/// Running jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// Jobs that run at once, whatever their size.
    pub workers: usize,
    /// Further jobs that run at once, of payloads up to `express_bytes`: a small job does not wait
    /// behind other tenants' big ones.
    pub express_workers: usize,
    /// Bytes of a payload that still counts as small.
    pub express_bytes: u64,
    /// Rows of one batch, and of one checkpoint of a job that is not long.
    pub checkpoint_rows: usize,
    /// Longest time between two checkpoints of a job that is not long.
    #[serde(with = "humantime_serde")]
    pub checkpoint_interval: Duration,
    /// Attempts without progress after which a job is held; at least 2, as a restart takes one.
    pub max_attempts: u32,
    /// Wait before the second attempt; doubles with each further one, with jitter.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,
    /// Longest wait between two attempts.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
    /// Bytes of keys that a job sorts in memory; above, sorted runs go to disk.
    pub sort_bytes: usize,
    /// How long a drain may take.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            workers: 2,
            express_workers: 2,
            express_bytes: 1 << 20,
            checkpoint_rows: 200_000,
            checkpoint_interval: Duration::from_millis(250),
            max_attempts: 10,
            retry_min: Duration::from_millis(500),
            retry_max: Duration::from_mins(5),
            sort_bytes: 64 << 20,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Logging, to standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level or a `target=level` list.
    pub level: String,
    /// `auto` (text on a terminal, else JSON), `text` or `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port))
}
