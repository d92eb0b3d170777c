//! The way of what a thread reads from the stores to the caller who asked for it.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use crate::{
    error::Error,
    limits::{READER_RATE_MIN, READER_STALL},
};

/// What the caller gets, piece by piece.
pub(super) type Pieces = mpsc::Receiver<Result<Bytes, Error>>;

/// The end that is written to. A caller that takes nothing keeps the stores waiting for so long and no longer.
pub(super) struct Pipe {
    sender: mpsc::Sender<Result<Bytes, Error>>,
    /// The place of a refusal, which a caller must get also where it has been too slow: pieces that just end would
    /// look like all of them.
    last: mpsc::OwnedPermit<Result<Bytes, Error>>,
    runtime: Handle,
    /// How long it took what it took.
    waited: Duration,
    bytes: u64,
    /// How it broke, if it did.
    broken: Option<io::ErrorKind>,
}

impl Pipe {
    /// Both ends, for a thread that may block.
    pub(super) fn new(runtime: Handle) -> io::Result<(Self, Pieces)> {
        let (sender, receiver) = mpsc::channel(3);
        let last = sender.clone().try_reserve_owned().map_err(io::Error::other)?;
        Ok((
            Self { sender, last, runtime, waited: Duration::ZERO, bytes: 0, broken: None },
            receiver,
        ))
    }

    /// Hands over a piece. Blocks.
    ///
    /// # Errors
    /// `BrokenPipe` where the caller has gone, `TimedOut` where it takes too little.
    pub(super) fn give(&mut self, piece: Bytes) -> io::Result<()> {
        let length = piece.len() as u64;
        let (patience, began) = (self.patience(), Instant::now());
        let send = self.sender.send(Ok(piece));
        let taken = self.runtime.block_on(async { timeout(patience, send).await });
        self.waited += began.elapsed();
        self.bytes += length;
        let (kind, text) = match taken {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => (io::ErrorKind::BrokenPipe, "nobody reads any more"),
            Err(_) => (io::ErrorKind::TimedOut, "it is read too slowly"),
        };
        self.broken = Some(kind);
        Err(io::Error::new(kind, text))
    }

    /// How the caller broke it, if it did.
    pub(super) fn broken(&self) -> Option<io::ErrorKind> {
        self.broken
    }

    /// Ends with a refusal.
    pub(super) fn refuse(self, error: Error) {
        self.last.send(Err(error));
    }

    /// How long it may wait for the next piece to be taken.
    fn patience(&self) -> Duration {
        let earned = Duration::from_secs(self.bytes / READER_RATE_MIN);
        (READER_STALL + earned).saturating_sub(self.waited).min(READER_STALL)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.give(Bytes::copy_from_slice(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_comes_behind_pieces_that_nobody_has_taken() {
        let (mut pipe, mut pieces) = Pipe::new(Handle::current()).unwrap();
        let written = tokio::task::spawn_blocking(move || {
            pipe.write_all(b"a").unwrap();
            pipe.write_all(b"b").unwrap();
            assert_eq!(pipe.sender.capacity(), 0, "nothing more can be given");
            pipe.refuse(Error::new(Code::BodyTimeout, "too slow"));
        });
        written.await.unwrap();
        assert_eq!(pieces.recv().await.unwrap().unwrap(), "a");
        assert_eq!(pieces.recv().await.unwrap().unwrap(), "b");
        assert_eq!(pieces.recv().await.unwrap().unwrap_err().code, Code::BodyTimeout);
        assert!(pieces.recv().await.is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_takes_nothing_is_waited_for_less_and_less() {
        let (mut pipe, pieces) = Pipe::new(Handle::current()).unwrap();
        assert_eq!(pipe.patience(), READER_STALL);
        pipe.waited = READER_STALL + Duration::from_secs(1);
        assert_eq!(pipe.patience(), Duration::ZERO);
        pipe.bytes = 3 * READER_RATE_MIN;
        assert_eq!(pipe.patience(), Duration::from_secs(2));
        pipe.bytes = 1_000 * READER_RATE_MIN;
        assert_eq!(pipe.patience(), READER_STALL);
        drop(pieces);
        let given = tokio::task::spawn_blocking(move || pipe.give(Bytes::from_static(b"a")));
        assert_eq!(given.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
