//! Constants among the arguments of actions.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::logical::lex::{Format, Number, Quoted};

/// A number or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// A number in the form it was written in.
    Number(Number),
    /// A text.
    Text(Box<str>),
}

impl Constant {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Constant::Text(text) => Some(text),
            Constant::Number(_) => None,
        }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<Number> {
        match self {
            Constant::Number(number) => Some(*number),
            Constant::Text(_) => None,
        }
    }
}

/// The value of an option: one constant or several, all texts or all numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstantSet {
    /// The constants, at least one.
    pub values: Vec<Constant>,
    /// Whether they were written in braces; more than one always are.
    pub in_curlies: bool,
}

impl ConstantSet {
    /// The only constant, if it is one.
    pub fn single(&self) -> Option<&Constant> {
        match self.values.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// The address that a number was written as.
pub(super) fn address(number: Number) -> Option<IpAddr> {
    match number {
        Number { value, mask: None, format: Format::Ipv4 } => Some(Ipv4Addr::from_bits(value as u32).into()),
        Number { value, mask: None, format: Format::Ipv6 } => Some(Ipv6Addr::from_bits(value).into()),
        _ => None,
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

impl fmt::Display for ConstantSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let curlies = self.in_curlies || self.values.len() != 1;
        if curlies {
            f.write_str("{")?;
        }
        for (index, value) in self.values.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            value.fmt(f)?;
        }
        if curlies { f.write_str("}") } else { Ok(()) }
    }
}
