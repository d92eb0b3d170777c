//! Files as they may be found.

use std::{fs, path::PathBuf};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;
use crate::{config, limits::CERTIFICATE_FILE_BYTES_MAX};

struct Files {
    dir: TempDir,
    config: config::Tls,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| Some(dir.path().join(name));
        let config = config::Tls {
            certificate: at("server.crt"),
            key: at("server.key"),
            client_ca: at("clients.crt"),
            ..config::Tls::default()
        };
        let files = Self { dir, config };
        files.write("", 2_090);
        files
    }

    /// Writes a pair, good until that year, and authorities; the names begin like that.
    fn write(&self, prefix: &str, year: i32) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(self.at(&format!("{prefix}server.crt")), &pem).unwrap();
        fs::write(self.at(&format!("{prefix}server.key")), key.serialize_pem()).unwrap();
        fs::write(self.at(&format!("{prefix}clients.crt")), &pem).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn refused(&self) -> String {
        Tls::open(&self.config).unwrap_err().to_string()
    }
}

#[test]
fn a_pair_is_taken_with_authorities_and_without() {
    let mut files = Files::new();
    let tls = Tls::open(&files.config).unwrap().unwrap();
    assert_eq!(tls.files(), ["server.crt", "server.key", "clients.crt"].map(|n| files.at(n)));
    files.config.client_ca = None;
    files.config.client_certificate_required = false;
    let tls = Tls::open(&files.config).unwrap().unwrap();
    assert_eq!(tls.files(), ["server.crt", "server.key"].map(|n| files.at(n)));
    assert!(Tls::open(&config::Tls::default()).unwrap().is_none());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_key_and_name_and_nothing_of_its_content() {
    let files = Files::new();
    files.write("other.", 2_090);
    let key = fs::read_to_string(files.at("server.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let certificate = fs::read_to_string(files.at("server.crt")).unwrap();
    let cut = |pem: &str| pem.lines().take(2).collect::<Vec<_>>().join("\n");
    let garbled = key.replace(secret, &format!("{}!", &secret[1..]));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let other = fs::read_to_string(files.at("other.server.key")).unwrap();
    let endless = "\n".repeat(usize::try_from(CERTIFICATE_FILE_BYTES_MAX).unwrap() + 1);
    let no_der = certificate.replace(certificate.lines().nth(1).unwrap(), "AAAA");
    for (name, content, told) in [
        ("server.crt", "", "tls.certificate: "),
        ("server.crt", &key, "no certificate"),
        ("server.crt", &cut(&certificate), "not PEM"),
        ("server.crt", &no_der, "no certificate"),
        ("server.crt", &endless, "more than 1048576 bytes"),
        ("server.key", "", "tls.key: "),
        ("server.key", &certificate, "no private key"),
        ("server.key", &cut(&key), "no private key"),
        ("server.key", &garbled, "tls.key: "),
        ("server.key", &encrypted, "encrypted"),
        ("server.key", &other, "is not the one of the certificate"),
        ("clients.crt", "", "tls.client_ca: "),
        ("clients.crt", &key, "no certificate"),
        ("clients.crt", &no_der, "tls.client_ca: "),
    ] {
        let good = fs::read(files.at(name)).unwrap();
        fs::write(files.at(name), content).unwrap();
        let error = files.refused();
        assert!(error.contains(told), "{told}: {error}");
        assert!(error.contains(files.at(name).to_str().unwrap()), "{error}");
        assert!(!error.contains(&secret[2..]), "{error}");
        fs::remove_file(files.at(name)).unwrap();
        let error = files.refused();
        assert!(error.contains("cannot read") && error.contains("No such file"), "{error}");
        fs::write(files.at(name), good).unwrap();
    }
}

#[test]
fn what_cannot_be_taken_anew_leaves_what_is_in_force() {
    let mut files = Files::new();
    files.write("expired.", 2_020);
    let tls = Tls::open(&files.config).unwrap().unwrap();
    let before = tls.files();
    let mut expired = files.config.clone();
    expired.certificate = Some(files.at("expired.server.crt"));
    expired.key = Some(files.at("expired.server.key"));
    let error = tls.reload(&expired).unwrap_err().to_string();
    assert!(error.contains("it expired at 2020-01-01T00:00:00Z"), "{error}");
    assert!(matches!(tls.reload(&config::Tls::default()), Err(Error::Mode)));
    let mut missing = files.config.clone();
    missing.key = Some(files.at("none"));
    assert!(tls.reload(&missing).is_err());
    assert_eq!(tls.files(), before);

    files.write("new.", 2_091);
    files.config.certificate = Some(files.at("new.server.crt"));
    files.config.key = Some(files.at("new.server.key"));
    tls.reload(&files.config).unwrap();
    assert_eq!(tls.files()[0], files.at("new.server.crt"));
    fs::remove_file(files.at("new.server.key")).unwrap();
    assert!(tls.renew().is_err());
    // It can be started with, so that a daemon comes up while its certificate is being seen to.
    assert!(Tls::open(&expired).unwrap().is_some());
}
