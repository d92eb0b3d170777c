//! The name of an entry. It is never used as a path; what is odd about it tells of a zip that was
//! not made for this, or was made to mislead.

use crate::error::{Code, Error};

/// Refuses every name but a plain one.
pub(super) fn check(name: &[u8]) -> Result<(), Error> {
    if is_mac(name) {
        return Err(mac_files());
    }
    let Ok(name) = str::from_utf8(name) else {
        return Err(odd("is not UTF-8"));
    };
    if name.is_empty() {
        return Err(odd("is empty"));
    }
    if name.contains(char::is_control) {
        return Err(odd("has control characters"));
    }
    if name.contains('\\') {
        return Err(odd("has a backslash"));
    }
    if name.starts_with('/') {
        return Err(odd("starts with a slash"));
    }
    if name.split('/').any(|part| part == "..") {
        return Err(odd("has `..` in it"));
    }
    if name.contains('/') {
        return Err(folder());
    }
    Ok(())
}

/// Whether macOS put this beside the file that was meant.
pub(super) fn is_mac(name: &[u8]) -> bool {
    name.split(|b| matches!(b, b'/' | b'\\')).any(|part| {
        part.eq_ignore_ascii_case(b"__MACOSX") || part.eq_ignore_ascii_case(b".DS_Store")
    })
}

/// Whether the name is of a folder or of a file in one.
pub(super) fn is_in_folder(name: &[u8]) -> bool {
    name.contains(&b'/')
}

pub(super) fn mac_files() -> Error {
    Error::new(Code::ZipMacFiles, "the zip holds __MACOSX or .DS_Store; zip the text file alone")
}

pub(super) fn folder() -> Error {
    Error::new(Code::ZipFolder, "the zip holds a folder; zip the text file alone")
}

fn odd(what: &str) -> Error {
    Error::new(Code::ZipName, format!("the name of the zip's entry {what}"))
}
