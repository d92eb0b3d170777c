//! Why a row is refused: stable codes and exact texts.

use std::{collections::BTreeSet, fmt};

use super::{
    rule::Bound,
    table::{Entry, TABLE},
};

/// A defect of a cell, or of a row that cannot be cut into cells.
///
/// Displays as the documented text. Never holds a row's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The cell breaks that rule.
    Broken(&'static Entry, Bound),
    /// The row has filled cells beyond the header's columns, whose number this is.
    Cells(usize),
    /// The row has bytes that are not UTF-8.
    Utf8,
}

impl Reason {
    /// Every code that [`Reason::code`] returns.
    #[must_use]
    pub fn codes() -> BTreeSet<&'static str> {
        let whole = [Self::Cells(0), Self::Utf8].map(Self::code);
        TABLE.iter().map(|entry| entry.code).chain(whole).collect()
    }

    /// Stable code of the rule that is broken.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Broken(entry, _) => entry.code,
            Self::Cells(_) => "CVRS-ROW-CELLS",
            Self::Utf8 => "CVRS-ROW-UTF8",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Broken(entry, bound) => entry.text(bound).fmt(f),
            Self::Cells(columns) => {
                write!(f, "row has filled cells beyond the header's last column, number {columns}")
            }
            Self::Utf8 => f.write_str("must be valid UTF-8"),
        }
    }
}
