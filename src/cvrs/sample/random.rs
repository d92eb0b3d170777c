//! Numbers that look random and are the same everywhere.

use jiff::{Span, civil::Date};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// `SplitMix64` (Steele, Lea and Flood 2014): a counter run through a mixing function.
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// The numbers of one row. The start is mixed, so that rows do not share stretches.
    pub(super) fn of_row(seed: u64, index: u64) -> Self {
        Self { state: mix(mix(seed).wrapping_add(index)) }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// A number below `bound`, which is far below 2³², so that none is noticeably more likely.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }

    /// A number from `low` to `high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// One of the choices; the default only where there are none.
    pub(super) fn pick<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap_or_default();
        choices.get(at).copied().unwrap_or_default()
    }

    /// One of the `days` days from `first` on.
    pub(super) fn day(&mut self, first: Date, days: u64) -> Date {
        first.saturating_add(Span::new().days(self.below(days).cast_signed()))
    }
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        let mut random = Random { state: 1_234_567 };
        let numbers: [u64; 3] = std::array::from_fn(|_| random.next());
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, published);
    }

    #[test]
    fn bounds_are_reached_and_kept() {
        let mut random = Random::of_row(1, 1);
        let drawn: Vec<_> = (0..1_000).map(|_| random.between(3, 5)).collect();
        assert!(drawn.iter().all(|n| (3..=5).contains(n)));
        assert!((3..=5).all(|n| drawn.contains(&n)));
    }
}
