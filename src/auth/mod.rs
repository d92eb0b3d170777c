//! Who is calling: the tenant, and what the caller may touch.
//!
//! A client gets a token for its secret; each call carries a token, or comes with the client's certificate.
//! What the client may do is looked up in the configured clients at every call, so a reload counts at once.

mod certificate;
mod clients;
mod keyfile;
mod keys;
mod principal;
mod rate;
#[cfg(test)]
mod tests;
mod token;

pub use certificate::Certificate;
pub use clients::{Clients, Error as ClientsError};
pub use keyfile::{Error as KeyError, check_keys};
pub use principal::Principal;
pub use token::Issued;

use std::{
    fmt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use sha2::{Digest, Sha256};

use self::{
    clients::Client,
    keys::Keyring,
    rate::Rates,
    token::{Claims, invalid},
};
use crate::{
    audit::{self, Entry, Kind},
    clock,
    config::{self, AuthMode},
    domain::{Origin, Scope, ScopeSet},
    error::{Code, Error},
};

/// Lets callers in, or not. A cheap handle.
#[derive(Clone, Debug)]
pub struct Authenticator {
    mode: Mode,
    audit: audit::Log,
}

/// Which authorities stand for the certificates of clients that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// Those that were configured with them.
    Current,
    /// Others, as the ones configured could not be read. Their certificates name nobody whom they did not name
    /// before.
    Former,
}

#[derive(Clone, Debug)]
enum Mode {
    /// Everyone is let in, and tokens are not looked at. Those that are asked for say this lifetime.
    Off { lifetime_s: i64 },
    /// Whoever has a token or a certificate is let in.
    On(Arc<Tokens>),
}

#[derive(Debug)]
struct Tokens {
    clients: RwLock<Arc<Clients>>,
    keys: Keyring,
    rates: Rates,
    audit: audit::Log,
    lifetime_s: i64,
    refresh_max_s: i64,
}

/// Asks for a token.
pub struct Request {
    /// The client.
    pub client: String,
    /// Its secret.
    pub secret: String,
    /// The client on whose behalf it acts.
    pub on_behalf_of: Option<String>,
    /// What the token is for.
    pub scopes: ScopeSet,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Why the authenticator could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A client is not usable as configured.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A reload would turn authentication on or off.
    #[error("auth.mode counts from the next start; the clients stay as they were")]
    Mode,
    /// What is done cannot be recorded.
    #[error(transparent)]
    Audit(#[from] audit::Error),
}

impl Authenticator {
    /// An authenticator as configured, with the keys of the data directory. Blocks.
    ///
    /// # Errors
    /// When a client is not usable, or the key file is damaged.
    pub fn open(
        config: &config::Auth,
        data_dir: &Path,
        audit: audit::Log,
    ) -> Result<Self, OpenError> {
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let (lifetime, max_age) = (config.token_lifetime, config.key_max_age);
        let lifetime_s = seconds(lifetime);
        if config.mode == AuthMode::None {
            return Ok(Self { mode: Mode::Off { lifetime_s }, audit });
        }
        let clients = RwLock::new(Arc::new(Clients::new(&config.client)?));
        let (keys, made) = Keyring::open(data_dir, lifetime, max_age, now_s())?;
        if let Some(kid) = made {
            audit.record_blocking(Entry::new(Kind::Key).saying(format!("key {kid}")))?;
        }
        let tokens = Tokens {
            clients,
            keys,
            rates: Rates::default(),
            audit: audit.clone(),
            lifetime_s,
            refresh_max_s: seconds(config.refresh_max),
        };
        Ok(Self { mode: Mode::On(Arc::new(tokens)), audit })
    }

    /// Takes these clients from now on. Tokens of clients that are gone are no good any more.
    ///
    /// Returns how many names of certificates wait for their authorities.
    ///
    /// # Errors
    /// When a client is not usable or the mode is another; nothing has changed then.
    pub fn reload(
        &self,
        config: &config::Auth,
        authorities: Authorities,
    ) -> Result<usize, OpenError> {
        let Mode::On(tokens) = &self.mode else {
            return if config.mode == AuthMode::None { Ok(0) } else { Err(OpenError::Mode) };
        };
        if config.mode != AuthMode::Token {
            return Err(OpenError::Mode);
        }
        let before = tokens.clients();
        let mut withheld = 0;
        let clients = Clients::naming(&config.client, |name, id| {
            let may_name = authorities == Authorities::Current || before.is_named(name, id);
            withheld += usize::from(!may_name);
            may_name
        });
        let clients = Arc::new(clients?);
        self.audit.record_blocking(clients_entry(Kind::Clients, config))?;
        *tokens.clients.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&clients);
        tokens.rates.retain(|id| clients.get(id).is_some());
        Ok(withheld)
    }

    /// [`Authenticator::authenticate`] for a call from there, whose certificate may be refused already, in mode `none`
    /// too; who is not let in is recorded.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub fn admit(
        &self,
        authorization: Option<&str>,
        certificate: Result<Option<&Certificate>, Error>,
        origin: Origin,
    ) -> Result<Principal, Error> {
        match certificate.and_then(|held| self.authenticate(authorization, held)) {
            Ok(caller) => Ok(Principal { origin, ..caller }),
            Err(error) => {
                self.audit.refuse(Entry::new(Kind::Refused).from(origin).refused(error.code));
                Err(error)
            }
        }
    }

    /// The caller who sends that `Authorization` value (a token, with or without `Bearer `) on a connection
    /// with that verified certificate. A token says more than a certificate: its scopes, and on whose behalf.
    /// So it counts where there are both, and must be one of the client whom the certificate names, if it
    /// names any. In mode `none` neither is looked at.
    ///
    /// # Errors
    /// When the caller is not let in, or makes more calls than its quota allows.
    pub fn authenticate(
        &self,
        authorization: Option<&str>,
        certificate: Option<&Certificate>,
    ) -> Result<Principal, Error> {
        let Mode::On(tokens) = &self.mode else { return Ok(Principal::local()) };
        let now_s = now_s();
        match (bare(authorization), certificate) {
            (Err(_), Some(certificate)) => tokens.let_in_named(certificate, now_s),
            (token, _) => tokens.let_in(token?, certificate, now_s).map(|(principal, _)| principal),
        }
    }

    /// A token for a secret. In mode `none` any secret will do, and the token is for nothing: a client
    /// of the documented API begins by asking for one.
    ///
    /// # Errors
    /// When the client, its secret, scopes or rights are not what the request needs.
    pub async fn issue(&self, request: &Request) -> Result<Issued, Error> {
        let tokens = match &self.mode {
            Mode::Off { lifetime_s } => return token::throw_away(*lifetime_s, now_s()),
            Mode::On(tokens) => tokens,
        };
        let claims = tokens.claims(request)?;
        let issued = tokens.sign(claims, None).await?;
        tracing::info!(
            client = request.client,
            on_behalf_of = request.on_behalf_of,
            "token issued"
        );
        Ok(issued)
    }

    /// A token for a token: of the same client with the same scopes. In mode `none` the value is not
    /// looked at.
    ///
    /// # Errors
    /// When the caller is not let in, or the first token of the chain is too old.
    pub async fn refresh(
        &self,
        authorization: Option<&str>,
        certificate: Option<&Certificate>,
    ) -> Result<Issued, Error> {
        let now_s = now_s();
        let tokens = match &self.mode {
            Mode::Off { lifetime_s } => return token::throw_away(*lifetime_s, now_s),
            Mode::On(tokens) => tokens,
        };
        let (_, claims) = tokens.let_in(bare(authorization)?, certificate, now_s)?;
        let first = claims.first;
        if now_s.saturating_sub(first) > tokens.refresh_max_s {
            let text = "the first token is too old for another refresh; ask for a new one";
            return Err(Error::new(Code::TokenExpired, text));
        }
        tokens.sign(claims, Some(first)).await
    }

    /// Whether authentication is off: `auth.mode` is `none`.
    #[must_use]
    pub fn is_off(&self) -> bool {
        matches!(self.mode, Mode::Off { .. })
    }
}

impl Tokens {
    fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The caller by its certificate alone.
    fn let_in_named(&self, certificate: &Certificate, now_s: i64) -> Result<Principal, Error> {
        let clients = self.clients();
        let id = clients.named(certificate).filter(|_| now_s < certificate.expires_s);
        let client = id.and_then(|id| Some((id, clients.get(id)?)));
        let (id, client) = client.ok_or_else(|| {
            let text = "the client certificate has expired, or is none of one configured client";
            Error::new(Code::CertificateInvalid, text)
        })?;
        self.rates.take(id, client.quota.requests_per_s, Instant::now())?;
        Ok(Principal {
            client: id.to_owned(),
            tenant: client.tenant.clone(),
            storages: client.storages,
            validate_only: client.validate_only,
            scopes: client.scopes,
            quota: client.quota,
            origin: Origin::default(),
        })
    }

    fn let_in(
        &self,
        token: &str,
        certificate: Option<&Certificate>,
        now_s: i64,
    ) -> Result<(Principal, Claims), Error> {
        let claims = token::verify(&self.keys, token, now_s)?;
        let clients = self.clients();
        // Like a token that is bound to a certificate (RFC 8705): a stolen one is of no use to another.
        if certificate.and_then(|c| clients.named(c)).is_some_and(|id| id != claims.sub) {
            let text = "the token is another client's than the certificate of the connection";
            return Err(Error::new(Code::CertificateMismatch, text));
        }
        let principal = principal(&clients, &claims).ok_or_else(invalid)?;
        self.rates.take(&claims.sub, principal.quota.requests_per_s, Instant::now())?;
        Ok((principal, claims))
    }

    /// What a token for that request says.
    fn claims(&self, request: &Request) -> Result<Claims, Error> {
        let clients = self.clients();
        let id = &request.client;
        let client = clients.check(id, &request.secret).ok_or_else(|| {
            tracing::warn!("a token was refused: wrong client id or secret");
            Error::new(Code::ClientUnknown, "the client id or the secret is wrong")
        })?;
        self.rates.take(id, client.quota.requests_per_s, Instant::now())?;
        let mut granted = client.scopes;
        if let Some(other) = &request.on_behalf_of {
            let refused = |text| Error::new(Code::OnBehalf, text);
            let target = clients.get(other).filter(|_| client.acts_for(other));
            let target =
                target.ok_or_else(|| refused("the client may not act on behalf of that one"))?;
            if client.storages.and(target.storages).is_empty() {
                return Err(refused("the client has no storage in common with that one"));
            }
            granted = granted.and(target.scopes);
        }
        if let Some(scope) = request.scopes.without(granted).iter().next() {
            return Err(Error::new(Code::Scope, format!("the scope {scope} is not granted")));
        }
        let scopes = request.scopes.iter().map(|s| s.to_string()).collect();
        let fingerprint = client.fingerprint().ok_or_else(invalid)?;
        Ok(Claims::new(id, request.on_behalf_of.as_deref(), scopes, fingerprint))
    }

    /// Signs the claims, issued now. `first_s` is when the chain began, where it did before.
    async fn sign(self: &Arc<Self>, claims: Claims, first_s: Option<i64>) -> Result<Issued, Error> {
        let iat = now_s();
        if self.keys.is_due(iat) {
            let tokens = Arc::clone(self);
            let renewed = tokio::task::spawn_blocking(move || tokens.keys.renew(iat)).await;
            match renewed.map_err(Error::internal)? {
                Ok(None) => {}
                Ok(Some(kid)) => {
                    let entry = Entry::new(Kind::Key).saying(format!("key {kid}"));
                    self.audit.record(entry).await.map_err(Error::internal)?;
                }
                Err(error) => {
                    tracing::error!(%error, "the signing key could not be replaced and signs on");
                }
            }
        }
        let (exp, first) = (iat.saturating_add(self.lifetime_s), first_s.unwrap_or(iat));
        token::sign(&self.keys, &Claims { iat, exp, first, ..claims })
    }
}

/// An entry that names the clients by their number and the digest of their list.
#[must_use]
pub fn clients_entry(kind: Kind, config: &config::Auth) -> Entry {
    // What was read from text can be written as text.
    let list = serde_json::to_vec(&config.client).unwrap_or_default();
    let (count, digest) = (config.client.len() as u64, Sha256::digest(list));
    Entry { count: Some(count), sha256: Some(hex::encode(digest)), ..Entry::new(kind) }
}

/// The token of an `Authorization` value.
fn bare(sent: Option<&str>) -> Result<&str, Error> {
    let text = sent.unwrap_or_default().trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        None if text.eq_ignore_ascii_case("bearer") => "",
        _ => text,
    };
    if token.is_empty() {
        return Err(Error::new(Code::TokenMissing, "the call carries no token"));
    }
    Ok(token)
}

/// Who the claims are about, as configured now; `None` where that is nobody any more. On behalf of
/// another, a client does what both may do: acting never widens what either has.
fn principal(clients: &Clients, claims: &Claims) -> Option<Principal> {
    let same_secret = |c: &&Client| c.fingerprint().as_ref() == Some(&claims.fp);
    let client = clients.get(&claims.sub).filter(same_secret)?;
    let target: &Client = match &claims.on_behalf_of {
        Some(other) => clients.get(other).filter(|_| client.acts_for(other))?,
        None => client,
    };
    let storages = client.storages.and(target.storages);
    if storages.is_empty() {
        return None;
    }
    let scopes: ScopeSet = claims.scopes.iter().filter_map(|s| Scope::from_name(s)).collect();
    Some(Principal {
        client: claims.sub.clone(),
        tenant: target.tenant.clone(),
        storages,
        validate_only: client.validate_only || target.validate_only,
        scopes: scopes.and(client.scopes).and(target.scopes),
        quota: client.quota,
        origin: Origin::default(),
    })
}

fn now_s() -> i64 {
    clock::now_us() / 1_000_000
}
