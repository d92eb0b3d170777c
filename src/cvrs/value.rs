//! The forms that values have.

/// A closed set of codes with the text that lists them.
#[derive(Debug, PartialEq, Eq)]
pub struct Codes {
    /// The codes, in upper case.
    pub values: &'static [&'static str],
    /// What a value outside the set is told.
    pub text: &'static str,
}

pub(super) static EXT_TYPE: Codes =
    Codes { values: &["D", "I", "P"], text: "must be one of [D, I, P]" };
pub(super) static SEX: Codes = Codes { values: &["F", "M", "U"], text: "must be one of [F, M, U]" };
pub(super) static RACE: Codes = Codes {
    values: &["1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1", "UNK", "POL"],
    text: "must be one of [1002-5, 2028-9, 2054-5, 2076-8, 2106-3, 2131-1, UNK, POL]",
};
pub(super) static ETHNICITY: Codes = Codes {
    values: &["2135-2", "2186-5", "UNK", "POL"],
    text: "must be one of [2135-2, 2186-5, UNK, POL]",
};
// The text's double spaces are the published ones.
pub(super) static SITE: Codes = Codes {
    values: &["LT", "LA", "LD", "LG", "LVL", "LLFA", "RT", "RA", "RD", "RG", "RVL", "RLFA"],
    text: "must be one of [LT,  LA,  LD,  LG,  LVL,  LLFA,  RT,  RA,  RD,  RG,  RVL,  RLFA]",
};
pub(super) static DOSE: Codes = Codes {
    values: &["1", "2", "3", "4", "5", "6", "INV", "UNK"],
    text: r#"must be [1-6], "INV", or "UNK""#,
};
pub(super) static YES_NO_UNK: Codes =
    Codes { values: &["YES", "NO", "UNK"], text: "must be one of [YES, NO, UNK]" };
pub(super) static YES_NO: Codes =
    Codes { values: &["YES", "NO"], text: "must be one of [YES, NO]" };

/// A form that the profile `strict` names by a regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// No white space at all.
    NoSpace,
    /// `D`, `P` or `I`.
    ExtType,
    /// Five digits, or five digits, a hyphen and four digits.
    Zip,
    /// The same; its regular expression also takes nothing.
    ZipOrNothing,
    /// Begins with something other than white space.
    StartsFilled,
    /// At most six digits and ASCII letters.
    Pin,
}

impl Pattern {
    /// The regular expression, as texts name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NoSpace => r"^\S+$",
            Self::ExtType => "^(D|P|I)$",
            Self::Zip => r"\d{5}(-\d{4})?",
            Self::ZipOrNothing => r"^(\d{5}(-\d{4})?)?$",
            Self::StartsFilled => r"^\S+.*$",
            Self::Pin => "^([0-9A-Za-z]{0,6})$",
        }
    }

    /// Whether the value, which is not null, has the form.
    pub(super) fn fits(self, value: &[u8]) -> bool {
        match self {
            Self::NoSpace => !value.iter().any(|byte| is_white(*byte)),
            Self::ExtType => is_one_of(value, &EXT_TYPE),
            Self::Zip | Self::ZipOrNothing => is_zip(value),
            Self::StartsFilled => {
                value.first().is_some_and(|byte| !is_white(*byte)) && !value.contains(&b'\r')
            }
            Self::Pin => value.len() <= 6 && value.iter().all(u8::is_ascii_alphanumeric),
        }
    }
}

/// What `\s` stands for: ASCII white space with the vertical tab.
fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Whether it is spelt as month, day and year with slashes.
pub(super) fn is_american_date(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'/');
    let mut next = |lengths: std::ops::RangeInclusive<usize>| {
        parts.next().is_some_and(|part| lengths.contains(&part.len()) && is_number(part))
    };
    next(1..=2) && next(1..=2) && next(2..=4) && parts.next().is_none()
}

/// Whether it is one of the codes, in any case.
pub(super) fn is_one_of(value: &[u8], codes: &Codes) -> bool {
    codes.values.iter().any(|code| value.eq_ignore_ascii_case(code.as_bytes()))
}

/// Whether it is that many ASCII digits.
pub(super) fn is_digits(value: &[u8], count: usize) -> bool {
    value.len() == count && is_number(value)
}

/// Whether it is one or more ASCII digits.
pub(super) fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// Whether it is two ASCII letters.
pub(super) fn is_state(value: &[u8]) -> bool {
    value.len() == 2 && value.iter().all(u8::is_ascii_alphabetic)
}

/// Whether it is five digits, or five digits, a hyphen and four digits.
pub(super) fn is_zip(value: &[u8]) -> bool {
    match value.split_at_checked(5) {
        Some((five, [])) => is_number(five),
        Some((five, [b'-', four @ ..])) => is_number(five) && is_digits(four, 4),
        _ => false,
    }
}

/// Whether it is a number from 1 to `max` without leading zeros, or `UNK` in any case.
pub(super) fn is_admin_type(value: &[u8], max: u32) -> bool {
    if value.eq_ignore_ascii_case(b"UNK") {
        return true;
    }
    let plain = is_number(value) && !value.starts_with(b"0");
    plain && str::from_utf8(value).is_ok_and(|text| text.parse::<u32>().is_ok_and(|n| n <= max))
}

/// Whether it has at most `max` characters. The bytes are valid UTF-8.
pub(super) fn fits(value: &[u8], max: usize) -> bool {
    // Characters never outnumber bytes.
    value.len() <= max || value.iter().filter(|byte| !is_continuation(**byte)).count() <= max
}

/// Whether a byte of UTF-8 goes on with a character.
fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zips_have_five_or_nine_digits() {
        for good in ["12345", "00501-0001"] {
            assert!(is_zip(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "1234",
            "123456",
            "12345-",
            "12345-678",
            "12345-67890",
            "123456789",
            "1234a",
            "12345 6789",
            " 12345",
        ] {
            assert!(!is_zip(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn admin_types_run_from_one_to_the_bound() {
        for good in ["1", "9", "28", "UNK", "unk"] {
            assert!(is_admin_type(good.as_bytes(), 28), "{good}");
        }
        for bad in ["", "0", "29", "01", "-1", "+1", "1.0", "4294967297", "UNKN", "a"] {
            assert!(!is_admin_type(bad.as_bytes(), 28), "{bad}");
        }
        assert!(is_admin_type(b"42", 42) && !is_admin_type(b"43", 42));
    }

    #[test]
    fn digits_and_letters_are_ascii() {
        assert!(is_digits(b"012345", 6) && !is_digits(b"01234", 6) && !is_digits(b"0123456", 6));
        assert!(is_number(b"0208") && !is_number(b"") && !is_number("２".as_bytes()));
        assert!(
            is_state(b"mi") && !is_state(b"M1") && !is_state(b"MIC") && !is_state("é".as_bytes())
        );
    }

    #[test]
    fn lengths_count_characters() {
        assert!(fits("é".repeat(3).as_bytes(), 3));
        assert!(!fits("é".repeat(4).as_bytes(), 3));
        assert!(fits(b"abc", 3) && !fits(b"abcd", 3));
    }
}
