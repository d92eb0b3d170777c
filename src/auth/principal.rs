//! A caller that was let in.

use crate::{
    audit::{Entry, Kind},
    config::Quota,
    domain::{Operation, Origin, Scope, ScopeSet, Storage, StorageSet, Tenant},
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
    /// Where it calls from.
    pub origin: Origin,
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
            origin: Origin::default(),
        }
    }

    /// An entry for the audit log of what it does.
    #[must_use]
    pub fn entry(&self, kind: Kind) -> Entry {
        Entry {
            client: Some(self.client.clone()),
            tenant: Some(self.tenant.to_string()),
            ..Entry::new(kind).from(self.origin.clone())
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

    /// Whether it may do what an operator does, to the whole daemon and so to every tenant.
    ///
    /// # Errors
    /// `CVRS-SCOPE`.
    pub fn may_admin(&self) -> Result<(), Error> {
        self.has(Scope::Admin)
    }

    /// Whether it may take a backup, with the rows of every tenant.
    ///
    /// # Errors
    /// `CVRS-SCOPE`.
    pub fn may_backup(&self) -> Result<(), Error> {
        self.has(Scope::Backup)
    }

    fn has(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(Error::new(Code::Scope, format!("the token does not have the scope {scope}")))
    }

    /// Whether it may read rows of that storage. Which storages are its own, `storages` says.
    ///
    /// # Errors
    /// `CVRS-SCOPE`.
    pub fn may_export(&self, storage: Storage) -> Result<(), Error> {
        let needed = Scope::reading(storage);
        if needed.iter().any(|scope| self.scopes.contains(*scope)) {
            return Ok(());
        }
        let names: Vec<_> = needed.iter().map(|scope| scope.as_str()).collect();
        let text = format!("reading rows of {storage} takes the scope {}", names.join(" or "));
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

    #[test]
    fn an_operator_needs_the_scope_of_its_own_which_is_good_for_nothing_else() {
        for scope in Scope::ALL {
            let caller = Principal { scopes: ScopeSet::from_iter([scope]), ..Principal::local() };
            let refused =
                [caller.may_admin(), caller.may_backup()].map(|may| may.map_err(|e| e.code));
            let expected = [Scope::Admin, Scope::Backup]
                .map(|needed| if scope == needed { Ok(()) } else { Err(Code::Scope) });
            assert_eq!(refused, expected, "{scope}");
        }
        let scopes = ScopeSet::from_iter([Scope::Admin]);
        let operator = Principal { scopes, ..Principal::local() };
        assert!(operator.may_read().is_err());
        assert!(Operation::ALL.into_iter().all(|operation| operator.may(operation).is_err()));
    }

    #[test]
    fn rows_are_read_with_the_scope_of_their_storage_or_the_wider_one() {
        for scope in Scope::ALL {
            let caller = Principal { scopes: ScopeSet::from_iter([scope]), ..Principal::local() };
            let found = Storage::ALL.map(|storage| caller.may_export(storage).is_ok());
            let expected = match scope {
                Scope::ExportNonRedacted => [true, true],
                Scope::ExportRedacted => [false, true],
                _ => [false, false],
            };
            assert_eq!(found, expected, "{scope}");
        }
        let nobody = Principal { scopes: ScopeSet::EMPTY, ..Principal::local() };
        let refused = nobody.may_export(Storage::Redacted).unwrap_err();
        assert_eq!(refused.code, Code::Scope);
        assert_eq!(
            refused.message,
            "reading rows of REDACTED_DB takes the scope EXPORT_NON_REDACTED or EXPORT_REDACTED"
        );
    }
}
