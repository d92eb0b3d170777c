//! The lock on the data directory, the listeners and where others find their addresses.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Authenticator, Config, Ended, Exit, Service, admin, grpc, rest};
use crate::{
    config::AuthMode,
    limits::OPEN_LOCK_WAIT,
    listener::{Listener, connections_max},
    tls::{Protocols, Tls},
};

const LISTEN_FILE: &str = "listen.json";
/// Who has it locked has the data directory.
pub(crate) const LOCK_FILE: &str = "lock";

/// Makes the data directory and takes it for this process alone, until the file is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, Ended> {
    let stopped = |e: io::Error| {
        Ended::new(Exit::Stopped, format_args!("cannot use data directory {}: {e}", dir.display()))
    };
    if dir.exists() {
        check_owner(dir)?;
    }
    fs::create_dir_all(dir).map_err(stopped)?;
    let parent = dir.canonicalize().map_err(stopped)?;
    if let Some(parent) = parent.parent() {
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(stopped)?;
    }
    let path = dir.join(LOCK_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(stopped)?;
    let deadline = Instant::now() + OPEN_LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let reason = format!("data directory {} is in use", dir.display());
                return Err(Ended::new(Exit::InUse, reason));
            }
            Err(TryLockError::Error(e)) => return Err(stopped(e)),
        }
    }
}

/// What root makes in another user's data directory would keep that user's daemon from its next start.
fn check_owner(dir: &Path) -> Result<(), Ended> {
    let owner =
        fs::metadata(dir).map(|found| found.uid()).map_err(|e| Ended::new(Exit::Stopped, e))?;
    if rustix::process::geteuid().is_root() && owner != 0 {
        let text = format_args!(
            "data directory {} is that of user {owner}: run this as that user, not as root",
            dir.display()
        );
        return Err(Ended::new(Exit::Usage, text));
    }
    Ok(())
}

/// The real addresses of the three listeners.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    grpc: SocketAddr,
    rest: SocketAddr,
    admin: SocketAddr,
}

/// The three listeners, bound.
pub(super) struct Listeners {
    grpc: Listener,
    rest: Listener,
    admin: Listener,
}

impl Listeners {
    /// Binds all three, or none.
    pub(super) async fn bind(
        config: &Config,
        tls: Option<&Tls>,
    ) -> Result<(Self, Addresses), Ended> {
        let most = connections_max().map_err(|e| {
            Ended::new(Exit::Stopped, format_args!("cannot raise the limit of open files: {e}"))
        })?;
        let (grpc, grpc_address) = bind("grpc.listen", config.grpc.listen).await?;
        let (rest, rest_address) = bind("rest.listen", config.rest.listen).await?;
        let (admin, admin_address) = bind("admin.listen", config.admin.listen).await?;
        let addresses = Addresses { grpc: grpc_address, rest: rest_address, admin: admin_address };
        addresses.tell(config, most);
        let listener = |name, tcp, protocols| {
            Listener::new(name, tcp, most, tls.map(|tls| (tls.clone(), protocols)))
        };
        let listeners = Self {
            grpc: listener("grpc", grpc, Protocols::Http2),
            rest: listener("rest", rest, Protocols::Http),
            admin: listener("admin", admin, Protocols::Http),
        };
        Ok((listeners, addresses))
    }

    /// Serves all three until `shutdown`.
    pub(super) fn serve(
        self,
        config: &Config,
        service: &Service,
        authenticator: &Authenticator,
        probes: admin::Probes,
        operator: admin::Operator,
        shutdown: &CancellationToken,
    ) -> JoinSet<Result<(), String>> {
        let mut faces = JoinSet::new();
        let (s, a, t) = (service.clone(), authenticator.clone(), shutdown.clone());
        let settings = config.grpc.clone();
        faces.spawn(async move {
            grpc::serve(self.grpc, s, a, &settings, t).await.map_err(|e| format!("grpc: {e}"))
        });
        let (s, a, t) = (service.clone(), authenticator.clone(), shutdown.clone());
        let settings = config.rest.clone();
        faces.spawn(async move {
            rest::serve(self.rest, s, a, &settings, t).await.map_err(|e| format!("rest: {e}"))
        });
        let (s, a, t) = (service.clone(), authenticator.clone(), shutdown.clone());
        faces.spawn(async move {
            let served = admin::serve(self.admin, s, a, probes, operator, t).await;
            served.map_err(|e| format!("admin: {e}"))
        });
        faces
    }
}

impl Addresses {
    /// Tells the log, with a warning of each that is open to others and unprotected.
    fn tell(&self, config: &Config, connections_max: usize) {
        let tls = config.tls.certificate.is_some();
        let authentication = config.auth.mode != AuthMode::None;
        let all =
            [("grpc.listen", self.grpc), ("rest.listen", self.rest), ("admin.listen", self.admin)];
        for (listener, address) in all {
            tracing::info!(listener, %address, tls, connections_max, "listening");
            if !(address.ip().is_loopback() || tls && authentication) {
                // By a name of its own, which no level hides.
                tracing::warn!(
                    target: "cvrsd::unprotected",
                    listener,
                    %address,
                    tls,
                    authentication,
                    "tls.insecure_off_loopback: others can reach this listener, and it is unprotected"
                );
            }
        }
    }

    /// Writes where the daemon can be reached, by rename, so that a reader finds all of it or nothing.
    pub(super) fn announce(&self, dir: &Path) -> io::Result<()> {
        let Self { grpc, rest, admin } = self;
        let listen = serde_json::json!({
            "grpc": grpc.to_string(),
            "rest": rest.to_string(),
            "admin": admin.to_string(),
            "pid": std::process::id(),
        });
        let (temporary, path) = (dir.join(format!("{LISTEN_FILE}.new")), dir.join(LISTEN_FILE));
        let write = || {
            let mut file = File::create(&temporary)?;
            writeln!(file, "{listen}")?;
            file.sync_data()?;
            fs::rename(&temporary, &path)
        };
        write()
            .map_err(|e| io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display())))
    }
}

/// Removes what [`Addresses::announce`] wrote.
pub(super) fn withdraw(dir: &Path) {
    match fs::remove_file(dir.join(LISTEN_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "cannot remove {LISTEN_FILE}");
        }
        _ => {}
    }
}

/// An address that this machine does not have may be on its way, so that is worth another start; any other
/// refusal is not.
async fn bind(key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Ended> {
    let failed = |e: io::Error| {
        let is_missing = e.kind() == io::ErrorKind::AddrNotAvailable;
        let exit = if is_missing { Exit::Stopped } else { Exit::Usage };
        Ended::new(exit, format_args!("{key}: cannot bind {address}: {e}"))
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
