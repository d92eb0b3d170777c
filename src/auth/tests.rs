//! Tokens from end to end, without a face.

use std::time::Duration;

use super::{clients::tests::configured, *};
use crate::domain::{Storage, StorageSet, Tenant};

struct Bench {
    _dir: tempfile::TempDir,
    config: config::Auth,
    authenticator: Authenticator,
}

/// Client `a` of tenant `t` acts for `b` of tenant `u`, which is redacted, validates only and may
/// only delete.
fn bench(change: impl FnOnce(&mut config::Auth)) -> Bench {
    let a = config::Client { act_for: vec!["b".to_owned()], ..configured("a", "t") };
    let b = config::Client {
        scopes: vec!["DELETE".to_owned()],
        storages: vec!["REDACTED_DB".to_owned()],
        validate_only: true,
        ..configured("b", "u")
    };
    let mut config = config::Auth { mode: AuthMode::Token, ..config::Auth::default() };
    config.client = vec![a, b];
    change(&mut config);
    let dir = tempfile::tempdir().unwrap();
    let authenticator = Authenticator::open(&config, dir.path(), audit::Log::default()).unwrap();
    Bench { _dir: dir, config, authenticator }
}

fn request(client: &str, on_behalf_of: Option<&str>, scopes: &[Scope]) -> Request {
    Request {
        client: client.to_owned(),
        secret: client.to_owned(),
        on_behalf_of: on_behalf_of.map(str::to_owned),
        scopes: scopes.iter().copied().collect(),
    }
}

impl Bench {
    async fn token(&self, client: &str, scopes: &[Scope]) -> String {
        self.authenticator.issue(&request(client, None, scopes)).await.unwrap().token
    }

    async fn refused(&self, request: Request) -> Code {
        self.authenticator.issue(&request).await.unwrap_err().code
    }

    fn let_in(&self, authorization: &str) -> Result<Principal, Code> {
        self.authenticator.authenticate(Some(authorization), None).map_err(|e| e.code)
    }
}

#[tokio::test]
async fn without_authentication_every_caller_is_the_local_tenant_with_both_storages() {
    let dir = tempfile::tempdir().unwrap();
    let authenticator =
        Authenticator::open(&config::Auth::default(), dir.path(), audit::Log::default()).unwrap();
    for authorization in [None, Some(""), Some("Bearer whatever")] {
        let caller = authenticator.authenticate(authorization, None).unwrap();
        assert_eq!(caller.tenant, Tenant::local());
        assert_eq!(caller.client, "local");
        assert_eq!(caller.storages, StorageSet::ALL);
        assert_eq!(caller.scopes, ScopeSet::ALL);
        assert!(!caller.validate_only);
    }
    assert!(authenticator.is_off());
    let before = now_s();
    let asked = request("a", Some("b"), &[Scope::Upload]);
    let mut tokens = vec![authenticator.issue(&asked).await.unwrap()];
    for sent in [None, Some("x"), Some(tokens[0].token.clone().as_str())] {
        tokens.push(authenticator.refresh(sent, None).await.unwrap());
    }
    for issued in &tokens {
        assert!((before + 900..=now_s() + 900).contains(&issued.expiration_s));
        assert_eq!(clients::unhex(&issued.token).map(|b| b.len()), Some(32));
        assert_eq!(tokens.iter().filter(|t| t.token == issued.token).count(), 1);
        assert!(!format!("{issued:?}").contains(&issued.token));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no key is made");
}

#[tokio::test]
async fn a_token_lets_its_client_in_raw_or_as_bearer_in_any_case() {
    let bench = bench(|_| {});
    let token = bench.token("a", &[Scope::Upload]).await;
    for sent in [&token, &format!("Bearer {token}"), &format!("bEARER  {token}")] {
        let caller = bench.let_in(sent).unwrap();
        assert_eq!((caller.client.as_str(), caller.tenant.as_str()), ("a", "t"));
        assert_eq!(caller.scopes, ScopeSet::from_iter([Scope::Upload]));
        assert_eq!(caller.storages, StorageSet::ALL);
    }
    for sent in ["", " ", "Bearer", "Bearer "] {
        assert_eq!(bench.let_in(sent), Err(Code::TokenMissing), "{sent:?}");
    }
    assert_eq!(bench.let_in(&format!("Basic {token}")), Err(Code::TokenInvalid));
    let none = bench.authenticator.authenticate(None, None).unwrap_err();
    assert_eq!(none.code, Code::TokenMissing);
}

#[tokio::test]
async fn what_a_client_has_not_is_not_issued() {
    let bench = bench(|_| {});
    for (client, secret) in [("a", "b"), ("nobody", "nobody")] {
        let wrong =
            Request { secret: secret.to_owned(), ..request(client, None, &[Scope::Upload]) };
        let error = bench.authenticator.issue(&wrong).await.unwrap_err();
        assert_eq!(error.code, Code::ClientUnknown);
        assert_eq!(error.message, "the client id or the secret is wrong");
    }
    assert_eq!(bench.refused(request("a", None, &[Scope::ExportRedacted])).await, Code::Scope);
    assert_eq!(
        bench.refused(request("b", None, &[Scope::Delete, Scope::Upload])).await,
        Code::Scope
    );
    let behalf = [("a", "nobody"), ("b", "a"), ("a", "a")];
    for (client, other) in behalf {
        let code = bench.refused(request(client, Some(other), &[Scope::Delete])).await;
        assert_eq!(code, Code::OnBehalf, "{client} for {other}");
    }
    assert_eq!(bench.refused(request("a", Some("b"), &[Scope::Upload])).await, Code::Scope);
}

#[tokio::test]
async fn on_behalf_of_another_its_tenant_counts_and_what_it_may_not_do() {
    let bench = bench(|_| {});
    let asked = request("a", Some("b"), &[Scope::Delete]);
    let token = bench.authenticator.issue(&asked).await.unwrap().token;
    let refreshed = bench.authenticator.refresh(Some(&token), None).await.unwrap().token;
    for token in [token, refreshed] {
        let caller = bench.let_in(&token).unwrap();
        assert_eq!((caller.client.as_str(), caller.tenant.as_str()), ("a", "u"));
        assert_eq!(caller.storages, StorageSet::from_iter([Storage::Redacted]));
        assert_eq!(caller.scopes, ScopeSet::from_iter([Scope::Delete]));
        assert!(caller.validate_only);
    }
}

#[tokio::test]
async fn acting_for_another_never_widens_what_either_may_touch() {
    const BOTH: &[&str] = &["NON_REDACTED_DB", "REDACTED_DB"];
    const FULL: &[&str] = &["NON_REDACTED_DB"];
    const REDACTED: &[&str] = &["REDACTED_DB"];
    let names = |given: &[&str]| given.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    for (own, theirs, common) in [
        (BOTH, BOTH, BOTH),
        (BOTH, REDACTED, REDACTED),
        (REDACTED, BOTH, REDACTED),
        (FULL, BOTH, FULL),
        (FULL, FULL, FULL),
        (FULL, REDACTED, &[]),
        (REDACTED, FULL, &[]),
    ] {
        for (own_only, their_only) in [(false, false), (true, false), (false, true), (true, true)] {
            let bench = bench(|_| {});
            let asked = request("a", Some("b"), &[Scope::Delete]);
            let token = bench.authenticator.issue(&asked).await.unwrap().token;
            let mut config = bench.config.clone();
            config.client[0].storages = names(own);
            config.client[1].storages = names(theirs);
            config.client[0].validate_only = own_only;
            config.client[1].validate_only = their_only;
            bench.authenticator.reload(&config, Authorities::Current).unwrap();
            let issued = bench.authenticator.issue(&asked).await;
            if common.is_empty() {
                assert_eq!(issued.unwrap_err().code, Code::OnBehalf);
                assert_eq!(bench.let_in(&token), Err(Code::TokenInvalid));
                continue;
            }
            for token in [token, issued.unwrap().token] {
                let caller = bench.let_in(&token).unwrap();
                let found: Vec<_> = caller.storages.iter().map(Storage::as_str).collect();
                assert_eq!(found, common, "{own:?} {theirs:?}");
                assert_eq!(caller.validate_only, own_only || their_only);
            }
        }
    }
}

type Change = fn(&mut config::Auth);

#[tokio::test]
async fn a_reload_ends_tokens_of_clients_that_are_gone_or_have_another_secret() {
    let bench = bench(|_| {});
    let (a, b) =
        (bench.token("a", &[Scope::Upload]).await, bench.token("b", &[Scope::Delete]).await);
    let asked = request("a", Some("b"), &[Scope::Delete]);
    let behalf = bench.authenticator.issue(&asked).await.unwrap().token;
    let changes: [(Change, [bool; 3]); 5] = [
        (|_| {}, [true, true, true]),
        (|c| c.client[1].secret_sha256 = Some("0".repeat(64)), [true, false, true]),
        (|c| c.client[0].act_for.clear(), [true, true, false]),
        (|c| c.client[0].secret_sha256 = Some("0".repeat(64)), [false, true, false]),
        (|c| drop(c.client.remove(0)), [false, true, false]),
    ];
    for (n, (change, good)) in changes.into_iter().enumerate() {
        let mut config = bench.config.clone();
        change(&mut config);
        bench.authenticator.reload(&config, Authorities::Current).unwrap();
        let found = [&a, &b, &behalf].map(|token| bench.let_in(token).is_ok());
        assert_eq!(found, good, "change {n}");
    }
    bench.authenticator.reload(&bench.config, Authorities::Current).unwrap();
    assert!(bench.let_in(&a).is_ok());
}

#[tokio::test]
async fn a_scope_that_is_taken_away_is_gone_from_live_tokens() {
    let bench = bench(|_| {});
    let token = bench.token("a", &[Scope::Upload, Scope::Delete]).await;
    let mut config = bench.config.clone();
    config.client[0].scopes = vec!["UPLOAD".to_owned()];
    bench.authenticator.reload(&config, Authorities::Current).unwrap();
    assert_eq!(bench.let_in(&token).unwrap().scopes, ScopeSet::from_iter([Scope::Upload]));
}

#[tokio::test]
async fn a_reload_that_cannot_be_changes_nothing() {
    let bench = bench(|_| {});
    let token = bench.token("a", &[Scope::Upload]).await;
    let mut broken = bench.config.clone();
    broken.client[1].tenant.clear();
    broken.client.remove(0);
    assert!(bench.authenticator.reload(&broken, Authorities::Current).is_err());
    let off = config::Auth { mode: AuthMode::None, ..bench.config.clone() };
    assert!(matches!(bench.authenticator.reload(&off, Authorities::Current), Err(OpenError::Mode)));
    assert!(bench.let_in(&token).is_ok());
}

#[tokio::test]
async fn a_chain_is_refreshed_until_its_first_token_is_too_old() {
    let bench = bench(|config| config.refresh_max = Duration::from_hours(1));
    let Mode::On(tokens) = &bench.authenticator.mode else { panic!("tokens are off") };
    let claims = tokens.claims(&request("a", None, &[Scope::Upload])).unwrap();
    for (age_s, refreshed) in [(3_598, true), (3_602, false)] {
        let first = now_s() - age_s;
        let token = tokens.sign(claims.clone(), Some(first)).await.unwrap().token;
        assert!(bench.let_in(&token).is_ok());
        let again = bench.authenticator.refresh(Some(&token), None).await;
        assert_eq!(again.is_ok(), refreshed, "{age_s}");
        match again {
            Ok(issued) => {
                let (_, claims) = tokens.let_in(&issued.token, None, now_s()).unwrap();
                assert_eq!(claims.first, first);
                assert_eq!(claims.exp - claims.iat, 900);
            }
            Err(error) => assert_eq!(error.code, Code::TokenExpired),
        }
    }
}

#[tokio::test]
async fn calls_above_the_quota_of_a_second_are_refused() {
    let bench = bench(|config| config.client[0].quota.requests_per_s = Some(3));
    let token = bench.token("a", &[Scope::Upload]).await;
    let codes: Vec<_> = (0..20).map(|_| bench.let_in(&token).map(drop)).collect();
    assert!(codes.first().unwrap().is_ok());
    assert_eq!(codes.last().unwrap(), &Err(Code::QuotaRequests));
    assert_eq!(bench.refused(request("a", None, &[Scope::Upload])).await, Code::QuotaRequests);
    let other = bench.token("b", &[Scope::Delete]).await;
    assert!((0..20).all(|_| bench.let_in(&other).is_ok()));
}

/// What a verified certificate with these names says, good for another hour.
fn certificate(names: &[&str]) -> Certificate {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Certificate { names, expires_s: now_s() + 3_600 }
}

/// Client `a` has certificates and a secret, client `b` certificates alone.
fn bench_with_certificates() -> Bench {
    bench(|config| {
        config.client[0].certificate_names = vec!["a.example".to_owned()];
        config.client[1].certificate_names = vec!["b.example".to_owned()];
        config.client[1].secret_sha256 = None;
    })
}

#[tokio::test]
async fn a_certificate_is_its_client_with_all_that_the_client_may() {
    let bench = bench_with_certificates();
    for sent in [None, Some(""), Some("Bearer ")] {
        let by_name = |name| bench.authenticator.authenticate(sent, Some(&certificate(&[name])));
        let a = by_name("A.example").unwrap();
        assert_eq!((a.client.as_str(), a.tenant.as_str()), ("a", "t"));
        assert_eq!(a.scopes, ScopeSet::from_iter([Scope::Upload, Scope::Update, Scope::Delete]));
        let b = by_name("b.example").unwrap();
        assert_eq!((b.client.as_str(), b.tenant.as_str()), ("b", "u"));
        assert_eq!(b.storages, StorageSet::from_iter([Storage::Redacted]));
        assert!(b.validate_only);
        assert_eq!(by_name("c.example").unwrap_err().code, Code::CertificateInvalid);
    }
    let both = certificate(&["a.example", "b.example"]);
    let refused = bench.authenticator.authenticate(None, Some(&both)).unwrap_err();
    assert_eq!(refused.code, Code::CertificateInvalid, "it names two clients");
    let no_token = bench.refused(request("b", None, &[Scope::Delete])).await;
    assert_eq!(no_token, Code::ClientUnknown, "without a secret there is no token");
}

#[tokio::test]
async fn a_certificate_is_good_until_it_expires_and_its_client_is_gone() {
    let bench = bench_with_certificates();
    let good = certificate(&["a.example"]);
    let code = |certificate: &Certificate| {
        let found = bench.authenticator.authenticate(None, Some(certificate));
        found.map(|caller| caller.client).map_err(|error| error.code)
    };
    let expired = Certificate { expires_s: now_s() - 1, ..good.clone() };
    assert_eq!(code(&expired), Err(Code::CertificateInvalid));
    assert_eq!(code(&good), Ok("a".to_owned()));
    let mut config = bench.config.clone();
    config.client.remove(0);
    bench.authenticator.reload(&config, Authorities::Current).unwrap();
    assert_eq!(code(&good), Err(Code::CertificateInvalid));
}

#[tokio::test]
async fn a_token_beside_a_certificate_counts_where_it_is_the_same_clients() {
    let bench = bench_with_certificates();
    let token = bench.token("a", &[Scope::Upload]).await;
    let asked = request("a", Some("b"), &[Scope::Delete]);
    let behalf = bench.authenticator.issue(&asked).await.unwrap().token;
    let with = |token: &str, name| {
        let certificate = certificate(&[name]);
        let found = bench.authenticator.authenticate(Some(token), Some(&certificate));
        found.map_err(|error| error.code)
    };
    for name in ["a.example", "nobody.example"] {
        let caller = with(&token, name).unwrap();
        assert_eq!(caller.client, "a");
        assert_eq!(caller.scopes, ScopeSet::from_iter([Scope::Upload]), "the token's alone");
        assert_eq!(with(&behalf, name).unwrap().tenant.as_str(), "u");
        assert_eq!(with("wrong", name), Err(Code::TokenInvalid));
    }
    for token in [&token, &behalf] {
        assert_eq!(with(token, "b.example"), Err(Code::CertificateMismatch));
        let other = certificate(&["b.example"]);
        let refused = bench.authenticator.refresh(Some(token), Some(&other)).await.unwrap_err();
        assert_eq!(refused.code, Code::CertificateMismatch);
    }
    let own = certificate(&["a.example"]);
    assert!(bench.authenticator.refresh(Some(&token), Some(&own)).await.is_ok());
    let refused = bench.authenticator.refresh(None, Some(&own)).await.unwrap_err();
    assert_eq!(refused.code, Code::TokenMissing, "a certificate is no token to refresh");
}

#[tokio::test]
async fn calls_by_certificate_count_against_the_quota_of_a_second() {
    let bench = bench(|config| {
        config.client[0].certificate_names = vec!["a.example".to_owned()];
        config.client[0].quota.requests_per_s = Some(3);
    });
    let own = certificate(&["a.example"]);
    let call = || bench.authenticator.authenticate(None, Some(&own)).map_err(|e| e.code);
    let codes: Vec<_> = (0..20).map(|_| call().map(drop)).collect();
    assert!(codes.first().unwrap().is_ok());
    assert_eq!(codes.last().unwrap(), &Err(Code::QuotaRequests));
}
