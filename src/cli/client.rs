//! The way to a daemon: connection, credentials, and what its refusals mean for the exit code.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use tonic::{
    Code, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_types::StatusExt;

use super::Failure;
use crate::{
    domain::Trace,
    exit::Exit,
    limits::{
        CLIENT_CONNECT_TIMEOUT, CLIENT_KEEPALIVE, CLIENT_RETRIES_MAX, CLIENT_RETRY_MAX,
        CLIENT_RETRY_MIN,
    },
    proto::{
        admin::{
            admin_service_client::AdminServiceClient, backup_service_client::BackupServiceClient,
        },
        jobs::job_service_client::JobServiceClient,
    },
};

/// A connection that carries the caller's token.
type Authorized = InterceptedService<Channel, Token>;
/// A client of the job service.
pub type Jobs = JobServiceClient<Authorized>;
/// A client of the admin service.
pub type Admin = AdminServiceClient<Authorized>;

/// A client of the backup service.
pub type Backups = BackupServiceClient<Authorized>;

/// The options by which caller and server know each other, as every client command takes them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Credentials {
    /// Token, sent as `authorization`
    #[arg(long, env = "CVRSD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// PEM file of the authorities that may have signed the server's certificate; without it the system's
    #[arg(long, env = "CVRSD_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of the caller's own certificate, for servers that ask for one
    #[arg(long, env = "CVRSD_CERT", value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, env = "CVRSD_KEY", value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

impl Credentials {
    /// How to speak TLS.
    async fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let tls = match &self.ca {
            Some(ca) => {
                let pem = read(ca).await?;
                if CertificateDer::pem_slice_iter(&pem).next().is_none_or(|first| first.is_err()) {
                    let text = format!("{} holds no certificate in PEM", ca.display());
                    return Err(Failure::new(Exit::Usage, text));
                }
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                tls.identity(Identity::from_pem(read(cert).await?, read(key).await?))
            }
            _ => tls,
        };
        Ok(tls.timeout(CLIENT_CONNECT_TIMEOUT))
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |e| Failure::new(Exit::Usage, format!("cannot read {}: {e}", path.display()));
    tokio::fs::read(path).await.map_err(failed)
}

/// The options of a command that talks to the job service.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// Address of the daemon's gRPC listener
    #[arg(long, env = "CVRSD_SERVER", default_value = "http://127.0.0.1:50051")]
    #[arg(value_name = "URL")]
    pub server: String,
    #[command(flatten)]
    pub credentials: Credentials,
}

impl Target {
    /// Connects.
    ///
    /// # Errors
    /// When the address or token is malformed, or nobody answers there.
    pub async fn connect(&self) -> Result<Jobs, Failure> {
        let channel = self.channel().await?;
        Ok(JobServiceClient::with_interceptor(channel, Token::new(&self.credentials)?))
    }

    /// Connects to a service that takes no token.
    ///
    /// # Errors
    /// When the address is malformed, or nobody answers there.
    pub async fn channel(&self) -> Result<Channel, Failure> {
        channel(&self.server, &self.credentials).await
    }
}

/// The options of a command that talks to the admin service.
#[derive(Clone, Debug, clap::Args)]
pub struct AdminTarget {
    /// Address of the daemon's admin listener
    #[arg(long, env = "CVRSD_ADMIN", default_value = "http://127.0.0.1:9464")]
    #[arg(value_name = "URL")]
    pub admin: String,
    #[command(flatten)]
    pub credentials: Credentials,
}

impl AdminTarget {
    /// Connects.
    ///
    /// # Errors
    /// When the address or token is malformed, or nobody answers there.
    pub async fn connect(&self) -> Result<Admin, Failure> {
        let channel = channel(&self.admin, &self.credentials).await?;
        Ok(AdminServiceClient::with_interceptor(channel, Token::new(&self.credentials)?))
    }

    /// Connects to take a backup.
    ///
    /// # Errors
    /// Those of [`AdminTarget::connect`].
    pub async fn backups(&self) -> Result<Backups, Failure> {
        let channel = channel(&self.admin, &self.credentials).await?;
        Ok(BackupServiceClient::with_interceptor(channel, Token::new(&self.credentials)?))
    }
}

/// The options of a command that talks to both.
#[derive(Clone, Debug, clap::Args)]
pub struct Targets {
    #[command(flatten)]
    jobs: Target,
    /// Address of the daemon's admin listener
    #[arg(long, env = "CVRSD_ADMIN", default_value = "http://127.0.0.1:9464")]
    #[arg(value_name = "URL")]
    admin: String,
}

impl Targets {
    /// Connects to both.
    ///
    /// # Errors
    /// When an address or the token is malformed, or nobody answers at one of them.
    pub async fn connect(&self) -> Result<(Jobs, Admin), Failure> {
        let credentials = self.jobs.credentials.clone();
        let admin = AdminTarget { admin: self.admin.clone(), credentials };
        Ok((self.jobs.connect().await?, admin.connect().await?))
    }
}

/// Adds the token to every call, and the span of `TRACEPARENT` where there is one.
#[derive(Clone, Debug)]
pub struct Token {
    token: Option<MetadataValue<Ascii>>,
    trace: Option<MetadataValue<Ascii>>,
}

/// In which variable a program that traces names its span to those that it starts.
const TRACEPARENT: &str = "TRACEPARENT";

impl Token {
    fn new(credentials: &Credentials) -> Result<Self, Failure> {
        let trace = std::env::var(TRACEPARENT).ok().as_deref().and_then(Trace::parse);
        let trace = trace.and_then(|trace| trace.to_string().parse().ok());
        let Some(token) = credentials.token.as_ref().filter(|t| !t.is_empty()) else {
            return Ok(Self { token: None, trace });
        };
        let refuse = |_| Failure::new(Exit::Usage, "the token has characters no header can hold");
        let mut value: MetadataValue<Ascii> = token.parse().map_err(refuse)?;
        value.set_sensitive(true);
        Ok(Self { token: Some(value), trace })
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        if let Some(trace) = &self.trace {
            request.metadata_mut().insert("traceparent", trace.clone());
        }
        Ok(request)
    }
}

async fn channel(address: &str, credentials: &Credentials) -> Result<Channel, Failure> {
    let url =
        if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let refuse = |why: String| Failure::new(Exit::Usage, format!("address {address:?}: {why}"));
    let tls = url.starts_with("https://");
    if !tls && !url.starts_with("http://") {
        return Err(refuse("only http:// and https:// are spoken".to_owned()));
    }
    let mut endpoint = Endpoint::from_shared(url).map_err(|e| refuse(e.to_string()))?;
    if endpoint.uri().port().is_none() {
        return Err(refuse("it has no port".to_owned()));
    }
    if tls {
        endpoint = endpoint
            .tls_config(credentials.tls().await?)
            .map_err(|e| Failure::new(Exit::Usage, format!("TLS: {}", innermost(&e))))?;
    }
    endpoint
        .connect_timeout(CLIENT_CONNECT_TIMEOUT)
        .http2_keep_alive_interval(CLIENT_KEEPALIVE)
        .keep_alive_timeout(CLIENT_KEEPALIVE)
        .connect()
        .await
        .map_err(|e| {
            let cause = innermost(&e);
            Failure::new(Exit::Unreachable, format!("cannot reach {address}: {cause}"))
        })
}

/// The last cause of an error, which is the one that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Whether the same call may succeed a little later: the server is starting or draining, or the
/// connection broke. Statuses that the server sent have no source.
pub fn is_lost(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// What a refusal means for the command: one line with the stable code, and the exit code.
pub fn refused(status: &Status) -> Failure {
    let exit = if is_lost(status) { Exit::Unreachable } else { Exit::Failed };
    let text = match status.source() {
        Some(source) => format!("lost the server: {}", innermost(source)),
        None if status.message().is_empty() => format!("{:?}", status.code()),
        None => status.message().to_owned(),
    };
    let mut line = text.replace(['\n', '\r'], " ");
    if let Some(info) = status.get_details_error_info()
        && !line.contains(&info.reason)
    {
        line = format!("{line} ({})", info.reason);
    }
    Failure::new(exit, line)
}

/// Counts how often the server was lost in a row, and waits in between.
#[derive(Debug)]
pub struct Retry {
    left: u32,
    wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { left: CLIENT_RETRIES_MAX, wait: CLIENT_RETRY_MIN }
    }
}

impl Retry {
    /// Waits before another try.
    ///
    /// # Errors
    /// At once where another try makes no sense, or the tries are used up.
    pub async fn after(&mut self, status: &Status) -> Result<(), Failure> {
        if self.left == 0 || !is_lost(status) {
            return Err(refused(status));
        }
        self.left -= 1;
        tokio::time::sleep(self.wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        self.wait = (self.wait * 2).min(CLIENT_RETRY_MAX);
        Ok(())
    }

    /// The server answered: the next loss is a first one again.
    pub fn answered(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_is_one_line_with_its_code_and_exit() {
        let details = ErrorDetails::with_error_info("CVRS-JOB-NOT-FOUND", "cvrsd", []);
        let status = Status::with_error_details(Code::NotFound, "no job\nhere", details.clone());
        let failure = refused(&status);
        assert_eq!(failure.message, "no job here (CVRS-JOB-NOT-FOUND)");
        assert_eq!(failure.exit, Exit::Failed);
        let named = Status::with_error_details(Code::NotFound, "x (CVRS-JOB-NOT-FOUND)", details);
        assert_eq!(refused(&named).message, "x (CVRS-JOB-NOT-FOUND)");
    }

    #[test]
    fn only_a_lost_server_is_tried_again() {
        assert!(is_lost(&Status::unavailable("draining")));
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(is_lost(&Status::from_error(Box::new(broken))));
        for status in [Status::not_found("x"), Status::internal("x"), Status::unknown("x")] {
            assert!(!is_lost(&status), "{status:?}");
        }
        assert_eq!(refused(&Status::unavailable("x")).exit, Exit::Unreachable);
    }

    #[tokio::test]
    async fn tries_are_bounded_until_the_server_answers() {
        let lost = Status::unavailable("gone");
        let mut retry = Retry { left: 2, wait: Duration::ZERO };
        retry.after(&lost).await.unwrap();
        retry.after(&lost).await.unwrap();
        assert_eq!(retry.after(&lost).await.unwrap_err().exit, Exit::Unreachable);
        retry.answered();
        assert_eq!(retry.left, CLIENT_RETRIES_MAX);
        assert!(retry.after(&Status::not_found("x")).await.is_err());
    }

    #[tokio::test]
    async fn a_malformed_address_or_token_is_bad_usage() {
        let none = Credentials::default();
        for bad in ["https://127.0.0.1", "http://127.0.0.1", "ftp://x:1", "http://a b:1"] {
            assert_eq!(channel(bad, &none).await.unwrap_err().exit, Exit::Usage, "{bad}");
        }
        let credentials = Credentials { token: Some("a\nb".to_owned()), ..none };
        assert_eq!(Token::new(&credentials).unwrap_err().exit, Exit::Usage);
    }

    #[tokio::test]
    async fn a_file_that_tls_cannot_use_is_bad_usage() {
        let dir = tempfile::tempdir().unwrap();
        let (none, letter) = (dir.path().join("none"), dir.path().join("letter"));
        std::fs::write(&letter, "Dear server").unwrap();
        let files = |ca, cert: Option<&PathBuf>| Credentials {
            ca,
            cert: cert.cloned(),
            key: cert.cloned(),
            token: None,
        };
        for (credentials, named) in [
            (files(Some(none.clone()), None), &none),
            (files(Some(letter.clone()), None), &letter),
            (files(None, Some(&none)), &none),
        ] {
            let failure = channel("https://127.0.0.1:1", &credentials).await.unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{failure}");
            assert!(failure.message.contains(named.to_str().unwrap()), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_unreachable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let found = channel(&free.to_string(), &Credentials::default()).await;
        assert_eq!(found.unwrap_err().exit, Exit::Unreachable);
    }
}
