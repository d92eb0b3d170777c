//! Little-endian fields of a zip's records.

/// Takes fields from the front; `None` once too few bytes are left.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The fields behind a signature; `None` where another one stands there.
    pub(super) fn after(signature: [u8; 4], bytes: &'a [u8]) -> Option<Self> {
        bytes.strip_prefix(&signature).map(Self)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, count: u16) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(usize::from(count))?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn skip(&mut self, count: u16) -> Option<()> {
        self.bytes(count).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
}
