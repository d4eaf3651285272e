//! Values as the database's tools write them for people, and the same read back.
//!
//! Texts stand without quotes where they cannot be taken for something else, and as JSON strings elsewhere; sets
//! stand in brackets, maps in braces.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::datum::{Arity, Atom, AtomKind, Datum, Kind};
use super::uuid::{BadUuid, Uuid};
use crate::logical::error::shortened;

/// Why a text is not a value of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Not a number.
    #[error("\"{word}\" is not an integer; write a decimal number", word = shortened(.0))]
    Integer(String),
    /// Not a truth value.
    #[error("\"{word}\" is not a Boolean; write true or false", word = shortened(.0))]
    Boolean(String),
    /// Not an identifier.
    #[error(transparent)]
    Uuid(#[from] BadUuid),
    /// The empty text, without quotes.
    #[error(
        "there is no value where one is needed; write the empty string as \"\", the empty set as [], the empty map as {{}}"
    )]
    Empty,
    /// Quotes that do not end, or wrong escapes in them.
    #[error("{word} is not a string in quotes; end it with a quote and escape as JSON does", word = shortened(.0))]
    Quotes(String),
    /// Nothing behind a backslash.
    #[error("\"{0}\" ends in a backslash, which belongs before another character; write two for one")]
    Backslash(String),
    /// A null character, which the database cannot hold.
    #[error("there is a null character in a string; leave it out")]
    Nul,
    /// A character that means something else.
    #[error("there is a '{0}' where a value is needed; put quotes around a string that has it: \"…\"")]
    Delimiter(char),
    /// Something else than expected.
    #[error("'{0}' is missing {place}", place = if .1.is_empty() { "at the end".to_owned() } else { format!("before \"{}\"", shortened(.1)) })]
    Missing(char, String),
    /// Text behind the end.
    #[error("\"{word}\" follows where the value has ended; leave it out", word = shortened(.0))]
    Trailing(String),
    /// Something twice.
    #[error("\"{word}\" is there twice; leave one out", word = shortened(.0))]
    Twice(String),
}

/// Whether a text would be taken for something else if it stood without quotes.
fn needs_quotes(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        || !text.bytes().all(word)
        || matches!(text, "true" | "false")
        || text.parse::<Uuid>().is_ok()
}

/// Appends an atom.
pub fn write_atom(out: &mut String, atom: &Atom) {
    match atom {
        Atom::Text(text) if needs_quotes(text) => out.push_str(&json!(text).to_string()),
        _ => write_bare_atom(out, atom),
    }
}

/// Appends an atom, a text as it is.
fn write_bare_atom(out: &mut String, atom: &Atom) {
    match atom {
        Atom::Integer(number) => out.push_str(&number.to_string()),
        Atom::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Atom::Text(text) => out.push_str(text),
        Atom::Uuid(uuid) => out.push_str(&uuid.to_string()),
    }
}

/// A value of a type.
pub fn print(datum: &Datum, kind: Kind) -> String {
    let mut out = String::new();
    // One of at most one stands by itself.
    let enclosed = kind.arity == Arity::Many || datum.is_empty();
    let (open, close) = if kind.value.is_some() { ('{', '}') } else { ('[', ']') };
    if enclosed {
        out.push(open);
    }
    write_all(&mut out, datum, ", ", write_atom);
    if enclosed {
        out.push(close);
    }
    out
}

/// A value without anything around it.
pub fn print_bare(datum: &Datum) -> String {
    let mut out = String::new();
    write_all(&mut out, datum, " ", write_bare_atom);
    out
}

fn write_all(out: &mut String, datum: &Datum, between: &str, write: fn(&mut String, &Atom)) {
    let mut values = datum.values();
    for (at, key) in datum.keys().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        write(out, key);
        if let Some(value) = values.next() {
            out.push('=');
            write(out, value);
        }
    }
}

/// A value as the database protocol writes it.
pub fn to_json(datum: &Datum) -> Value {
    match datum {
        Datum::Set(set) => match &set[..] {
            [atom] => atom_to_json(atom),
            set => json!(["set", set.iter().map(atom_to_json).collect::<Vec<_>>()]),
        },
        Datum::Map(map) => {
            let pairs = map.iter().map(|(key, value)| json!([atom_to_json(key), atom_to_json(value)]));
            json!(["map", pairs.collect::<Vec<_>>()])
        }
    }
}

fn atom_to_json(atom: &Atom) -> Value {
    match atom {
        Atom::Integer(number) => json!(number),
        Atom::Boolean(truth) => json!(truth),
        Atom::Text(text) => json!(text),
        Atom::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
    }
}

/// Whether a character ends a word that stands without quotes.
fn is_delimiter(c: char) -> bool {
    ":=, []{}!<>".contains(c)
}

/// A word, or a string with its quotes, from the beginning of a text, and the rest of the text. A backslash takes away the
/// meaning of the character behind it, which a string in quotes says for itself.
pub fn token(text: &str) -> Result<(Cow<'_, str>, &str), BadText> {
    let mut end = text.len();
    let mut plain: Option<String> = None;
    let mut is_quoted = false;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                let before = text.get(..at).unwrap_or_default();
                let (_, next) = letters.next().ok_or_else(|| BadText::Backslash(text.to_owned()))?;
                if !is_quoted {
                    plain.get_or_insert_with(|| before.to_owned()).push(next);
                } else if let Some(plain) = &mut plain {
                    plain.extend([letter, next]);
                }
                continue;
            }
            letter if !is_quoted && is_delimiter(letter) => {
                end = at;
                break;
            }
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        if let Some(plain) = &mut plain {
            plain.push(letter);
        }
    }
    if is_quoted {
        return Err(BadText::Quotes(text.to_owned()));
    }
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    Ok((plain.map_or(Cow::Borrowed(word), Cow::Owned), rest))
}

/// What a name that begins with @ stands for, where an identifier may stand; none if such names mean nothing there.
pub type Names<'a> = &'a mut dyn FnMut(&str) -> Option<Uuid>;

/// An atom from a word.
pub fn parse_atom(word: &str, kind: AtomKind) -> Result<Atom, BadText> {
    parse_atom_naming(word, kind, &mut |_| None)
}

/// An atom from a word, which may be a name of an identifier.
pub fn parse_atom_naming(word: &str, kind: AtomKind, names: Names) -> Result<Atom, BadText> {
    let owned = || word.to_owned();
    Ok(match kind {
        AtomKind::Integer => Atom::Integer(word.parse().map_err(|_| BadText::Integer(owned()))?),
        AtomKind::Boolean => match word {
            "true" | "yes" | "on" | "1" => Atom::Boolean(true),
            "false" | "no" | "off" | "0" => Atom::Boolean(false),
            _ => return Err(BadText::Boolean(owned())),
        },
        AtomKind::Text if word.is_empty() => return Err(BadText::Empty),
        AtomKind::Text => {
            let quoted = word.starts_with('"').then(|| serde_json::from_str(word));
            let text = quoted.transpose().map_err(|_| BadText::Quotes(owned()))?.unwrap_or_else(owned);
            if text.contains('\0') {
                return Err(BadText::Nul);
            }
            Atom::Text(text)
        }
        AtomKind::Uuid => {
            let named = word.starts_with('@').then(|| names(word)).flatten();
            Atom::Uuid(named.map_or_else(|| word.parse(), Ok)?)
        }
    })
}

/// A value of a type, of however many parts.
pub fn parse(text: &str, kind: Kind) -> Result<Datum, BadText> {
    parse_naming(text, kind, &mut |_| None)
}

/// A value of a type, in which names of identifiers may stand.
pub fn parse_naming(text: &str, kind: Kind, names: Names) -> Result<Datum, BadText> {
    let (open, close) = if kind.value.is_some() { ('{', '}') } else { ('[', ']') };
    let text = text.trim_matches(' ');
    let (mut rest, enclosed) = match text.strip_prefix(open) {
        Some(inner) => (inner.trim_start_matches(' '), true),
        None if text.is_empty() => return Err(BadText::Empty),
        None => (text, false),
    };
    let mut set = Vec::new();
    let mut map = Vec::new();
    while let Some(first) = rest.chars().next()
        && !(enclosed && first == close)
    {
        let key = atom(&mut rest, kind.key, names)?;
        match kind.value {
            None => set.push(key),
            Some(value) => {
                rest = rest.strip_prefix('=').ok_or_else(|| BadText::Missing('=', rest.to_owned()))?;
                map.push((key, atom(&mut rest, value, names)?));
            }
        }
        rest = rest.trim_start_matches(' ');
        if let Some(behind) = rest.strip_prefix(',') {
            rest = behind.trim_start_matches(' ');
        }
    }
    if enclosed {
        rest = rest.strip_prefix(close).ok_or_else(|| BadText::Missing(close, rest.to_owned()))?;
    }
    if !rest.is_empty() {
        return Err(BadText::Trailing(rest.to_owned()));
    }
    if kind.value.is_some() {
        map.sort();
        twice(map.iter().map(|(key, _)| key))?;
        Ok(Datum::Map(map))
    } else {
        set.sort();
        twice(set.iter())?;
        Ok(Datum::Set(set))
    }
}

/// An atom from the beginning of a text, which becomes the rest.
fn atom(rest: &mut &str, kind: AtomKind, names: Names) -> Result<Atom, BadText> {
    if let Some(first) = rest.chars().next()
        && is_delimiter(first)
    {
        return Err(BadText::Delimiter(first));
    }
    let (word, behind) = token(rest)?;
    *rest = behind;
    parse_atom_naming(&word, kind, names)
}

/// Refuses something that follows itself.
fn twice<'a>(sorted: impl Iterator<Item = &'a Atom>) -> Result<(), BadText> {
    let mut last = None;
    for atom in sorted {
        if last == Some(atom) {
            let mut text = String::new();
            write_atom(&mut text, atom);
            return Err(BadText::Twice(text));
        }
        last = Some(atom);
    }
    Ok(())
}
