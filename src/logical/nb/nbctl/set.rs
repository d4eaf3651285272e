//! What several commands have in common: words with one meaning, sets of rows, and pairs of key and value.

use std::collections::BTreeSet;

use super::address;
use super::context::Context;
use super::error::NbctlError;
use crate::logical::nb::tables::Table;
use crate::logical::nb::{Row, Uuid};
use crate::logical::rows::tables::Pairs;

/// Pairs from words such as `key=value`. A word without `=` means nothing; of a key that is there twice the lesser value
/// counts.
pub fn pairs(words: &[String]) -> Pairs {
    let mut pairs = Pairs::new();
    for (key, value) in words.iter().filter_map(|word| word.split_once('=')) {
        put_pair(&mut pairs, key, value);
    }
    pairs
}

/// Enters a pair, unless there is one with a lesser value.
pub fn put_pair(pairs: &mut Pairs, key: &str, value: &str) {
    let slot = pairs.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    if value < slot.as_str() {
        value.clone_into(slot);
    }
}

/// Words as a set.
pub fn words(words: &[String]) -> BTreeSet<String> {
    words.iter().cloned().collect()
}

/// A direction, of which the first letter is enough.
pub fn direction(written: &str) -> Result<&'static str, NbctlError> {
    match written.chars().next() {
        Some('t') => Ok("to-lport"),
        Some('f') => Ok("from-lport"),
        _ => Err(NbctlError::value(written, "is no direction; write from-lport or to-lport")),
    }
}

/// A priority.
pub fn priority(written: &str) -> Result<u16, NbctlError> {
    let number = address::number(written).and_then(|number| u16::try_from(number).ok());
    let bad = || NbctlError::value(written, "is no priority; write a number from 0 to 32767");
    number.filter(|number| *number <= 32_767).ok_or_else(bad)
}

/// A number within bounds.
pub fn within(written: &str, what: &str, least: u32, most: u32) -> Result<u32, NbctlError> {
    let number = address::number(written).and_then(|number| u32::try_from(number).ok());
    let bad = || NbctlError::value(written, &format!("is no {what}; write a number from {least} to {most}"));
    number.filter(|number| (least..=most).contains(number)).ok_or_else(bad)
}

/// Whether a port shall work.
pub fn enabled(written: &str) -> Result<bool, NbctlError> {
    match written.to_ascii_lowercase().as_str() {
        "enabled" => Ok(true),
        "disabled" => Ok(false),
        _ => Err(NbctlError::value(written, "is no state; write enabled or disabled")),
    }
}

/// What is printed of a port that works or not.
pub fn enabled_word(enabled: Option<bool>) -> &'static str {
    if enabled.unwrap_or(true) { "enabled" } else { "disabled" }
}

/// Whether an option is true.
pub fn is_true(options: &Pairs, key: &str) -> bool {
    options.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

impl Context {
    /// The rows that a set names, in its order.
    pub fn all<R: Row<Table>>(&self, uuids: &BTreeSet<Uuid>) -> Vec<(Uuid, R)> {
        let rows = uuids.iter().filter_map(|uuid| Some((*uuid, self.rows().get::<R>(*uuid)?)));
        rows.map(|(uuid, row)| (uuid, (**row).clone())).collect()
    }

    /// Prints identifiers and names, by name.
    pub fn print_names(&mut self, mut named: Vec<(String, Uuid)>) {
        named.sort();
        for (name, uuid) in named {
            self.print(format_args!("{uuid} ({name})\n"));
        }
    }
}
