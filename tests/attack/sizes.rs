//! Bodies at their bound: 150,000,000 bytes are refused, one less is not.

use std::{io::Write, time::Instant};

use crate::{
    run::{Attack, End, over_grpc, over_rest},
    support::{
        http::{self, JOBS, Server},
        memory::Mark,
        rows, wait_empty,
        zips::Sample,
    },
};

const BOUND: usize = 150_000_000;

/// A delete of that many bytes whose rows have a long cell that is ignored.
fn text(length: usize) -> Vec<u8> {
    const ROW: usize = 1_000_000;
    let mut text = b"vax_event_id\tnote\n".to_vec();
    let mut number = 0;
    while text.len() < length {
        let end = length.min(text.len() + ROW);
        text.extend_from_slice(format!("EV{number}\t").as_bytes());
        text.resize(end, b'x');
        text[end - 1] = b'\n';
        number += 1;
    }
    text
}

/// A zip of that many bytes with such a text, stored.
fn zip(length: usize) -> Vec<u8> {
    let around = Sample::stored(b"").build().len();
    let zip = Sample::stored(&text(length - around)).build();
    assert_eq!(zip.len(), length);
    zip
}

/// Name, media type, what makes the body, its length, what becomes of it.
type Case = (&'static str, &'static str, fn(usize) -> Vec<u8>, usize, End);

fn bodies() -> impl Iterator<Item = Attack> {
    let large = End::Refused(413, "CVRS-BODY-TOO-LARGE");
    let cases: [Case; 4] = [
        ("a text of the bound", "text/plain", text, BOUND, large),
        ("a text below the bound", "text/plain", text, BOUND - 1, End::Read),
        ("a zip of the bound", "application/zip", zip, BOUND, large),
        ("a zip below the bound", "application/zip", zip, BOUND - 1, End::Read),
    ];
    cases.into_iter().map(|(name, media, make, length, end)| Attack {
        name,
        media,
        body: make(length),
        end,
    })
}

#[test]
fn heavy_bodies_are_taken_up_to_their_bound_over_rest() {
    over_rest(bodies(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_bodies_are_taken_up_to_their_bound_over_grpc() {
    over_grpc(bodies(), &[]).await;
}

#[test]
fn heavy_bodies_without_a_length_are_taken_up_to_their_bound() {
    let server = Server::new();
    server.run("DELETE", rows::ids(&["EV1"]));
    let mark = Mark::set(server.daemon.pid());
    for (length, taken) in [(BOUND - 1, true), (BOUND, false)] {
        let body = http::chunked(&text(length), 1 << 20);
        let headers = [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")];
        mark.begin();
        let began = Instant::now();
        let mut stream = server.open("DELETE", JOBS, &headers);
        let sent = stream.write_all(&body);
        let answer = http::read(stream);
        if taken {
            sent.unwrap();
            let job = answer.accepted();
            server.wait(&job);
            assert_eq!(server.full(&job)["outcome"], "PARTIAL");
        } else {
            assert_eq!(answer.problem(), (413, "CVRS-BODY-TOO-LARGE".to_owned()));
        }
        mark.check(&format!("{length} bytes in chunks: {:?}", began.elapsed()));
        wait_empty(&server.daemon.dir, &["spool", "payloads", "work"]);
    }
}
