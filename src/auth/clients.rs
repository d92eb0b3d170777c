//! The configured clients.

use std::{collections::HashMap, fmt};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::certificate::{Certificate, folded};
use crate::{
    config::{self, Quota},
    domain::{Scope, ScopeSet, Storage, StorageSet, Tenant, is_name},
    limits::{CERTIFICATE_NAME_CHARS_MAX, CERTIFICATE_NAMES_MAX, CLIENTS_MAX},
};

/// A client is not usable as configured.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// One client.
pub(super) struct Client {
    pub(super) tenant: Tenant,
    /// Of its secret; `None` gets no tokens.
    digest: Option<[u8; 32]>,
    pub(super) scopes: ScopeSet,
    pub(super) storages: StorageSet,
    pub(super) validate_only: bool,
    act_for: Vec<String>,
    pub(super) quota: Quota,
}

/// All clients by name.
#[derive(Default)]
pub struct Clients {
    by_id: HashMap<String, Client>,
    /// Ids by the names of certificates.
    by_name: HashMap<String, String>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("count", &self.by_id.len()).finish_non_exhaustive()
    }
}

impl Clients {
    /// The clients of the configuration.
    ///
    /// # Errors
    /// The first client that is not usable, by its id, with what is wrong.
    pub fn new(configured: &[config::Client]) -> Result<Self, Error> {
        Self::naming(configured, |_, _| true)
    }

    /// The same; a name of a certificate counts only where `may_name` says so of it and the client's id.
    pub(super) fn naming(
        configured: &[config::Client],
        mut may_name: impl FnMut(&str, &str) -> bool,
    ) -> Result<Self, Error> {
        if configured.len() > CLIENTS_MAX {
            let count = configured.len();
            return Err(Error(format!("auth.client: {count} clients, at most {CLIENTS_MAX}")));
        }
        let mut by_id = HashMap::with_capacity(configured.len());
        let mut by_name = HashMap::new();
        for given in configured {
            let wrong = |what: String| Error(format!("auth.client {:?}: {what}", given.id));
            let client = client(given).map_err(wrong)?;
            if by_id.insert(given.id.clone(), client).is_some() {
                return Err(wrong("the id is there twice".to_owned()));
            }
            for name in &given.certificate_names {
                if by_name.insert(folded(name), given.id.clone()).is_some() {
                    return Err(wrong(format!("certificate name {name:?} is there twice")));
                }
            }
        }
        for (id, client) in &by_id {
            if let Some(other) = client.act_for.iter().find(|o| !by_id.contains_key(*o)) {
                let text =
                    format!("auth.client {id:?}: act_for names {other:?}, which is no client");
                return Err(Error(text));
            }
        }
        by_name.retain(|name: &String, id: &mut String| may_name(name, id));
        Ok(Self { by_id, by_name })
    }

    /// Whether that name of a certificate, folded, is that client's.
    pub(super) fn is_named(&self, name: &str, id: &str) -> bool {
        self.by_name.get(name).is_some_and(|own| own == id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Client> {
        self.by_id.get(id)
    }

    /// The client whom a certificate names; `None` where it names none, or several.
    pub(super) fn named(&self, certificate: &Certificate) -> Option<&str> {
        let mut ids = certificate.names.iter().filter_map(|name| self.by_name.get(&folded(name)));
        let first = ids.next()?;
        ids.all(|id| id == first).then_some(first)
    }

    /// The client of that name, if that is its secret. Takes the same time for an unknown name.
    pub(super) fn check(&self, id: &str, secret: &str) -> Option<&Client> {
        const NOBODY: [u8; 32] = [0; 32];
        let client = self.by_id.get(id);
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let own = client.and_then(|c| c.digest.as_ref());
        let same = digest.ct_eq(own.unwrap_or(&NOBODY));
        client.filter(|_| own.is_some() && bool::from(same))
    }
}

impl Client {
    /// Tells the secret of today from an earlier one, and nothing else of it; `None` has no secret.
    pub(super) fn fingerprint(&self) -> Option<String> {
        let hash = Sha256::new().chain_update(b"cvrsd client secret").chain_update(self.digest?);
        hash.finalize().get(..8).map(hex::encode)
    }

    pub(super) fn acts_for(&self, other: &str) -> bool {
        self.act_for.iter().any(|id| id == other)
    }
}

fn client(given: &config::Client) -> Result<Client, String> {
    if !is_name(&given.id) {
        return Err("the id is not 1 to 64 characters of A-Z a-z 0-9 . _ -".to_owned());
    }
    let scope =
        |name: &String| Scope::from_name(name).ok_or_else(|| format!("{name:?} is not a scope"));
    let scopes: ScopeSet = given.scopes.iter().map(scope).collect::<Result<_, _>>()?;
    if scopes.is_empty() {
        return Err("it has no scopes".to_owned());
    }
    let storage = |name: &String| {
        Storage::from_name(name).ok_or_else(|| format!("{name:?} is not a storage"))
    };
    let storages: StorageSet = given.storages.iter().map(storage).collect::<Result<_, _>>()?;
    if storages.is_empty() {
        return Err("it has no storages".to_owned());
    }
    let digest = given.secret_sha256.as_deref().map(|text| {
        unhex(text).ok_or_else(|| "secret_sha256 is not 64 hexadecimal digits".to_owned())
    });
    let digest = digest.transpose()?;
    certificate_names(&given.certificate_names)?;
    if digest.is_none() && given.certificate_names.is_empty() {
        return Err("it has neither secret_sha256 nor certificate_names".to_owned());
    }
    Ok(Client {
        tenant: Tenant::new(&given.tenant).map_err(|e| e.to_string())?,
        digest,
        scopes,
        storages,
        validate_only: given.validate_only,
        act_for: given.act_for.clone(),
        quota: quota(given.quota)?,
    })
}

fn certificate_names(names: &[String]) -> Result<(), String> {
    if names.len() > CERTIFICATE_NAMES_MAX {
        let count = names.len();
        return Err(format!("{count} certificate names, at most {CERTIFICATE_NAMES_MAX}"));
    }
    let good = |name: &str| {
        (1..=CERTIFICATE_NAME_CHARS_MAX).contains(&name.chars().count())
            && !name.contains(char::is_control)
    };
    match names.iter().find(|name| !good(name)) {
        Some(name) => Err(format!(
            "certificate name {name:?} is not 1 to {CERTIFICATE_NAME_CHARS_MAX} printable characters"
        )),
        None => Ok(()),
    }
}

fn quota(quota: Quota) -> Result<Quota, String> {
    let Quota { uploads_max, jobs_queued_max, spool_bytes_max, requests_per_s } = quota;
    let nothing = [
        ("uploads_max", uploads_max == Some(0)),
        ("jobs_queued_max", jobs_queued_max == Some(0)),
        ("spool_bytes_max", spool_bytes_max == Some(0)),
        ("requests_per_s", requests_per_s == Some(0)),
    ];
    match nothing.into_iter().find(|(_, zero)| *zero) {
        Some((key, _)) => Err(format!("quota.{key} is 0, must be 1 or more")),
        None => Ok(quota),
    }
}

/// The 32 bytes that 64 hexadecimal digits name.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A client with both storages, the first three scopes, and its id as its secret.
    pub(in super::super) fn configured(id: &str, tenant: &str) -> config::Client {
        config::Client {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            secret_sha256: Some(hex::encode(Sha256::digest(id))),
            certificate_names: Vec::new(),
            scopes: ["upload", "UPDATE", "Delete"].map(str::to_owned).to_vec(),
            storages: Storage::ALL.map(|s| s.to_string()).to_vec(),
            validate_only: false,
            act_for: Vec::new(),
            quota: Quota::default(),
        }
    }

    #[test]
    fn a_client_is_found_by_its_secret_alone() {
        let clients = Clients::new(&[configured("a", "t"), configured("b", "t")]).unwrap();
        assert!(clients.check("a", "a").is_some());
        for (id, secret) in [("a", "b"), ("a", ""), ("c", "c"), ("", ""), ("A", "a")] {
            assert!(clients.check(id, secret).is_none(), "{id} {secret}");
        }
        let print = |id: &str| clients.get(id).unwrap().fingerprint().unwrap();
        assert_eq!(print("a").len(), 16);
        assert_ne!(print("a"), print("b"));
    }

    #[test]
    fn what_is_wrong_with_a_client_is_said_with_its_id() {
        type Change = fn(&mut config::Client);
        fn secret(c: &mut config::Client, range: std::ops::Range<usize>, digit: &str) {
            c.secret_sha256.as_mut().unwrap().replace_range(range, digit);
        }
        let changes: [(&str, Change); 16] = [
            ("characters", |c| c.id = "a b".to_owned()),
            ("tenant \"a/b\"", |c| c.tenant = "a/b".to_owned()),
            ("secret_sha256", |c| secret(c, 0..0, "0")),
            ("secret_sha256", |c| secret(c, 0..1, "g")),
            ("secret_sha256", |c| secret(c, 0..1, "+")),
            ("neither secret_sha256 nor certificate_names", |c| c.secret_sha256 = None),
            ("\"EXPORT\" is not a scope", |c| c.scopes.push("EXPORT".to_owned())),
            ("no scopes", |c| c.scopes.clear()),
            ("\"x\" is not a storage", |c| c.storages.push("x".to_owned())),
            ("no storages", |c| c.storages.clear()),
            ("act_for names \"z\"", |c| c.act_for.push("z".to_owned())),
            ("quota.uploads_max is 0", |c| c.quota.uploads_max = Some(0)),
            ("certificate name \"\"", |c| c.certificate_names.push(String::new())),
            ("certificate name \"a\\n\"", |c| c.certificate_names.push("a\n".to_owned())),
            ("17 certificate names", |c| {
                c.certificate_names = (0..=CERTIFICATE_NAMES_MAX).map(|n| n.to_string()).collect();
            }),
            ("\"A.b\" is there twice", |c| {
                c.certificate_names = ["a.B", "A.b"].map(str::to_owned).to_vec();
            }),
        ];
        for (named, change) in changes {
            let mut client = configured("a", "t");
            change(&mut client);
            let error = Clients::new(&[client.clone()]).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains(&client.id), "{error}");
            let digest = client.secret_sha256.unwrap_or("no digest".to_owned());
            assert!(!error.contains(digest.get(2..).unwrap()), "{error}");
        }
        let twice = Clients::new(&[configured("a", "t"), configured("a", "u")]);
        assert!(twice.unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_certificate_is_the_client_that_alone_has_its_names() {
        let with = |id: &str, names: &[&str]| config::Client {
            certificate_names: names.iter().map(|n| (*n).to_owned()).collect(),
            secret_sha256: None,
            ..configured(id, "t")
        };
        let clients = [
            with("a", &["A.example", "spiffe://x/Up"]),
            with("b", &["Acme Upload"]),
            configured("c", "t"),
        ];
        let clients = Clients::new(&clients).unwrap();
        for (names, id) in [
            (&["a.EXAMPLE"][..], Some("a")),
            (&["spiffe://x/Up"], Some("a")),
            (&["spiffe://x/up"], None),
            (&["ACME upload"], Some("b")),
            (&["nobody", "a.example", "spiffe://x/Up"], Some("a")),
            (&["a.example", "acme upload"], None),
            (&["c"], None),
            (&[], None),
        ] {
            let names = names.iter().map(|n| (*n).to_owned()).collect();
            let certificate = Certificate { names, expires_s: 0 };
            assert_eq!(clients.named(&certificate), id, "{certificate:?}");
        }
        for secret in ["", "a", &"0".repeat(64)] {
            assert!(clients.check("a", secret).is_none(), "no secret is the one of no secret");
        }
        assert_eq!(clients.get("a").unwrap().fingerprint(), None);
    }

    #[test]
    fn as_many_clients_as_the_limit_are_taken_and_one_more_is_not() {
        let many = |n: usize| -> Vec<_> {
            (0..n).map(|i| config::Client { id: format!("c{i}"), ..configured("c", "t") }).collect()
        };
        assert!(Clients::new(&many(CLIENTS_MAX)).is_ok());
        assert!(Clients::new(&many(CLIENTS_MAX + 1)).is_err());
    }
}
