//! Who may call.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Who may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// How callers are told apart.
    pub mode: AuthMode,
    /// How long a token is good.
    #[serde(with = "humantime_serde")]
    pub token_lifetime: Duration,
    /// How long after its first token a chain of refreshed tokens goes on.
    #[serde(with = "humantime_serde")]
    pub refresh_max: Duration,
    /// Age at which the key that signs tokens is replaced.
    #[serde(with = "humantime_serde")]
    pub key_max_age: Duration,
    /// Who can get a token.
    pub client: Vec<Client>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: AuthMode::None,
            token_lifetime: Duration::from_mins(15),
            refresh_max: Duration::from_hours(24),
            key_max_age: Duration::from_hours(30 * 24),
            client: Vec::new(),
        }
    }
}

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// Not at all: every caller is tenant `local`, and nothing but loopback is bound.
    None,
    /// By the token that each call carries, or by the certificate of its connection.
    Token,
}

/// One client, as the file has it; [`crate::auth::Clients`] checks it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name.
    pub id: String,
    /// Owner of its jobs.
    pub tenant: String,
    /// SHA-256 of its secret, 64 hexadecimal digits; without one it has certificates.
    #[serde(default)]
    pub secret_sha256: Option<String>,
    /// Names of its certificates: whoever connects with one of them is this client.
    #[serde(default)]
    pub certificate_names: Vec<String>,
    /// Scopes that its tokens may have, in any case.
    pub scopes: Vec<String>,
    /// The storages that its jobs touch.
    #[serde(default = "both_storages")]
    pub storages: Vec<String>,
    /// Its jobs check rows and apply none.
    #[serde(default)]
    pub validate_only: bool,
    /// Clients on whose behalf it may get a token.
    #[serde(default)]
    pub act_for: Vec<String>,
    /// How much it may do.
    #[serde(default)]
    pub quota: Quota,
}

/// How much a client may do; `None` is without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Uploads that run at once.
    pub uploads_max: Option<u32>,
    /// Jobs that have not ended, running uploads included.
    pub jobs_queued_max: Option<u32>,
    /// Bytes of their payloads, running uploads included.
    pub spool_bytes_max: Option<u64>,
    /// Calls in a second.
    pub requests_per_s: Option<u32>,
}

/// The digest stays out of logs: a weak secret could be found from it.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

fn both_storages() -> Vec<String> {
    crate::domain::Storage::ALL.map(|s| s.to_string()).to_vec()
}
