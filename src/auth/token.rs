//! What a token says: a JWT, signed by HMAC-SHA-256 with a key of this daemon.

use std::fmt;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};

use super::keys::{AHEAD_S, Keyring};
use crate::{
    domain::Tenant,
    error::{Code, Error},
    limits::TOKEN_BYTES_MAX,
};

const ISSUER: &str = "cvrsd";

/// A token and when it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// Whose it is; `local` while authentication is off.
    pub client: String,
    /// The token: letters, digits, `-`, `_` and `.`.
    pub token: String,
    /// From when on it is no good, in seconds since the Unix epoch.
    pub expiration_s: i64,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("expiration_s", &self.expiration_s).finish_non_exhaustive()
    }
}

/// The claims, by their registered names where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    /// The client.
    pub(super) sub: String,
    /// The client on whose behalf it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) on_behalf_of: Option<String>,
    /// Names of its scopes.
    pub(super) scopes: Vec<String>,
    pub(super) iat: i64,
    pub(super) exp: i64,
    /// When the first token of its chain was issued.
    pub(super) first: i64,
    /// Fingerprint of the client's secret.
    pub(super) fp: String,
}

impl Claims {
    /// Claims of this issuer.
    pub(super) fn new(
        sub: &str,
        on_behalf_of: Option<&str>,
        scopes: Vec<String>,
        fp: String,
    ) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            sub: sub.to_owned(),
            on_behalf_of: on_behalf_of.map(str::to_owned),
            scopes,
            iat: 0,
            exp: 0,
            first: 0,
            fp,
        }
    }
}

/// Signs with the newest key.
///
/// # Errors
/// `CVRS-INTERNAL`.
pub(super) fn sign(keys: &Keyring, claims: &Claims) -> Result<Issued, Error> {
    let signed = keys.with_newest(|key| {
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &EncodingKey::from_secret(&key.secret)).ok()
    });
    let token = signed.ok_or_else(|| Error::internal("a token could not be signed"))?;
    Ok(Issued { client: claims.sub.clone(), token, expiration_s: claims.exp })
}

/// A token that nobody looks at, made up of random bytes: for clients that cannot do without.
///
/// # Errors
/// `CVRS-INTERNAL`, when the system has no random bytes.
pub(super) fn throw_away(lifetime_s: i64, now_s: i64) -> Result<Issued, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    let (client, token) = (Tenant::LOCAL.to_owned(), hex::encode(bytes));
    Ok(Issued { client, token, expiration_s: now_s.saturating_add(lifetime_s) })
}

/// The claims of a token that one of our keys signed and that has not expired. One from further ahead than
/// clocks differ was signed under a wrong clock, and would be good for as long as that clock was ahead.
///
/// # Errors
/// `CVRS-TOKEN-INVALID` or `CVRS-TOKEN-EXPIRED`.
pub(super) fn verify(keys: &Keyring, token: &str, now_s: i64) -> Result<Claims, Error> {
    let claims = signed_by_us(keys, token).ok_or_else(invalid)?;
    if claims.iat > now_s.saturating_add(AHEAD_S) {
        return Err(invalid());
    }
    if now_s >= claims.exp {
        return Err(Error::new(Code::TokenExpired, "the token has expired"));
    }
    Ok(claims)
}

fn signed_by_us(keys: &Keyring, token: &str) -> Option<Claims> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let key = keys.get(&decode_header(token).ok()?.kid?)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss"]);
    // By our own clock, without leeway, see `verify`.
    validation.validate_exp = false;
    let decoded = decode::<Claims>(token, &DecodingKey::from_secret(&key.secret), &validation);
    Some(decoded.ok()?.claims)
}

/// The one sentence for whatever is wrong with a token.
pub(super) fn invalid() -> Error {
    Error::new(Code::TokenInvalid, "the token is not one of this daemon, or no longer good")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn ring(dir: &tempfile::TempDir) -> Keyring {
        Keyring::open(dir.path(), HOUR, HOUR, 0).unwrap().0
    }

    fn claims() -> Claims {
        let claims = Claims::new("CV1-UPLOAD", Some("X"), vec!["UPLOAD".to_owned()], "f".into());
        Claims { iat: 100, exp: 200, first: 50, ..claims }
    }

    #[test]
    fn a_token_reads_back_until_the_second_it_expires() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(&dir);
        let issued = sign(&keys, &claims()).unwrap();
        assert_eq!(issued.expiration_s, 200);
        assert!(!issued.token.contains(['[', ']', '{', '}', ',', ':', ' ', '"']));
        assert!(!format!("{issued:?}").contains(&issued.token));
        assert_eq!(verify(&keys, &issued.token, 199).unwrap(), claims());
        assert_eq!(verify(&keys, &issued.token, 200).unwrap_err().code, Code::TokenExpired);
    }

    #[test]
    fn a_token_from_the_future_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(&dir);
        let issued = sign(&keys, &Claims { iat: 1_000, exp: 1_100, ..claims() }).unwrap();
        assert!(verify(&keys, &issued.token, 1_000 - AHEAD_S).is_ok());
        let refused = verify(&keys, &issued.token, 999 - AHEAD_S).unwrap_err();
        assert_eq!(refused.code, Code::TokenInvalid);
    }

    #[test]
    fn a_token_of_other_keys_algorithms_or_issuers_is_refused() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = ring(&here);
        let refused = |token: &str| {
            assert_eq!(verify(&keys, token, 100).unwrap_err().code, Code::TokenInvalid, "{token}");
        };
        refused(&sign(&ring(&there), &claims()).unwrap().token);
        let key = keys.with_newest(|key| Some(key.clone())).unwrap();
        let with = |algorithm, kid: Option<&str>, claims: &Claims| {
            let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
            encode(&header, claims, &EncodingKey::from_secret(&key.secret)).unwrap()
        };
        assert!(verify(&keys, &with(Algorithm::HS256, Some(&key.kid), &claims()), 100).is_ok());
        refused(&with(Algorithm::HS512, Some(&key.kid), &claims()));
        refused(&with(Algorithm::HS256, None, &claims()));
        refused(&with(Algorithm::HS256, Some("other"), &claims()));
        let foreign = Claims { iss: "other".to_owned(), ..claims() };
        refused(&with(Algorithm::HS256, Some(&key.kid), &foreign));
        for token in ["", "a", "a.b.c", "..", &"a".repeat(TOKEN_BYTES_MAX + 1)] {
            refused(token);
        }
    }

    #[test]
    fn a_token_with_any_character_changed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(&dir);
        let token = sign(&keys, &claims()).unwrap().token;
        // Of the last character only some bits are the signature's.
        for at in 0..token.len() - 1 {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&keys, &changed, 100).is_err(), "{at}");
        }
    }
}
