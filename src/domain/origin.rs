//! Where a call comes from.

use std::{net::SocketAddr, sync::Arc};

use serde::{Serialize, Serializer};

use super::Trace;
use crate::limits::AUDIT_FORWARDED_CHARS_MAX;

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
        let forwarded = forwarded.filter(|bytes| !bytes.is_empty());
        let forwarded = forwarded.map(|bytes| kept(bytes).into());
        Self { face: Some(face), peer, forwarded, trace }
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn id<S: Serializer>(trace: &Option<Trace>, serializer: S) -> Result<S::Ok, S::Error> {
    trace.as_ref().map(Trace::id_text).serialize(serializer)
}
