//! A caller that was let in.

use crate::{
    config::Quota,
    domain::{Operation, Scope, ScopeSet, StorageSet, Tenant},
    error::{Code, Error},
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
    /// What it may do.
    pub scopes: ScopeSet,
    /// How much the client may do.
    pub quota: Quota,
}

impl Principal {
    /// Every caller while authentication is off.
    #[must_use]
    pub fn local() -> Self {
        Self {
            client: Tenant::LOCAL.to_owned(),
            tenant: Tenant::local(),
            storages: StorageSet::ALL,
            validate_only: false,
            scopes: ScopeSet::ALL,
            quota: Quota::default(),
        }
    }

    /// Whether it may submit and cancel such jobs.
    ///
    /// # Errors
    /// `CVRS-SCOPE`.
    pub fn may(&self, operation: Operation) -> Result<(), Error> {
        let scope = Scope::of(operation);
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(Error::new(Code::Scope, format!("the token does not have the scope {scope}")))
    }

    /// Whether it may read jobs: any scope that makes jobs will do.
    ///
    /// # Errors
    /// `CVRS-SCOPE`.
    pub fn may_read(&self) -> Result<(), Error> {
        if Operation::ALL.into_iter().any(|o| self.scopes.contains(Scope::of(o))) {
            return Ok(());
        }
        let text = "the token has none of the scopes UPLOAD, UPDATE and DELETE";
        Err(Error::new(Code::Scope, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_takes_its_own_scope_and_any_of_them_reads() {
        for operation in Operation::ALL {
            let scopes = ScopeSet::from_iter([Scope::of(operation)]);
            let caller = Principal { scopes, ..Principal::local() };
            for other in Operation::ALL {
                assert_eq!(caller.may(other).is_ok(), other == operation);
            }
            assert!(caller.may_read().is_ok());
        }
        let scopes = ScopeSet::from_iter([Scope::ExportRedacted, Scope::ExportNonRedacted]);
        let exporter = Principal { scopes, ..Principal::local() };
        assert_eq!(exporter.may_read().unwrap_err().code, Code::Scope);
    }
}
