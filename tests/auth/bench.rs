//! A daemon with clients, and calls that carry a token.

use std::{
    fmt::Write as _,
    fs::File,
    path::{Path, PathBuf},
    time::Instant,
};

use cvrsd::proto::{
    admin::admin_service_client::AdminServiceClient, jobs::job_service_client::JobServiceClient,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tonic::{
    Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use crate::support::{Daemon, PATIENCE, command, files, ready, start};

pub const JOBS: &str = "/v0/async/cvrs/jobs";
pub const ALL: &[&str] = &["UPLOAD", "UPDATE", "DELETE"];
/// [`ALL`], and the scope that reads rows of both storages.
pub const READING: &[&str] = &["UPLOAD", "UPDATE", "DELETE", "EXPORT_NON_REDACTED"];

/// Adds a token to every gRPC call.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub type Jobs = JobServiceClient<InterceptedService<Channel, Token>>;
pub type Admin = AdminServiceClient<InterceptedService<Channel, Token>>;

/// One client of the configuration; its secret is its id and `-secret`.
pub fn client(id: &str, tenant: &str, more: &str) -> String {
    client_with_secret(id, tenant, &format!("{id}-secret"), more)
}

pub fn client_with_secret(id: &str, tenant: &str, secret: &str, more: &str) -> String {
    let digest = digest(secret.as_bytes());
    let scopes = if more.contains("scopes") {
        ""
    } else {
        "scopes = [\"UPLOAD\", \"update\", \"Delete\"]\n"
    };
    format!(
        "[[auth.client]]\nid = \"{id}\"\ntenant = \"{tenant}\"\nsecret_sha256 = \"{digest}\"\n{scopes}{more}\n"
    )
}

/// SHA-256 in hex.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A daemon in mode `token`.
pub struct Bench {
    pub daemon: Daemon,
    pub config: PathBuf,
    /// Keeps the directory.
    pub dir: TempDir,
    env: Vec<(String, String)>,
}

impl Bench {
    /// Client `A` of tenant `TA` and client `B` of tenant `TB`, and those in `more`.
    pub fn new(more: &str) -> Self {
        let clients = format!("{}{}{more}", client("A", "TA", ""), client("B", "TB", ""));
        Self::with(&clients, &[])
    }

    pub fn with(clients: &str, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("cvrsd.toml");
        write_config(&config, clients);
        let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let daemon = serve(&dir.path().join("data"), &config, &env);
        Self { daemon, config, dir, env }
    }

    /// Like [`Bench::with`], with what the daemon tells from `info` on.
    pub fn logged(clients: &str, log: File) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (data, config) = (dir.path().join("data"), dir.path().join("cvrsd.toml"));
        write_config(&config, clients);
        let args = ["--config", config.to_str().unwrap()];
        let mut command = command(&data, &args, &[("CVRSD__LOG__LEVEL", "info")]);
        let daemon = ready(&data, command.stderr(log).spawn().unwrap());
        Self { daemon, config, dir, env: Vec::new() }
    }

    /// Stops and starts again on the same data.
    pub fn restart(self) -> Self {
        let Self { daemon, config, dir, env } = self;
        assert!(daemon.stop().success());
        let daemon = serve(&dir.path().join("data"), &config, &env);
        Self { daemon, config, dir, env }
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        let request = reqwest::Client::new().post(self.daemon.url(path));
        let request = request.header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap()
    }

    /// Asks for a token by the secret of [`client`].
    pub async fn generate(&self, client: &str, scopes: &[&str]) -> Response {
        self.post("/v0/token/gen", asked(client, scopes)).await
    }

    pub async fn token(&self, client: &str, scopes: &[&str]) -> String {
        token_of(self.generate(client, scopes).await).await
    }

    pub fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = reqwest::Client::new().request(method, self.daemon.url(path));
        request.header("authorization", token)
    }

    pub async fn get(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path, token).send().await.unwrap()
    }

    /// Submits a text file with these rows.
    pub async fn submit(
        &self,
        method: Method,
        token: &str,
        rows: std::ops::Range<u64>,
    ) -> Response {
        let request = self.request(method, JOBS, token).header("content-type", "text/plain");
        request.body(files::text(1, rows)).send().await.unwrap()
    }

    pub async fn jobs(&self, token: &str) -> Jobs {
        let url = format!("http://{}", self.daemon.grpc);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        JobServiceClient::with_interceptor(channel, Token(token.parse().unwrap()))
    }

    pub async fn records(&self, token: &str) -> Admin {
        let url = format!("http://{}", self.daemon.admin);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        AdminServiceClient::with_interceptor(channel, Token(token.parse().unwrap()))
    }

    /// Waits for the end of the job and gives its full view.
    pub async fn wait(&self, token: &str, id: &str) -> Value {
        let path = format!("{JOBS}/{id}?view=full");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let job: Value = self.get(&path, token).await.json().await.unwrap();
            if job["status"] == "COMPLETED" {
                return job;
            }
            assert!(Instant::now() < deadline, "job {id} does not end: {job}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Submits and waits for the end.
    pub async fn run(&self, method: Method, token: &str, rows: std::ops::Range<u64>) -> Value {
        let id = id_of(self.submit(method, token, rows).await).await;
        self.wait(token, &id).await
    }
}

fn write_config(path: &Path, clients: &str) {
    std::fs::write(path, format!("[auth]\nmode = \"token\"\n{clients}")).unwrap();
}

fn serve(dir: &Path, config: &Path, env: &[(String, String)]) -> Daemon {
    let env: Vec<_> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    crate::support::start_with(dir, &["--config", config.to_str().unwrap()], &env)
}

/// A daemon without authentication.
pub fn open(dir: &Path) -> Daemon {
    start(dir, &[])
}

pub fn asked(client: &str, scopes: &[&str]) -> Value {
    json!({ "clientID": client, "clientSecret": format!("{client}-secret"), "scopes": scopes })
}

pub async fn token_of(response: Response) -> String {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{body}");
    body["token"].as_str().unwrap().to_owned()
}

pub async fn id_of(response: Response) -> String {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{body}");
    body["id"].as_str().unwrap().to_owned()
}

/// Status and code of a refusal.
pub async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned())
}

pub fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Status and code of a refused gRPC call.
pub fn reason(status: &Status) -> (tonic::Code, String) {
    use tonic_types::StatusExt;
    (status.code(), status.get_details_error_info().unwrap().reason)
}
