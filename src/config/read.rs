//! From a file's text, or from the words of a command, to a checked value; faults get their file, line and column.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check;
use super::error::{ConfigError, Fault, Misplaced, Place, Step};
use super::raw::{self, Kind, RawConfig, RawPort};
use super::{Config, KeyPath, PortSpec};

/// Most bytes of a config file.
const MOST: u64 = 16 << 20;

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let unreadable = |why: String| ConfigError {
            place: Place { file: Some(path.to_owned()), ..Place::default() },
            fault: Box::new(Fault::Unreadable(why)),
        };
        // Pipes are fine, devices that never end are not.
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text));
        read.map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > MOST {
            return Err(unreadable(format!("it is longer than {} MiB", MOST >> 20)));
        }
        Self::from_toml(&text, path)
    }

    /// Reads and checks the text of a file. `path` names it in errors, and a relative `flows.file` is taken from its
    /// folder; it is not opened.
    pub fn from_toml(text: &str, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let table = DeTable::parse(text).map_err(|error| ConfigError {
            place: Place {
                file: Some(path.to_owned()),
                at: error.span().map(|span| line_and_column(text, span.start)),
                key: KeyPath::default(),
            },
            fault: Box::new(Fault::Syntax(error.message().trim().replace('\n', "; "))),
        })?;
        tables_are_tables(table.get_ref(), RawConfig::KEYS)
            .and_then(|()| raw::deserialize(toml::de::Deserializer::from(table.clone()), RawConfig::KEYS))
            .and_then(|raw: RawConfig| check::config(raw, path))
            .map_err(|Misplaced { path: key, fault }| ConfigError {
                place: Place {
                    file: Some(path.to_owned()),
                    at: Some(line_and_column(text, find(&table, &key, &fault))),
                    key: KeyPath(key),
                },
                fault: Box::new(fault),
            })
    }
}

impl PortSpec {
    /// A port from the words of `millrace port add NAME KEY=VALUE…`: the keys of `[[port]]`, read by the same code.
    pub fn from_pairs<'a>(
        name: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        port_from_pairs(name, pairs).map_err(of_a_key)
    }

    /// The name of a logical port, as `port set` gets it.
    pub fn read_iface_id(text: &str) -> Result<String, ConfigError> {
        check::iface_id(text.to_owned()).map_err(of_a_key)
    }
}

fn of_a_key(Misplaced { path, fault }: Misplaced) -> ConfigError {
    ConfigError { place: Place { key: KeyPath(path), ..Place::default() }, fault: Box::new(fault) }
}

fn port_from_pairs<'a>(
    name: &str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<PortSpec, Misplaced> {
    let mut table = toml::Table::new();
    for (key, value) in pairs {
        if key == "name" {
            return Err(Misplaced::here(Fault::NameAmongKeys));
        }
        if table.insert(key.to_owned(), typed(key, value)).is_some() {
            let fault = Fault::Twice { what: format!("`{key}`"), mend: "give every key once" };
            return Err(Misplaced::here(fault));
        }
    }
    table.insert("name".to_owned(), toml::Value::String(name.to_owned()));
    check::port(raw::deserialize(table, RawPort::KEYS)?)
}

/// A word as the TOML value its key wants; where it cannot be one it stays a text, which is refused as one.
fn typed(key: &str, value: &str) -> toml::Value {
    let kind = RawPort::KEYS.iter().find(|(name, _)| *name == key).map(|(_, kind)| *kind);
    let value_of_kind = match kind {
        Some(Kind::Number) => value.parse().ok().map(toml::Value::Integer),
        Some(Kind::Flag) => value.parse().ok().map(toml::Value::Boolean),
        _ => None,
    };
    value_of_kind.unwrap_or_else(|| toml::Value::String(value.to_owned()))
}

/// Refuses lists in the place of tables, which would be read as the values of their keys, in the order of the keys.
fn tables_are_tables(top: &DeTable<'_>, keys: raw::Keys) -> Result<(), Misplaced> {
    for (key, kind) in keys {
        let Some((_, value)) = entry(top, key) else { continue };
        let DeValue::Array(list) = value.get_ref() else { continue };
        let odd = list.iter().position(|value| !matches!(value.get_ref(), DeValue::Table(_)));
        let (wanted, found, index) = match (kind, odd) {
            (Kind::Table(_), _) => (format!("one table, under [{key}]"), "a list", None),
            (Kind::Tables(_), Some(index)) => {
                (format!("a table, under [[{key}]]"), "a value of another type", Some(index))
            }
            _ => continue,
        };
        let path = [Step::Key((*key).to_owned())].into_iter().chain(index.map(Step::Index)).collect();
        return Err(Misplaced { path, fault: Fault::WrongType { wanted, found: found.to_owned() } });
    }
    Ok(())
}

/// Where in the text the value of a key stands; the key itself where the key is what is wrong; the nearest table
/// around it where there is neither.
fn find(top: &Spanned<DeTable<'_>>, path: &[Step], fault: &Fault) -> usize {
    let key_is_wrong =
        matches!(fault, Fault::Misspelt { .. } | Fault::UnknownKey { .. } | Fault::Foreign { .. });
    let mut at = top.span().start;
    let mut value: Option<&Spanned<DeValue<'_>>> = None;
    for (index, step) in path.iter().enumerate() {
        let last = index + 1 == path.len();
        let next = match (step, value.map(Spanned::get_ref)) {
            (Step::Key(key), None) => entry(top.get_ref(), key),
            (Step::Key(key), Some(DeValue::Table(table))) => entry(table, key),
            (Step::Index(element), Some(DeValue::Array(list))) => {
                list.get(*element).map(|value| (value.span().start, value))
            }
            _ => None,
        };
        let Some((key_at, next)) = next else { break };
        at = if last && key_is_wrong { key_at } else { next.span().start };
        value = Some(next);
    }
    at
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<(usize, &'t Spanned<DeValue<'i>>)> {
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some((name.span().start, value))
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}
