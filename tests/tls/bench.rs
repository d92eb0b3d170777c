//! A daemon with TLS, and its clients.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{self, Channel, ClientTlsConfig, Identity};

use crate::{
    pki::{Authority, Pair},
    support::{Daemon, PATIENCE, command, program, ready},
};

/// Which clients a daemon knows.
pub const NOBODY: &str = "";

/// A daemon with the certificate `server`, signed by `ca`, and the client authority `clients`.
pub struct Bench {
    pub daemon: Daemon,
    pub ca: Authority,
    pub clients: Authority,
    pub server: Pair,
    pub dir: TempDir,
}

/// What a run of curl gave.
#[derive(Debug)]
pub struct Answer {
    /// Exit code of curl: 0 where there was an answer.
    pub code: i32,
    /// Of HTTP.
    pub status: u16,
    /// Of HTTP: `1.1` or `2`.
    pub version: String,
    pub body: String,
}

impl Bench {
    /// With TLS alone and no authentication.
    pub fn plain() -> Self {
        Self::with("", NOBODY, &[])
    }

    /// With these further keys of `tls`, these clients (none is mode `none`) and settings.
    pub fn with(tls: &str, clients: &str, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::new(dir.path(), "ca");
        let authority = Authority::new(dir.path(), "clients");
        let server = ca.server(dir.path(), "server");
        write_config(dir.path(), tls, clients);
        let data = dir.path().join("data");
        let config = dir.path().join("cvrsd.toml");
        let args = ["--config", config.to_str().unwrap()];
        let mut env = env.to_vec();
        env.push(("CVRSD__LOG__LEVEL", "info"));
        let log = File::create(dir.path().join("log")).unwrap();
        let child = command(&data, &args, &env).stderr(log).spawn().unwrap();
        let daemon = ready(&data, child);
        Self { daemon, ca, clients: authority, server, dir }
    }

    /// With client certificates, of which each connection needs one or not.
    pub fn mutual(required: bool, clients: &str) -> Self {
        Self::with(&mutual(required), clients, &[])
    }

    pub fn configure(&self, tls: &str, clients: &str) {
        write_config(self.dir.path(), tls, clients);
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs `cvrsd` against this daemon, whose authority it knows.
    pub fn cvrsd(&self, args: &[&str]) -> Output {
        self.cvrsd_as(args, None)
    }

    /// [`Bench::cvrsd`] with a client certificate.
    pub fn cvrsd_as(&self, args: &[&str], pair: Option<&Pair>) -> Output {
        let mut command = Command::new(program());
        for name in ["CVRSD_TOKEN", "CVRSD_CERT", "CVRSD_KEY"] {
            command.env_remove(name);
        }
        if let Some(pair) = pair {
            command.env("CVRSD_CERT", &pair.certificate).env("CVRSD_KEY", &pair.key);
        }
        command
            .args(args)
            .env("CVRSD_SERVER", format!("https://{}", self.daemon.grpc))
            .env("CVRSD_ADMIN", format!("https://{}", self.daemon.admin))
            .env("CVRSD_CA", &self.ca.file)
            .output()
            .unwrap()
    }

    /// Asks that address by curl, with these further arguments.
    pub fn curl(&self, address: &str, path: &str, pair: Option<&Pair>, more: &[&str]) -> Answer {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "60", "-w", "\n%{http_code} %{http_version}"]);
        command.arg("--cacert").arg(&self.ca.file);
        if let Some(pair) = pair {
            command.arg("--cert").arg(&pair.certificate).arg("--key").arg(&pair.key);
        }
        command.args(more).arg(format!("https://{address}{path}"));
        let output = command.output().expect("curl is installed");
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, last) = text.rsplit_once('\n').unwrap_or(("", "0 0"));
        let (status, version) = last.split_once(' ').unwrap();
        Answer {
            code: output.status.code().unwrap(),
            status: status.parse().unwrap(),
            version: version.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A gRPC connection that trusts this daemon's authority.
    pub async fn channel(&self, pair: Option<&Pair>) -> Result<Channel, transport::Error> {
        let ca = fs::read(&self.ca.file).unwrap();
        let mut tls = ClientTlsConfig::new().ca_certificate(transport::Certificate::from_pem(ca));
        if let Some(pair) = pair {
            let [certificate, key] = [&pair.certificate, &pair.key].map(|f| fs::read(f).unwrap());
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let url = format!("https://{}", self.daemon.grpc);
        Channel::from_shared(url).unwrap().tls_config(tls).unwrap().connect().await
    }

    /// The certificate that a new connection to that address gets.
    pub async fn served(&self, address: &str) -> CertificateDer<'static> {
        let stream = self.handshake(address).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Waits until new connections get that certificate.
    pub async fn wait_served(&self, address: &str, pair: &Pair) {
        let deadline = Instant::now() + PATIENCE;
        while self.served(address).await != *pair.made.der() {
            assert!(Instant::now() < deadline, "the new certificate is not served");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn handshake(&self, address: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca.file).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }

    /// Sends `SIGHUP` and waits until the log tells of it, with these words.
    pub fn hang_up(&self, told: &str) {
        let before = self.log().matches(told).count();
        self.daemon.signal("HUP");
        self.wait_told(told, before + 1);
    }

    /// Waits until the log has these words that many times.
    pub fn wait_told(&self, told: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.log().matches(told).count() < times {
            assert!(Instant::now() < deadline, "the log does not say {told:?}: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Keys of `tls` for client certificates.
pub fn mutual(required: bool) -> String {
    format!("client_ca = \"DIR/clients.crt\"\nclient_certificate_required = {required}\n")
}

/// A client with that certificate name and no secret.
pub fn named(id: &str, tenant: &str, name: &str) -> String {
    format!(
        "[[auth.client]]\nid = \"{id}\"\ntenant = \"{tenant}\"\n\
         certificate_names = [\"{name}\"]\nscopes = [\"UPLOAD\", \"UPDATE\", \"DELETE\"]\n"
    )
}

/// Writes `cvrsd.toml`; `DIR` in it is the directory.
pub fn write_config(dir: &Path, tls: &str, clients: &str) -> PathBuf {
    let mode = if clients == NOBODY { "none" } else { "token" };
    let text = format!(
        "[tls]\ncertificate = \"DIR/server.crt\"\nkey = \"DIR/server.key\"\n{tls}\n\
         [auth]\nmode = \"{mode}\"\n{clients}"
    );
    let path = dir.join("cvrsd.toml");
    fs::write(&path, text.replace("DIR", dir.to_str().unwrap())).unwrap();
    path
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
