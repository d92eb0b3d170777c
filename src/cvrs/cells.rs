//! Cutting a line into cells.

/// The line without one carriage return at its end.
pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Without ASCII spaces at both ends; nothing else counts as space.
pub(super) fn trim_spaces(mut cell: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = cell {
        cell = rest;
    }
    cell
}

/// Notes where the first `ends.len()` cells of the line end; cells that the line does not have end
/// where it ends, so that they read as empty.
///
/// Goes by words of eight bytes: cells are so short that a search per cell costs more than it finds.
pub(super) fn cut(line: &[u8], ends: &mut [usize]) {
    let mut slots = ends.iter_mut();
    let (words, rest) = line.as_chunks::<8>();
    for (base, word) in words.iter().enumerate() {
        let mut hits = tabs(u64::from_le_bytes(*word));
        while hits != 0 {
            let Some(slot) = slots.next() else { return };
            *slot = base * 8 + hits.trailing_zeros() as usize / 8;
            hits &= hits - 1;
        }
    }
    let base = line.len() - rest.len();
    for (at, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == b'\t') {
        let Some(slot) = slots.next() else { return };
        *slot = base + at;
    }
    slots.for_each(|slot| *slot = line.len());
}

/// The high bit of each byte of the word that is a tab.
fn tabs(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A tab is zero now; adding to the low seven bits carries into the eighth for all but zero.
    let word = word ^ 0x0909_0909_0909_0909;
    !(((word & LOW) + LOW) | word | LOW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_ascii_spaces_are_trimmed_and_one_carriage_return_is_dropped() {
        assert_eq!(trim_spaces(b"  a b "), b"a b");
        assert_eq!(trim_spaces(b"   "), b"");
        assert_eq!(trim_spaces("\u{a0}a".as_bytes()), "\u{a0}a".as_bytes());
        assert_eq!(without_cr(b"a\r\r"), b"a\r");
        assert_eq!(without_cr(b"a"), b"a");
    }

    proptest! {
        #[test]
        fn cells_end_where_a_plain_split_ends_them(
            line in prop::collection::vec(prop_oneof![Just(b'\t'), any::<u8>()], 0..80),
            width in 0_usize..60,
        ) {
            let mut expected = Vec::new();
            let mut end = 0;
            for cell in line.split(|b| *b == b'\t') {
                end += cell.len();
                expected.push(end);
                end += 1;
            }
            expected.resize(width, line.len());
            let mut ends = vec![usize::MAX; width];
            cut(&line, &mut ends);
            prop_assert_eq!(ends, expected);
        }
    }
}
