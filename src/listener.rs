//! Connections of a listener: so many at once that the stores can always open their files, inside of TLS or
//! not, and cut where they stay silent from the start.

mod body;
mod caller;
mod connection;
mod pages;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{AddrListener, Address, Handle, Server};
use futures_util::{Stream, stream};
use metrics::Gauge;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub use self::{
    body::{FirstTooLarge, Refuse, small_calls},
    caller::{admit, authorization},
    connection::{Connection, Peer, certificate, origin},
    pages::programs_only,
};
use crate::{
    limits::{
        CONNECTIONS_MAX, FILES_MAX, FILES_RESERVED, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
        REQUEST_HEAD_TIMEOUT,
    },
    tls::{Protocols, Tls},
};

/// The daemon has so many.
const LISTENERS: u64 = 3;
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections while there is room for one more; others wait in the system's queue.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    room: Arc<Semaphore>,
    name: &'static str,
    tls: Option<(Tls, Protocols)>,
}

/// A connection's place, which the metrics show.
#[derive(Debug)]
struct Place {
    _permit: OwnedSemaphorePermit,
    open: Gauge,
}

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
    /// Takes at most so many connections at once, inside of TLS where that is given; the metrics show them by
    /// `name`.
    #[must_use]
    pub fn new(
        name: &'static str,
        tcp: TcpListener,
        connections_max: usize,
        tls: Option<(Tls, Protocols)>,
    ) -> Self {
        gauge(name).set(0.0);
        Self { tcp, room: Arc::new(Semaphore::new(connections_max)), name, tls }
    }

    /// Every connection, for a server of HTTP/2 alone; one that does not begin it in time fails. Where
    /// none can be accepted, it says so and tries again after a pause.
    pub fn incoming(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |listener| async move {
            loop {
                match listener.accept_stream().await {
                    Ok((mut connection, _)) => {
                        connection.begins_in_time();
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

impl Place {
    fn new(permit: OwnedSemaphorePermit, name: &'static str) -> Self {
        let open = gauge(name);
        open.increment(1.0);
        Self { _permit: permit, open }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

fn gauge(listener: &'static str) -> Gauge {
    metrics::gauge!("cvrsd_connections", "listener" => listener)
}

fn refused(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
}

/// Serves HTTP/1 and HTTP/2 until `shutdown`, then until the last connection ended; the
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
        ended = server.serve(router.into_make_service_with_connect_info::<Peer>()) => ended,
        () = stop => Ok(()),
    }
}

impl AddrListener<Connection, Peer> for Listener {
    async fn bind_to(_: Peer) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept_stream(&self) -> io::Result<(Connection, Peer)> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = self.tcp.accept().await?;
        stream.set_nodelay(true)?;
        let place = Place::new(room, self.name);
        let connection = match &self.tls {
            Some((tls, protocols)) => {
                Connection::tls(tls.begin(stream, *protocols), address, place)
            }
            None => Connection::plain(stream, address, place),
        };
        let peer = connection.peer();
        Ok((connection, peer))
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        self.tcp.local_addr().map(Peer::at)
    }
}

impl Address for Peer {
    type Stream = Connection;
    type Listener = Listener;
}
