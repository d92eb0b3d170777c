//! What `SIGHUP` does, and a file that changes: clients and certificates are read again, the log level on
//! `SIGHUP` alone, nothing else.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::task::AbortOnDropHandle;

use super::files::{Look, Watched};
use crate::{
    auth::Authenticator,
    config::{self, Config, Effective, Origins},
    limits::{CERTIFICATE_EXPIRY_REMINDER, FILES_LOOK_INTERVAL},
    telemetry::Level,
    tls::{self, Tls},
};

/// Reads again what can change while the daemon runs, until it is dropped.
pub(super) struct Reload {
    asked: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Reload {
    /// Starts to look at the files, of which the one of the configuration was like that when it was read.
    pub(super) fn start(file: Option<&Path>, config: Look, changing: Changing) -> Self {
        let asked = Arc::new(Notify::new());
        let read = Read { file: file.map(Path::to_owned), changing };
        let task = tokio::spawn(follow(read, Watched::new(config), Arc::clone(&asked)));
        Self { asked, _task: AbortOnDropHandle::new(task) }
    }

    /// Has everything read again soon.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }
}

/// Why something is read again, as the log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Hangup,
    File,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::File => "a file has changed",
        }
    }
}

/// What can change while the daemon runs.
#[derive(Clone)]
pub(super) struct Changing {
    pub(super) authenticator: Authenticator,
    pub(super) tls: Option<Tls>,
    pub(super) level: Level,
    pub(super) effective: Arc<Effective>,
}

/// The same, and the file that it is read from.
#[derive(Clone)]
struct Read {
    file: Option<PathBuf>,
    changing: Changing,
}

/// Reads again whatever was asked for or has changed; never ends.
async fn follow(read: Read, mut config: Watched, asked: Arc<Notify>) {
    let Some([_, certificates]) = read.look().await else { return };
    let mut certificates = Watched::new(certificates);
    let mut ticks = interval(FILES_LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Instant::now();
    loop {
        let hangup = tokio::select! {
            () = asked.notified() => true,
            _ = ticks.tick() => false,
        };
        let Some([config_now, certificates_now]) = read.look().await else { return };
        if hangup {
            // As they are before they are read: what is written meanwhile is a further change.
            config = Watched::new(config_now);
            certificates = Watched::new(certificates_now);
            read.blocking(|read| read.all(Cause::Hangup)).await;
        } else {
            let certificates_changed = certificates.changed(certificates_now);
            if config.changed(config_now) {
                read.blocking(|read| read.all(Cause::File)).await;
            } else if certificates_changed {
                read.blocking(Read::certificates).await;
            }
        }
        if let Some(tls) = &read.changing.tls
            && told.elapsed() >= CERTIFICATE_EXPIRY_REMINDER
        {
            tls.tell_expiry();
            told = Instant::now();
        }
    }
}

impl Read {
    /// Looks at the configuration file and at those of certificates; `None` at the end of the process.
    async fn look(&self) -> Option<[Look; 2]> {
        let config: Vec<_> = self.file.iter().cloned().collect();
        let certificates = self.changing.tls.as_ref().map(Tls::files).unwrap_or_default();
        spawn_blocking(move || [Look::at(&config), Look::at(&certificates)]).await.ok()
    }

    /// Does that on a thread that may wait for files.
    async fn blocking(&self, work: impl FnOnce(&Self) + Send + 'static) {
        let read = self.clone();
        if let Err(error) = spawn_blocking(move || work(&read)).await {
            tracing::error!(%error, "reading again ended in a panic");
        }
    }

    /// Reads the configuration and takes over what can change. The log says what was taken over: nothing of a
    /// configuration that is not usable.
    fn all(&self, cause: Cause) {
        match config::load_with_origins(self.file.as_deref()) {
            Ok((config, origins)) => tell(cause, &self.take_over(cause, &config, &origins)),
            Err(error) => {
                tracing::error!(%error, "{}: nothing was changed", cause.as_str());
                // They may have changed with it, and must not wait for it to be mended.
                self.certificates();
            }
        }
    }

    /// Reads the certificates alone.
    fn certificates(&self) {
        if let Some(tls) = &self.changing.tls {
            tell(Cause::File, &[("certificates", tls.renew().map_err(|e| e.to_string()))]);
        }
    }

    /// Each by itself: a bad certificate must not keep a client that was taken away.
    fn take_over(&self, cause: Cause, config: &Config, origins: &Origins) -> Vec<Step> {
        let Changing { authenticator, tls, level, effective } = &self.changing;
        let clients = authenticator.reload(&config.auth);
        if clients.is_ok() {
            effective.take_clients(config, origins);
        }
        let mut steps = vec![("clients", clients.map_err(|e| e.to_string()))];
        let certificates = match tls {
            Some(tls) => {
                let taken = tls.reload(&config.tls);
                if taken.is_ok() {
                    effective.take_tls(config, origins);
                }
                Some(taken)
            }
            None => config.tls.certificate.is_some().then_some(Err(tls::Error::Mode)),
        };
        steps.extend(certificates.map(|done| ("certificates", done.map_err(|e| e.to_string()))));
        if cause == Cause::Hangup {
            let set = effective.take_level(config, origins, |new: &str| level.set(new));
            steps.push(("log level", set.map_err(|e| e.to_string())));
        }
        steps
    }
}

/// What was read again, and why it stays as it was.
type Step = (&'static str, Result<(), String>);

fn tell(cause: Cause, steps: &[Step]) {
    let cause = cause.as_str();
    let mut taken = Vec::new();
    for (what, done) in steps {
        match done {
            Ok(()) => taken.push(*what),
            Err(error) => tracing::error!(error, "{cause}: {what}: what was in force stays"),
        }
    }
    if !taken.is_empty() {
        tracing::info!("{cause}: {} were read again", taken.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit, config::AuthMode};

    #[test]
    fn what_cannot_be_taken_over_keeps_nothing_else_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.auth.mode = AuthMode::Token;
        let authenticator =
            Authenticator::open(&config.auth, dir.path(), audit::Log::default()).unwrap();
        let origins = Origins::new();
        let effective = Arc::new(Effective::new(config.clone(), origins.clone()));
        let level = Level::of_nothing();
        let changing = Changing { authenticator, tls: None, level, effective };
        let read = Read { file: None, changing };
        let done = |cause, config: &Config| -> Vec<_> {
            let steps = read.take_over(cause, config, &origins);
            steps.into_iter().map(|(what, done)| (what, done.is_ok())).collect()
        };
        assert_eq!(done(Cause::File, &config), [("clients", true)]);
        assert_eq!(done(Cause::Hangup, &config), [("clients", true), ("log level", false)]);
        config.tls.certificate = Some(dir.path().join("none"));
        assert_eq!(done(Cause::File, &config), [("clients", true), ("certificates", false)]);
        config.auth.mode = AuthMode::None;
        assert_eq!(done(Cause::File, &config), [("clients", false), ("certificates", false)]);
    }
}
