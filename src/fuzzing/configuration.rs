//! A configuration file.

use std::fs;

use crate::{
    auth::Clients,
    config::{self, Config},
};

/// A configuration that loads is one that can be written down and read again.
pub fn configuration(data: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), data).unwrap();
    match config::load(Some(file.path())) {
        Ok(config) => {
            let again: Config =
                serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
            assert_eq!(again, config);
            // Clients are looked at when the daemon starts.
            if let Err(error) = Clients::new(&config.auth.client) {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
