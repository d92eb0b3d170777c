//! Section 1.2: the headers of a request.

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use crate::support::{
    files,
    http::{self, JOBS, Server},
    rows,
};

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

/// Uploads one record with these headers and checks that it was created.
fn creates(server: &Server, headers: &[(&str, &str)], body: &[u8]) {
    let id = server.call("POST", JOBS, headers, body).accepted();
    server.wait(&id);
    assert_eq!(server.full(&id)["outcome"], "SUCCEEDED", "{headers:?}");
    server.run("DELETE", rows::ids(&["EV1"]));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn s1_2_authorization_is_not_looked_at_without_tokens() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    for value in ["raw-token", "Bearer raw-token", "Basic eDp5", ""] {
        creates(&server, &[TEXT, ("Authorization", value)], file.as_bytes());
    }
}

#[test]
fn s1_2_referer_is_never_required_and_harmless() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    creates(&server, &[TEXT], file.as_bytes());
    creates(&server, &[TEXT, ("Referer", "https://iis.example/batch?x=1")], file.as_bytes());
    let id = server.submit("POST", &file);
    for headers in [&[][..], &[("Referer", "https://iis.example/")][..]] {
        assert_eq!(server.call("GET", &format!("{JOBS}/{id}"), headers, b"").status, 200);
    }
}

#[test]
fn s1_2_content_type_is_required_on_every_upload() {
    let server = Server::new();
    for method in ["POST", "PUT", "DELETE"] {
        let answer = server.call(method, JOBS, &[], rows::events(&["EV1"]).as_bytes());
        assert_eq!(answer.problem(), (415, "CVRS-MEDIA-TYPE-MISSING".to_owned()), "{method}");
    }
}

#[test]
fn s1_2_content_type_parameters_and_case_do_not_matter() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    for media in ["text/plain;charset=UTF-8", "Text/Plain; charset=iso-8859-1", "TEXT/PLAIN"] {
        creates(&server, &[("Content-Type", media)], file.as_bytes());
    }
}

#[test]
fn s1_2_accept_json_is_what_clients_send() {
    let server = Server::new();
    let id = server.submit("POST", rows::events(&["EV1"]));
    for accept in ["application/json", "*/*", "text/html"] {
        let answer = server.call("GET", &format!("{JOBS}/{id}"), &[("Accept", accept)], b"");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}");
    }
}

#[test]
fn s1_2_accept_encoding_is_an_offer_that_need_not_be_taken() {
    let server = Server::new();
    let id = server.submit("POST", rows::events(&["EV1"]));
    let offer = [("Accept-Encoding", "gzip")];
    let answer = server.call("GET", &format!("{JOBS}/{id}"), &offer, b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["id"], id);
    assert_eq!(answer.header("content-encoding"), None);
}

#[test]
fn s1_2_content_encoding_gzip_and_deflate_are_undone() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(file.as_bytes()).unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(file.as_bytes()).unwrap();
    for (encoding, body) in [
        ("gzip", gzip(file.as_bytes())),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("identity", file.clone().into_bytes()),
    ] {
        creates(&server, &[TEXT, ("Content-Encoding", encoding)], &body);
    }
    let zip = gzip(&files::zip(file.as_bytes()));
    creates(&server, &[("Content-Type", "application/zip"), ("Content-Encoding", "gzip")], &zip);
}

#[test]
fn s1_2_a_repeat_in_another_encoding_is_the_same_upload() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    let key = ("Idempotency-Key", "k-1");
    let plain = server.call("POST", JOBS, &[TEXT, key], file.as_bytes()).accepted();
    let encoded = [TEXT, key, ("Content-Encoding", "gzip")];
    assert_eq!(server.call("POST", JOBS, &encoded, &gzip(file.as_bytes())).accepted(), plain);
}

#[test]
fn s1_2_gzip_comes_chunked_without_a_length() {
    let server = Server::new();
    let body = http::chunked(&gzip(rows::events(&["EV1"]).as_bytes()), 100);
    let headers = [TEXT, ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")];
    let mut stream = server.open("POST", JOBS, &headers);
    stream.write_all(&body).unwrap();
    let id = http::read(stream).accepted();
    server.wait(&id);
    assert_eq!(server.full(&id)["rowsApplied"], 1);
}

#[test]
fn s1_2_an_encoding_that_is_unknown_or_broken_is_refused() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    let whole = gzip(file.as_bytes());
    for (encoding, body, refusal) in [
        ("br", file.as_bytes(), (415, "CVRS-ENCODING-UNSUPPORTED")),
        ("gzip, gzip", file.as_bytes(), (415, "CVRS-ENCODING-UNSUPPORTED")),
        ("gzip", file.as_bytes(), (400, "CVRS-ENCODING-BROKEN")),
        ("gzip", &whole[..whole.len() - 9], (400, "CVRS-ENCODING-BROKEN")),
    ] {
        let answer = server.call("POST", JOBS, &[TEXT, ("Content-Encoding", encoding)], body);
        assert_eq!(answer.problem(), (refusal.0, refusal.1.to_owned()), "{encoding}");
    }
}

#[test]
fn s1_2_limits_count_decoded_bytes() {
    let server = Server::with(&[("CVRSD__INTAKE__MAX_BODY_BYTES", "50000")]);
    let encoded = [TEXT, ("Content-Encoding", "gzip")];
    let mut text = rows::ids(&["EV1"]).into_bytes();
    text.resize(49_999, b'\n');
    server.call("DELETE", JOBS, &encoded, &gzip(&text)).accepted();
    text.push(b'\n');
    let answer = server.call("DELETE", JOBS, &encoded, &gzip(&text));
    assert_eq!(answer.problem(), (413, "CVRS-BODY-TOO-LARGE".to_owned()));
}
