//! The names of OVN's language: fields, subfields and predicates, with what each presupposes.
//!
//! There is one table, [`symbols`], in OVN 23.03's names and register roles (`inport` is reg14, `outport` reg15,
//! `flags` reg10), with the flags that later releases added, whose bits were free. The invariant: a subfield lies inside
//! a field that has a name of its own ([`Symbol::root`]), and every text in the table parses with the table.

mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use super::cursor::Cursor;
use super::error::{SyntaxError, nearest, shortened};
use super::lex::Kind as TokenKind;
use crate::packet::Field;
pub use table::symbols;

/// A name that a match or an action may use.
#[derive(Debug)]
pub struct Symbol {
    /// The name.
    pub name: &'static str,
    /// What it stands for.
    pub kind: Kind,
    /// How its values may be compared.
    pub level: Level,
    /// The match that its use implies; empty where there is none.
    pub prereqs: &'static str,
    /// Where an action may write it.
    pub writable: Writable,
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `width` bits of a field, `offset` above its lowest.
    Field {
        /// The field.
        field: Field,
        /// Lowest bit.
        offset: u16,
        /// Number of bits.
        width: u16,
    },
    /// A logical port's name; the field holds its key.
    Str(Field),
    /// A match that the name abbreviates.
    Predicate(&'static str),
    /// What actions may set but no flow key holds, so many bits wide.
    OvnField(u16),
}

/// How values may be compared, from the least that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only for equality, and as a whole.
    Nominal,
    /// True or false.
    Boolean,
    /// Bit by bit, and by order.
    Ordinal,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Nominal => "nominal",
            Level::Boolean => "Boolean",
            Level::Ordinal => "ordinal",
        })
    }
}

/// Where actions may write a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writable {
    /// Nowhere.
    No,
    /// In any list of actions.
    Anywhere,
    /// In the braces of `ct_commit`.
    InCommit,
}

/// Symbols are few and stand in one table: the same name is the same symbol.
impl PartialEq for Symbol {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Symbol {}

/// The symbols that stand for whole fields, by the field.
static ROOTS: LazyLock<HashMap<Field, &'static Symbol, foldhash::fast::FixedState>> = LazyLock::new(|| {
    let whole = |symbol: &'static Symbol| match symbol.kind {
        Kind::Field { field, width, .. } if width == field.bits() => Some((field, symbol)),
        _ => None,
    };
    // The first of a field stays: arp.spa and not rarp.spa, but no part of those has a name.
    symbols().iter().rev().filter_map(whole).collect()
});

static BY_NAME: LazyLock<HashMap<&'static str, &'static Symbol, foldhash::fast::FixedState>> =
    LazyLock::new(|| symbols().iter().map(|symbol| (symbol.name, symbol)).collect());

/// The symbol of that name.
pub fn lookup(name: &str) -> Option<&'static Symbol> {
    BY_NAME.get(name).copied()
}

impl Symbol {
    /// Width in bits; 0 for a port's name, 1 for a predicate.
    pub const fn width(&self) -> u16 {
        match self.kind {
            Kind::Field { width, .. } | Kind::OvnField(width) => width,
            Kind::Str(_) => 0,
            Kind::Predicate(_) => 1,
        }
    }

    /// Whether its values are names of ports.
    pub const fn is_string(&self) -> bool {
        matches!(self.kind, Kind::Str(_))
    }

    /// The symbol of the whole field that this one is a part of, and where in it; itself if it is no part.
    pub fn root(&'static self) -> (&'static Symbol, u16) {
        match self.kind {
            Kind::Field { field, offset, width } if width < field.bits() => {
                (ROOTS.get(&field).copied().unwrap_or(self), offset)
            }
            _ => (self, 0),
        }
    }

    /// Whether flows that match it in conjunction with other sets need a single value of it: other fields' meaning
    /// hangs on it.
    pub fn is_single(&self) -> bool {
        use Field::{EthType, Icmpv6Code, Icmpv6Type, NwProto};
        matches!(self.kind, Kind::Field { field: EthType | NwProto | Icmpv6Type | Icmpv6Code, .. })
    }
}

/// A symbol or some bits of it, as in `reg0[3..5]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRef {
    /// The symbol.
    pub symbol: &'static Symbol,
    /// Lowest bit, counted in the symbol.
    pub offset: u16,
    /// Number of bits; 0 for a port's name.
    pub width: u16,
}

impl FieldRef {
    /// All bits of a symbol.
    pub fn whole(symbol: &'static Symbol) -> Self {
        Self { symbol, offset: 0, width: symbol.width() }
    }

    /// Reads `name`, `name[bit]` or `name[low..high]`.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let TokenKind::Id(name) = *cursor.kind() else {
            return Err(cursor.unexpected("the name of a field"));
        };
        let span = cursor.span();
        let Some(symbol) = lookup(name) else {
            return Err(SyntaxError::new(span, unknown(name)));
        };
        cursor.advance();
        if !cursor.accept(&TokenKind::LeftSquare) {
            return Ok(Self::whole(symbol));
        }
        let bits_start = cursor.span().start;
        if symbol.is_string() {
            let sentence = format!("{name} is a port's name and has no bits; compare it as a whole");
            return Err(SyntaxError::new(span, sentence));
        }
        let low = cursor.small_integer()?;
        let high = if cursor.accept(&TokenKind::Ellipsis) { cursor.small_integer()? } else { low };
        let span = bits_start..cursor.expect(&TokenKind::RightSquare)?.start;
        let width = u32::from(symbol.width());
        if low > high {
            let sentence = format!("the bits {low} to {high} are in the wrong order; write the lower first");
            return Err(SyntaxError::new(span, sentence));
        }
        if high >= width {
            let sentence = format!("{name} has {width} bits; name some of 0 to {}", width - 1);
            return Err(SyntaxError::new(span, sentence));
        }
        if symbol.level == Level::Nominal && (low, high) != (0, width - 1) {
            let sentence = format!("the bits of {name} cannot be taken apart; compare it as a whole");
            return Err(SyntaxError::new(span, sentence));
        }
        // Both are below the width.
        Ok(Self { symbol, offset: low as u16, width: (high - low + 1) as u16 })
    }

    /// The field of the flow key, the lowest bit in it and the number of bits. None for a predicate and for what
    /// only actions know.
    pub fn resolve(&self) -> Option<(Field, u16, u16)> {
        match self.symbol.kind {
            Kind::Field { field, offset, .. } => Some((field, offset + self.offset, self.width)),
            Kind::Str(field) => Some((field, 0, field.bits())),
            Kind::Predicate(_) | Kind::OvnField(_) => None,
        }
    }
}

/// The sentence about a word that is no symbol.
fn unknown(name: &str) -> String {
    let near = nearest(name, symbols().iter().map(|symbol| symbol.name));
    let name = shortened(name);
    match near {
        Some((_, near)) => format!("there is no field or predicate \"{name}\"; did you mean {near}?"),
        None => format!("there is no field or predicate \"{name}\"; ovn-sb(5) lists them under Symbols"),
    }
}

impl fmt::Display for FieldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol.name)?;
        if (self.offset, self.width) == (0, self.symbol.width()) {
            return Ok(());
        }
        match self.width {
            0 | 1 => write!(f, "[{}]", self.offset),
            width => write!(f, "[{}..{}]", self.offset, self.offset + width - 1),
        }
    }
}
