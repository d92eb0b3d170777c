//! Content encodings of a body: which one, and undoing it while bytes come in.

use flate2::{Decompress, FlushDecompress, Status};

use crate::{
    error::{Code, Error},
    limits::DECODE_BUFFER_BYTES,
};

/// The content encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// None.
    Identity,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 1950 (zlib), or the bare RFC 1951 stream that some clients send under that name.
    Deflate,
}

impl Encoding {
    /// Reads a `Content-Encoding`; case is ignored, a missing or empty one is `identity`.
    ///
    /// # Errors
    /// `EncodingUnsupported` for an unknown coding and for several at once.
    pub fn parse(header: Option<&str>) -> Result<Self, Error> {
        let name = header.unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(Error::new(
                Code::EncodingUnsupported,
                format!("content encoding {name:.40?} is not gzip, deflate or identity"),
            )),
        }
    }
}

/// A small body without its content encoding.
///
/// # Errors
/// `EncodingBroken`, and `too_large` where more than `max` bytes come out.
pub fn decode(
    encoding: Encoding,
    body: &[u8],
    max: usize,
    too_large: impl Fn() -> Error,
) -> Result<Vec<u8>, Error> {
    let mut decoder = Decoder::new(encoding);
    let mut plain = Vec::new();
    decoder.push(body, |piece| {
        if plain.len() + piece.len() > max {
            return Err(too_large());
        }
        plain.extend_from_slice(piece);
        Ok(())
    })?;
    decoder.end()?;
    Ok(plain)
}

/// Undoes a content encoding piece by piece, in memory that does not grow with the body.
pub(super) struct Decoder {
    encoding: Encoding,
    /// The stream or gzip member at hand; none before its first byte.
    inflate: Option<Decompress>,
    /// The stream at hand has ended.
    ended: bool,
    buffer: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(encoding: Encoding) -> Self {
        let capacity = if encoding == Encoding::Identity { 0 } else { DECODE_BUFFER_BYTES };
        Self { encoding, inflate: None, ended: false, buffer: Vec::with_capacity(capacity) }
    }

    /// Decodes `input` and hands what comes out to `sink`, whose refusal ends it.
    pub(super) fn push(
        &mut self,
        mut input: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.encoding == Encoding::Identity {
            return sink(input);
        }
        while !input.is_empty() {
            input = self.inflate_some(input, &mut sink)?;
        }
        Ok(())
    }

    /// Ends the body.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.inflate.is_some() && !self.ended {
            return Err(broken("the encoded body is cut short"));
        }
        Ok(())
    }

    /// Inflates until the input is used up or a stream ends; returns what is left of the input.
    fn inflate_some<'a>(
        &mut self,
        mut input: &'a [u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<&'a [u8], Error> {
        if self.ended {
            if self.encoding == Encoding::Deflate {
                return Err(broken("bytes follow the end of the deflate stream"));
            }
            self.inflate = None;
            self.ended = false;
        }
        let encoding = self.encoding;
        let first = input.first().copied().unwrap_or_default();
        let inflate = self.inflate.get_or_insert_with(|| decompress(encoding, first));
        loop {
            self.buffer.clear();
            let before = inflate.total_in();
            let status = inflate
                .decompress_vec(input, &mut self.buffer, FlushDecompress::None)
                .map_err(|_| broken("the encoded body is damaged"))?;
            let used = usize::try_from(inflate.total_in() - before).unwrap_or(usize::MAX);
            input = input.get(used..).unwrap_or_default();
            sink(&self.buffer)?;
            if status == Status::StreamEnd {
                self.ended = true;
                return Ok(input);
            }
            // A full buffer may leave more behind, also when the input is used up.
            if self.buffer.len() == self.buffer.capacity() {
                continue;
            }
            if input.is_empty() {
                return Ok(input);
            }
            if used == 0 {
                return Err(broken("the encoded body is damaged"));
            }
        }
    }
}

/// A zlib stream starts with method 8 in the low four bits; a bare deflate stream would have to
/// start with a stored block and set padding bits, which no encoder does.
fn decompress(encoding: Encoding, first: u8) -> Decompress {
    match encoding {
        Encoding::Gzip => Decompress::new_gzip(15),
        Encoding::Identity | Encoding::Deflate => Decompress::new(first & 0x0f == 8),
    }
}

fn broken(message: &str) -> Error {
    Error::new(Code::EncodingBroken, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encoding: Encoding, body: &[u8], piece: usize) -> Result<Vec<u8>, Code> {
        let mut decoder = Decoder::new(encoding);
        let mut text = Vec::new();
        for piece in body.chunks(piece) {
            decoder
                .push(piece, |bytes| {
                    text.extend_from_slice(bytes);
                    Ok(())
                })
                .map_err(|e| e.code)?;
        }
        decoder.end().map_err(|e| e.code)?;
        Ok(text)
    }

    #[test]
    fn the_known_codings_are_read_in_any_case() {
        let cases = [
            (None, Encoding::Identity),
            (Some(""), Encoding::Identity),
            (Some("Identity"), Encoding::Identity),
            (Some("GZIP"), Encoding::Gzip),
            (Some(" x-gzip "), Encoding::Gzip),
            (Some("deflate"), Encoding::Deflate),
        ];
        for (header, expected) in cases {
            assert_eq!(Encoding::parse(header).unwrap(), expected, "{header:?}");
        }
    }

    #[test]
    fn unknown_and_several_codings_are_refused() {
        for header in ["br", "zstd", "gzip, gzip", "gzip,deflate", "compress", "gzip;q=1"] {
            let error = Encoding::parse(Some(header)).unwrap_err();
            assert_eq!(error.code, Code::EncodingUnsupported, "{header}");
        }
    }

    #[test]
    fn every_form_decodes_whatever_the_pieces() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        let forms = [
            (Encoding::Identity, text.clone()),
            (Encoding::Gzip, gzip(&text)),
            (Encoding::Deflate, zlib(&text)),
            (Encoding::Deflate, raw(&text, 6)),
            (Encoding::Deflate, raw(&text, 0)),
        ];
        for (encoding, body) in forms {
            for piece in [1, 7, 4_096, body.len()] {
                assert!(decode(encoding, &body, piece).unwrap() == text, "{encoding:?} by {piece}");
            }
        }
    }

    #[test]
    fn members_of_a_gzip_body_follow_each_other() {
        let body = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        for piece in [1, 5, body.len()] {
            assert_eq!(decode(Encoding::Gzip, &body, piece).unwrap(), b"one two");
        }
    }

    #[test]
    fn a_body_that_is_cut_short_is_broken() {
        for (encoding, body) in [
            (Encoding::Gzip, gzip(b"some text")),
            (Encoding::Gzip, [gzip(b"some"), gzip(b"text")].concat()),
            (Encoding::Deflate, zlib(b"some text")),
            (Encoding::Deflate, raw(b"some text", 6)),
        ] {
            let whole = gzip(b"some").len();
            for length in 1..body.len() {
                let result = decode(encoding, &body[..length], 3);
                if encoding == Encoding::Gzip && length == whole && result.is_ok() {
                    continue; // exactly the first of two members
                }
                assert_eq!(result.unwrap_err(), Code::EncodingBroken, "{encoding:?} {length}");
            }
        }
    }

    #[test]
    fn what_follows_or_damages_the_stream_is_broken() {
        for (encoding, body) in [
            (Encoding::Gzip, gzip(b"some text")),
            (Encoding::Deflate, zlib(b"some text")),
            (Encoding::Deflate, raw(b"some text", 6)),
        ] {
            for piece in [1, 1_000] {
                let longer = [body.as_slice(), b"x"].concat();
                assert_eq!(decode(encoding, &longer, piece).unwrap_err(), Code::EncodingBroken);
            }
        }
        for at in [0, 2, 12, 22] {
            let mut body = gzip(b"some text, some text");
            body[at] ^= 0xff;
            let result = decode(Encoding::Gzip, &body, 1_000);
            assert_ne!(result.as_deref(), Ok(b"some text, some text".as_slice()), "byte {at}");
        }
        let mut checksum = gzip(b"some text");
        let at = checksum.len() - 8;
        checksum[at] ^= 1;
        assert_eq!(decode(Encoding::Gzip, &checksum, 9).unwrap_err(), Code::EncodingBroken);
    }

    #[test]
    fn a_refusal_of_the_sink_ends_the_decoding() {
        let body = gzip(&vec![0; 1 << 20]);
        let mut calls = 0;
        let refused = Decoder::new(Encoding::Gzip).push(&body, |_| {
            calls += 1;
            Err(Error::new(Code::BodyTooLarge, "too large"))
        });
        assert_eq!(refused.unwrap_err().code, Code::BodyTooLarge);
        assert_eq!(calls, 1);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body: Vec<u8>, piece in 1usize..64) {
            let _ = decode(Encoding::Gzip, &body, piece);
            let _ = decode(Encoding::Deflate, &body, piece);
        }
    }
}
