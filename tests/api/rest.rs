//! The documented paths over HTTP.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use crate::support::{Daemon, files, start, wait_empty};

const JOBS: &str = "/v0/async/cvrs/jobs";

async fn send(daemon: &Daemon, method: Method, media: &str, body: Vec<u8>) -> Response {
    let request = Client::new().request(method, daemon.url(JOBS)).header("content-type", media);
    request.body(body).send().await.unwrap()
}

/// Waits until the job is done; gives the raw body of the last answer.
async fn wait(daemon: &Daemon, id: &str, query: &str) -> String {
    let mut last = 0;
    for _ in 0..3_000 {
        let url = daemon.url(&format!("{JOBS}/{id}{query}"));
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        let order = ["QUEUED", "DE-QUEUED", "VALIDATING", "PROCESSING", "COMPLETED"];
        let status = order.iter().position(|s| *s == body["status"]).unwrap();
        assert!(status >= last, "the status went back: {text}");
        last = status;
        if status == 4 {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("job {id} does not end");
}

async fn accepted(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(response.headers().contains_key("retry-after"));
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let id = body["id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("{JOBS}/{id}"));
    let expected = format!(
        r#"{{"id":"{id}","status":"QUEUED","storageResult":null,"totalRecords":null,"validationErrors":null,"validationErrorsCount":null}}"#
    );
    assert_eq!(text, expected);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_flow_gives_the_documented_bodies() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let text = files::text(5, 0..3);
    let zip = files::zip(&text);
    let id = accepted(send(&daemon, Method::POST, "application/zip", zip.clone()).await).await;
    let db = |n, errors: &str, count| {
        format!(
            r#"{{"status":"SUCCESS","recordsProcessed":{n},"processingErrorsCount":{count},"processingErrors":[{errors}]}}"#
        )
    };
    let body = |id: &str, non_redacted: String, redacted: String| {
        format!(
            r#"{{"id":"{id}","status":"COMPLETED","storageResult":{{"NON_REDACTED_DB":{non_redacted},"REDACTED_DB":{redacted}}},"totalRecords":3,"validationErrors":[],"validationErrorsCount":0,"truncated":false}}"#
        )
    };
    assert_eq!(wait(&daemon, &id, "").await, body(&id, db(3, "", 0), db(3, "", 0)));
    let alias = daemon.url(&format!("/v0/async/cvrs/{id}"));
    assert_eq!(
        reqwest::get(alias).await.unwrap().text().await.unwrap(),
        body(&id, db(3, "", 0), db(3, "", 0))
    );
    let id =
        accepted(send(&daemon, Method::DELETE, "text/plain;charset=UTF-8", text.clone()).await)
            .await;
    assert_eq!(wait(&daemon, &id, "").await, body(&id, db(3, "", 0), db(3, "", 0)));
    let id = accepted(send(&daemon, Method::DELETE, "application/zip", zip.clone()).await).await;
    let rows = String::from_utf8(text.clone()).unwrap();
    let missing = |storage: &str| -> String {
        let texts: Vec<String> = rows
            .lines()
            .skip(1)
            .map(|row| {
                let cells: Vec<&str> = row.split('\t').collect();
                format!(
                    r#""storage={storage} vaxEventID={} recipId={} message=Record does not exist""#,
                    cells[0], cells[3]
                )
            })
            .collect();
        texts.join(",")
    };
    let expected =
        body(&id, db(0, &missing("NON_REDACTED_DB"), 3), db(0, &missing("REDACTED_DB"), 3));
    assert_eq!(wait(&daemon, &id, "").await, expected);
    let id = accepted(send(&daemon, Method::PUT, "application/zip", zip).await).await;
    let full: Value = serde_json::from_str(&wait(&daemon, &id, "?view=full").await).unwrap();
    assert_eq!((&full["operation"], &full["outcome"]), (&"update".into(), &"PARTIAL".into()));
    assert_eq!((&full["rowsValid"], &full["rowsApplied"]), (&3.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_file_and_validation_errors_look_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let id =
        accepted(send(&daemon, Method::DELETE, "text/plain", b"no header\n".to_vec()).await).await;
    let body: Value = serde_json::from_str(&wait(&daemon, &id, "").await).unwrap();
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&0.into(), &1.into()));
    let text = body["validationErrors"][0].as_str().unwrap();
    assert!(text.starts_with("line#1: vaxEventId= recipId= field= message="), "{text}");
    assert_eq!(body["storageResult"]["REDACTED_DB"]["status"], "FAILED");
    assert_eq!(body["storageResult"]["REDACTED_DB"]["recordsProcessed"], 0);
    let text = String::from_utf8(files::text(5, 0..2)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[1] = files::with_cell(&files::with_cell(&lines[1], 5, ""), 23, "x");
    let ids: Vec<&str> = text.lines().nth(1).unwrap().split('\t').collect();
    let id =
        accepted(send(&daemon, Method::POST, "text/plain", lines.join("\r\n").into_bytes()).await)
            .await;
    let body: Value = serde_json::from_str(&wait(&daemon, &id, "").await).unwrap();
    let expected = [("recip_middle_name", "must not be null"), ("cvx", "must be a number")];
    for (n, (field, message)) in expected.into_iter().enumerate() {
        let text = format!(
            "line#2: vaxEventId={} recipId={} field={field} message={message}",
            ids[0], ids[3]
        );
        assert_eq!(body["validationErrors"][n], text);
    }
    assert_eq!(body["totalRecords"], 2);
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["recordsProcessed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_come_in_chunks_and_encoded_too() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let text = files::text(9, 0..100);
    let encode = |name: &str| {
        use std::io::Write;
        let level = flate2::Compression::default();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
        match name {
            "gzip" => gzip.write_all(&text).map(|()| gzip.finish().unwrap()).unwrap(),
            "zlib" => zlib.write_all(&text).map(|()| zlib.finish().unwrap()).unwrap(),
            _ => raw.write_all(&text).map(|()| raw.finish().unwrap()).unwrap(),
        }
    };
    for (n, (encoding, body)) in [
        ("gzip", encode("gzip")),
        ("deflate", encode("zlib")),
        ("deflate", encode("raw")),
        ("identity", text.clone()),
    ]
    .into_iter()
    .enumerate()
    {
        let method = if n % 2 == 0 { Method::POST } else { Method::DELETE };
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            body.chunks(1_000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let response = Client::new()
            .request(method, daemon.url(JOBS))
            .header("content-type", "text/plain")
            .header("content-encoding", encoding)
            .body(reqwest::Body::wrap_stream(tokio_stream::iter(pieces)))
            .send()
            .await
            .unwrap();
        let id = accepted(response).await;
        let body: Value = serde_json::from_str(&wait(&daemon, &id, "").await).unwrap();
        assert_eq!(body["storageResult"]["REDACTED_DB"]["recordsProcessed"], 100, "{encoding} {n}");
    }
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    for key in ["type", "title", "detail"] {
        assert!(!body[key].as_str().unwrap().is_empty());
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_problems_with_codes() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__INTAKE__MAX_BODY_BYTES", "100000")]);
    let text = files::text(5, 0..3);
    let zip = files::zip(&text);
    let large = vec![b'x'; 100_000];
    let bodies: [(&str, &[u8], u16, &str); 6] = [
        ("text/plain", b"", 400, "CVRS-BODY-EMPTY"),
        ("application/zip", &text, 400, "CVRS-ZIP-MALFORMED"),
        ("text/plain", &zip, 415, "CVRS-MEDIA-TYPE-MISMATCH"),
        ("application/json", &zip, 415, "CVRS-MEDIA-TYPE-UNSUPPORTED"),
        ("text/plain", &large, 413, "CVRS-BODY-TOO-LARGE"),
        ("application/zip", &zip[..zip.len() - 1], 400, "CVRS-ZIP-MALFORMED"),
    ];
    for (media, body, status, code) in bodies {
        let response = send(&daemon, Method::DELETE, media, body.to_vec()).await;
        assert_eq!(problem(response).await, (status, code.to_owned()));
    }
    let client = Client::new();
    let bare = client.delete(daemon.url(JOBS)).body(text.clone()).send().await.unwrap();
    assert_eq!(problem(bare).await, (415, "CVRS-MEDIA-TYPE-MISSING".to_owned()));
    for (encoding, status, code) in
        [("br", 415, "CVRS-ENCODING-UNSUPPORTED"), ("gzip", 400, "CVRS-ENCODING-BROKEN")]
    {
        let request = client.delete(daemon.url(JOBS)).header("content-type", "text/plain");
        let request = request.header("content-encoding", encoding).body(text.clone());
        assert_eq!(problem(request.send().await.unwrap()).await, (status, code.to_owned()));
    }
    let get = async |path: &str| problem(reqwest::get(daemon.url(path)).await.unwrap()).await;
    assert_eq!(get(&format!("{JOBS}/nonsense")).await, (400, "CVRS-JOB-ID".to_owned()));
    let unknown = format!("{JOBS}/018f0000-0000-7000-8000-000000000000");
    assert_eq!(get(&unknown).await, (404, "CVRS-JOB-NOT-FOUND".to_owned()));
    assert_eq!(get("/v0/nothing").await, (404, "CVRS-PATH-NOT-FOUND".to_owned()));
    let patch = client.patch(daemon.url(JOBS)).send().await.unwrap();
    assert!(patch.headers().contains_key("allow"));
    assert_eq!(problem(patch).await, (405, "CVRS-METHOD".to_owned()));
    wait_empty(dir.path(), &["spool", "payloads"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_works_over_both_headers() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__REST__SUBMIT_STATUS", "200")]);
    let send = async |header: &str, key: &str, body: Vec<u8>| {
        let request = Client::new().post(daemon.url(JOBS)).header("content-type", "text/plain");
        request.header(header, key).body(body).send().await.unwrap()
    };
    let first = send("idempotency-key", "k1", files::text(1, 0..2)).await;
    assert_eq!(first.status(), 200);
    let first: Value = first.json().await.unwrap();
    wait(&daemon, first["id"].as_str().unwrap(), "").await;
    let again = send("x-request-id", "k1", files::text(1, 0..2)).await;
    assert_eq!(again.status(), 200);
    let again: Value = again.json().await.unwrap();
    assert_eq!((&again["id"], &again["status"]), (&first["id"], &"COMPLETED".into()));
    let other = send("idempotency-key", "k1", files::text(1, 0..3)).await;
    assert_eq!(problem(other).await, (409, "CVRS-REQUEST-CONFLICT".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_lists_are_cut_to_the_budget_and_counts_stay_exact() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let text = files::text(5, 0..200);
    let id = accepted(send(&daemon, Method::DELETE, "text/plain", text).await).await;
    let text = wait(&daemon, &id, "").await;
    assert!(text.chars().count() <= 4_000);
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["truncated"], true);
    let db = &body["storageResult"]["NON_REDACTED_DB"];
    assert_eq!(db["processingErrorsCount"], 200);
    let listed = db["processingErrors"].as_array().unwrap().len();
    assert!(listed > 10 && listed < 200, "{listed}");
    assert_eq!(body["storageResult"]["REDACTED_DB"]["processingErrorsCount"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_finished_job_resumes_by_range_in_both_forms() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let text = files::text(12, 0..2_000);
    let id = accepted(send(&daemon, Method::DELETE, "text/plain", text).await).await;
    wait(&daemon, &id, "").await;
    let url = daemon.url(&format!("{JOBS}/{id}/errors"));
    for accept in ["text/tab-separated-values", "application/x-ndjson"] {
        let ask = |range: Option<String>, tag: &str| {
            let mut request = Client::new().get(&url).header("accept", accept);
            if let Some(range) = range {
                request = request.header("range", range);
            }
            if !tag.is_empty() {
                request = request.header("if-range", tag);
            }
            request.send()
        };
        let whole = ask(None, "").await.unwrap();
        assert_eq!(whole.status(), StatusCode::OK);
        assert_eq!(whole.headers()["accept-ranges"], "bytes");
        let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
        let whole = whole.bytes().await.unwrap();
        let half = whole.len() / 2 + 7;
        let rest = ask(Some(format!("bytes={half}-")), &tag).await.unwrap();
        assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
        let last = whole.len() - 1;
        let range = format!("bytes {half}-{last}/{}", whole.len());
        assert_eq!(rest.headers()["content-range"].to_str().unwrap(), range);
        assert_eq!(rest.bytes().await.unwrap(), whole.slice(half..));
        let other = ask(Some("bytes=5-".to_owned()), "\"other\"").await.unwrap();
        assert_eq!(other.status(), StatusCode::OK, "a tag of another report");
        assert_eq!(other.bytes().await.unwrap(), whole);
        let beyond = ask(Some(format!("bytes={}-", whole.len())), "").await.unwrap();
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(
            beyond.headers()["content-range"].to_str().unwrap(),
            format!("bytes */{}", whole.len())
        );
        assert!(beyond.text().await.unwrap().contains("CVRS-RANGE"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_in_tsv_has_exactly_its_bytes_and_is_not_preceded_by_a_reading_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let deletes =
        accepted(send(&daemon, Method::DELETE, "text/plain", files::text(12, 0..2_000)).await);
    let failed =
        accepted(send(&daemon, Method::DELETE, "text/plain", b"no header\n".to_vec()).await);
    for id in [deletes.await, failed.await] {
        wait(&daemon, &id, "").await;
        let url = daemon.url(&format!("{JOBS}/{id}/errors"));
        let whole = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
        let part = async |first: usize, last: usize| {
            let range = format!("bytes={first}-{last}");
            let answer = Client::new().get(&url).header("range", range).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
            answer.bytes().await.unwrap()
        };
        let (head, end) = (whole.iter().position(|b| *b == b'\n').unwrap(), whole.len() - 1);
        for first in [0, 1, head, head + 1, head + 2, end / 2, end] {
            for last in [first, first + 1, head, head + 1, end - 1, end] {
                if (first..=end).contains(&last) {
                    assert_eq!(
                        part(first, last).await,
                        whole.slice(first..=last),
                        "{first}-{last}"
                    );
                }
            }
        }
        // What lies before a range may even be damaged.
        let stored = dir.path().join(format!("reports/{id}.tsv"));
        if let Ok(mut bytes) = std::fs::read(&stored) {
            bytes[0] = b'x';
            std::fs::write(&stored, bytes).unwrap();
            assert_eq!(part(end / 2, end).await, whole.slice(end / 2..));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_through_the_whole_list() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    for seed in 0..5 {
        accepted(send(&daemon, Method::DELETE, "text/plain", files::text(seed, 0..1)).await).await;
    }
    let mut path = format!("{JOBS}?pageSize=2&operation=delete");
    let mut sizes = Vec::new();
    loop {
        let page = reqwest::get(daemon.url(&path)).await.unwrap();
        let links = page.headers()["link"].to_str().unwrap().to_owned();
        assert!(links.contains(r#"?pageSize=2&operation=delete>; rel="first""#), "{links}");
        let page: Value = page.json().await.unwrap();
        sizes.push(page["jobs"].as_array().unwrap().len());
        let next = links.split(", ").find(|link| link.ends_with(r#"rel="next""#));
        assert_eq!(next.is_none(), page["nextPageToken"] == "");
        let Some(next) = next else { break };
        path = next.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    assert_eq!(sizes, [2, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_the_page_of_another_site_changes_and_reads_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let body = files::text(1, 0..1);
    for origin in ["https://elsewhere.example", "null"] {
        let request = Client::new().post(daemon.url(JOBS)).header("origin", origin);
        let request = request.header("content-type", "text/plain").body(body.clone());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(response.text().await.unwrap().contains("CVRS-ORIGIN"));
    }
    let own = Client::new().post(daemon.url(JOBS)).header("origin", daemon.url(""));
    let own = own.header("content-type", "text/plain").body(body).send().await.unwrap();
    assert_eq!(own.status(), StatusCode::ACCEPTED);
    let list: Value = reqwest::get(daemon.url(JOBS)).await.unwrap().json().await.unwrap();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_answered_with_400_without_a_body() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    for request in [
        "NO HTTP AT ALL\r\n\r\n".to_owned(),
        format!("GET {JOBS}\r\n\r\n"),
        format!("DELETE {JOBS} HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n"),
        format!("GET {JOBS} HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n"),
    ] {
        let mut socket = tokio::net::TcpStream::connect(daemon.rest.as_str()).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer:?}");
        assert!(answer.ends_with("\r\n\r\n"), "{request:?}: {answer:?}");
    }
}
