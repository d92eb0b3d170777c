//! Writing the cells of a made-up row.

use jiff::civil::Date;

use super::random::Random;

/// Appends cells, each with a tab behind it.
pub(super) struct Row<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Row<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'\t');
    }

    pub(super) fn texts(&mut self, texts: &[&str]) {
        for text in texts {
            self.text(text);
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        self.digits(number, 1);
        self.out.push(b'\t');
    }

    /// A number, a space and a text.
    pub(super) fn number_before(&mut self, number: u64, text: &str) {
        self.digits(number, 1);
        self.out.push(b' ');
        self.text(text);
    }

    /// A text and a number.
    pub(super) fn number_behind(&mut self, text: &str, number: u64) {
        self.out.extend_from_slice(text.as_bytes());
        self.number(number);
    }

    /// `YYYY-MM-DD`.
    pub(super) fn date(&mut self, date: Date) {
        self.digits(u64::from(date.year().unsigned_abs()), 4);
        self.out.push(b'-');
        self.digits(u64::from(date.month().unsigned_abs()), 2);
        self.out.push(b'-');
        self.digits(u64::from(date.day().unsigned_abs()), 2);
        self.out.push(b'\t');
    }

    /// Looks like a random UUID, of version 4.
    pub(super) fn uuid(&mut self, random: &mut Random) {
        let high = random.next() & !0xf000 | 0x4000;
        let low = random.next() >> 2 | 1 << 63;
        self.hex(high >> 32, 8);
        self.out.push(b'-');
        self.hex(high >> 16, 4);
        self.out.push(b'-');
        self.hex(high, 4);
        self.out.push(b'-');
        self.hex(low >> 48, 4);
        self.out.push(b'-');
        self.hex(low, 12);
        self.out.push(b'\t');
    }

    /// Looks like a hash of 256 bits.
    pub(super) fn link(&mut self, random: &mut Random) {
        for _ in 0..4 {
            self.hex(random.next(), 16);
        }
        self.out.push(b'\t');
    }

    /// The number in decimal, with leading zeros up to the width.
    fn digits(&mut self, number: u64, width: u32) {
        let width = width.max(number.checked_ilog10().unwrap_or(0) + 1);
        for place in (0..width).rev() {
            let digit = number / 10_u64.pow(place) % 10;
            self.out.push(b'0' + digit.to_le_bytes()[0]);
        }
    }

    /// The lowest `width` digits of the number in hexadecimal.
    fn hex(&mut self, number: u64, width: u32) {
        for place in (0..width).rev() {
            let [digit, ..] = (number >> (4 * place) & 0xf).to_le_bytes();
            self.out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
}
