//! Authorities and certificates, as PEM files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, SanType,
};

/// An authority whose certificate is in a file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl Authority {
    pub fn new(dir: &Path, name: &str) -> Self {
        Self::with(named(name), dir, name)
    }

    pub fn with(mut params: CertificateParams, dir: &Path, name: &str) -> Self {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = dir.join(format!("{name}.crt"));
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// A certificate of the daemon in `NAME.crt` and `NAME.key`.
    pub fn server(&self, dir: &Path, name: &str) -> Pair {
        let mut params = named(name);
        let dns = SanType::DnsName("localhost".try_into().unwrap());
        params.subject_alt_names = vec![dns, SanType::IpAddress([127, 0, 0, 1].into())];
        self.sign(&params, dir, name)
    }

    /// A client's certificate with a common name and these other names.
    pub fn client(&self, dir: &Path, name: &str, alternative: Vec<SanType>) -> Pair {
        let mut params = named(name);
        params.subject_alt_names = alternative;
        self.sign(&params, dir, name)
    }

    pub fn sign(&self, params: &CertificateParams, dir: &Path, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let pair = Pair::at(dir, name, made);
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        fs::write(&pair.certificate, pair.made.pem()).unwrap();
        pair
    }
}

/// A certificate and its key, in files.
pub struct Pair {
    pub made: Certificate,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pair {
    fn at(dir: &Path, name: &str, made: Certificate) -> Self {
        let [certificate, key] = ["crt", "key"].map(|end| dir.join(format!("{name}.{end}")));
        Self { made, certificate, key }
    }
}

pub fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}
