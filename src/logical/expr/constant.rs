//! Constants: what stands at the other side of a comparison, or behind the equals sign of an action.

use std::fmt;

use super::{Masked, SyntaxError};
use crate::logical::cursor::Cursor;
use crate::logical::error::shortened;
use crate::logical::lex::{Kind, Number, Quoted, ones};
use crate::logical::symbol::{FieldRef, Symbol};

/// A number or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// A number, perhaps masked.
    Number(Number),
    /// A text.
    Text(String),
}

impl Constant {
    /// Reads a number or a text.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let constant = match cursor.kind() {
            Kind::Number(number) => Constant::Number(*number),
            Kind::Str(text) => Constant::Text(text.to_string()),
            Kind::Template(name) => return Err(unexpanded(cursor, name)),
            _ => {
                return Err(cursor.unexpected("a constant: a number, an address, or a text in double quotes"));
            }
        };
        cursor.advance();
        Ok(constant)
    }

    /// Reads a constant that fits `field`.
    pub fn parse_for(cursor: &mut Cursor<'_>, field: &FieldRef) -> Result<Self, SyntaxError> {
        let span = cursor.span();
        let constant = Self::parse(cursor)?;
        let problem = match &constant {
            Constant::Number(number) => misfit(field.symbol, number.width()),
            Constant::Text(_) => misfit_text(field.symbol),
        };
        match problem {
            Some(sentence) => Err(SyntaxError::new(span, sentence)),
            None => Ok(constant),
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Number(number) => number.fmt(f),
            Constant::Text(text) => Quoted(text).fmt(f),
        }
    }
}

/// One constant, or several of one type in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstantSet {
    /// The constants, at least one.
    pub constants: Vec<Constant>,
    /// Whether they stood in braces.
    pub in_curlies: bool,
}

impl ConstantSet {
    /// Reads a constant or a set of them. Commas are optional.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        if !cursor.accept(&Kind::LeftCurly) {
            return Ok(Self { constants: vec![Constant::parse(cursor)?], in_curlies: false });
        }
        let mut constants: Vec<Constant> = Vec::new();
        loop {
            let expected = match (constants.first(), cursor.kind()) {
                (Some(Constant::Number(_)), Kind::Str(_)) => Some("a number, as the set began"),
                (Some(Constant::Text(_)), Kind::Number(_)) => {
                    Some("a text in double quotes, as the set began")
                }
                _ => None,
            };
            if let Some(expected) = expected {
                return Err(cursor.unexpected(expected));
            }
            constants.push(Constant::parse(cursor)?);
            cursor.accept(&Kind::Comma);
            if cursor.accept(&Kind::RightCurly) {
                return Ok(Self { constants, in_curlies: true });
            }
        }
    }
}

impl fmt::Display for ConstantSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let curlies = self.in_curlies || self.constants.len() != 1;
        f.write_str(if curlies { "{" } else { "" })?;
        for (index, constant) in self.constants.iter().enumerate() {
            write!(f, "{}{constant}", if index > 0 { ", " } else { "" })?;
        }
        f.write_str(if curlies { "}" } else { "" })
    }
}

impl Masked {
    /// That constant in the `width` bits from `offset` on; what it has beyond them is cut off, as OVN does.
    pub fn of(number: &Number, offset: u16, width: u16) -> Self {
        let ones = ones(width);
        let mask = number.mask.unwrap_or(ones) & ones;
        Self { value: (number.value & mask) << offset, mask: mask << offset }
    }
}

/// Why a number so many bits wide is no constant for a symbol.
pub(super) fn misfit(symbol: &Symbol, width: u16) -> Option<String> {
    let name = symbol.name;
    if symbol.is_string() {
        return Some(format!("{name} is a port's name, not a number; write a text in double quotes"));
    }
    (width > symbol.width()).then(|| {
        let bits = symbol.width();
        format!(
            "the constant has {width} bits and {name} has {bits}; write one that fits, or name another field"
        )
    })
}

/// Why a text is no constant for a symbol.
pub(super) fn misfit_text(symbol: &Symbol) -> Option<String> {
    let name = symbol.name;
    (!symbol.is_string())
        .then(|| format!("{name} is a number, not a port's name; write a number or an address"))
}

/// The error about a template's variable.
pub(super) fn unexpanded(cursor: &Cursor<'_>, name: &str) -> SyntaxError {
    let name = shortened(name);
    let sentence =
        format!("^{name} is a template's variable that no value was given for; replace it by its value");
    SyntaxError::new(cursor.span(), sentence)
}
