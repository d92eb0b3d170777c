//! The walls between the rooms of `docs/ARCHITECTURE.md`, read from the source itself.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test; the lint spares only functions that are marked as one"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 700;
const MAIN_LINES_MAX: usize = 120;

/// A room and what its code must not mention: a crate, or a path inside this one.
const WALLS: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "tokio",
            "tonic",
            "axum",
            "sled",
            "fjall",
            "crate::proto",
            "crate::intake",
            "crate::journal",
            "crate::records",
            "crate::activity",
            "crate::engine",
            "crate::watch",
        ],
    ),
    (
        "cvrs",
        &[
            "tokio",
            "tonic",
            "axum",
            "sled",
            "fjall",
            "crate::proto",
            "crate::domain",
            "crate::intake",
            "crate::journal",
            "crate::records",
            "crate::engine",
        ],
    ),
    (
        "intake",
        &["tonic", "axum", "crate::activity", "crate::engine", "crate::records", "crate::watch"],
    ),
    ("journal", &["tonic", "axum", "crate::records", "crate::activity", "crate::engine"]),
    ("records", &["tonic", "axum", "crate::journal", "crate::activity", "crate::engine"]),
    ("activity", &["tonic", "axum", "crate::engine", "crate::grpc", "crate::rest", "crate::admin"]),
    ("engine", &["tonic", "axum", "sled", "fjall", "crate::grpc", "crate::rest", "crate::admin"]),
    ("watch", &["tonic", "axum", "sled", "crate::records", "crate::engine", "crate::activity"]),
    (
        "audit",
        &[
            "tonic",
            "axum",
            "sled",
            "fjall",
            "crate::proto",
            "crate::auth",
            "crate::intake",
            "crate::journal",
            "crate::records",
            "crate::activity",
            "crate::engine",
            "crate::watch",
            "crate::grpc",
            "crate::rest",
            "crate::admin",
        ],
    ),
    (
        "backup",
        &[
            "tokio",
            "tonic",
            "axum",
            "sled",
            "fjall",
            "crate::domain",
            "crate::journal",
            "crate::records",
            "crate::engine",
        ],
    ),
    (
        "auth",
        &[
            "tonic",
            "axum",
            "rustls",
            "tokio_rustls",
            "x509_parser",
            "crate::domain::Job",
            "crate::journal",
            "crate::records",
            "crate::engine",
        ],
    ),
    (
        "traces",
        &[
            "tonic",
            "axum",
            "sled",
            "fjall",
            "crate::intake",
            "crate::records",
            "crate::activity",
            "crate::engine",
            "crate::grpc",
            "crate::rest",
            "crate::admin",
        ],
    ),
    ("tls", &["tonic", "axum", "crate::journal", "crate::records", "crate::engine"]),
    ("grpc", &["sled", "fjall", "crate::rest", "crate::admin"]),
    ("rest", &["sled", "fjall", "crate::grpc", "crate::admin"]),
    ("admin", &["sled", "fjall", "crate::grpc", "crate::rest"]),
    (
        "cli",
        &[
            "axum",
            "sled",
            "fjall",
            "crate::intake",
            "crate::journal",
            "crate::records",
            "crate::activity",
            "crate::engine",
            "crate::watch",
            "crate::grpc",
            "crate::rest",
            "crate::admin",
        ],
    ),
];

/// Rooms that hold jobs of the domain, where nothing but the state machine writes a status.
const JOB_ROOMS: &[&str] = &["domain", "intake", "journal", "activity", "engine", "watch"];

#[test]
fn no_room_reaches_through_a_wall() {
    let files = sources();
    for (room, _) in WALLS {
        let has = |file: &&Source| file.room() == *room;
        assert!(files.iter().any(|f| has(&f)), "there is no room {room}");
    }
    let found: Vec<String> = files.iter().flat_map(Source::violations).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_stay_short() {
    for file in sources() {
        let max = if file.path == Path::new("main.rs") { MAIN_LINES_MAX } else { FILE_LINES_MAX };
        let lines = file.text.lines().count();
        assert!(lines <= max, "src/{} has {lines} lines", file.path.display());
    }
}

#[test]
fn the_status_of_a_job_is_private_to_the_state_machine() {
    let job = fs::read_to_string(root().join("domain/job.rs")).unwrap();
    assert!(job.contains("\n    status: Status,"), "the field is there and not public");
    assert!(job.contains("\n    outcome: Option<Outcome>,"), "the field is there and not public");
}

#[test]
fn the_checker_finds_made_up_violations() {
    let bad = [
        ("domain/job.rs", "use tokio::sync::mpsc;"),
        ("domain/job.rs", "use {std::fmt, tokio::time};"),
        ("domain/job.rs", "use ::tokio::time;"),
        ("domain/job.rs", "use tokio as other;"),
        ("cvrs/row.rs", "use crate::{limits, domain::{JobId, Tenant}};"),
        ("cvrs/mod.rs", "use super::domain::Job;"),
        ("cvrs/rules/dates.rs", "fn f() { super::super::super::domain::f() }"),
        ("journal/mod.rs", "use crate::records::RecordStore;"),
        ("records/embedded/mod.rs", "fn f() -> crate::journal::Error { todo() }"),
        ("grpc/watch.rs", "use crate::rest as other;"),
        ("rest/mod.rs", "use crate::{admin};"),
        ("admin/mod.rs", "use crate::grpc::{self, Server};"),
        ("activity/apply.rs", "fn f(s: tonic::Status) {}"),
        ("engine/worker.rs", "#[axum::debug_handler] fn f() {}"),
        ("intake/zip.rs", "use crate::*;"),
        ("cli/get.rs", "use crate :: engine ;"),
        ("auth/mod.rs", "mod tests { use super::*; } use super::engine;"),
        ("auth/mod.rs", "mod tests { use super::super::engine; }"),
        ("rest/mod.rs", "#[allow(dead_code)] fn f() {}"),
        ("rest/mod.rs", "#![allow(\n    dead_code\n)]"),
        ("rest/mod.rs", "#[cfg_attr(not(test), allow(dead_code))] fn f() {}"),
        ("engine/mod.rs", "fn f() { job.status = Status::Queued; }"),
        ("journal/memory.rs", "fn f() { self . status=s; }"),
        ("engine/mod.rs", "fn f() { Job::stored(spec, status, None) }"),
    ];
    for (path, text) in bad {
        let found = Source::new(path, text).violations();
        assert_eq!(found.len().min(1), 1, "nothing found in src/{path}: {text}");
    }
}

#[test]
fn the_checker_leaves_what_is_allowed() {
    let good = [
        ("domain/job.rs", "// use tokio::sync;\n/* axum::serve /* sled::open */ */ fn f() {}"),
        ("domain/job.rs", "const A: &str = \"tokio::spawn\"; const B: char = '\"'; fn f<'a>() {}"),
        ("domain/job.rs", "const A: &str = r#\"use \"tokio::spawn\" here\"#;"),
        ("domain/job.rs", "fn f() { job.status = Status::Queued; Job::stored(a, b, c) }"),
        ("domain/event.rs", "use crate::cvrs::Rules; struct S { tokio: u8 }"),
        ("journal/memory.rs", "use crate::domain::Job; fn f() { Job::stored(a, b, c); }"),
        ("rest/mod.rs", "fn f() { body.status = 202; limiter.allow(key); }"),
        ("engine/mod.rs", "fn f() { if job.status == s || job.status() <= t {} }"),
        ("engine/mod.rs", "use super::records; use crate::{journal::{Journal}, activity};"),
        ("auth/mod.rs", "mod tests { use super::*; mod deep { use super::super::x; } } fn f() {}"),
        ("journal/codec/tests.rs", "fn f() { stored.status = 6; }"),
        ("grpc/rest.rs", "use super::watch; use self::rest::x;"),
    ];
    for (path, text) in good {
        let found = Source::new(path, text).violations();
        assert!(found.is_empty(), "{found:?}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push(Source::new(path.strip_prefix(root()).unwrap(), &text));
            }
        }
    }
    assert!(files.len() > 20, "the sources were found");
    files
}

/// One source file.
struct Source {
    /// Below `src`.
    path: PathBuf,
    text: String,
    tokens: Vec<String>,
}

impl Source {
    fn new(path: impl AsRef<Path>, text: &str) -> Self {
        let (path, text) = (path.as_ref().to_owned(), text.to_owned());
        let tokens = tokens(&text);
        Self { path, text, tokens }
    }

    /// The module path: `["grpc", "watch"]` for `grpc/watch.rs`.
    fn module(&self) -> Vec<String> {
        let names = self.path.with_extension("");
        let names = names.iter().map(|n| n.to_str().unwrap().to_owned());
        names.filter(|n| !["mod", "lib", "main"].contains(&n.as_str())).collect()
    }

    fn room(&self) -> String {
        self.module().first().cloned().unwrap_or_default()
    }

    fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let room = self.room();
        let mentions = self.mentions();
        let renamed = |name: &str| [";", "as"].iter().any(|end| self.has(&["use", name, end]));
        let forbidden = WALLS.iter().filter(|(r, _)| *r == room).flat_map(|(_, paths)| *paths);
        for path in forbidden {
            let hit = mentions.iter().find(|m| reaches(m, path));
            found.extend(hit.map(|m| format!("{room} must not know {path}: {}", m.join("::"))));
            found.extend(renamed(path).then(|| format!("{room} must not know {path}")));
        }
        if self.has_allow() {
            found.push("#[allow] instead of #[expect] with a reason".to_owned());
        }
        let machine = self.path == Path::new("domain/job.rs");
        // Tests spoil stored forms on purpose; the field itself is private.
        let test = self.module().last().is_some_and(|name| name == "tests");
        if !machine
            && !test
            && JOB_ROOMS.contains(&room.as_str())
            && self.has(&[".", "status", "="])
        {
            found.push("only the state machine writes a status".to_owned());
        }
        if room != "journal" && !machine && self.has(&["Job", "::", "stored"]) {
            found.push("only the journal's decoder makes a stored job".to_owned());
        }
        found.iter().map(|what| format!("src/{}: {what}", self.path.display())).collect()
    }

    fn has(&self, sequence: &[&str]) -> bool {
        self.tokens.windows(sequence.len()).any(|window| window == sequence)
    }

    fn has_allow(&self) -> bool {
        let mut attribute = false;
        self.tokens.windows(2).any(|pair| {
            attribute = match pair[0].as_str() {
                "#" => true,
                "]" => false,
                _ => attribute,
            };
            attribute && pair == ["allow", "("]
        })
    }

    /// Every path that the code names, made absolute: from `crate`, or from a crate's name.
    fn mentions(&self) -> Vec<Vec<String>> {
        let mut mentions = Vec::new();
        let mut module = self.module();
        // The depths of braces at which modules inside this file end.
        let mut inner = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            match (token.as_str(), self.tokens.get(at + 1), self.tokens.get(at + 2)) {
                ("mod", Some(name), Some(brace)) if brace == "{" => {
                    module.push(name.clone());
                    inner.push(depth);
                    at += 1;
                }
                ("{", ..) => depth += 1,
                ("}", ..) => {
                    depth -= 1;
                    if inner.pop_if(|outside| *outside == depth).is_some() {
                        module.pop();
                    }
                }
                (name, ..) if is_name(name) || name == "::" => {
                    let mut paths = Vec::new();
                    at = self.tree(at, &[], &mut paths) - 1;
                    mentions.extend(paths.into_iter().map(|path| absolute(&module, path)));
                }
                _ => {}
            }
            at += 1;
        }
        mentions
    }

    /// Reads one path, with its braces where it has some; returns where it ends.
    fn tree(&self, mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
        let token = |at: usize| self.tokens.get(at).map_or("", String::as_str);
        let mut path = prefix.to_vec();
        if token(at) == "::" {
            at += 1;
        }
        loop {
            if token(at) == "{" {
                at += 1;
                while !["}", ""].contains(&token(at)) {
                    let opens = is_name(token(at)) || ["{", "*", "::"].contains(&token(at));
                    at = if opens { self.tree(at, &path, paths) } else { at + 1 };
                }
                return at + 1;
            }
            path.push(token(at).to_owned());
            at += 1;
            let goes_on = is_name(token(at + 1)) || ["{", "*"].contains(&token(at + 1));
            if token(at) != "::" || !goes_on {
                break;
            }
            at += 1;
        }
        paths.push(path);
        at
    }
}

/// A path that starts with `self` or `super`, as one from `crate`.
fn absolute(module: &[String], path: Vec<String>) -> Vec<String> {
    let mut module = module.to_vec();
    let mut rest = path.as_slice();
    if !matches!(rest.first().map(String::as_str), Some("self" | "super")) {
        return path;
    }
    while let Some(first) = rest.first() {
        match first.as_str() {
            "self" => {}
            "super" => drop(module.pop()),
            _ => break,
        }
        rest = &rest[1..];
    }
    let mut absolute = vec!["crate".to_owned()];
    absolute.extend(module);
    absolute.extend_from_slice(rest);
    absolute
}

/// Whether a mention names the forbidden path or something inside it, or takes in everything.
fn reaches(mention: &[String], forbidden: &str) -> bool {
    let forbidden: Vec<&str> = forbidden.split("::").collect();
    if mention == ["crate", "*"] {
        return forbidden.first() == Some(&"crate");
    }
    // A crate is named by a path into it; its bare name may be a field's.
    let long_enough = mention.len() >= forbidden.len().max(2);
    long_enough && mention.iter().zip(&forbidden).all(|(a, b)| a == b)
}

/// Words that can stand before a path without being part of it.
const KEYWORDS: [&str; 12] =
    ["use", "as", "dyn", "impl", "mut", "in", "return", "for", "match", "if", "else", "move"];

fn is_name(token: &str) -> bool {
    !KEYWORDS.contains(&token) && token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The names and marks of a source text, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let skipped = skip_comment(rest).or_else(|| skip_literal(rest));
        if let Some(length) = skipped {
            at += length;
            continue;
        }
        let length = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        let length = match (length, rest) {
            (0, [':', ':', ..] | ['=' | '!' | '<' | '>', '=', ..]) => 2,
            (0, _) => 1,
            (length, _) => length,
        };
        if !rest[0].is_whitespace() {
            tokens.push(rest[..length].iter().collect());
        }
        at += length;
    }
    tokens
}

fn skip_comment(rest: &[char]) -> Option<usize> {
    match rest {
        ['/', '/', ..] => Some(rest.iter().take_while(|c| **c != '\n').count()),
        ['/', '*', ..] => {
            let mut depth = 0;
            let mut at = 0;
            while at < rest.len() {
                match rest[at..] {
                    ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
                    ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            Some(at)
        }
        _ => None,
    }
}

fn skip_literal(rest: &[char]) -> Option<usize> {
    match rest {
        ['"', ..] => Some(quoted(rest, '"')),
        ['b', '"', ..] => Some(1 + quoted(&rest[1..], '"')),
        ['r', '"' | '#', ..] => raw(rest, 1),
        ['b', 'r', '"' | '#', ..] => raw(rest, 2),
        // A lifetime has no second quote right after its first character.
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => Some(quoted(rest, '\'')),
        _ => None,
    }
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw(rest: &[char], prefix: usize) -> Option<usize> {
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let start = prefix + hashes;
    if rest.get(start) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &rest[start + 1..];
    let length = body.windows(end.len()).position(|w| w == end).unwrap_or(body.len());
    Some(start + 1 + length + end.len())
}
