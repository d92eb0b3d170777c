//! The real program as a child process.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use cvrsd::proto::admin::{CountRecordsRequest, admin_service_client::AdminServiceClient};
use rustix::process::Signal;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    Result,
    child::{self, Guarded},
    client::Client,
    report,
};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(1);
const SECRET: &str = "not-a-secret";
const LOG_LINES_SHOWN: usize = 10;

/// The program under test: the one that was built with this one, or `CVRSD_BIN`.
pub fn program() -> PathBuf {
    env::var_os("CVRSD_BIN").map_or(env!("CARGO_BIN_EXE_cvrsd").into(), PathBuf::from)
}

/// What it says its version is.
pub fn version() -> Result<String> {
    let text = child::output("cvrsd --version", Command::new(program()).arg("--version"))?;
    Ok(text.trim().trim_start_matches("cvrsd ").to_owned())
}

/// How a daemon is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// So many tenants with a token each; 0 runs without authentication, as tenant `local`.
    pub tenants: usize,
    /// Keys that differ from their default, as `SECTION__KEY`.
    pub keys: Vec<(&'static str, String)>,
}

/// A daemon that serves. Dropped, it is killed.
pub struct Daemon {
    child: Guarded,
    dir: PathBuf,
    listen: Listen,
    setup: Setup,
}

#[derive(Debug, Deserialize)]
struct Listen {
    grpc: String,
    rest: String,
    admin: String,
    pid: u32,
}

impl Daemon {
    /// Starts it on that directory, which it may have served before.
    pub fn start(dir: &Path, setup: &Setup) -> Result<Self> {
        let mut child = Self::spawn(dir, setup)?;
        let listen = wait(&mut child, dir)?;
        Ok(Self { child, dir: dir.to_owned(), listen, setup: setup.clone() })
    }

    fn spawn(dir: &Path, setup: &Setup) -> Result<Guarded> {
        let mut command = child::tied(program());
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"CVRSD__") {
                command.env_remove(name);
            }
        }
        command.arg("serve");
        if setup.tenants > 0 {
            let config = dir.join("cvrsd.toml");
            fs::write(&config, clients(setup.tenants)?)?;
            command.arg("--config").arg(config);
        }
        for section in ["GRPC", "REST", "ADMIN"] {
            command.env(format!("CVRSD__{section}__LISTEN"), "127.0.0.1:0");
        }
        for (key, value) in &setup.keys {
            command.env(format!("CVRSD__{key}"), value);
        }
        command
            .env("CVRSD__DATA__DIR", dir.join("data"))
            .env("CVRSD__LOG__LEVEL", "warn")
            .env("CVRSD__LOG__FORMAT", "text")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.join("log"))?);
        Guarded::spawn("cvrsd serve", &mut command)
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(format!("http://{}", self.listen.grpc))?)
    }

    pub fn rest(&self) -> String {
        format!("http://{}", self.listen.rest)
    }

    /// A connection of its own; of tenant `local`, so only without authentication.
    pub async fn client(&self) -> Result<Client> {
        Ok(Client::new(self.endpoint()?.connect().await?, None))
    }

    /// Tokens of all tenants, in order; none without authentication.
    pub async fn tokens(&self) -> Result<Vec<String>> {
        let http = reqwest::Client::new();
        let mut tokens = Vec::new();
        for tenant in 0..self.setup.tenants {
            let asked = serde_json::json!({
                "clientID": format!("C{tenant}"),
                "clientSecret": SECRET,
                "scopes": ["UPLOAD", "UPDATE", "DELETE"],
            });
            let url = format!("{}/v0/token/gen", self.rest());
            let answer = http.post(url).header("content-type", "application/json");
            let answer = answer.body(asked.to_string()).send().await?.error_for_status()?;
            let answer: serde_json::Value = answer.json().await?;
            let token = answer.get("token").and_then(serde_json::Value::as_str);
            tokens.push(token.ok_or("the daemon gave no token")?.to_owned());
        }
        Ok(tokens)
    }

    /// So many clients, dealt to the tenants in turn, and to so many connections.
    pub async fn clients(&self, clients: usize, connections: usize) -> Result<Vec<Client>> {
        let mut channels: Vec<Channel> = Vec::new();
        for _ in 0..connections.max(1) {
            channels.push(self.endpoint()?.connect().await?);
        }
        let mut tokens: Vec<MetadataValue<Ascii>> = Vec::new();
        for token in self.tokens().await? {
            tokens.push(token.parse()?);
        }
        let dealt = channels.iter().cycle().zip(tokens.iter().cycle()).take(clients);
        let client = |(channel, token): (&Channel, &MetadataValue<Ascii>)| {
            Client::new(channel.clone(), Some(token.clone()))
        };
        Ok(dealt.map(client).collect())
    }

    /// Live records of all of the caller's storages, by their names; only without authentication.
    pub async fn counts(&self) -> Result<Vec<u64>> {
        let mut admin =
            AdminServiceClient::connect(format!("http://{}", self.listen.admin)).await?;
        let answer = admin.count_records(CountRecordsRequest::default()).await?.into_inner();
        Ok(answer.counts.into_iter().map(|count| count.count).collect())
    }

    /// The metrics page.
    pub async fn metrics(&self) -> Result<String> {
        Ok(reqwest::get(format!("http://{}/metrics", self.listen.admin)).await?.text().await?)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has had nothing to do for a while, as after a load, so that work left over
    /// from one step is not counted to the next.
    pub fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_mins(2);
        let mut quiet = 0;
        let mut before = child::cpu_ticks(self.pid())?;
        while quiet < 5 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(100));
            let now = child::cpu_ticks(self.pid())?;
            quiet = if now <= before + 1 { quiet + 1 } else { 0 };
            before = now;
        }
        rustix::fs::sync();
        Ok(())
    }

    /// Drains it and waits for its end.
    pub fn stop(self) -> Result<()> {
        self.child.stop(Signal::TERM)
    }

    /// Ends it at once.
    pub fn kill(self) -> Result<()> {
        self.child.kill()
    }
}

/// Waits until it wrote where it listens, which it does once it serves.
fn wait(child: &mut Guarded, dir: &Path) -> Result<Listen> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(text) = fs::read(dir.join("data/listen.json")) {
            let listen: Listen = serde_json::from_slice(&text)?;
            if listen.pid == child.id() {
                return Ok(listen);
            }
        }
        if !child.runs()? {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            for line in log.lines().rev().take(LOG_LINES_SHOWN) {
                report::note(line);
            }
            return Err("the daemon ended at its start".into());
        }
        thread::sleep(POLL);
    }
    Err(format!("the daemon did not serve within {PATIENCE:?}").into())
}

fn clients(tenants: usize) -> Result<String> {
    let mut digest = String::new();
    for byte in Sha256::digest(SECRET) {
        write!(digest, "{byte:02x}")?;
    }
    let mut text = "[auth]\nmode = \"token\"\ntoken_lifetime = \"12h\"\n".to_owned();
    for tenant in 0..tenants {
        write!(
            text,
            "[[auth.client]]\nid = \"C{tenant}\"\ntenant = \"T{tenant}\"\n\
             secret_sha256 = \"{digest}\"\nscopes = [\"UPLOAD\", \"UPDATE\", \"DELETE\"]\n"
        )?;
    }
    Ok(text)
}
