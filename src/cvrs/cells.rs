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
/// Looks for the tabs of 64 bytes at once: cells are so short that a search per cell, or per word,
/// costs more than it finds, most of it for branches that no processor foresees.
pub(super) fn cut(line: &[u8], ends: &mut [usize]) {
    let mut slots = ends.iter_mut();
    let (blocks, rest) = line.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
    for (number, block) in blocks.iter().chain([&last]).enumerate() {
        let mut hits = tabs_of(block);
        while hits != 0 {
            let Some(slot) = slots.next() else { return };
            *slot = number * BLOCK + hits.trailing_zeros() as usize;
            hits &= hits - 1;
        }
    }
    slots.for_each(|slot| *slot = line.len());
}

/// Bytes that are looked at together, as many as a number has bits.
const BLOCK: usize = 64;

/// The places of a block's tabs, as bits.
fn tabs_of(block: &[u8; BLOCK]) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let gather = |(place, word): (usize, &[u8; 8])| {
        // Moves the high bits of eight bytes next to each other.
        let bits = (tabs(u64::from_le_bytes(*word)) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits << (place * 8)
    };
    words.iter().enumerate().map(gather).fold(0, |all, bits| all | bits)
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

    #[test]
    fn cells_end_at_the_edges_of_blocks_too() {
        for (length, tab) in
            [(64, 63), (64, 0), (65, 64), (128, 63), (128, 64), (128, 127), (63, 62)]
        {
            let mut line = vec![b'x'; length];
            line[tab] = b'\t';
            let mut ends = [0; 3];
            cut(&line, &mut ends);
            assert_eq!(ends, [tab, length, length], "tab {tab} of {length}");
        }
        let mut ends = [7; 2];
        cut(b"", &mut ends);
        assert_eq!(ends, [0, 0]);
    }

    proptest! {
        #[test]
        fn cells_end_where_a_plain_split_ends_them(
            line in prop::collection::vec(prop_oneof![Just(b'\t'), any::<u8>()], 0..300),
            width in 0_usize..200,
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
