//! What handshakes of the listeners take, and taking it anew.

use std::{
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

use super::{
    files::{self, Error},
    identity,
};
use crate::{auth::Certificate, clock, config, limits::CERTIFICATE_EXPIRY_NOTICE};

const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";
const CLIENT_CA: &str = "tls.client_ca";

/// TLS of the listeners. A cheap handle; all copies change together.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<InForce>>);

/// What a listener speaks inside of TLS.
#[derive(Clone, Copy, Debug)]
pub enum Protocols {
    /// HTTP/2 alone.
    Http2,
    /// HTTP/1.1 and HTTP/2.
    Http,
}

struct InForce {
    /// Where it was read.
    config: config::Tls,
    /// What verifies certificates of clients, where they are asked for any.
    clients: Option<Clients>,
    http2: TlsAcceptor,
    http: TlsAcceptor,
    /// When the certificate expires, in seconds since the Unix epoch.
    expires_s: i64,
}

/// The authorities of clients' certificates, and what verifies by them.
#[derive(Clone)]
struct Clients {
    roots: Arc<RootCertStore>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// A handshake that has begun.
pub struct Handshake {
    accept: Accept<TcpStream>,
    tls: Tls,
    /// What it takes.
    in_force: Arc<InForce>,
}

/// The client certificate of a connection.
pub struct Presented {
    certificate: Certificate,
    /// Itself, and what it brought along.
    chain: Vec<CertificateDer<'static>>,
    tls: Tls,
    /// What verified it last.
    verified_by: ArcSwap<InForce>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", &self.0.load().config).finish_non_exhaustive()
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS as configured; `None` where it is off. Blocks.
    ///
    /// # Errors
    /// When a file is not usable.
    pub fn open(config: &config::Tls) -> Result<Option<Self>, Error> {
        let in_force = InForce::read(config)?;
        let tls = in_force.map(|in_force| Self(Arc::new(ArcSwap::from_pointee(in_force))));
        tls.iter().for_each(Self::tell_expiry);
        Ok(tls)
    }

    /// Takes what is configured now, for handshakes from now on. Blocks.
    ///
    /// # Errors
    /// When a file is not usable, the certificate has expired, or TLS would be turned off; nothing has changed
    /// then.
    pub fn reload(&self, config: &config::Tls) -> Result<(), Error> {
        let new = InForce::read(config)?.ok_or(Error::Mode)?;
        if new.expires_s <= now_s() {
            let path = config.certificate.clone().unwrap_or_default();
            let when = clock::rfc3339(new.expires_s.saturating_mul(1_000_000));
            return Err(Error::Content(CERTIFICATE, path, format!("it expired at {when}")));
        }
        self.0.store(Arc::new(new));
        self.tell_expiry();
        Ok(())
    }

    /// Tells log and metrics until when the certificate is good.
    pub fn tell_expiry(&self) {
        let expires_s = self.0.load().expires_s;
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("cvrsd_tls_certificate_expiry_seconds").set(expires_s as f64);
        let expires = clock::rfc3339(expires_s.saturating_mul(1_000_000));
        let notice_s = i64::try_from(CERTIFICATE_EXPIRY_NOTICE.as_secs()).unwrap_or(i64::MAX);
        match expires_s.saturating_sub(now_s()) {
            ..=0 => tracing::error!(expires, "the certificate of the listeners has expired"),
            left if left < notice_s => {
                tracing::warn!(expires, "the certificate of the listeners expires soon");
            }
            _ => tracing::info!(expires, "the certificate of the listeners"),
        }
    }

    /// Reads the files in force again, like [`Tls::reload`].
    ///
    /// # Errors
    /// As there.
    pub fn renew(&self) -> Result<(), Error> {
        self.reload(&self.0.load_full().config)
    }

    /// The files in force.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.load().config.files()
    }

    /// Begins the handshake of a new connection.
    #[must_use]
    pub fn begin(&self, stream: TcpStream, protocols: Protocols) -> Handshake {
        let in_force = self.0.load_full();
        let acceptor = match protocols {
            Protocols::Http2 => &in_force.http2,
            Protocols::Http => &in_force.http,
        };
        Handshake { accept: acceptor.accept(stream), tls: self.clone(), in_force }
    }
}

impl Handshake {
    /// Goes on with the handshake. Once ready it must not be polled again.
    ///
    /// # Errors
    /// When it failed; the other side has then been told why, as far as the connection allows.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<(TlsStream<TcpStream>, Option<Presented>)>> {
        let Self { accept, tls, in_force } = self;
        Pin::new(accept).poll(cx).map_ok(|stream| {
            let (_, session) = stream.get_ref();
            let presented = session.peer_certificates().and_then(|chain| {
                let nobody = Certificate { names: Vec::new(), expires_s: 0 };
                let certificate = identity::client(chain.first()?).unwrap_or(nobody);
                let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
                let (tls, verified_by) = (tls.clone(), ArcSwap::new(Arc::clone(in_force)));
                Some(Presented { certificate, chain, tls, verified_by })
            });
            (stream, presented)
        })
    }
}

impl Presented {
    /// The certificate, if the authorities in force stand for it: a connection may outlive those of its handshake.
    /// `None` where no certificate is asked for any more.
    ///
    /// # Errors
    /// Where they do not.
    pub fn verified(&self) -> Result<Option<&Certificate>, rustls::Error> {
        let in_force = self.tls.0.load_full();
        let Some(clients) = &in_force.clients else { return Ok(None) };
        let before = self.verified_by.load();
        // Other authorities alone are a reason: whether it has expired is looked at by whoever it names.
        let same = before.clients.as_ref().is_some_and(|b| b.roots.roots == clients.roots.roots);
        if !same && let Some((own, others)) = self.chain.split_first() {
            clients.verifier.verify_client_cert(own, others, UnixTime::now())?;
            self.verified_by.store(in_force);
        }
        Ok(Some(&self.certificate))
    }
}

impl InForce {
    fn read(config: &config::Tls) -> Result<Option<Self>, Error> {
        let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
            return Ok(None);
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (own, expires_s) = own(&provider, certificate, key)?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Content(CERTIFICATE, certificate.clone(), e.to_string()))?;
        let own = Arc::new(SingleCertAndKey::from(own));
        let required = config.client_certificate_required;
        let authorities = config.client_ca.as_ref();
        let clients = authorities.map(|path| clients(provider, path, required)).transpose()?;
        let server = match clients.clone() {
            None => server.with_no_client_auth().with_cert_resolver(own),
            Some(Clients { verifier, .. }) => {
                let mut server = server.with_client_cert_verifier(verifier).with_cert_resolver(own);
                // A session that is resumed would bring a certificate that nobody verifies again.
                server.session_storage = Arc::new(NoServerSessionStorage {});
                server.send_tls13_tickets = 0;
                server
            }
        };
        let speaking = |names: &[&[u8]]| {
            let mut server = server.clone();
            server.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
            TlsAcceptor::from(Arc::new(server))
        };
        Ok(Some(Self {
            config: config.clone(),
            clients,
            http2: speaking(&[b"h2"]),
            http: speaking(&[b"h2", b"http/1.1"]),
            expires_s,
        }))
    }
}

/// What verifies certificates of clients.
fn clients(
    provider: Arc<CryptoProvider>,
    authorities: &Path,
    required: bool,
) -> Result<Clients, Error> {
    let roots = Arc::new(files::authorities(CLIENT_CA, authorities)?);
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider);
    if !required {
        verifier = verifier.allow_unauthenticated();
    }
    let content =
        |e: VerifierBuilderError| Error::Content(CLIENT_CA, authorities.to_owned(), e.to_string());
    Ok(Clients { roots, verifier: verifier.build().map_err(content)? })
}

/// The listeners' own certificate with its key, and when it expires. What else is in its chain may have expired: some
/// clients need a cross-signed one, and others build their chain without it.
fn own(
    provider: &CryptoProvider,
    certificate: &Path,
    key: &Path,
) -> Result<(CertifiedKey, i64), Error> {
    let chain = files::certificates(CERTIFICATE, certificate)?;
    let malformed = || {
        Error::Content(CERTIFICATE, certificate.to_owned(), "it holds no certificate".to_owned())
    };
    let expiries: Result<Vec<_>, _> = chain.iter().map(identity::expiry).collect();
    let expiries = expiries.map_err(|_| malformed())?;
    let expires_s = expiries.first().copied().ok_or_else(malformed)?;
    let der = files::private_key(KEY, key)?;
    let signing = provider.key_provider.load_private_key(der).map_err(|_| {
        let text = "its kind of private key is not known".to_owned();
        Error::Content(KEY, key.to_owned(), text)
    })?;
    let own = CertifiedKey::new(chain, signing);
    own.keys_match().map_err(|_| Error::Mismatch {
        key: key.to_owned(),
        certificate: certificate.to_owned(),
    })?;
    Ok((own, expires_s))
}

fn now_s() -> i64 {
    clock::now_us() / 1_000_000
}
