//! Certificates and keys out of PEM files.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::limits::CERTIFICATE_FILE_BYTES_MAX;

/// A file of the section `tls` is not usable. Says the key and the file, and nothing that it holds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{0}: cannot read {1}: {2}")]
    Io(&'static str, PathBuf, io::Error),
    /// It does not hold what it should.
    #[error("{0}: {1}: {2}")]
    Content(&'static str, PathBuf, String),
    /// Key and certificate do not belong together.
    #[error("tls.key: the key in {key} is not the one of the certificate in {certificate}")]
    Mismatch {
        /// File of the key.
        key: PathBuf,
        /// File of the certificate.
        certificate: PathBuf,
    },
    /// A reload would turn TLS on or off.
    #[error("whether there is TLS counts from the next start")]
    Mode,
}

/// The certificates of a file, at least one. Blocks.
///
/// # Errors
/// When it cannot be read, or something in it is no certificate.
pub(super) fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(key, path)?;
    let content = |what: &str| Error::Content(key, path.to_owned(), what.to_owned());
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(content("it holds no certificate in PEM")),
        Err(_) => Err(content("it is not PEM, or cut short")),
    }
}

/// The certificates of a file as those that others are held to. Blocks.
///
/// # Errors
/// When it cannot be read, or something in it is no certificate of an authority.
pub(super) fn authorities(key: &'static str, path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path)? {
        let added = roots.add(certificate);
        added.map_err(|e| Error::Content(key, path.to_owned(), e.to_string()))?;
    }
    Ok(roots)
}

/// The private key of a file. Blocks.
///
/// # Errors
/// When it cannot be read, or holds no private key.
pub(super) fn private_key(key: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    // The parser's own words could quote the key.
    PrivateKeyDer::from_pem_slice(&read(key, path)?).map_err(|_| {
        let text = "it holds no private key in PEM; an encrypted one cannot be read";
        Error::Content(key, path.to_owned(), text.to_owned())
    })
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    let io = |e| Error::Io(key, path.to_owned(), e);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    let read = file.take(CERTIFICATE_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if read as u64 > CERTIFICATE_FILE_BYTES_MAX {
        let text = format!("it has more than {CERTIFICATE_FILE_BYTES_MAX} bytes");
        return Err(Error::Content(key, path.to_owned(), text));
    }
    Ok(bytes)
}
