//! Lines of text out of a payload, in bounded memory.

use std::ops::Range;

use memchr::memchr;

use super::reader::{Blocks, Stored, TextLimits};
use crate::{
    domain::{Failure, MediaType},
    error::Code,
};

/// One line of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Counts every line of the file, from 1.
    pub number: u64,
    /// Without the newline; a carriage return before it stays.
    pub bytes: &'a [u8],
}

/// The lines of a payload in order. One in a file is read and inflated on a thread of its own that
/// ends with them; blocks the thread that calls.
pub struct Lines {
    blocks: Blocks,
    block: Vec<u8>,
    /// Where the next line starts in the block.
    at: usize,
    /// A line that does not lie in one block.
    carry: Vec<u8>,
    /// Of the newest line.
    number: u64,
    max_line_bytes: usize,
    /// How the text ended, once it has.
    end: Option<Result<(), Failure>>,
}

/// Where the bytes of the newest line are.
enum Place {
    Block(Range<usize>),
    Carry,
}

impl Lines {
    /// Opens a payload. `limits` are for its first reading; a payload that was read whole before
    /// needs none. Lengths and checksum of a zip entry are always checked.
    ///
    /// # Errors
    /// `JobIo` where the file cannot be read, `FileDamaged` where it is not the zip that was
    /// accepted.
    pub fn open<'a>(
        payload: impl Into<Stored<'a>>,
        media: MediaType,
        limits: Option<TextLimits>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            blocks: Blocks::open(payload.into(), media, limits)?,
            block: Vec::new(),
            at: 0,
            carry: Vec::new(),
            number: 0,
            max_line_bytes: limits.map_or(usize::MAX, |l| l.max_line_bytes),
            end: None,
        })
    }

    /// The next line; `None` behind the last. A last line without a newline counts, nothing
    /// behind a last newline does. That a text is damaged may show only at its end, so nothing of
    /// it may be relied on before `None` came.
    ///
    /// # Errors
    /// `FileDamaged`, `FileTooLarge`, `FileRatio`, `FileLine` or `JobIo`; the same one again from
    /// then on.
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Line<'_>>, Failure> {
        let Some(place) = self.advance()? else { return Ok(None) };
        let bytes = match place {
            Place::Block(range) => self.block.get(range).unwrap_or_default(),
            Place::Carry => &self.carry,
        };
        Ok(Some(Line { number: self.number, bytes }))
    }

    /// Passes over lines so that the next one has that number, or is `None` where there are fewer.
    /// Lines that already went by stay gone.
    ///
    /// # Errors
    /// As [`Lines::next`].
    pub fn skip_to(&mut self, number: u64) -> Result<(), Failure> {
        while self.number.saturating_add(1) < number {
            if self.advance()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Place>, Failure> {
        if let Some(end) = &self.end {
            return end.clone().map(|()| None);
        }
        let result = self.find_line();
        match &result {
            Ok(place) => self.number += u64::from(place.is_some()),
            Err(failure) => self.end = Some(Err(failure.clone())),
        }
        result
    }

    fn find_line(&mut self) -> Result<Option<Place>, Failure> {
        self.carry.clear();
        loop {
            let rest = self.block.get(self.at..).unwrap_or_default();
            let newline = memchr(b'\n', rest);
            let part = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
            if self.carry.len() + part.len() > self.max_line_bytes {
                return Err(self.too_long());
            }
            let start = self.at;
            if newline.is_some() {
                self.at += part.len() + 1;
                if self.carry.is_empty() {
                    return Ok(Some(Place::Block(start..start + part.len())));
                }
                self.carry.extend_from_slice(part);
                return Ok(Some(Place::Carry));
            }
            self.carry.extend_from_slice(part);
            self.at = 0;
            self.block = self.blocks.next(std::mem::take(&mut self.block))?;
            if self.block.is_empty() {
                self.end = Some(Ok(()));
                return Ok((!self.carry.is_empty()).then_some(Place::Carry));
            }
        }
    }

    fn too_long(&self) -> Failure {
        let (line, max) = (self.number + 1, self.max_line_bytes);
        Failure::new(Code::FileLine, format!("line {line} is longer than {max} bytes"))
    }
}

#[cfg(test)]
mod tests;
