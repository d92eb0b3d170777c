//! The same one-row jobs by the documented synchronous upload: one request, answered once processed.

use std::{sync::Arc, time::Instant};

use serde_json::Value;

use crate::{Result, client::Body, daemon::Daemon, figures::float};

/// Clients over REST, each with its token and the rows that it will delete.
pub struct SyncCrowd {
    http: reqwest::Client,
    url: String,
    members: Vec<Member>,
}

struct Member {
    token: Option<String>,
    bodies: Arc<Vec<Body>>,
}

impl SyncCrowd {
    pub async fn new(daemon: &Daemon, bodies: Vec<Arc<Vec<Body>>>) -> Result<Self> {
        let http = reqwest::Client::builder().pool_max_idle_per_host(256).no_proxy().build()?;
        let url = format!("{}/v0/upload/cvrs/batch", daemon.rest());
        let tokens = daemon.tokens().await?;
        let dealt = bodies.into_iter().enumerate();
        let member = |(index, bodies): (usize, _)| {
            let token = tokens.get(index % tokens.len().max(1)).cloned();
            Member { token, bodies }
        };
        Ok(Self { http, url, members: dealt.map(member).collect() })
    }

    /// Every client runs so many jobs one after the other; gives jobs a second.
    pub async fn run(&self, from: usize, jobs: usize) -> Result<f64> {
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for member in &self.members {
            let (http, url) = (self.http.clone(), self.url.clone());
            let (token, bodies) = (member.token.clone(), Arc::clone(&member.bodies));
            tasks.spawn(async move {
                for body in bodies.iter().skip(from).take(jobs) {
                    delete(&http, &url, token.as_deref(), body).await?;
                }
                Ok::<_, crate::Error>(())
            });
        }
        let clients = tasks.len();
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(float(jobs * clients) / began.elapsed().as_secs_f64())
    }
}

/// One job, whose row must be deleted.
async fn delete(http: &reqwest::Client, url: &str, token: Option<&str>, body: &Body) -> Result<()> {
    let mut request = http.delete(url).header("content-type", body.media_type);
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    let answer = request.body(body.bytes.clone()).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    let storages = answer.get("storageResult").and_then(Value::as_object);
    let processed = |storage: &Value| storage.get("recordsProcessed").and_then(Value::as_u64);
    if storages.is_some_and(|s| s.len() == 2 && s.values().all(|one| processed(one) == Some(1))) {
        return Ok(());
    }
    Err("WRONG RESULT: a synchronous upload did not delete its row".into())
}
