//! Heads of requests that do not end, or are far too many.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    frames::{self, END_HEADERS, END_STREAM},
    support::{
        http::{JOBS, Server},
        memory::Mark,
        rows,
    },
};

/// Bytes that a flood sends where nobody stops it.
const FLOOD_BYTES: usize = 24 << 20;
/// Bytes after which a head must have been refused; some MiB of them are in the system's own buffers.
const HEAD_BYTES_MAX: usize = 16 << 20;
/// Silence of the other side after which it counts as having stopped reading.
const STOPPED: Duration = Duration::from_secs(2);

/// What makes a further piece of a flood.
type Piece = fn(u32) -> Vec<u8>;
/// Its name, how it begins, and what makes its further pieces.
type Flow<'a> = (&'a str, &'a [u8], &'a dyn Fn(u32) -> Vec<u8>);

/// How a flood ended.
#[derive(Debug)]
struct Flood {
    sent: usize,
    /// Bytes that the daemon answered before it closed.
    answer: Vec<u8>,
}

/// Sends pieces until the other side closes, reads no further, or has got enough.
fn flood(address: &str, first: &[u8], mut piece: impl FnMut(u32) -> Vec<u8>) -> Flood {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(STOPPED)).unwrap();
    stream.set_read_timeout(Some(STOPPED)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let mut some = [0; 4_096];
        while let Ok(length @ 1..) = reader.read(&mut some) {
            let room = 10_000_usize.saturating_sub(answer.len());
            answer.extend_from_slice(&some[..length.min(room)]);
        }
        answer
    });
    let mut sent = 0;
    let mut number = 0;
    let mut bytes = first.to_vec();
    while sent < FLOOD_BYTES && stream.write_all(&bytes).is_ok() {
        sent += bytes.len();
        // A write of its own for each small piece would only measure this client.
        bytes.clear();
        while bytes.len() < 16 << 10 {
            bytes.extend(piece(number));
            number += 1;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    Flood { sent, answer: answer.join().unwrap() }
}

/// What must hold after each.
fn settle(server: &Server, mark: &Mark, name: &str) {
    mark.check(name);
    let began = Instant::now();
    let answer = server.upload("DELETE", "text/plain", rows::ids(&["EV1"]));
    assert_eq!(answer.status, 202, "{name}: {answer:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{name}: {:?}", began.elapsed());
}

fn begin(server: &Server) -> Mark {
    server.run("DELETE", rows::ids(&["EV1"]));
    Mark::set(server.daemon.pid())
}

#[test]
fn a_head_without_an_end_is_refused_within_its_bound() {
    let server = Server::new();
    let mark = begin(&server);
    let line = format!("POST {JOBS} HTTP/1.1\r\nHost: x\r\n");
    let many: String =
        (0..10_000).flat_map(|n| ["x-".to_owned(), n.to_string(), ": y\r\n".to_owned()]).collect();
    let long = "y".repeat(1 << 20);
    let nothing: Piece = |_| b"\r\n".repeat(8 << 10);
    let heads: [(&str, String, Piece); 5] = [
        ("a request line without end", "GET /".to_owned(), |_| vec![b'x'; 16 << 10]),
        ("a header line without end", format!("{line}x: "), |_| vec![b'y'; 16 << 10]),
        ("header lines without end", line.clone(), |n| format!("x-{n}: y\r\n").into_bytes()),
        ("10,000 headers", format!("{line}{many}\r\n"), nothing),
        ("a header line of 1 MiB", format!("{line}x: {long}\r\n\r\n"), nothing),
    ];
    for address in [&server.daemon.rest, &server.daemon.admin] {
        for (name, head, piece) in &heads {
            mark.begin();
            let flood = flood(address, head.as_bytes(), *piece);
            assert!(flood.sent < HEAD_BYTES_MAX, "{name}: {} bytes were taken", flood.sent);
            let answer = String::from_utf8_lossy(&flood.answer);
            let refused = answer.is_empty()
                || ["HTTP/1.1 400", "HTTP/1.1 414", "HTTP/1.1 431"]
                    .iter()
                    .any(|s| answer.starts_with(s));
            assert!(refused, "{name}: {answer}");
            settle(&server, &mark, name);
        }
    }
}

#[test]
fn a_flood_of_http_2_frames_is_stopped_or_costs_no_memory() {
    let server = Server::new();
    let mark = begin(&server);
    let opening = frames::begin();
    let open = [opening.clone(), frames::headers(END_STREAM, 1, &frames::request())].concat();
    let some_kib = frames::header("x", &"y".repeat(15_000));
    let one_request = |stream: u32, block: &[u8]| {
        frames::headers(END_STREAM | END_HEADERS, 2 * stream + 1, block)
    };
    let large = [frames::request(), some_kib.clone()].concat();
    let endless_head = |_| frames::continuation(1, &some_kib);
    let empty_pieces = |_| frames::continuation(1, &[]);
    let large_heads = |n| one_request(n, &large);
    let resets = |n| {
        let request = frames::headers(END_HEADERS, 2 * n + 1, &frames::request());
        [request, frames::reset(2 * n + 1)].concat()
    };
    let pings = |_| frames::ping();
    let settings = |_| frames::settings();
    let floods: [Flow<'_>; 6] = [
        ("a head without end", &open, &endless_head),
        ("a head in empty pieces without end", &open, &empty_pieces),
        ("large heads without end", &opening, &large_heads),
        ("streams that are reset at once", &opening, &resets),
        ("pings without end", &opening, &pings),
        ("settings without end", &opening, &settings),
    ];
    for address in [&server.daemon.grpc, &server.daemon.rest, &server.daemon.admin] {
        for (name, first, piece) in floods {
            mark.begin();
            let began = Instant::now();
            let flood = flood(address, first, piece);
            println!("{name}: {} bytes in {:?}", flood.sent, began.elapsed());
            if name.starts_with("a head") {
                assert!(flood.sent < HEAD_BYTES_MAX, "{name}: {} bytes were taken", flood.sent);
            }
            settle(&server, &mark, name);
        }
    }
}
