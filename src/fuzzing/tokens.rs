//! Tokens, and requests for one.

use std::{fs, sync::OnceLock};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::runtime;
use crate::{
    audit,
    auth::{Authenticator, Issued, Request},
    config::{Auth, AuthMode, Client, Quota},
    domain::{Scope, ScopeSet},
    error::Kind,
    rest::token::{asked, parse},
};

const CLIENT: &str = "CV1";
const SECRET: &str = "open sesame";
/// SHA-256 of it.
const SECRET_SHA256: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

struct Gate {
    authenticator: Authenticator,
    issued: Issued,
    key: EncodingKey,
    kid: String,
    _dir: TempDir,
}

/// The first byte says as what the others are taken: a value of `Authorization`, changes of a good one, the claims
/// of a token that our key signs, or the body of a request. Only who has the secret is let in, and with no scope
/// that it does not have.
pub fn tokens(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    match first % 4 {
        0 => authorization(rest),
        1 => changed(rest),
        2 => claims(rest),
        _ => request(rest),
    }
}

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let client = Client {
            id: CLIENT.to_owned(),
            tenant: CLIENT.to_owned(),
            secret_sha256: Some(SECRET_SHA256.to_owned()),
            certificate_names: Vec::new(),
            scopes: vec!["UPLOAD".to_owned()],
            storages: vec!["REDACTED_DB".to_owned()],
            validate_only: false,
            act_for: Vec::new(),
            quota: Quota::default(),
        };
        let auth = Auth { mode: AuthMode::Token, client: vec![client], ..Auth::default() };
        let authenticator = Authenticator::open(&auth, dir.path(), audit::Log::default()).unwrap();
        let issued = runtime().block_on(authenticator.issue(&good())).unwrap();
        let keys: Value =
            serde_json::from_slice(&fs::read(dir.path().join("keys.json")).unwrap()).unwrap();
        let (kid, secret) = (&keys["keys"][0]["kid"], &keys["keys"][0]["secret"]);
        Gate {
            authenticator,
            issued,
            key: EncodingKey::from_secret(&unhex(secret.as_str().unwrap())),
            kid: kid.as_str().unwrap().to_owned(),
            _dir: dir,
        }
    })
}

fn good() -> Request {
    Request {
        client: CLIENT.to_owned(),
        secret: SECRET.to_owned(),
        on_behalf_of: None,
        scopes: ScopeSet::from_iter([Scope::Upload]),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Whether it is let in. Whoever is, is our client.
fn lets_in(sent: &str) -> bool {
    match gate().authenticator.authenticate(Some(sent), None) {
        Ok(principal) => {
            assert_eq!((&*principal.client, principal.tenant.as_str()), (CLIENT, CLIENT));
            assert!(principal.scopes.without(good().scopes).is_empty());
            true
        }
        Err(error) => {
            assert_eq!(error.code.kind(), Kind::Unauthenticated, "{error:?}");
            false
        }
    }
}

fn authorization(bytes: &[u8]) {
    let Ok(sent) = str::from_utf8(bytes) else { return };
    assert!(!lets_in(sent), "a token that nobody issued");
}

/// Pairs of a place and a byte for it.
fn changed(changes: &[u8]) {
    let good = gate().issued.token.as_bytes();
    let mut token = good.to_vec();
    for [place, byte] in changes.as_chunks::<2>().0 {
        let place = (usize::from(*place) * 3 + usize::from(*byte) % 3) % token.len();
        token[place] = *byte;
    }
    let Ok(sent) = str::from_utf8(&token) else { return };
    // Of the last character only some bits count, and spaces at the end none.
    let same =
        sent.trim_end().as_bytes() == good || token[..token.len() - 1] == good[..good.len() - 1];
    assert!(lets_in(sent) == (token == good) || same, "a changed token");
}

/// Whatever they are, they must be those of a client that there is.
fn claims(bytes: &[u8]) {
    let Ok(mut claims) = serde_json::from_slice::<Value>(bytes) else { return };
    if let Some(claims) = claims.as_object_mut() {
        claims.entry("iss").or_insert(json!("cvrsd"));
        claims.entry("exp").or_insert(json!(9_999_999_999_i64));
    }
    let header = Header { kid: Some(gate().kid.clone()), ..Header::new(Algorithm::HS256) };
    let Ok(token) = encode(&header, &claims, &gate().key) else { return };
    let is_let_in = lets_in(&token);
    assert!(!is_let_in || claims["sub"] == CLIENT);
}

fn request(body: &[u8]) {
    let request = match parse(body).and_then(asked) {
        Ok(request) => request,
        Err(error) => {
            assert_eq!(error.code.kind(), Kind::Invalid, "{error:?}");
            return;
        }
    };
    assert!(!request.scopes.is_empty());
    let is_ours = request.client == CLIENT && request.secret == SECRET;
    let issued = runtime().block_on(gate().authenticator.issue(&request));
    assert!(issued.is_err() || is_ours, "a token without the secret");
}
