//! Connections of a listener: so many at once that the stores can always open their files, and cut where
//! they stay silent from the start.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use axum_server::{AddrListener, Address, Handle, Server};
use futures_util::{Stream, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::limits::{
    CONNECTIONS_MAX, FILES_MAX, FILES_RESERVED, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
    REQUEST_HEAD_TIMEOUT,
};

/// The daemon has so many.
const LISTENERS: u64 = 3;
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes with which every HTTP/2 connection begins.
const PREFACE_BYTES: usize = 24;

/// Takes connections while there is room for one more; others wait in the system's queue.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    room: Arc<Semaphore>,
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Until its first bytes are there: how many are still to come, and until when.
    silence: Option<(usize, Pin<Box<Sleep>>)>,
    _room: OwnedSemaphorePermit,
}

/// Where a connection comes from; nobody asks.
#[derive(Clone, Copy, Debug)]
pub struct Peer;

/// Lets this process open as many files as it may, and gives the connections that each listener may
/// have besides: a third of what is left beside the stores' files.
///
/// # Errors
/// When the system refuses.
pub fn connections_max() -> io::Result<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(FILES_MAX).min(FILES_MAX);
    let files = current.unwrap_or(FILES_MAX).max(most);
    if current.is_some_and(|current| current < files) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })?;
    }
    let left = files - FILES_RESERVED.min(files / 2);
    let each = usize::try_from(left / LISTENERS).unwrap_or(usize::MAX);
    Ok(each.clamp(1, CONNECTIONS_MAX))
}

impl Listener {
    /// Takes at most so many connections at once.
    #[must_use]
    pub fn new(tcp: TcpListener, connections_max: usize) -> Self {
        Self { tcp, room: Arc::new(Semaphore::new(connections_max)) }
    }

    /// Every connection, for a server of HTTP/2 alone; one that does not begin it in time fails. Where
    /// none can be accepted, it says so and tries again after a pause.
    pub fn incoming(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |listener| async move {
            loop {
                match listener.accept_stream().await {
                    Ok((mut connection, _)) => {
                        let deadline = Box::pin(sleep(REQUEST_HEAD_TIMEOUT));
                        connection.silence = Some((PREFACE_BYTES, deadline));
                        return Some((Ok(connection), listener));
                    }
                    Err(error) => {
                        refused(&error);
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        })
    }
}

fn refused(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
}

/// Serves HTTP/1 and HTTP/2 without TLS until `shutdown`, then until the last connection ended; the
/// caller bounds that time.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: Listener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::<Peer>::new();
    let mut server = Server::<Peer>::from_listener(listener)
        .first_request_timeout(REQUEST_HEAD_TIMEOUT)
        .accept_error_handler(|_, error| refused(error))
        .handle(handle.clone());
    server.http_builder().http1().header_read_timeout(REQUEST_HEAD_TIMEOUT);
    server
        .http_builder()
        .http2()
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    let stop = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(None);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server.serve(router.into_make_service()) => ended,
        () = stop => Ok(()),
    }
}

impl AddrListener<Connection, Peer> for Listener {
    async fn bind_to(_: Peer) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept_stream(&self) -> io::Result<(Connection, Peer)> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.tcp.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Connection { stream, silence: None, _room: room }, Peer))
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        Ok(Peer)
    }
}

impl Address for Peer {
    type Stream = Connection;
    type Listener = Listener;
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some((missing, deadline)) = &mut self.silence else { return read };
        if read.is_pending() {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        *missing = missing.saturating_sub(buffer.filled().len() - before);
        if *missing == 0 {
            self.silence = None;
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
