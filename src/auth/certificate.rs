//! What the certificate of a connection says of the caller.

/// A client certificate, already verified by whoever made the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names.
    pub names: Vec<String>,
    /// From when on it is no good, in seconds since the Unix epoch: a connection may outlive it.
    pub expires_s: i64,
}

/// A name in the form in which names are compared: in any case, but for URIs, whose paths have one.
pub(super) fn folded(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { name.to_ascii_lowercase() }
}
