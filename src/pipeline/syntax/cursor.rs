//! Cutting a text into items of key and value, each of which knows where it stood.

use std::ops::Range;

use super::error::{Problem, SyntaxError, shorten};

/// A part of the input and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The bytes.
    pub text: &'a str,
    /// Where they start.
    pub at: usize,
}

impl<'a> Piece<'a> {
    /// A whole input.
    pub fn all(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Its bytes in the input.
    pub fn span(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// The empty piece behind it.
    pub fn end(self) -> Self {
        self.split_at(self.text.len()).1
    }

    /// The parts before and from byte `middle`, which must lie between characters.
    pub fn split_at(self, middle: usize) -> (Self, Self) {
        let (left, right) = self.text.split_at(middle);
        (Self { text: left, at: self.at }, Self { text: right, at: self.at + middle })
    }

    /// The parts around the first `separator`.
    pub fn split_once(self, separator: &str) -> Option<(Self, Self)> {
        let found = self.text.find(separator)?;
        let (left, rest) = self.split_at(found);
        Some((left, rest.split_at(separator.len()).1))
    }

    /// The rest behind `prefix`.
    pub fn strip_prefix(self, prefix: &str) -> Option<Self> {
        self.text.starts_with(prefix).then(|| self.split_at(prefix.len()).1)
    }

    /// The part before `suffix`.
    pub fn strip_suffix(self, suffix: &str) -> Option<Self> {
        let text = self.text.strip_suffix(suffix)?;
        Some(Self { text, at: self.at })
    }

    /// The parts between commas.
    pub fn split_commas(self) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let piece = rest?;
            let (first, others) = match piece.split_once(",") {
                Some((first, others)) => (first, Some(others)),
                None => (piece, None),
            };
            rest = others;
            Some(first)
        })
    }

    /// Without white space at either end.
    pub fn trim(self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        let (_, rest) = self.split_at(start);
        Self { text: rest.text.trim_end(), at: rest.at }
    }

    /// The longest start of characters that `wanted` accepts, and the rest.
    pub fn take_while(self, wanted: impl Fn(char) -> bool) -> (Self, Self) {
        let end = self.text.find(|c| !wanted(c)).unwrap_or(self.text.len());
        self.split_at(end)
    }

    fn first(self) -> Option<char> {
        self.text.chars().next()
    }
}

/// One item of a list: `key`, `key=value`, `key:value` or `key(value)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    /// What stands before the delimiter.
    pub key: Piece<'a>,
    /// What stands behind it.
    pub value: Value<'a>,
    /// What an arrow behind the parentheses points at.
    pub target: Option<Piece<'a>>,
    /// The whole item.
    pub whole: Piece<'a>,
}

/// The value of an item.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// The key stands alone.
    None,
    /// Behind an equals sign or a colon.
    Plain(Piece<'a>),
    /// Inside parentheses.
    Parens(Piece<'a>),
}

impl<'a> Item<'a> {
    /// The value, however it was written; `example` is the mend if there is none.
    pub fn required(&self, example: &str) -> Result<Piece<'a>, SyntaxError> {
        match self.value {
            Value::Plain(value) | Value::Parens(value) if !value.text.trim().is_empty() => Ok(value.trim()),
            _ => {
                let what = format!("the value of {} is", shorten(self.key.text));
                Err(SyntaxError::missing(self.whole.end(), what, example))
            }
        }
    }

    /// Refuses a value behind a word that takes none.
    pub fn no_value(&self) -> Result<(), SyntaxError> {
        match self.value {
            Value::None => Ok(()),
            Value::Plain(value) | Value::Parens(value) => Err(SyntaxError::refused(
                value,
                format!("{} takes no value; leave it out", shorten(self.key.text)),
            )),
        }
    }
}

/// The items of a list, separated by commas, white space or both.
pub(super) struct Items<'a> {
    rest: Piece<'a>,
}

fn separates(c: char) -> bool {
    c == ',' || c.is_ascii_whitespace()
}

impl<'a> Items<'a> {
    /// The items of that piece.
    pub fn of(list: Piece<'a>) -> Self {
        Self { rest: list }
    }

    /// If the list of actions starts here, all of it; nothing is left then.
    pub fn take_actions(&mut self) -> Option<Piece<'a>> {
        self.rest = self.rest.take_while(separates).1;
        let word = ["actions", "action"].iter().find_map(|word| self.rest.strip_prefix(word))?;
        let actions = word.trim().strip_prefix("=")?;
        self.rest = actions.end();
        Some(actions)
    }

    /// The next item.
    pub fn next_item(&mut self) -> Result<Option<Item<'a>>, SyntaxError> {
        let start = self.rest.take_while(separates).1;
        if start.text.is_empty() {
            self.rest = start;
            return Ok(None);
        }
        let (key, after) = if start.first() == Some('"') {
            let length = quoted(start)?;
            start.split_at(length)
        } else {
            start.take_while(|c| !separates(c) && !matches!(c, ':' | '=' | '(' | ')' | '"'))
        };
        if key.text.is_empty() {
            let (odd, _) = start.split_at(start.first().map_or(0, char::len_utf8));
            let found = odd.text.to_owned();
            let problem = Problem::Unknown { what: "character", found, near: None, expected: vec![] };
            return Err(SyntaxError::new(odd, problem));
        }
        let value = match after.first() {
            Some(':' | '=') => {
                let (_, value) = after.split_at(1);
                Value::Plain(value.split_at(value_length(value)?).0)
            }
            Some('(') => {
                let (_, inner) = after.split_at(1);
                Value::Parens(inner.split_at(closing(after, inner)?).0)
            }
            _ => Value::None,
        };
        let end = match value {
            Value::None => key.span().end,
            Value::Plain(value) => value.span().end,
            Value::Parens(value) => value.span().end + 1,
        };
        let (mut whole, mut rest) = start.split_at(end - start.at);
        let mut target = None;
        if let Some(behind) = rest.strip_prefix("->").filter(|_| key.text == "check_pkt_larger") {
            let (to, others) = behind.split_at(value_length(behind)?);
            (target, rest) = (Some(to), others);
            whole = start.split_at(to.span().end - start.at).0;
        }
        let rest_first = rest.first();
        self.rest = rest;
        if rest_first.is_some_and(|c| !separates(c)) {
            // Such as `f(1)->x`: the caller sees a plain item and then this.
            let (odd, _) = rest.take_while(|c| !separates(c));
            if is_arrow_form(key.text) {
                return Err(SyntaxError::not_yet(key, format!("the action {}", key.text)));
            }
            return Err(SyntaxError::refused(
                odd,
                format!("\"{}\" follows without a separator; write a comma before it", shorten(odd.text)),
            ));
        }
        Ok(Some(Item { key, value, target, whole }))
    }
}

/// Actions of Open vSwitch written `name(…)->FIELD`.
fn is_arrow_form(name: &str) -> bool {
    matches!(name, "multipath" | "bundle_load" | "nat")
}

/// Bytes of the quoted name that `from` starts with, both quotes included.
fn quoted(from: Piece<'_>) -> Result<usize, SyntaxError> {
    let (_, name) = from.split_at(1);
    match name.text.find('"') {
        Some(length) => Ok(length + 2),
        None => Err(SyntaxError::missing(from.end(), "the closing quote is", "a \" behind the name")),
    }
}

/// Bytes up to the separator that ends a value; those in parentheses and quotes do not.
fn value_length(value: Piece<'_>) -> Result<usize, SyntaxError> {
    let mut depth = 0usize;
    let mut in_quotes = false;
    for (index, c) in value.text.char_indices() {
        match c {
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            c if depth == 0 && (separates(c) || c == ')') => return Ok(index),
            _ => {}
        }
    }
    match (depth, in_quotes) {
        (0, false) => Ok(value.text.len()),
        (_, true) => Err(SyntaxError::missing(value.end(), "the closing quote is", "a \" behind the name")),
        _ => Err(SyntaxError::missing(value.end(), "a closing parenthesis is", "\")\"")),
    }
}

/// Bytes of `inner` before the parenthesis that closes the one which `outer` starts with.
fn closing(outer: Piece<'_>, inner: Piece<'_>) -> Result<usize, SyntaxError> {
    let mut depth = 1usize;
    let mut in_quotes = false;
    for (index, c) in inner.text.char_indices() {
        match c {
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(index);
                }
            }
            _ => {}
        }
    }
    let (opening, _) = outer.split_at(1);
    Err(SyntaxError::missing(opening, "the parenthesis that closes this one is", "\")\" where its list ends"))
}
