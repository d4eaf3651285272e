//! What all actions share: fields and what may be done to them, constants, numbers, words, lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{Parser, Scope, fail};
use crate::logical::action::prereqs::Prerequisite;
use crate::logical::error::SyntaxError;
use crate::logical::lex::{Format, Kind as Token, Number};
use crate::logical::symbol::{FieldRef, Kind, Writable};

/// A field and where it stood.
pub(super) struct Located {
    pub(super) field: FieldRef,
    pub(super) span: Range<usize>,
}

impl<'a> Parser<'a, '_> {
    /// A field; what it presupposes is noted.
    pub(super) fn field(&mut self) -> Result<Located, SyntaxError> {
        let start = self.cursor.span().start;
        let field = FieldRef::parse(&mut self.cursor)?;
        let span = start..self.cursor.previous_end();
        match field.symbol.kind {
            Kind::Predicate(_) => {
                let sentence = format!(
                    "{} says something of a packet and holds nothing; name a field",
                    field.symbol.name
                );
                return fail(span, sentence);
            }
            Kind::OvnField(_) => {
                let sentence = format!("{} can only be set, to a constant", field.symbol.name);
                return fail(span, sentence);
            }
            Kind::Field { .. } | Kind::Str(_) => {}
        }
        let (root, _) = field.symbol.root();
        if !field.symbol.prereqs.is_empty() || !root.prereqs.is_empty() {
            self.prereqs.push(Prerequisite::Field(field.symbol));
        }
        Ok(Located { field, span })
    }

    /// A field of that width that is read.
    pub(super) fn numeric(&mut self, width: u16) -> Result<FieldRef, SyntaxError> {
        let field = self.field()?;
        check_width(&field, width)?;
        Ok(field.field)
    }

    /// A field that holds a port.
    pub(super) fn port(&mut self) -> Result<FieldRef, SyntaxError> {
        self.numeric(0)
    }

    /// Refuses a field of another width or one that cannot be written.
    pub(super) fn check_result(&self, field: &Located, width: u16) -> Result<(), SyntaxError> {
        check_width(field, width)?;
        self.check_writable(field)
    }

    /// Refuses a field that cannot be written here.
    pub(super) fn check_writable(&self, field: &Located) -> Result<(), SyntaxError> {
        let name = field.field.symbol.name;
        let sentence = match (field.field.symbol.writable, self.scope) {
            (Writable::Anywhere, Scope::Packet) | (Writable::InCommit, Scope::Connection) => return Ok(()),
            (Writable::InCommit, Scope::Packet) => {
                format!("{name} belongs to the connection; write it inside ct_commit {{ }}")
            }
            (Writable::Anywhere, Scope::Connection) => {
                format!("{name} does not belong to the connection; write it outside of ct_commit {{ }}")
            }
            (Writable::No, _) => format!("{name} cannot be written; keep the value in a register"),
        };
        fail(field.span.clone(), sentence)
    }

    /// A string.
    pub(super) fn string(&mut self, expected: &str) -> Result<Box<str>, SyntaxError> {
        match self.cursor.kind() {
            Token::Str(text) => {
                let text = Box::from(&**text);
                self.cursor.advance();
                Ok(text)
            }
            _ => Err(self.cursor.unexpected(expected)),
        }
    }

    /// A decimal number up to `most`.
    pub(super) fn decimal(&mut self, expected: &str, most: u64) -> Result<u64, SyntaxError> {
        match *self.cursor.kind() {
            Token::Number(Number { value, mask: None, format: Format::Decimal }) => {
                let Some(value) = u64::try_from(value).ok().filter(|value| *value <= most) else {
                    let sentence = format!("{value} is too large for {expected}; the greatest is {most}");
                    return fail(self.cursor.span(), sentence);
                };
                self.cursor.advance();
                Ok(value)
            }
            _ => Err(self.cursor.unexpected(expected)),
        }
    }

    /// A decimal number of 16 bits.
    pub(super) fn decimal16(&mut self, expected: &str) -> Result<u16, SyntaxError> {
        Ok(self.decimal(expected, u16::MAX.into())? as u16)
    }

    /// An IPv4 or IPv6 address.
    pub(super) fn address(&mut self) -> Result<IpAddr, SyntaxError> {
        match self.cursor.kind() {
            Token::Number(number) if let Some(address) = address(number) => {
                self.cursor.advance();
                Ok(address)
            }
            _ => Err(self.cursor.unexpected("an IPv4 or IPv6 address")),
        }
    }

    /// An IPv4 address.
    pub(super) fn ipv4(&mut self) -> Result<Ipv4Addr, SyntaxError> {
        match self.cursor.kind() {
            Token::Number(number) if let Some(IpAddr::V4(address)) = address(number) => {
                self.cursor.advance();
                Ok(address)
            }
            _ => Err(self.cursor.unexpected("an IPv4 address")),
        }
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        what: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, SyntaxError> {
        for &one in all {
            if self.cursor.accept_word(name(one)) {
                return Ok(one);
            }
        }
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        Err(self.cursor.unexpected(&format!("{what}: {}", names.join(", "))))
    }

    /// `true` or `false`, quoted or not.
    pub(super) fn boolean(&mut self) -> Result<bool, SyntaxError> {
        let value = match self.cursor.kind() {
            Token::Id("true") => true,
            Token::Id("false") => false,
            Token::Str(text) if text == "true" => true,
            Token::Str(text) if text == "false" => false,
            _ => return Err(self.cursor.unexpected("true or false")),
        };
        self.cursor.advance();
        Ok(value)
    }

    /// `name =`
    pub(super) fn argument(&mut self, name: &'static str) -> Result<(), SyntaxError> {
        self.cursor.expect(&Token::Id(name))?;
        self.cursor.expect(&Token::Assign)?;
        Ok(())
    }
}

/// The address that a number was written as.
fn address(number: &Number) -> Option<IpAddr> {
    match *number {
        Number { value, mask: None, format: Format::Ipv4 } => Some(Ipv4Addr::from_bits(value as u32).into()),
        Number { value, mask: None, format: Format::Ipv6 } => Some(Ipv6Addr::from_bits(value).into()),
        _ => None,
    }
}

/// Refuses a field of another width; 0 is that of a port.
pub(super) fn check_width(field: &Located, width: u16) -> Result<(), SyntaxError> {
    let FieldRef { width: found, .. } = field.field;
    let sentence = match (found, width) {
        _ if found == width => return Ok(()),
        (0, _) => format!("{} holds a port's name; name a field of {width} bits", field.field),
        (_, 0) => format!("{} holds a number; name a port's field, such as inport", field.field),
        _ => format!("{} has {found} bits where {width} are needed; name as many of a field", field.field),
    };
    fail(field.span.clone(), sentence)
}
