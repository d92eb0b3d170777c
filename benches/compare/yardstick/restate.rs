//! Restate: its server from npm, and a handler in Rust that does nothing.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::installed;
use crate::{
    Result,
    child::{self, Guarded},
    scratch::Scratch,
};

/// Inside the package of this architecture.
const PACKAGES: &str = "restate/node_modules/@restatedev/restate-server-linux";
const HANDLER: &str = "restate-handler/release/restate-handler";
const PATIENCE: Duration = Duration::from_mins(1);

/// A server and its handler.
pub struct Restate {
    server: Guarded,
    handler: Guarded,
    program: PathBuf,
    url: String,
    http: reqwest::Client,
}

impl Restate {
    /// Starts both; `None` where one is not installed.
    pub async fn start(scratch: &Scratch) -> Result<Option<Self>> {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        let server = format!("{PACKAGES}-{architecture}/bin/restate-server");
        let (Some(program), Some(handler)) = (installed(&server), installed(HANDLER)) else {
            return Ok(None);
        };
        let [ingress, admin, fabric, own] = ports()?;
        let bound = |port: u16| format!("127.0.0.1:{port}");
        let mut handler = child::tied(handler);
        handler.arg(bound(own)).stdin(Stdio::null()).stdout(Stdio::null());
        let handler = Guarded::spawn("restate-handler", handler.stderr(Stdio::null()))?;
        let mut server = child::tied(&program);
        server
            .args(["--no-logo", "--listen-mode", "tcp", "--node-name", "bench", "--base-dir"])
            .arg(scratch.fresh("restate")?)
            .args(["--bind-ip", "127.0.0.1", "--bind-port", &fabric.to_string()])
            .env("RESTATE_INGRESS__BIND_ADDRESS", bound(ingress))
            .env("RESTATE_ADMIN__BIND_ADDRESS", bound(admin))
            .env("RESTATE_DISABLE_TELEMETRY", "true")
            .env("DO_NOT_TRACK", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Guarded::spawn("restate-server", &mut server)?;
        let http = reqwest::Client::builder().pool_max_idle_per_host(256).no_proxy().build()?;
        let url = format!("http://{}/Noop/run", bound(ingress));
        let mut restate = Self { server, handler, program, url, http };
        restate.register(&bound(admin), &bound(own)).await?;
        Ok(Some(restate))
    }

    pub fn told(&self) -> Result<String> {
        let text = child::output("restate-server", Command::new(&self.program).arg("--version"))?;
        let version = text.trim().to_owned();
        Ok(format!("{version}, its defaults on one node; handler in Rust that does nothing"))
    }

    /// Peak memory of the server in bytes.
    pub fn peak(&self) -> Result<u64> {
        child::memory(self.server.id(), "VmHWM")
    }

    /// Tells the server of the handler, and waits until a call gets through.
    async fn register(&mut self, admin: &str, handler: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let body = format!(r#"{{"uri":"http://{handler}","force":true}}"#);
        let mut registered = false;
        loop {
            if !self.server.runs()? || !self.handler.runs()? {
                return Err("Restate or its handler ended at its start".into());
            }
            if !registered {
                let request = self.http.post(format!("http://{admin}/deployments"));
                let request = request.header("content-type", "application/json");
                let answer = request.body(body.clone()).send().await;
                registered = answer.is_ok_and(|answer| answer.status().is_success());
            }
            if registered && self.clone_caller().call().await.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err("Restate does not serve".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What calls the handler; clones share connections.
    pub fn clone_caller(&self) -> Caller {
        Caller { http: self.http.clone(), url: self.url.clone() }
    }
}

/// Calls the handler.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    url: String,
}

impl Caller {
    /// One durable call to its end.
    pub async fn call(&self) -> Result<()> {
        let answer = self.http.post(&self.url).send().await?;
        answer.error_for_status()?.bytes().await?;
        Ok(())
    }
}

/// Ports that were free a moment ago.
fn ports() -> Result<[u16; 4]> {
    let mut held = Vec::new();
    let mut ports = [0; 4];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
