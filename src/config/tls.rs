//! TLS of the listeners.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// TLS of the three listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file of the listeners' certificate, the chain behind it; `None` serves without TLS.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// PEM file of the authorities that sign clients' certificates; `None` asks for no certificate.
    pub client_ca: Option<PathBuf>,
    /// Whether a connection without a client certificate is refused.
    pub client_certificate_required: bool,
    /// Serves off loopback also without TLS or without authentication.
    pub insecure_off_loopback: bool,
}

impl Tls {
    /// The files that it names.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let Self { certificate, key, client_ca, .. } = self;
        [certificate, key, client_ca].into_iter().flatten().cloned().collect()
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            client_certificate_required: true,
            insecure_off_loopback: false,
        }
    }
}
