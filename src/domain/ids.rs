//! Names of jobs and tenants.

use std::{fmt, str::FromStr, sync::Arc};

use uuid::Uuid;

use crate::limits::NAME_CHARS_MAX;

/// Names one job: a UUID, version 7 where we made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Uuid);

impl JobId {
    /// A new id; ids made later by this process are greater.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// When it was made, in microseconds since the Unix epoch; `None` where that is no id of ours.
    #[must_use]
    pub fn made_us(&self) -> Option<i64> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        i64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1_000))
    }

    /// The id as 16 bytes, as stores key it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id that these 16 bytes name.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    /// Takes only the hyphenated form, in any case, so that one job has one name in a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hyphenated: uuid::fmt::Hyphenated = text.parse()?;
        Ok(Self(hyphenated.into_uuid()))
    }
}

/// Whether the text can name a tenant or a client: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.bytes().all(plain)
}

/// Owner of jobs and records: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

/// A tenant's name has characters or a length that is not accepted.
#[derive(Debug, thiserror::Error)]
#[error("tenant {0:?} is not 1 to 64 characters of A-Z a-z 0-9 . _ -")]
pub struct InvalidTenant(String);

impl Tenant {
    /// The tenant that all calls belong to while authentication is off.
    pub const LOCAL: &'static str = "local";

    /// The tenant of that name.
    ///
    /// # Errors
    /// When the name has other characters or another length than accepted.
    pub fn new(name: &str) -> Result<Self, InvalidTenant> {
        if !is_name(name) {
            return Err(InvalidTenant(name.to_owned()));
        }
        Ok(Self(name.into()))
    }

    /// The tenant that all calls belong to while authentication is off.
    #[must_use]
    pub fn local() -> Self {
        Self(Self::LOCAL.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_reads_back_and_only_in_its_hyphenated_form() {
        let id = JobId::generate();
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert_eq!(id.to_string().to_uppercase().parse::<JobId>().unwrap(), id);
        assert!(id.to_string().replace('-', "").parse::<JobId>().is_err());
        assert!(format!("{{{id}}}").parse::<JobId>().is_err());
    }

    #[test]
    fn tenants_take_plain_names_only() {
        assert!(Tenant::new("BAA-upload_1.x").is_ok());
        assert!(Tenant::new(&"a".repeat(64)).is_ok());
        for bad in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
            assert!(Tenant::new(bad).is_err(), "{bad:?}");
        }
    }
}
