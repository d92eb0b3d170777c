//! Where a request or a job belongs in a trace that may span systems: the W3C trace context
//! (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

/// One span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace; never 0.
    pub id: u128,
    /// The span; never 0.
    pub span: u64,
    /// The trace is exported.
    pub sampled: bool,
}

impl Trace {
    /// Reads a `traceparent`. Of a version that we don't know, what version 00 has is read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |length| parts.next().filter(|part| is_hex(part, length));
        let (version, id, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { id, span, sampled: flags & 1 == 1 })
    }

    /// The trace's id as logs, answers and the audit log show it.
    #[must_use]
    pub fn id_text(&self) -> String {
        format!("{:032x}", self.id)
    }
}

/// As a `traceparent`.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, u8::from(self.sampled))
    }
}

fn is_hex(part: &str, length: usize) -> bool {
    part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_read_and_written() {
        for sampled in ["00", "01"] {
            let text = format!("00-{ID}-00f067aa0ba902b7-{sampled}");
            let trace = Trace::parse(&text).unwrap();
            assert_eq!(trace.to_string(), text);
            assert_eq!(trace.id_text(), ID);
            assert_eq!(trace.sampled, sampled == "01");
        }
        let later = format!("01-{ID}-00f067aa0ba902b7-ff-more");
        assert!(Trace::parse(&later).unwrap().sampled);
    }

    #[test]
    fn what_is_none_is_not_read() {
        for bad in [
            "",
            ID,
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad:?}");
        }
    }
}
