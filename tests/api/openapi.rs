//! The OpenAPI document as it is served, against the daemon that serves it, and its page.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::Value;

use crate::support::{Daemon, start};

const COMMITTED: &str = "docs/openapi.json";
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const NOBODY: &str = "018f0000-0000-7000-8000-000000000000";

async fn get(daemon: &Daemon, path: &str) -> Response {
    reqwest::get(daemon.url(path)).await.unwrap()
}

async fn document(daemon: &Daemon) -> Value {
    get(daemon, "/openapi.json").await.json().await.unwrap()
}

/// Path, method and what the document says, of every operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            found.push((path.as_str(), method.as_str(), operation));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_document_is_the_one_that_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let served = get(&daemon, "/openapi.json").await;
    assert_eq!(served.headers()[header::CONTENT_TYPE], "application/json");
    let served = served.text().await.unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(COMMITTED);
    if std::env::var_os("CVRSD_UPDATE").is_some() {
        fs::write(&path, &served).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(committed == served, "{COMMITTED} is stale; CONTRIBUTING.md says how to update it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_documented_operation_is_taken_and_any_other_method_of_its_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let document = document(&daemon).await;
    let documented: BTreeSet<_> =
        operations(&document).into_iter().map(|(path, method, _)| (path, method)).collect();
    let paths: BTreeSet<_> = documented.iter().map(|(path, _)| *path).collect();
    for path in paths {
        let url = daemon.url(&path.replace("{job-id}", NOBODY));
        // Whoever takes a GET takes a HEAD, which no document names.
        for method in METHODS.iter().filter(|method| **method != "head") {
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = Client::new().request(verb, &url).send().await.unwrap();
            let (status, allow) = (answer.status(), answer.headers().get(header::ALLOW).cloned());
            let body: Value = answer.json().await.unwrap();
            if documented.contains(&(path, method)) {
                assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert_ne!(body["code"], "CVRS-PATH-NOT-FOUND", "{method} {path}");
            } else {
                assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                let allow = allow.unwrap().to_str().unwrap().to_lowercase();
                let allowed: BTreeSet<_> = allow.split(',').filter(|m| *m != "head").collect();
                let expected = METHODS.into_iter().filter(|m| documented.contains(&(path, m)));
                assert_eq!(allowed, expected.collect(), "{path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_has_its_own_name_and_every_answer_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let document = document(&daemon).await;
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        for (status, answer) in operation["responses"].as_object().unwrap() {
            for (media_type, content) in answer["content"].as_object().unwrap() {
                let name = format!("{method} {path} {status} {media_type}");
                let many = content["examples"].as_object().into_iter().flatten();
                let many: Vec<_> = many.map(|(_, example)| resolved(&document, example)).collect();
                if media_type == "application/problem+json" {
                    let status: u16 = status.parse().unwrap();
                    assert!(many.iter().all(|e| e["value"]["status"] == status), "{name}");
                }
                assert!(!many.is_empty() || !content["example"].is_null(), "{name}");
            }
        }
    }
}

/// What a reference leads to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(place) = value["$ref"].as_str() else { return value };
    document.pointer(place.strip_prefix('#').unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_whole_and_asks_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let page = get(&daemon, "/docs").await;
    assert_eq!(page.url().path(), "/docs/", "it names its parts relative to its folder");
    let html = text(page, "text/html").await;
    let linked: Vec<&str> = ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|mark| html.split(mark).skip(1))
        .map(|rest| rest.split('"').next().unwrap().trim_start_matches("./"))
        .collect();
    assert!(linked.len() > 5 && !html.contains("://"), "{html}");
    for name in &linked {
        let kind = match name.rsplit('.').next().unwrap() {
            "js" => "javascript",
            "css" => "text/css",
            _ => "image/png",
        };
        assert!(!text(get(&daemon, &format!("/docs/{name}")).await, kind).await.is_empty());
    }
    assert!(linked.contains(&"swagger-initializer.js"));
    let start = get(&daemon, "/docs/swagger-initializer.js").await.text().await.unwrap();
    assert!(start.contains(r#""url": "../openapi.json""#), "{start}");
    assert!(start.contains(r#""validatorUrl": "none""#), "{start}");
    assert!(!start.contains("://"), "{start}");
    let missing = get(&daemon, "/docs/../nothing.js").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(get(&daemon, "/docs/nothing.js").await.status(), StatusCode::NOT_FOUND);
}

/// The body of an answer that is of that kind and confines the browser to this daemon.
async fn text(answer: Response, kind: &str) -> String {
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers();
    assert!(headers[header::CONTENT_TYPE].to_str().unwrap().contains(kind), "{}", answer.url());
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("://"), "{policy}");
    String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned()
}
