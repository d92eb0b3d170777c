//! What a certificate says: whom it names and until when it is good.

use rustls::pki_types::CertificateDer;
use x509_parser::{
    error::X509Error,
    extensions::GeneralName,
    nom,
    prelude::{FromDer, X509Certificate},
};

use crate::auth::Certificate;

/// When a certificate expires, in seconds since the Unix epoch.
///
/// # Errors
/// When it is not X.509.
pub(super) fn expiry(der: &CertificateDer<'_>) -> Result<i64, nom::Err<X509Error>> {
    let (_, certificate) = X509Certificate::from_der(der)?;
    Ok(certificate.validity().not_after.timestamp())
}

/// Whom a verified client certificate names: the DNS names and URIs of its subject alternative names or,
/// where it has neither, its subject's common names.
///
/// # Errors
/// When it is not X.509.
pub(super) fn client(der: &CertificateDer<'_>) -> Result<Certificate, nom::Err<X509Error>> {
    let (_, certificate) = X509Certificate::from_der(der)?;
    let alternative = certificate.subject_alternative_name()?;
    let alternative = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let mut names: Vec<String> = alternative
        .filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        let common = certificate.subject().iter_common_name();
        names = common.filter_map(|name| name.as_str().ok()).map(str::to_owned).collect();
    }
    Ok(Certificate { names, expires_s: certificate.validity().not_after.timestamp() })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn made(common_name: &str, alternative: Vec<SanType>) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = alternative;
        params.not_after = date_time_ymd(2031, 2, 3);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(expiry(made.der()).unwrap(), 1_927_843_200);
        client(made.der()).unwrap()
    }

    #[test]
    fn the_common_name_counts_only_without_a_dns_name_or_uri() {
        let dns = || SanType::DnsName("a.example".try_into().unwrap());
        let uri = || SanType::URI("spiffe://x/a".try_into().unwrap());
        let mail = || SanType::Rfc822Name("a@b.example".try_into().unwrap());
        let address = || SanType::IpAddress([127, 0, 0, 1].into());
        for (alternative, names) in [
            (vec![], &["Acme"][..]),
            (vec![mail(), address()], &["Acme"]),
            (vec![dns()], &["a.example"]),
            (vec![mail(), uri(), dns()], &["spiffe://x/a", "a.example"]),
        ] {
            let found = made("Acme", alternative);
            assert_eq!(found.names, names);
            assert_eq!(found.expires_s, 1_927_843_200);
        }
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert!(client(&CertificateDer::from(vec![0x30, 0x80])).is_err());
        assert!(expiry(&CertificateDer::from(Vec::new())).is_err());
    }
}
