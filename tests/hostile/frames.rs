//! HTTP/2 frames written by hand, so that they can be wrong.

/// Flags of a frame with headers.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// What a connection begins with: the preface and empty settings.
pub fn begin() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat()
}

pub fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(1, flags, stream, block)
}

pub fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

pub fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

pub fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[0; 8])
}

pub fn continuation(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(9, 0, stream, block)
}

/// A header block with the pseudo headers of a request.
pub fn request() -> Vec<u8> {
    let pairs = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "x")];
    pairs.iter().flat_map(|(name, value)| header(name, value)).collect()
}

/// One header, neither compressed nor remembered.
pub fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.len();
    if rest < 127 {
        out.push(u8::try_from(rest).unwrap());
    } else {
        out.push(127);
        rest -= 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap());
    }
    out.extend_from_slice(text.as_bytes());
    out
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
