//! The two storages of a tenant.

use std::fmt;

/// A database of the documented API. Both hold the same rows; the redacted one shows them without
/// the identifying cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Storage {
    /// `NON_REDACTED_DB`: complete records.
    NonRedacted,
    /// `REDACTED_DB`: names, streets and city read `Redacted`.
    Redacted,
}

impl Storage {
    /// Every storage, in the order in which results list them.
    pub const ALL: [Self; 2] = [Self::NonRedacted, Self::Redacted];

    /// The documented name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NonRedacted => "NON_REDACTED_DB",
            Self::Redacted => "REDACTED_DB",
        }
    }

    /// The storage of that documented name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    fn bit(self) -> u8 {
        match self {
            Self::NonRedacted => 1,
            Self::Redacted => 2,
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of the storages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StorageSet(u8);

impl StorageSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// Both.
    pub const ALL: Self = Self(3);

    /// The set that these bits name; `None` where a bit is unknown.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Self> {
        u8::try_from(bits).ok().filter(|b| *b <= Self::ALL.0).map(Self)
    }

    /// Bit 0 is `NON_REDACTED_DB`, bit 1 `REDACTED_DB`.
    #[must_use]
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// Whether the storage is in the set.
    #[must_use]
    pub fn contains(self, storage: Storage) -> bool {
        self.0 & storage.bit() != 0
    }

    /// Adds a storage.
    pub fn insert(&mut self, storage: Storage) {
        self.0 |= storage.bit();
    }

    /// The storages that are in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether none is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The storages of the set in listing order.
    pub fn iter(self) -> impl Iterator<Item = Storage> {
        Storage::ALL.into_iter().filter(move |s| self.contains(*s))
    }
}

impl FromIterator<Storage> for StorageSet {
    fn from_iter<I: IntoIterator<Item = Storage>>(storages: I) -> Self {
        let mut set = Self::EMPTY;
        for storage in storages {
            set.insert(storage);
        }
        set
    }
}

/// One value for each storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerStorage<T> {
    /// Of `NON_REDACTED_DB`.
    pub non_redacted: T,
    /// Of `REDACTED_DB`.
    pub redacted: T,
}

impl<T> PerStorage<T> {
    /// The value of one storage.
    pub fn get(&self, storage: Storage) -> &T {
        match storage {
            Storage::NonRedacted => &self.non_redacted,
            Storage::Redacted => &self.redacted,
        }
    }

    /// The value of one storage, to change.
    pub fn get_mut(&mut self, storage: Storage) -> &mut T {
        match storage {
            Storage::NonRedacted => &mut self.non_redacted,
            Storage::Redacted => &mut self.redacted,
        }
    }
}
