//! The configured clients.

use std::{collections::HashMap, fmt};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    config::{self, Quota},
    domain::{Scope, ScopeSet, Storage, StorageSet, Tenant, is_name},
    limits::CLIENTS_MAX,
};

/// A client is not usable as configured.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// One client.
pub(super) struct Client {
    pub(super) tenant: Tenant,
    digest: [u8; 32],
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
        if configured.len() > CLIENTS_MAX {
            let count = configured.len();
            return Err(Error(format!("auth.client: {count} clients, at most {CLIENTS_MAX}")));
        }
        let mut by_id = HashMap::with_capacity(configured.len());
        for given in configured {
            let wrong = |what: String| Error(format!("auth.client {:?}: {what}", given.id));
            let client = client(given).map_err(wrong)?;
            if by_id.insert(given.id.clone(), client).is_some() {
                return Err(wrong("the id is there twice".to_owned()));
            }
        }
        for (id, client) in &by_id {
            if let Some(other) = client.act_for.iter().find(|o| !by_id.contains_key(*o)) {
                let text =
                    format!("auth.client {id:?}: act_for names {other:?}, which is no client");
                return Err(Error(text));
            }
        }
        Ok(Self { by_id })
    }

    pub(super) fn get(&self, id: &str) -> Option<&Client> {
        self.by_id.get(id)
    }

    /// The client of that name, if that is its secret. Takes the same time for an unknown name.
    pub(super) fn check(&self, id: &str, secret: &str) -> Option<&Client> {
        const NOBODY: [u8; 32] = [0; 32];
        let client = self.by_id.get(id);
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let same = digest.ct_eq(client.map_or(&NOBODY, |c| &c.digest));
        client.filter(|_| bool::from(same))
    }
}

impl Client {
    /// Tells the secret of today from an earlier one, and nothing else of it.
    pub(super) fn fingerprint(&self) -> String {
        let hash = Sha256::new().chain_update(b"cvrsd client secret").chain_update(self.digest);
        hex(hash.finalize().iter().take(8))
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
    Ok(Client {
        tenant: Tenant::new(&given.tenant).map_err(|e| e.to_string())?,
        digest: unhex(&given.secret_sha256)
            .ok_or("secret_sha256 is not 64 hexadecimal digits".to_owned())?,
        scopes,
        storages,
        validate_only: given.validate_only,
        act_for: given.act_for.clone(),
        quota: quota(given.quota)?,
    })
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

/// Lower-case hexadecimal digits.
pub(super) fn hex<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    bytes.into_iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The 32 bytes that 64 hexadecimal digits name.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        let digits = text.get(at..at + 2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
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
            secret_sha256: hex(&Sha256::digest(id)),
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
        let print = |id: &str| clients.get(id).unwrap().fingerprint();
        assert_eq!(print("a").len(), 16);
        assert_ne!(print("a"), print("b"));
    }

    #[test]
    fn what_is_wrong_with_a_client_is_said_with_its_id() {
        type Change = fn(&mut config::Client);
        let changes: [(&str, Change); 11] = [
            ("characters", |c| c.id = "a b".to_owned()),
            ("tenant \"a/b\"", |c| c.tenant = "a/b".to_owned()),
            ("secret_sha256", |c| c.secret_sha256.push('0')),
            ("secret_sha256", |c| c.secret_sha256.replace_range(0..1, "g")),
            ("secret_sha256", |c| c.secret_sha256.replace_range(0..1, "+")),
            ("\"EXPORT\" is not a scope", |c| c.scopes.push("EXPORT".to_owned())),
            ("no scopes", |c| c.scopes.clear()),
            ("\"x\" is not a storage", |c| c.storages.push("x".to_owned())),
            ("no storages", |c| c.storages.clear()),
            ("act_for names \"z\"", |c| c.act_for.push("z".to_owned())),
            ("quota.uploads_max is 0", |c| c.quota.uploads_max = Some(0)),
        ];
        for (named, change) in changes {
            let mut client = configured("a", "t");
            change(&mut client);
            let error = Clients::new(&[client.clone()]).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains(&client.id), "{error}");
            assert!(!error.contains(client.secret_sha256.get(2..).unwrap()), "{error}");
        }
        let twice = Clients::new(&[configured("a", "t"), configured("a", "u")]);
        assert!(twice.unwrap_err().to_string().contains("twice"));
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
