//! The forms that values have.

/// A closed set of codes with the text that lists them.
#[derive(Debug, PartialEq, Eq)]
pub struct Codes {
    /// The codes, in upper case.
    pub values: &'static [&'static str],
    /// The same as words; a place without a code is 0.
    words: [u64; CODES_MAX],
    /// What a value outside the set is told.
    pub text: &'static str,
}

/// Codes of the longest set.
const CODES_MAX: usize = 12;
/// Bytes of a code that fits a word beside its length.
const CODE_BYTES_MAX: usize = 7;

impl Codes {
    const fn new<const N: usize>(values: &'static [&'static str; N], text: &'static str) -> Self {
        const { assert!(N <= CODES_MAX) };
        let mut words = [0; CODES_MAX];
        let (mut values_left, mut slots): (&[&str], &mut [u64]) = (values, &mut words);
        while let ([value, values @ ..], [slot, others @ ..]) = (values_left, slots) {
            let Some(word) = word(value.as_bytes()) else { panic!("a code is longer than a word") };
            *slot = word;
            (values_left, slots) = (values, others);
        }
        Self { values, words, text }
    }
}

/// Bytes in upper case and their number as one number; `None` where they do not fit. Codes are so told
/// apart by one comparison each.
#[inline]
const fn word(value: &[u8]) -> Option<u64> {
    // Both ends, which overlap: memory is only read, and no byte by itself.
    let bytes = match (value, value.first_chunk::<4>(), value.last_chunk::<4>()) {
        (_, Some(front), Some(back)) if value.len() <= CODE_BYTES_MAX => {
            let (front, back) = (u32::from_le_bytes(*front), u32::from_le_bytes(*back));
            front as u64 | (back as u64) << ((value.len() - 4) * 8)
        }
        ([], ..) => 0,
        ([a], ..) => u64::from_le_bytes([*a, 0, 0, 0, 0, 0, 0, 0]),
        ([a, b], ..) => u64::from_le_bytes([*a, *b, 0, 0, 0, 0, 0, 0]),
        ([a, b, c], ..) => u64::from_le_bytes([*a, *b, *c, 0, 0, 0, 0, 0]),
        _ => return None,
    };
    Some(upper(bytes) | (value.len() as u64) << (CODE_BYTES_MAX * 8))
}

/// Eight bytes with ASCII letters in upper case.
const fn upper(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    // The high bit of each byte tells: at least `a`, above `z`; no byte carries into the next.
    let low = word & !HIGH;
    let from_a = low + ONES * (0x80 - b'a' as u64);
    let beyond_z = low + ONES * (0x7f - b'z' as u64);
    let letters = (from_a & !beyond_z) & !word & HIGH;
    word ^ (letters >> 2)
}

pub(super) static EXT_TYPE: Codes = Codes::new(&["D", "I", "P"], "must be one of [D, I, P]");
pub(super) static SEX: Codes = Codes::new(&["F", "M", "U"], "must be one of [F, M, U]");
pub(super) static RACE: Codes = Codes::new(
    &["1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1", "UNK", "POL"],
    "must be one of [1002-5, 2028-9, 2054-5, 2076-8, 2106-3, 2131-1, UNK, POL]",
);
pub(super) static ETHNICITY: Codes =
    Codes::new(&["2135-2", "2186-5", "UNK", "POL"], "must be one of [2135-2, 2186-5, UNK, POL]");
// The text's double spaces are the published ones.
pub(super) static SITE: Codes = Codes::new(
    &["LT", "LA", "LD", "LG", "LVL", "LLFA", "RT", "RA", "RD", "RG", "RVL", "RLFA"],
    "must be one of [LT,  LA,  LD,  LG,  LVL,  LLFA,  RT,  RA,  RD,  RG,  RVL,  RLFA]",
);
pub(super) static DOSE: Codes =
    Codes::new(&["1", "2", "3", "4", "5", "6", "INV", "UNK"], r#"must be [1-6], "INV", or "UNK""#);
pub(super) static YES_NO_UNK: Codes =
    Codes::new(&["YES", "NO", "UNK"], "must be one of [YES, NO, UNK]");
pub(super) static YES_NO: Codes = Codes::new(&["YES", "NO"], "must be one of [YES, NO]");

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
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "to end at the hit is what costs")]
pub(super) fn is_one_of(value: &[u8], codes: &Codes) -> bool {
    let Some(value) = word(value).filter(|word| *word != 0) else { return false };
    // All of them, as no processor foresees which one it is.
    codes.words.iter().fold(false, |hit, code| hit | (*code == value))
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
    fn codes_are_taken_in_any_case_and_only_whole() {
        for codes in [&EXT_TYPE, &SEX, &RACE, &ETHNICITY, &SITE, &DOSE, &YES_NO_UNK, &YES_NO] {
            for code in codes.values {
                assert!(is_one_of(code.as_bytes(), codes), "{code}");
                assert!(is_one_of(code.to_lowercase().as_bytes(), codes), "{code}");
                for wrong in ["", &format!("{code}\0"), &format!("\0{code}"), &format!("{code}?")] {
                    assert!(!is_one_of(wrong.as_bytes(), codes), "{wrong}");
                }
            }
        }
        assert!(!is_one_of(b"1002-5 2028-9", &RACE));
    }

    #[test]
    fn any_value_is_a_code_or_not_as_byte_by_byte() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut hits = 0;
        for _ in 0..200_000 {
            let (codes, length) =
                ([&SEX, &DOSE, &SITE, &RACE][random.usize(..4)], random.usize(..9));
            let code = codes.values[random.usize(..codes.values.len())].as_bytes();
            let mut value: Vec<u8> = code.iter().copied().chain([b'x'; 9]).take(length).collect();
            // Most bytes stay; the others are near to a letter in one bit, or anything.
            for byte in &mut value {
                match random.u8(..8) {
                    0 => *byte ^= 1 << random.u8(..8),
                    1 => *byte = random.u8(..),
                    _ => {}
                }
            }
            let plain = codes.values.iter().any(|c| value.eq_ignore_ascii_case(c.as_bytes()));
            assert_eq!(is_one_of(&value, codes), plain, "{value:?}");
            hits += u32::from(plain);
        }
        assert!(hits > 1_000, "{hits}");
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
