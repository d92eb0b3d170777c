//! The header line: which column stands where.

use std::{collections::HashMap, fmt, ops::Range};

use super::{cells::without_cr, field::Field};
use crate::{
    error::Code,
    limits::{HEADER_COLUMNS_MAX, WARNINGS_MAX},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Missing columns that one message names; more are counted, so that the sentence stays short.
const MISSING_NAMED_MAX: usize = 8;
/// Characters of an unknown column's name up to which it is shown.
const NAME_CHARS_MAX: usize = 64;

/// Which columns an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// All 45: create and update.
    All,
    /// `vax_event_id`: delete.
    Key,
}

/// A first line that is not a header of the operation's files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HeaderError {
    /// [`Code::HeaderMalformed`], [`Code::HeaderColumn`] or [`Code::HeaderDuplicate`].
    pub code: Code,
    /// One lower-case sentence. Shows known names only, as the line may be a data row.
    pub message: String,
}

impl HeaderError {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The columns of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// In the file's order; `None` is a column that CVRS v2 does not have.
    columns: Vec<Option<Field>>,
    /// By [`Field::index`], where the column stands.
    places: [Option<usize>; Field::ALL.len()],
    canonical: bool,
    warnings: Vec<String>,
}

impl Header {
    /// Reads a file's first line. A byte-order mark, a carriage return at the end, spaces around
    /// names, case and order do not matter; columns that CVRS v2 does not have are ignored with a
    /// warning; empty cells at the end are no columns.
    ///
    /// # Errors
    /// The first that holds of: not UTF-8, empty, more than [`HEADER_COLUMNS_MAX`] columns, a control
    /// character in a name, no known column, an empty name before the last name, a name twice, a
    /// needed column missing.
    pub fn parse(line: &[u8], need: Need) -> Result<Self, HeaderError> {
        let line = without_cr(line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line));
        let Ok(text) = str::from_utf8(line) else { return Err(no_header("is not UTF-8 text")) };
        let text = text.trim_end_matches(['\t', ' ']);
        if text.is_empty() {
            return Err(no_header("is empty"));
        }
        let names: Vec<_> = text.split('\t').map(|name| name.trim_matches(' ')).collect();
        if names.len() > HEADER_COLUMNS_MAX {
            let (count, max) = (names.len(), HEADER_COLUMNS_MAX);
            return Err(no_header(format_args!("has {count} columns, more than {max}")));
        }
        // Lines that end in some other way than by a newline make one name of a column and a value.
        if let Some(place) = names.iter().position(|name| name.contains(char::is_control)) {
            let place = place + 1;
            return Err(no_header(format_args!("has a control character in column {place}")));
        }
        let columns: Vec<_> = names.iter().map(|name| Field::from_name(name)).collect();
        if columns.iter().all(Option::is_none) {
            return Err(no_header("has no known column name between tabs"));
        }
        check_names(&names)?;
        let header = Self::of(columns, &names);
        header.check_need(need)?;
        Ok(header)
    }

    fn of(columns: Vec<Option<Field>>, names: &[&str]) -> Self {
        let mut places = [None; Field::ALL.len()];
        for (place, field) in columns.iter().enumerate() {
            if let Some(slot) = field.and_then(|f| places.get_mut(f.index())) {
                *slot = Some(place);
            }
        }
        let canonical = columns.iter().copied().eq(Field::ALL.into_iter().map(Some));
        let warnings = warnings(&columns, names);
        Self { columns, places, canonical, warnings }
    }

    fn check_need(&self, need: Need) -> Result<(), HeaderError> {
        let needed = match need {
            Need::All => Field::ALL.as_slice(),
            Need::Key => &[Field::VaxEventId],
        };
        let mut missing = needed.iter().filter(|f| self.place(**f).is_none()).map(|f| f.name());
        let named: Vec<_> = missing.by_ref().take(MISSING_NAMED_MAX).collect();
        if named.is_empty() {
            return Ok(());
        }
        let named = named.join(", ");
        let message = match missing.count() {
            0 => format!("the header lacks {named}"),
            more => format!("the header lacks {named} and {more} more"),
        };
        Err(HeaderError::new(Code::HeaderColumn, message))
    }

    /// What the file's owner should know: columns that are ignored. At most [`WARNINGS_MAX`].
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The columns in the file's order; `None` is one that is ignored.
    #[must_use]
    pub fn columns(&self) -> &[Option<Field>] {
        &self.columns
    }

    /// Where the column stands, from 0.
    #[must_use]
    pub fn place(&self, field: Field) -> Option<usize> {
        self.places.get(field.index()).copied().flatten()
    }

    /// One cell of a line; empty where the row or the header does not have it.
    #[must_use]
    pub fn cell<'a>(&self, line: &'a [u8], field: Field) -> &'a [u8] {
        let line = without_cr(line);
        let Some(place) = self.place(field) else { return b"" };
        let mut tabs = memchr::memchr_iter(b'\t', line);
        let start = match place {
            0 => Some(0),
            _ => tabs.nth(place - 1).map(|tab| tab + 1),
        };
        let end = tabs.next().unwrap_or(line.len());
        start.and_then(|start| line.get(start..end)).unwrap_or_default()
    }

    /// The `vax_event_id` of a line as it spells it.
    #[must_use]
    pub fn event_id<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        self.cell(line, Field::VaxEventId)
    }

    /// The `recip_id` of a line as it spells it.
    #[must_use]
    pub fn recip_id<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        self.cell(line, Field::RecipId)
    }

    /// Appends the line's 45 cells in canonical order, joined by tabs; a cell that the line does not
    /// have is empty, cells beyond the header and in ignored columns are left out.
    pub fn canonical(&self, line: &[u8], out: &mut Vec<u8>) {
        let line = without_cr(line);
        let last = Field::ALL.len() - 1;
        if self.canonical && memchr::memchr_iter(b'\t', line).count() == last {
            out.extend_from_slice(line);
            return;
        }
        let cells = self.ranges(line);
        out.reserve(line.len() + last);
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            out.extend_from_slice(line.get(cell).unwrap_or_default());
        }
    }

    /// Where each of the 45 cells stands in the line.
    fn ranges(&self, line: &[u8]) -> [Range<usize>; Field::ALL.len()] {
        let mut ranges = std::array::from_fn(|_| 0..0);
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\t', line).chain([line.len()]);
        for (column, end) in self.columns.iter().zip(ends) {
            if let Some(range) = column.and_then(|f: Field| ranges.get_mut(f.index())) {
                *range = start..end;
            }
            start = end + 1;
        }
        ranges
    }
}

fn no_header(what: impl fmt::Display) -> HeaderError {
    HeaderError::new(Code::HeaderMalformed, format!("not a cvrs header: the first line {what}"))
}

/// Refuses names that are empty or stand twice.
fn check_names(names: &[&str]) -> Result<(), HeaderError> {
    if let Some(place) = names.iter().position(|name| name.is_empty()) {
        let message = format!("column {} of the header has no name", place + 1);
        return Err(HeaderError::new(Code::HeaderMalformed, message));
    }
    let mut seen = HashMap::with_capacity(names.len());
    for (place, name) in names.iter().enumerate() {
        if let Some(first) = seen.insert(name.to_ascii_lowercase(), place) {
            let name = Field::from_name(name).map_or("a column", Field::name);
            let message = format!(
                "{name} stands twice in the header, as column {} and {}",
                first + 1,
                place + 1
            );
            return Err(HeaderError::new(Code::HeaderDuplicate, message));
        }
    }
    Ok(())
}

/// One sentence for each ignored column; the last one counts what would go over the bound.
fn warnings(columns: &[Option<Field>], names: &[&str]) -> Vec<String> {
    let ignored = columns.iter().zip(names).enumerate().filter(|(_, (field, _))| field.is_none());
    let mut warnings: Vec<_> = ignored
        .clone()
        .take(WARNINGS_MAX)
        .map(|(place, (_, name))| match shown(name) {
            Some(name) => format!("column {} ({name}) is not of cvrs v2 and is ignored", place + 1),
            None => format!("column {} is not of cvrs v2 and is ignored", place + 1),
        })
        .collect();
    let over = ignored.skip(WARNINGS_MAX).count();
    if over > 0 {
        warnings.pop();
        warnings.push(format!("{} more columns are not of cvrs v2 and are ignored", over + 1));
    }
    warnings
}

/// The name where it looks like one of a column and not like a value: an identifier with an underscore.
fn shown(name: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let identifier = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(plain);
    (name.len() <= NAME_CHARS_MAX && identifier && name.contains('_')).then_some(name)
}
