//! The configuration in force, for whoever asks the running daemon.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use serde_json::{Map, Value};

use super::{Config, Quota, Tls};

/// Stands in place of a secret.
const REDACTED: &str = "redacted";
/// A key with one of these in its name holds a secret, or what one can be found from.
const SECRETS: [&str; 3] = ["secret", "password", "headers"];
/// The origin of a log level that was set while the daemon runs.
const RUN_TIME: &str = "set at run time";

/// Where each key that somebody set was set; others have their default.
pub type Origins = BTreeMap<String, String>;

/// The configuration in force. What a reload takes over, and a level that is set at run time, show here.
#[derive(Debug)]
pub struct Effective(RwLock<State>);

#[derive(Debug)]
struct State {
    config: Config,
    origins: Origins,
    configured_level: String,
}

impl Effective {
    /// That of a start.
    #[must_use]
    pub fn new(config: Config, origins: Origins) -> Self {
        let configured_level = config.log.level.clone();
        Self(RwLock::new(State { config, origins, configured_level }))
    }

    /// The clients of that configuration are in force.
    pub fn take_clients(&self, config: &Config, origins: &Origins) {
        let mut state = self.write();
        state.config.auth.client.clone_from(&config.auth.client);
        state.take_origin("auth.client", origins);
    }

    /// The certificates of that configuration are in force, and who needs one.
    pub fn take_tls(&self, config: &Config, origins: &Origins) {
        let mut state = self.write();
        let insecure_off_loopback = state.config.tls.insecure_off_loopback;
        state.config.tls = Tls { insecure_off_loopback, ..config.tls.clone() };
        for key in ["certificate", "key", "client_ca", "client_certificate_required"] {
            state.take_origin(&format!("tls.{key}"), origins);
        }
    }

    /// Sets the level of that configuration by `set`; it is then in force.
    ///
    /// # Errors
    /// That of `set`; nothing has changed then.
    pub fn take_level<E>(
        &self,
        config: &Config,
        origins: &Origins,
        set: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.write();
        set(&config.log.level)?;
        state.config.log.level.clone_from(&config.log.level);
        state.configured_level.clone_from(&config.log.level);
        state.take_origin("log.level", origins);
        Ok(())
    }

    /// Sets a level at run time, by `set`; an empty one brings the configured one back.
    ///
    /// # Errors
    /// That of `set`; nothing has changed then.
    pub fn set_level<E>(
        &self,
        level: &str,
        set: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.write();
        let level =
            if level.is_empty() { state.configured_level.clone() } else { level.to_owned() };
        set(&level)?;
        state.config.log.level = level;
        Ok(())
    }

    /// The log level in force, and the configured one.
    #[must_use]
    pub fn levels(&self) -> (String, String) {
        let state = self.read();
        (state.config.log.level.clone(), state.configured_level.clone())
    }

    /// The quota of that client; none of a client that is not there.
    #[must_use]
    pub fn quota(&self, client: &str) -> Quota {
        let state = self.read();
        let client = state.config.auth.client.iter().find(|configured| configured.id == client);
        client.map(|client| client.quota).unwrap_or_default()
    }

    /// Every key as TOML, with its origin in a comment. Secrets and their digests are replaced.
    #[must_use]
    pub fn toml(&self) -> String {
        let state = self.read();
        let tree = serde_json::to_value(&state.config).unwrap_or_default();
        let level_is_set = state.config.log.level != state.configured_level;
        let origin = |key: &str| match state.origins.get(key) {
            _ if key == "log.level" && level_is_set => RUN_TIME,
            Some(origin) => origin,
            None => "default",
        };
        let mut text = String::new();
        for (section, keys) in tree.as_object().into_iter().flatten() {
            if let Some(keys) = keys.as_object() {
                table(&mut text, &format!("[{section}]"), section, keys, &origin);
            }
        }
        text
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_origin(&mut self, key: &str, origins: &Origins) {
        match origins.get(key) {
            Some(origin) => self.origins.insert(key.to_owned(), origin.clone()),
            None => self.origins.remove(key),
        };
    }
}

/// A table with its single values first. An origin is known of the keys of a section.
fn table<'a>(
    text: &mut String,
    heading: &str,
    path: &str,
    keys: &Map<String, Value>,
    origin: &impl Fn(&str) -> &'a str,
) {
    let blank = if text.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{blank}{heading}");
    let is_section = !path.contains('.');
    let mut below = Vec::new();
    for (key, value) in keys {
        let inner = format!("{path}.{key}");
        let from = origin(&inner).replace(char::is_control, " ");
        let from = if is_section { format!("  # {from}") } else { String::new() };
        let _ = match value {
            _ if SECRETS.iter().any(|secret| key.contains(secret)) => {
                writeln!(text, "{key} = \"{REDACTED}\"{from}")
            }
            Value::Null => writeln!(text, "# {key} is not set"),
            Value::Object(keys) => {
                below.push((format!("[{inner}]"), inner, keys));
                Ok(())
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let tables = items.iter().filter_map(Value::as_object);
                below.extend(tables.map(|keys| (format!("[[{inner}]]"), inner.clone(), keys)));
                Ok(())
            }
            // A text, number or list in JSON is one in TOML.
            value => writeln!(text, "{key} = {value}{from}"),
        };
    }
    for (heading, path, keys) in below {
        table(text, &heading, &path, keys, origin);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::{Client, load::read};

    fn effective(text: &str, variables: &[(&str, &str)]) -> Effective {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, text).unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let variables: HashMap<_, _> = variables.collect();
        let (config, origins) = read(Some(&file), Some(variables)).unwrap();
        Effective::new(config, origins)
    }

    #[test]
    fn what_is_shown_is_what_is_in_force_and_where_each_key_comes_from() {
        let text = "[engine]\nworkers = 3\n[data]\ndir = \"a \\\"b\\\"\"\n";
        let shown = effective(text, &[("CVRSD__REST__SYNC_TIMEOUT", "90s")]);
        let toml = shown.toml();
        let line = |start: &str| toml.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("workers = 3").ends_with("c.toml"), "{toml}");
        assert!(line("express_workers = 2").ends_with("# default"), "{toml}");
        assert!(line("sync_timeout").ends_with("variable CVRSD__REST__SYNC_TIMEOUT"), "{toml}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("again.toml");
        std::fs::write(&file, &toml).unwrap();
        let (again, _) = read(Some(&file), Some(HashMap::new())).unwrap();
        assert_eq!(again, shown.read().config, "{toml}");
    }

    #[test]
    fn certificates_that_a_reload_took_over_are_shown_and_what_needs_a_start_is_not() {
        let shown = effective("[tls]\ncertificate = \"a\"\nkey = \"b\"\n", &[]);
        let mut config = Config::default();
        config.tls.certificate = Some("c".into());
        config.tls.insecure_off_loopback = true;
        let origins = Origins::from([("tls.certificate".to_owned(), "another file".to_owned())]);
        shown.take_tls(&config, &origins);
        let toml = shown.toml();
        let line = |start: &str| toml.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("certificate = \"c\"").ends_with("another file"), "{toml}");
        assert!(
            line("insecure_off_loopback").starts_with("insecure_off_loopback = false"),
            "{toml}"
        );
    }

    #[test]
    fn neither_a_secret_nor_its_digest_is_shown() {
        let mut config = Config::default();
        let digest = "ab".repeat(32);
        config.auth.client = ["A", "B"]
            .map(|id| Client {
                id: id.to_owned(),
                tenant: "T".to_owned(),
                secret_sha256: Some(digest.clone()),
                certificate_names: vec!["upload.example".to_owned()],
                scopes: vec!["UPLOAD".to_owned(), "ADMIN".to_owned()],
                storages: vec!["REDACTED_DB".to_owned()],
                validate_only: true,
                act_for: Vec::new(),
                quota: Quota { uploads_max: Some(4), ..Quota::default() },
            })
            .to_vec();
        let toml = Effective::new(config, Origins::new()).toml();
        assert!(!toml.contains(&digest), "{toml}");
        let client = "[[auth.client]]\nid = \"B\"\ntenant = \"T\"\nsecret_sha256 = \"redacted\"\n\
                      certificate_names = [\"upload.example\"]\nscopes = [\"UPLOAD\",\"ADMIN\"]\n";
        assert!(toml.contains(client), "{toml}");
        assert!(
            toml.contains("\n[auth.client.quota]\nuploads_max = 4\n# jobs_queued_max is"),
            "{toml}"
        );
    }

    #[test]
    fn a_level_of_run_time_shows_until_the_configured_one_is_taken_over() {
        let effective = effective("[log]\nlevel = \"warn\"\n", &[]);
        let taken = |_: &str| Ok::<_, ()>(());
        effective.set_level("debug", taken).unwrap();
        assert_eq!(effective.levels(), ("debug".to_owned(), "warn".to_owned()));
        assert!(effective.toml().contains("level = \"debug\"  # set at run time\n"));
        assert!(effective.set_level("x", |_| Err(())).is_err());
        assert_eq!(effective.levels().0, "debug");
        effective.set_level("", taken).unwrap();
        assert_eq!(effective.levels().0, "warn");
        effective.set_level("debug", taken).unwrap();
        effective.take_level(&Config::default(), &Origins::new(), taken).unwrap();
        assert_eq!(effective.levels(), ("info".to_owned(), "info".to_owned()));
        assert!(effective.toml().contains("level = \"info\"  # default\n"));
    }
}
