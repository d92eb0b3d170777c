//! What a client may do, as the documented token endpoint names it.

use std::fmt;

use super::{Operation, Storage};

/// One right of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `UPLOAD`: create records.
    Upload,
    /// `UPDATE`: update records.
    Update,
    /// `DELETE`: delete records.
    Delete,
    /// `EXPORT_REDACTED`: read rows of the redacted storage.
    ExportRedacted,
    /// `EXPORT_NON_REDACTED`: read rows of either storage.
    ExportNonRedacted,
    /// `EXPORT_SUMMARIZATION`. Documented; guards nothing here.
    ExportSummarization,
    /// `ADMIN`: what an operator does to the whole daemon. Ours, not documented.
    Admin,
    /// `BACKUP`: take a backup, which holds every row of every tenant. Ours, not documented.
    Backup,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::Upload,
        Self::Update,
        Self::Delete,
        Self::ExportRedacted,
        Self::ExportNonRedacted,
        Self::ExportSummarization,
        Self::Admin,
        Self::Backup,
    ];

    /// Its name, the documented one where it has one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "UPLOAD",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::ExportRedacted => "EXPORT_REDACTED",
            Self::ExportNonRedacted => "EXPORT_NON_REDACTED",
            Self::ExportSummarization => "EXPORT_SUMMARIZATION",
            Self::Admin => "ADMIN",
            Self::Backup => "BACKUP",
        }
    }

    /// The scope of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(name))
    }

    /// The scope that submitting and cancelling such a job takes.
    #[must_use]
    pub fn of(operation: Operation) -> Self {
        match operation {
            Operation::Create => Self::Upload,
            Operation::Update => Self::Update,
            Operation::Delete => Self::Delete,
        }
    }

    /// The scopes of which one is needed to read rows of that storage.
    #[must_use]
    pub fn reading(storage: Storage) -> &'static [Self] {
        match storage {
            Storage::NonRedacted => &[Self::ExportNonRedacted],
            Storage::Redacted => &[Self::ExportNonRedacted, Self::ExportRedacted],
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Upload => 1,
            Self::Update => 2,
            Self::Delete => 4,
            Self::ExportRedacted => 8,
            Self::ExportNonRedacted => 16,
            Self::ExportSummarization => 32,
            Self::Admin => 64,
            Self::Backup => 128,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of the scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u8);

impl ScopeSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(255);

    /// Whether the scope is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes of this set that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether none is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |s| self.contains(*s))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_in_any_case_and_each_scope_has_its_own_place() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_name(&scope.as_str().to_lowercase()), Some(scope));
            let only = ScopeSet::from_iter([scope]);
            assert_eq!(only.iter().collect::<Vec<_>>(), [scope]);
            assert!(ScopeSet::ALL.without(only).and(only).is_empty());
        }
        assert_eq!(Scope::from_name("EXPORT"), None);
        assert_eq!(ScopeSet::from_iter(Scope::ALL), ScopeSet::ALL);
    }
}
