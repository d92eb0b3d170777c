//! Ids as keys and as parts of texts, and the documented error strings.

use std::fmt;

use crate::limits::ID_CHARS_IN_TEXT_MAX;

/// Why a valid row had no effect in a storage. Displays as the documented text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Miss {
    /// A create of a record that is live.
    Exists,
    /// An update or delete of a record that is not.
    Unknown,
    /// The job was cancelled before the row's turn.
    NotApplied,
}

impl Miss {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Exists, Self::Unknown, Self::NotApplied];

    /// The text of a processing error.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "Record already exists",
            Self::Unknown => "Record does not exist",
            Self::NotApplied => "not applied",
        }
    }

    /// Its stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Exists => "CVRS-ROW-EXISTS",
            Self::Unknown => "CVRS-ROW-UNKNOWN",
            Self::NotApplied => "CVRS-ROW-NOT-APPLIED",
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A validation error as the documented API spells it. The ids come from [`id_text`]; what is
/// missing is an empty string.
#[must_use]
pub fn validation_text(
    line: u64,
    event_id: &str,
    recip_id: &str,
    field: &str,
    message: impl fmt::Display,
) -> String {
    format!("line#{line}: vaxEventId={event_id} recipId={recip_id} field={field} message={message}")
}

/// A processing error as the documented API spells it: other than in a validation error, `ID` has
/// a capital D. The ids come from [`id_text`].
#[must_use]
pub fn processing_text(
    storage: impl fmt::Display,
    event_id: &str,
    recip_id: &str,
    message: impl fmt::Display,
) -> String {
    format!("storage={storage} vaxEventID={event_id} recipId={recip_id} message={message}")
}

/// Appends an id as texts show it: at most [`ID_CHARS_IN_TEXT_MAX`] characters, control characters
/// as `?`, each run of bytes that is not UTF-8 as U+FFFD.
pub fn id_text(id: &[u8], out: &mut String) {
    let bad = |invalid: &[u8]| (!invalid.is_empty()).then_some(char::REPLACEMENT_CHARACTER);
    let chars = id.utf8_chunks().flat_map(|c| c.valid().chars().chain(bad(c.invalid())));
    let shown = chars.map(|c| if c.is_control() { '?' } else { c });
    out.extend(shown.take(ID_CHARS_IN_TEXT_MAX));
}

/// Appends an id as the record key has it: ASCII letters in lower case, nothing trimmed.
pub fn fold_into(id: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(id);
    out.iter_mut().skip(start).for_each(u8::make_ascii_lowercase);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(id: &[u8]) -> String {
        let mut out = String::new();
        id_text(id, &mut out);
        out
    }

    #[test]
    fn error_strings_are_the_documented_ones() {
        assert_eq!(
            validation_text(2, "EV1001", "P1", "recip_middle_name", "must not be null"),
            "line#2: vaxEventId=EV1001 recipId=P1 field=recip_middle_name message=must not be null"
        );
        assert_eq!(
            validation_text(1, "", "", "", "the reason"),
            "line#1: vaxEventId= recipId= field= message=the reason"
        );
        assert_eq!(
            processing_text("NON_REDACTED_DB", "EV1001", "P1", Miss::Unknown),
            "storage=NON_REDACTED_DB vaxEventID=EV1001 recipId=P1 message=Record does not exist"
        );
        assert_eq!(Miss::Exists.to_string(), "Record already exists");
        assert_eq!(Miss::NotApplied.to_string(), "not applied");
    }

    #[test]
    fn an_id_in_a_text_has_at_most_255_characters() {
        let long = "é".repeat(255);
        assert_eq!(shown(long.as_bytes()), long);
        assert_eq!(shown("é".repeat(256).as_bytes()), long);
    }

    #[test]
    fn an_id_in_a_text_has_no_control_character_and_no_broken_one() {
        assert_eq!(shown(b"a\nb\x1b[0m\x7f"), "a?b?[0m?");
        assert_eq!(shown("a\u{85}b".as_bytes()), "a?b");
        assert_eq!(shown(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn a_key_folds_ascii_case_only_and_keeps_spaces() {
        let mut key = b"KEEP".to_vec();
        fold_into(" AbÉ-Z1 ".as_bytes(), &mut key);
        assert_eq!(key, "KEEP abÉ-z1 ".as_bytes());
    }
}
