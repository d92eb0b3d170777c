//! The bytes of one connection.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    extract::connect_info::{self, ConnectInfo},
    http::{Extensions, HeaderMap, HeaderValue},
};
use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::Place;
use crate::{
    auth::Certificate,
    domain::{Face, Origin, Trace},
    error::{Code, Error},
    limits::REQUEST_HEAD_TIMEOUT,
    tls::{Handshake, Presented},
};

/// Bytes with which every HTTP/2 connection begins.
const PREFACE_BYTES: usize = 24;
/// How long a connection that is to end may take its last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// Headers in which a proxy tells whom it forwards for; the first one that is there counts.
const FORWARDED: [&str; 2] = ["forwarded", "x-forwarded-for"];

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Peer,
    /// Until its first bytes are there: how many are still to come, and until when.
    silence: Option<(usize, Pin<Box<Sleep>>)>,
    /// When it ends, once that was asked for.
    end: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    /// What its handshake verified, once it has ended.
    certificate: Arc<OnceLock<Presented>>,
    hang_up: Arc<HangUp>,
}

/// Ends a connection from within a call.
#[derive(Debug, Default)]
struct HangUp {
    asked: AtomicBool,
    reader: AtomicWaker,
}

impl HangUp {
    fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Whether it was asked for; else `cx` hears of it.
    fn is_asked(&self, cx: &Context<'_>) -> bool {
        self.reader.register(cx.waker());
        self.asked.load(Ordering::Acquire)
    }
}

impl Peer {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, certificate: Arc::default(), hang_up: Arc::default() }
    }

    /// Of the connection that a request with these extensions came on.
    fn of(extensions: &Extensions) -> Option<&Self> {
        let peer = extensions.get::<Self>();
        peer.or_else(|| extensions.get::<ConnectInfo<Self>>().map(|ConnectInfo(peer)| peer))
    }
}

/// The verified certificate of the connection that a request with these extensions came on.
///
/// # Errors
/// `CVRS-CERTIFICATE-INVALID` where no authority in force stands for it any more. The connection then ends soon: most
/// clients would go on with it for ever, also those that have a new certificate by now.
pub fn certificate(extensions: &Extensions) -> Result<Option<&Certificate>, Error> {
    let Some(peer) = Peer::of(extensions) else { return Ok(None) };
    let Some(presented) = peer.certificate.get() else { return Ok(None) };
    presented.verified().map_err(|_| {
        peer.hang_up.ask();
        let text = "the client certificate is of no authority that is in force now";
        Error::new(Code::CertificateInvalid, text)
    })
}

/// Where a request with these headers and extensions comes from.
#[must_use]
pub fn origin(face: Face, headers: &HeaderMap, extensions: &Extensions) -> Origin {
    let claimed = FORWARDED.into_iter().find_map(|name| headers.get(name));
    let address = Peer::of(extensions).map(|peer| peer.address);
    let trace = extensions.get::<Trace>().copied();
    Origin::new(face, address, claimed.map(HeaderValue::as_bytes), trace)
}

/// Plain or inside of TLS. The handshake is made by whoever reads or writes first, so no other connection
/// waits for it.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Handshake(Box<Handshake>),
    Tls(Box<TlsStream<TcpStream>>),
    Failed,
}

impl Connection {
    pub(super) fn plain(stream: TcpStream, address: SocketAddr, place: Place) -> Self {
        Self::new(Stream::Plain(stream), address, place)
    }

    pub(super) fn tls(handshake: Handshake, address: SocketAddr, place: Place) -> Self {
        Self::new(Stream::Handshake(Box::new(handshake)), address, place)
    }

    fn new(stream: Stream, address: SocketAddr, place: Place) -> Self {
        Self { stream, peer: Peer::at(address), silence: None, end: None, _place: place }
    }

    /// Fails where the first bytes of HTTP/2 do not come in time, after a handshake that counts in.
    pub(super) fn begins_in_time(&mut self) {
        self.silence = Some((PREFACE_BYTES, Box::pin(sleep(REQUEST_HEAD_TIMEOUT))));
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// Ready once bytes can be read and written.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stream::Handshake(handshake) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let ended = handshake.poll(cx);
        if ended.is_pending() {
            return self.poll_deadline(cx).map(Err);
        }
        self.stream = Stream::Failed;
        let (stream, certificate) = ready!(ended).inspect_err(|error| {
            // Anybody can cause it, so it must not fill the log.
            tracing::debug!(%error, "a TLS handshake failed");
            metrics::counter!("cvrsd_tls_handshake_failures_total").increment(1);
        })?;
        self.stream = Stream::Tls(Box::new(stream));
        if let Some(certificate) = certificate {
            self.peer.certificate.get_or_init(|| certificate);
        }
        Poll::Ready(Ok(()))
    }

    /// Ready once the first bytes are late.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &mut self.silence {
            Some((_, deadline)) => {
                deadline.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
            }
            None => Poll::Pending,
        }
    }

    /// Ready once the connection is to end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.end.is_none() && !self.peer.hang_up.is_asked(cx) {
            return Poll::Pending;
        }
        self.end.get_or_insert_with(|| Box::pin(sleep(LAST_ANSWERS))).as_mut().poll(cx)
    }

    /// The stream, once bytes can be read and written.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Bytes>>> {
        ready!(self.poll_open(cx))?;
        Poll::Ready(match &mut self.stream {
            Stream::Plain(stream) => Ok(Pin::new(stream)),
            Stream::Tls(stream) => Ok(Pin::new(stream)),
            Stream::Handshake(_) | Stream::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

/// What a stream can do.
trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytes for S {}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer()
    }
}

impl connect_info::Connected<Self> for Peer {
    fn connect_info(peer: Self) -> Self {
        peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_end(cx).is_ready() {
            // To whoever serves it the client has ended it.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = ready!(self.poll_stream(cx))?.poll_read(cx, buffer);
        if read.is_pending() {
            return self.poll_deadline(cx).map(Err);
        }
        if let Some((missing, _)) = &mut self.silence {
            *missing = missing.saturating_sub(buffer.filled().len() - before);
            if *missing == 0 {
                self.silence = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_stream(cx))?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_stream(cx))?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        // Both kinds of stream take slices.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_stream(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Stream::Handshake(_) | Stream::Failed = &self.stream {
            self.stream = Stream::Failed;
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_stream(cx))?.poll_shutdown(cx)
    }
}
