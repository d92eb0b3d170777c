//! HTTP/1.1 clients whose connection ends before their upload does.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    left_nothing,
    support::{Daemon, PATIENCE, files, start},
};

const KEY: &str = "broken";

/// How the connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Both directions at once.
    Close,
    /// The client sends nothing more but waits for an answer.
    StopSending,
    /// The peer is told that something broke.
    Reset,
}

fn head(framing: &str) -> Vec<u8> {
    let head = format!(
        "DELETE /v0/async/cvrs/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n\
         idempotency-key: {KEY}\r\n{framing}\r\n\r\n"
    );
    head.into_bytes()
}

/// Requests that miss only their very end, or half of their body.
fn cut_requests(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let length = format!("content-length: {}", text.len());
    let with_length = |body: &[u8]| [&head(&length), body].concat();
    let chunked = |chunk: &[u8], rest: &str| {
        let size = format!("{:x}\r\n", text.len());
        [&head("transfer-encoding: chunked"), size.as_bytes(), chunk, rest.as_bytes()].concat()
    };
    let half = text.len() / 2;
    vec![
        ("half of a length", with_length(&text[..half])),
        ("all of a length but one byte", with_length(&text[..text.len() - 1])),
        ("half of a chunk", chunked(&text[..half], "")),
        ("all of a chunk, no end of it", chunked(text, "")),
        ("all chunks but the last", chunked(text, "\r\n")),
        ("the last chunk's size", chunked(text, "\r\n0")),
        ("the last chunk without its empty line", chunked(text, "\r\n0\r\n")),
    ]
}

/// Waits until the daemon has bytes of the upload.
fn wait_spooled(dir: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let files = std::fs::read_dir(dir.join("spool")).unwrap().filter_map(Result::ok);
        let lengths = files.filter_map(|file| file.metadata().ok()).map(|m| m.len());
        if lengths.sum::<u64>() > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "nothing came into the spool");
        thread::sleep(Duration::from_millis(1));
    }
}

fn break_off(daemon: &Daemon, request: &[u8], end: End) {
    let mut stream = TcpStream::connect(&daemon.rest).unwrap();
    stream.write_all(request).unwrap();
    wait_spooled(&daemon.dir);
    match end {
        End::Close => {}
        End::StopSending => {
            stream.shutdown(Shutdown::Write).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        }
        End::Reset => {
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            stream.set_zero_linger().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_upload_that_breaks_off_leaves_nothing() {
    let text = files::text(1, 0..500);
    for end in [End::Close, End::StopSending, End::Reset] {
        let dir = tempfile::tempdir().unwrap();
        let daemon = start(dir.path(), &[]);
        for (name, request) in cut_requests(&text) {
            println!("{end:?}: {name}");
            break_off(&daemon, &request, end);
            crate::support::wait_empty(dir.path(), &["spool"]);
        }
        left_nothing(&daemon, KEY, &text).await;
    }
}
