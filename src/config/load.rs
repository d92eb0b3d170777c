//! Reading the configuration: defaults, file, environment.
//!
//! The keys that exist and the types of their values are those of the serialized defaults; there
//! is no second list.

use std::{collections::HashMap, path::Path};

use config::{Environment, File, FileFormat, Source};
use serde_json::{Map, Value};

use super::{Config, Origins, check};

/// What starts the name of an environment variable that sets a key.
const ENV_PREFIX: &str = "CVRSD";
/// Stands between the parts of such a name.
const ENV_SEPARATOR: &str = "__";
/// The section whose values are never shown.
const SECRET_SECTION: &str = "auth";

/// The configuration is not usable. The process exits 64 before any port opens.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// The configuration from the file, if one is given, and the environment.
///
/// # Errors
/// When the file cannot be read, a key is unknown or a value does not fit.
pub fn load(file: Option<&Path>) -> Result<Config, Error> {
    load_with_origins(file).map(|(config, _)| config)
}

/// [`load`], and where each key that is set was set.
///
/// # Errors
/// As [`load`].
pub fn load_with_origins(file: Option<&Path>) -> Result<(Config, Origins), Error> {
    read(file, None)
}

/// [`load_with_origins`] with these variables in place of the process's own.
pub(super) fn read(
    file: Option<&Path>,
    variables: Option<HashMap<String, String>>,
) -> Result<(Config, Origins), Error> {
    let mut origins = Origins::new();
    let mut tree = defaults()?;
    let known = keys_of(&tree);
    let mut given = Vec::new();
    if let Some(path) = file {
        given.extend(from_file(path)?);
    }
    given.extend(from_environment(variables)?);
    for entry in given {
        origins.insert(entry.key.clone(), entry.origin.clone());
        entry.put(&mut tree, &known)?;
    }
    let config: Config = serde_json::from_value(tree).map_err(|e| Error(e.to_string()))?;
    check::check(&config)?;
    Ok((config, origins))
}

/// The defaults as a tree of sections and keys.
pub(super) fn defaults() -> Result<Value, Error> {
    serde_json::to_value(Config::default()).map_err(|e| Error(e.to_string()))
}

/// Every `section.key` of a tree.
pub(super) fn keys_of(tree: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    for (section, content) in tree.as_object().into_iter().flatten() {
        for key in content.as_object().into_iter().flat_map(Map::keys) {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

/// One value that somebody set.
struct Given {
    /// `section.key`, or whatever stands in its place.
    key: String,
    value: Value,
    /// Where it was set, for the error.
    origin: String,
}

impl Given {
    /// Puts the value into the tree.
    fn put(self, tree: &mut Value, known: &[String]) -> Result<(), Error> {
        let empty_section = self.value.as_object().is_some_and(Map::is_empty);
        if empty_section && tree.get(&self.key).is_some() {
            return Ok(());
        }
        let slot = match self.key.split_once('.') {
            Some((section, key)) => tree.get_mut(section).and_then(|s| s.get_mut(key)),
            None => None,
        };
        let Some(slot) = slot else {
            return Err(Error(self.unknown(known)));
        };
        *slot = typed(&self.value, slot);
        serde_json::from_value::<Config>(tree.clone())
            .map(drop)
            .map_err(|e| Error(format!("{}: {}", self.origin, self.refusal(&e.to_string()))))
    }

    /// Key, value and what is wrong with it. Of values only single ones are shown, and none of the
    /// section that holds the digests of secrets.
    fn refusal(&self, cause: &str) -> String {
        let Self { key, value, .. } = self;
        if key == SECRET_SECTION || key.starts_with(&format!("{SECRET_SECTION}.")) {
            format!("{key}: {}", without_value(cause))
        } else if value.is_array() || value.is_object() {
            format!("{key}: {cause}")
        } else {
            format!("{key} = {value}: {cause}")
        }
    }

    fn unknown(&self, known: &[String]) -> String {
        // Where the section or the key is missing, the other one alone is compared.
        let distance = |known: &&String| {
            let parts = known.split_once('.').filter(|_| !self.key.contains('.'));
            let parts = parts.map_or([known.as_str(); 2], |(section, key)| [section, key]);
            parts.map(|part| strsim::damerau_levenshtein(part, &self.key)).into_iter().min()
        };
        let nearest = known.iter().min_by_key(distance).map_or("", String::as_str);
        let Self { key, origin, .. } = self;
        format!("{origin}: unknown key {key:?}; the nearest known one is {nearest:?}")
    }
}

/// Text, which is all that an environment variable can hold, as the type of the value it replaces.
/// A key that is empty by default takes a number as one; a path of digits alone is written `./17`.
fn typed(given: &Value, replaced: &Value) -> Value {
    let (Value::String(text), false) = (given, replaced.is_string()) else {
        return given.clone();
    };
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => given.clone(),
    }
}

/// What serde says of a value, without the value: names of fields, or what was expected.
fn without_value(cause: &str) -> &str {
    let names = ["missing field ", "unknown field ", "duplicate field "];
    if names.iter().any(|start| cause.starts_with(start)) {
        return cause;
    }
    // A value may hold these words; what was expected stands behind the last ones.
    let expected = cause.rfind("expected ").and_then(|at| cause.get(at..));
    expected.unwrap_or("the value does not fit")
}

/// Where a text is no TOML and why, without the lines that quote the text.
fn without_source(cause: &str) -> String {
    let quotes = |line: &&str| {
        line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
    };
    cause.lines().filter(|line| !quotes(line)).collect::<Vec<_>>().join(": ")
}

fn from_file(path: &Path) -> Result<Vec<Given>, Error> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error(format!("cannot read configuration file {origin}: {e}")))?;
    let tree: Value = config::Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|e| Error(format!("{origin}: {}", without_source(&e.to_string()))))?;
    let mut given = Vec::new();
    for (section, content) in tree.as_object().into_iter().flatten() {
        let mut add = |key: String, value: &Value| {
            given.push(Given { key, value: value.clone(), origin: origin.clone() });
        };
        match content.as_object() {
            Some(keys) if !keys.is_empty() => {
                keys.iter().for_each(|(key, value)| add(format!("{section}.{key}"), value));
            }
            _ => add(section.clone(), content),
        }
    }
    Ok(given)
}

fn from_environment(variables: Option<HashMap<String, String>>) -> Result<Vec<Given>, Error> {
    let collected = Environment::with_prefix(ENV_PREFIX)
        .prefix_separator(ENV_SEPARATOR)
        .separator(ENV_SEPARATOR)
        .source(variables.map(|v| v.into_iter().collect()))
        .collect()
        .map_err(|e| Error(e.to_string()))?;
    let mut given = Vec::new();
    for (key, value) in collected {
        let name = key.to_uppercase().replace('.', ENV_SEPARATOR);
        let origin = format!("environment variable {ENV_PREFIX}{ENV_SEPARATOR}{name}");
        let value = value.into_string().map_err(|e| Error(format!("{origin}: {e}")))?;
        given.push(Given { key, value: Value::String(value), origin });
    }
    given.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(given)
}

#[cfg(test)]
mod tests;
