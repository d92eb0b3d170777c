//! Section 1.3: what a zip may hold. What else a zip can be up to is in `tests/attack`.

use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

use crate::support::{files, http::Server, rows, zips::Sample};

fn of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        if name.ends_with('/') {
            zip.add_directory(*name, SimpleFileOptions::default()).unwrap();
        } else {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

fn refused(zip: &[u8], status: u16, code: &str) {
    let server = Server::new();
    for method in ["POST", "PUT", "DELETE"] {
        let answer = server.upload(method, "application/zip", zip);
        assert_eq!(answer.problem(), (status, code.to_owned()), "{method}");
    }
    let list = server.get(crate::support::http::JOBS);
    assert_eq!(list.body, r#"{"jobs":[],"nextPageToken":""}"#);
}

#[test]
fn s1_3_zip_with_one_text_file_is_taken_whatever_its_name() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    for name in ["20210305_01_AAA.txt", "data", "a b (1).cvrs", "données.txt", ".txt"] {
        let id = server.upload("POST", "application/zip", of(&[(name, &file)])).accepted();
        server.wait(&id);
        assert_eq!(server.full(&id)["totalRecords"], 1, "{name}");
    }
}

#[test]
fn s1_3_zip_with_a_folder_is_refused() {
    let file = rows::events(&["EV1"]);
    refused(&of(&[("a/", "")]), 400, "CVRS-ZIP-FOLDER");
    refused(&of(&[("a/", ""), ("a/b.txt", &file)]), 400, "CVRS-ZIP-FOLDER");
    refused(&of(&[("a/b.txt", &file)]), 400, "CVRS-ZIP-FOLDER");
}

#[test]
fn s1_3_zip_with_macosx_is_refused() {
    let file = rows::events(&["EV1"]);
    refused(&of(&[("b.txt", &file), ("__MACOSX/._b.txt", "x")]), 400, "CVRS-ZIP-MAC-FILES");
    refused(&of(&[("__MACOSX/._b.txt", "x")]), 400, "CVRS-ZIP-MAC-FILES");
}

#[test]
fn s1_3_zip_with_ds_store_is_refused() {
    let file = rows::events(&["EV1"]);
    refused(&of(&[(".DS_Store", "x"), ("b.txt", &file)]), 400, "CVRS-ZIP-MAC-FILES");
    refused(&of(&[(".DS_Store", "x")]), 400, "CVRS-ZIP-MAC-FILES");
}

#[test]
fn s1_3_zip_size_is_less_than_the_bound_and_never_equal() {
    let zip = files::zip(rows::events(&["EV1"]).as_bytes());
    let size = zip.len();
    for (bound, taken) in [(size + 1, true), (size, false)] {
        let server = Server::with(&[("CVRSD__INTAKE__MAX_BODY_BYTES", &bound.to_string())]);
        let answer = server.upload("DELETE", "application/zip", &zip);
        if taken {
            answer.accepted();
        } else {
            assert_eq!(answer.problem(), (413, "CVRS-BODY-TOO-LARGE".to_owned()));
        }
    }
}

#[test]
fn s1_3_what_the_directory_shows_is_refused_with_400() {
    let text = rows::events(&["EV1"]);
    refused(&of(&[]), 400, "CVRS-ZIP-EMPTY");
    refused(&of(&[("a.txt", &text), ("b.txt", &text)]), 400, "CVRS-ZIP-ENTRIES");
    let plain = Sample::deflated(text.as_bytes());
    let mut encrypted = plain.clone();
    encrypted.local.flags = 1;
    encrypted.central.flags = 1;
    refused(&encrypted.build(), 400, "CVRS-ZIP-ENCRYPTED");
    let mut method = plain;
    method.local.method = 12;
    method.central.method = 12;
    refused(&method.build(), 400, "CVRS-ZIP-METHOD");
}

#[test]
fn s1_3_zip_and_media_type_must_agree() {
    let server = Server::new();
    let text = rows::events(&["EV1"]);
    let zip = files::zip(text.as_bytes());
    for (media, body, refusal) in [
        ("application/zip", text.as_bytes(), (400, "CVRS-ZIP-MALFORMED")),
        ("text/plain", &zip, (415, "CVRS-MEDIA-TYPE-MISMATCH")),
        ("application/octet-stream", &zip, (415, "CVRS-MEDIA-TYPE-UNSUPPORTED")),
        ("application/x-zip-compressed", &zip, (415, "CVRS-MEDIA-TYPE-UNSUPPORTED")),
    ] {
        let answer = server.upload("POST", media, body);
        assert_eq!(answer.problem(), (refusal.0, refusal.1.to_owned()), "{media}");
    }
}

#[test]
fn s1_3_zip_with_more_rows_than_the_bound_fails_whole() {
    let server = Server::with(&[("CVRSD__INTAKE__MAX_ROWS", "2")]);
    let run = |ids: &[&str]| {
        let zip = files::zip(rows::events(ids).as_bytes());
        let id = server.upload("POST", "application/zip", zip).accepted();
        server.wait(&id);
        server.full(&id)
    };
    let over = run(&["EV1", "EV2", "EV3"]);
    assert_eq!((&over["outcome"], &over["rowsApplied"]), (&"FAILED".into(), &0.into()));
    assert_eq!(over["failure"]["code"], "CVRS-FILE-ROWS");
    assert_eq!(run(&["EV1", "EV2"])["rowsApplied"], 2);
}
