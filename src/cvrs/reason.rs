//! Why a row is refused: stable codes and exact texts.

use std::fmt;

use jiff::civil::Date;

/// The first defect of a cell, or of a row that cannot be cut into cells.
///
/// Displays as the documented text. Never holds a row's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The cell is null.
    Null,
    /// The value has more than that many characters.
    Length(usize),
    /// The value does not have the form that the text asks for.
    Format(&'static str),
    /// The value is not one of the codes that the text lists.
    Value(&'static str),
    /// `admin_type` is neither `UNK` nor a number from 1 to this one.
    AdminType(u32),
    /// The date is not one of the calendar, or not spelt `YYYY-MM-DD` or `YYYY-MM`.
    Date,
    /// `admin_date` is this day or earlier.
    TooEarly(Date),
    /// `admin_date` is after the day on which the file was received.
    AfterSubmission,
    /// `recip_dob` is after `admin_date`.
    BornAfter,
    /// The row has filled cells beyond the header's columns, whose number this is.
    Cells(usize),
    /// The row has bytes that are not UTF-8.
    Utf8,
}

impl Reason {
    /// Every code that [`Reason::code`] returns.
    pub const CODES: [&'static str; 8] = [
        "CVRS-ROW-NULL",
        "CVRS-ROW-LENGTH",
        "CVRS-ROW-FORMAT",
        "CVRS-ROW-VALUE",
        "CVRS-ROW-DATE",
        "CVRS-ROW-RANGE",
        "CVRS-ROW-CELLS",
        "CVRS-ROW-UTF8",
    ];

    /// Stable code of the rule that is broken.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Null => "CVRS-ROW-NULL",
            Self::Length(_) => "CVRS-ROW-LENGTH",
            Self::Format(_) => "CVRS-ROW-FORMAT",
            Self::Value(_) | Self::AdminType(_) => "CVRS-ROW-VALUE",
            Self::Date => "CVRS-ROW-DATE",
            Self::TooEarly(_) | Self::AfterSubmission | Self::BornAfter => "CVRS-ROW-RANGE",
            Self::Cells(_) => "CVRS-ROW-CELLS",
            Self::Utf8 => "CVRS-ROW-UTF8",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Null => f.write_str("must not be null"),
            Self::Length(max) => write!(f, "maximum length is {max}"),
            Self::Format(text) | Self::Value(text) => f.write_str(text),
            Self::AdminType(max) => write!(f, r#"must be [1-{max}] or "UNK""#),
            Self::Date => {
                f.write_str(r#"invalid date format, expected: "YYYY-MM-DD" or "YYYY-MM""#)
            }
            Self::TooEarly(last) => {
                let last = last.strftime("%B %-d, %Y");
                write!(f, "admin_date should not be on {last} or earlier")
            }
            Self::AfterSubmission => f.write_str("admin_date must be on or before submission date"),
            Self::BornAfter => f.write_str("recip_dob must be on or before admin_date"),
            Self::Cells(columns) => {
                write!(f, "row has filled cells beyond the header's last column, number {columns}")
            }
            Self::Utf8 => f.write_str("must be valid UTF-8"),
        }
    }
}
