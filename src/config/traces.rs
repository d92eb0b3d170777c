//! Export of traces.

use serde::{Deserialize, Serialize};

/// Export of traces over OTLP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Where they go: the gRPC address of a collector. Nothing is traced without.
    pub endpoint: Option<String>,
    /// Of requests that come without a trace of their own, the part that is traced.
    pub sample_ratio: f64,
}

impl Default for Traces {
    fn default() -> Self {
        Self { endpoint: None, sample_ratio: 1.0 }
    }
}
