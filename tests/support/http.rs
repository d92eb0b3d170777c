//! A plain HTTP/1.1 client over a socket, so that tests see and send every byte.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Daemon, PATIENCE, start, start_with};

pub const JOBS: &str = "/v0/async/cvrs/jobs";

/// A daemon on a directory of its own.
pub struct Server {
    pub daemon: Daemon,
    pub dir: TempDir,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Server {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With these settings in its environment.
    pub fn with(env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let daemon = start(&dir.path().join("data"), env);
        Self { daemon, dir }
    }

    /// In mode `token`, with these lines of the section `auth`.
    pub fn with_clients(auth: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("cvrsd.toml");
        std::fs::write(&config, format!("[auth]\nmode = \"token\"\n{auth}")).unwrap();
        let args = ["--config", config.to_str().unwrap()];
        let daemon = start_with(&dir.path().join("data"), &args, &[]);
        Self { daemon, dir }
    }

    /// One request on a connection of its own.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.push(("Content-Length", &length));
        let mut stream = self.open(method, path, &all);
        // A refusal may come, and the connection close, before the body is sent.
        let _ = stream.write_all(body);
        read(stream)
    }

    /// A connection on which the head of a request was sent.
    pub fn open(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
        let host = &self.daemon.rest;
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    /// Uploads for a job.
    pub fn upload(&self, method: &str, media: &str, body: impl AsRef<[u8]>) -> Answer {
        self.call(method, JOBS, &[("Content-Type", media)], body.as_ref())
    }

    /// Uploads text and takes the job's id from the answer, which must be 202.
    pub fn submit(&self, method: &str, text: impl AsRef<[u8]>) -> String {
        self.upload(method, "text/plain", text).accepted()
    }

    /// Waits for the job's end; gives the body of the plain view.
    pub fn wait(&self, id: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(&format!("{JOBS}/{id}"));
            assert_eq!(answer.status, 200, "{answer:?}");
            if answer.json()["status"] == "COMPLETED" {
                return answer.body;
            }
            assert!(Instant::now() < deadline, "job {id} does not end: {answer:?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Runs text to its end; gives the body of the plain view.
    pub fn run_raw(&self, method: &str, text: impl AsRef<[u8]>) -> String {
        self.wait(&self.submit(method, text))
    }

    /// Runs text to its end; gives the plain view.
    pub fn run(&self, method: &str, text: impl AsRef<[u8]>) -> Value {
        serde_json::from_str(&self.run_raw(method, text)).unwrap()
    }

    /// Runs text to its end; gives the full view.
    pub fn run_full(&self, method: &str, text: impl AsRef<[u8]>) -> Value {
        let id = self.submit(method, text);
        self.wait(&id);
        self.full(&id)
    }

    pub fn full(&self, id: &str) -> Value {
        self.get(&format!("{JOBS}/{id}?view=full")).json()
    }

    /// Every job's event after `after_seq`, until the job's end.
    pub fn events(&self, id: &str, after_seq: u64) -> Vec<Value> {
        let after = after_seq.to_string();
        let headers = [("Last-Event-ID", after.as_str())];
        let answer = self.call("GET", &format!("{JOBS}/{id}/events"), &headers, b"");
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        let data = answer.body.lines().filter_map(|line| line.strip_prefix("data:"));
        data.map(|text| serde_json::from_str(text).unwrap()).collect()
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The id of the job that an upload was accepted as.
    pub fn accepted(&self) -> String {
        assert_eq!(self.status, 202, "{self:?}");
        self.json()["id"].as_str().unwrap().to_owned()
    }

    /// Status and code of a refusal, which must be a whole problem document.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status);
        for member in ["type", "title", "detail"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        let code = body["code"].as_str().unwrap();
        assert!(code.starts_with("CVRS-"), "{self:?}");
        (self.status, code.to_owned())
    }
}

/// Reads the answer of a connection that closes after it.
pub fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let head_end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let head_end = head_end.unwrap_or_else(|| panic!("no answer: {ended:?}"));
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let body = &bytes[head_end + 4..];
    let chunked = headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned()));
    let body = if chunked { unchunked(body) } else { body.to_vec() };
    Answer { status, headers, body: String::from_utf8(body).unwrap() }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line_end = bytes.windows(2).position(|w| w == b"\r\n").unwrap();
        let length = std::str::from_utf8(&bytes[..line_end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        let start = line_end + 2;
        body.extend_from_slice(&bytes[start..start + length]);
        bytes = &bytes[start + length + 2..];
    }
}

/// A body in chunked transfer coding, in pieces of that many bytes.
pub fn chunked(body: &[u8], piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(piece) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
