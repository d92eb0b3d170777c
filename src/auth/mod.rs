//! Who is calling: the tenant, and what the caller may touch.

use crate::{
    config::{self, AuthMode},
    domain::{StorageSet, Tenant},
    error::Error,
};

/// A caller that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name of the client; `local` while authentication is off.
    pub client: String,
    /// Owner of the jobs that it submits and sees.
    pub tenant: Tenant,
    /// The storages that its jobs touch.
    pub storages: StorageSet,
    /// Its jobs check rows and apply none.
    pub validate_only: bool,
}

impl Principal {
    /// Every caller while authentication is off.
    fn local() -> Self {
        Self {
            client: Tenant::LOCAL.to_owned(),
            tenant: Tenant::local(),
            storages: StorageSet::ALL,
            validate_only: false,
        }
    }
}

/// Lets callers in, or not.
#[derive(Clone, Debug)]
pub struct Authenticator {
    mode: AuthMode,
}

impl Authenticator {
    /// An authenticator as configured.
    #[must_use]
    pub fn new(config: &config::Auth) -> Self {
        Self { mode: config.mode }
    }

    /// The caller who sends that `Authorization` value. In mode `none` the value is not looked at.
    ///
    /// # Errors
    /// When the caller is not let in; in mode `none` everyone is.
    pub fn authenticate(&self, _authorization: Option<&str>) -> Result<Principal, Error> {
        match self.mode {
            AuthMode::None => Ok(Principal::local()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_authentication_every_caller_is_the_local_tenant_with_both_storages() {
        let authenticator = Authenticator::new(&config::Auth::default());
        for authorization in [None, Some(""), Some("Bearer whatever")] {
            let caller = authenticator.authenticate(authorization).unwrap();
            assert_eq!(caller.tenant, Tenant::local());
            assert_eq!(caller.client, "local");
            assert_eq!(caller.storages, StorageSet::ALL);
            assert!(!caller.validate_only);
        }
    }
}
