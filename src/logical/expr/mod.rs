//! Matches: what a logical flow asks of a packet, read, printed, completed by prerequisites, normalised, evaluated.
//!
//! [`Expr`] is near the text. A list of constants is one [`Test`] with several [`Item`]s, whether it was written as a
//! set or as a chain of `||` over one symbol; the two print alike. The invariants, kept by [`Expr::and`], [`Expr::or`]
//! and [`Expr::negated`]: a list of `&&` or `||` has two operands or more and none of its own kind, neighbours in it
//! that one test can say are one test, and a test with several items, or a named set, is for equality or inequality
//! only.
//!
//! The order of work is [`Expr::parse`], [`Expr::annotate`] (predicates and parts of fields replaced by whole fields,
//! prerequisites added), and then [`Expr::eval`] or [`Expr::normalize`].

mod annotate;
mod constant;
mod eval;
mod microflow;
mod normal;
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use smallvec::SmallVec;

use super::lex::Kind;
use super::names::{AddressSet, PortGroup};
use super::symbol::Symbol;

pub use super::error::SyntaxError;
pub use constant::{Constant, ConstantSet};
pub use microflow::parse_microflow;
pub use normal::{Clause, Conjunction, Normal, NormalizeError};
pub use parse::MAX_DEPTH;

/// A match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `1` or `0`
    Bool(bool),
    /// A comparison.
    Test(Test),
    /// `is_chassis_resident("port")`
    Resident {
        /// The port.
        port: Box<str>,
        /// Whether it must be elsewhere.
        negated: bool,
    },
    /// All of these.
    And(Vec<Expr>),
    /// Any of these.
    Or(Vec<Expr>),
}

/// A comparison of a symbol with constants: `==` holds if one of the items is met, `!=` if none is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// What is compared.
    pub symbol: &'static Symbol,
    /// How.
    pub relop: Relop,
    /// With what. One for the operators of order; texts and groups for names of ports, values and sets for the rest.
    pub items: SmallVec<[Item; 1]>,
}

/// What a symbol is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A value.
    Value(Masked),
    /// An address set, for those bits of the symbol.
    Set {
        /// The set, whose constants are right-aligned.
        set: Arc<AddressSet>,
        /// Lowest bit in the symbol.
        offset: u16,
        /// Number of bits.
        width: u16,
    },
    /// A port's name.
    Text(Box<str>),
    /// A group of ports.
    Group(Arc<PortGroup>),
}

/// A value at its place in a symbol. A bit outside the mask is zero in the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Masked {
    /// The bits.
    pub value: u128,
    /// Those that count.
    pub mask: u128,
}

/// An operator between a symbol and a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relop {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Relop {
    fn of(kind: &Kind<'_>) -> Option<Self> {
        Some(match kind {
            Kind::Eq => Relop::Eq,
            Kind::Ne => Relop::Ne,
            Kind::Lt => Relop::Lt,
            Kind::Le => Relop::Le,
            Kind::Gt => Relop::Gt,
            Kind::Ge => Relop::Ge,
            _ => return None,
        })
    }

    /// As it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            Relop::Eq => "==",
            Relop::Ne => "!=",
            Relop::Lt => "<",
            Relop::Le => "<=",
            Relop::Gt => ">",
            Relop::Ge => ">=",
        }
    }

    /// The one that holds where this one does not.
    pub const fn inverted(self) -> Self {
        match self {
            Relop::Eq => Relop::Ne,
            Relop::Ne => Relop::Eq,
            Relop::Lt => Relop::Ge,
            Relop::Le => Relop::Gt,
            Relop::Gt => Relop::Le,
            Relop::Ge => Relop::Lt,
        }
    }

    /// The one that holds with the sides exchanged.
    pub const fn turned(self) -> Self {
        match self {
            Relop::Eq | Relop::Ne => self,
            Relop::Lt => Relop::Gt,
            Relop::Le => Relop::Ge,
            Relop::Gt => Relop::Lt,
            Relop::Ge => Relop::Le,
        }
    }

    /// Whether it is about equality and not order.
    pub const fn is_equality(self) -> bool {
        matches!(self, Relop::Eq | Relop::Ne)
    }
}

impl Expr {
    /// How many constants there are in it: what [`Expr::eval`] takes at most.
    pub fn comparisons(&self) -> u64 {
        match self {
            Expr::Bool(_) => 0,
            Expr::Resident { .. } => 1,
            Expr::Test(test) => test.len() as u64,
            Expr::And(list) | Expr::Or(list) => list.iter().map(Expr::comparisons).sum(),
        }
    }

    /// Both of these.
    pub fn and(self, other: Expr) -> Expr {
        self.join(other, Join::And)
    }

    /// Any of these.
    pub fn or(self, other: Expr) -> Expr {
        self.join(other, Join::Or)
    }

    fn join(self, other: Expr, join: Join) -> Expr {
        let mut list = match join.open(self) {
            Ok(list) => list,
            Err(one) => vec![one],
        };
        join.extend(&mut list, other);
        join.close(list)
    }

    /// The opposite.
    pub fn negated(self) -> Expr {
        match self {
            Expr::Bool(value) => Expr::Bool(!value),
            Expr::Test(test) => Test { relop: test.relop.inverted(), ..test }.canonical(),
            Expr::Resident { port, negated } => Expr::Resident { port, negated: !negated },
            Expr::And(list) => Join::Or.all(list.into_iter().map(Expr::negated)),
            Expr::Or(list) => Join::And.all(list.into_iter().map(Expr::negated)),
        }
    }
}

/// `&&` or `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    And,
    Or,
}

impl Join {
    /// The operands of an expression of this kind.
    fn open(self, expr: Expr) -> Result<Vec<Expr>, Expr> {
        match (self, expr) {
            (Join::And, Expr::And(list)) | (Join::Or, Expr::Or(list)) => Ok(list),
            (_, expr) => Err(expr),
        }
    }

    /// Adds an operand, or all of one of this kind.
    fn extend(self, list: &mut Vec<Expr>, expr: Expr) {
        match self.open(expr) {
            Ok(more) => more.into_iter().for_each(|expr| self.push(list, expr)),
            Err(one) => self.push(list, one),
        }
    }

    /// Adds an operand that is not of this kind; to the last if the two are one test.
    fn push(self, list: &mut Vec<Expr>, expr: Expr) {
        match (list.last_mut(), expr) {
            (Some(Expr::Test(last)), Expr::Test(test)) if self.are_one(last, &test) => {
                last.items.extend(test.items);
            }
            (_, expr) => list.push(expr),
        }
    }

    /// Whether two tests joined so are a test with the items of both. A set without members is none of its symbol's
    /// tests: it says true or false.
    fn are_one(self, first: &Test, second: &Test) -> bool {
        let relop = if self == Join::Or { Relop::Eq } else { Relop::Ne };
        first.relop == relop
            && second.relop == relop
            && first.symbol == second.symbol
            && !first.is_empty()
            && !second.is_empty()
    }

    /// All of these as one expression.
    fn all(self, exprs: impl Iterator<Item = Expr>) -> Expr {
        let mut list = Vec::with_capacity(exprs.size_hint().0);
        exprs.for_each(|expr| self.extend(&mut list, expr));
        self.close(list)
    }

    /// The expression with these operands.
    fn close(self, mut list: Vec<Expr>) -> Expr {
        match (list.len(), self) {
            (0, _) => Expr::Bool(self == Join::And),
            (1, _) => list.pop().unwrap_or(Expr::Bool(false)),
            (_, Join::And) => Expr::And(list),
            (_, Join::Or) => Expr::Or(list),
        }
    }
}

impl Test {
    /// A comparison with one value.
    pub fn value(symbol: &'static Symbol, relop: Relop, value: Masked) -> Self {
        let mut items = SmallVec::new();
        items.push(Item::Value(value));
        Self { symbol, relop, items }
    }

    /// The same as an expression in which a single bit is never asked to differ from a value, but to be the other one.
    fn canonical(self) -> Expr {
        let is_bit = |item: &Item| matches!(item, Item::Value(Masked { mask, .. }) if mask.is_power_of_two());
        if self.relop != Relop::Ne || !self.items.iter().any(is_bit) {
            return Expr::Test(self);
        }
        let Test { symbol, relop, items } = self;
        Join::And.all(items.into_iter().map(|item| match item {
            Item::Value(Masked { value, mask }) if mask.is_power_of_two() => {
                Expr::Test(Test::value(symbol, Relop::Eq, Masked { value: value ^ mask, mask }))
            }
            item => Expr::Test(Test { symbol, relop, items: [item].into_iter().collect() }),
        }))
    }

    /// Whether it has no constants at all, as with an address set that is empty.
    pub fn is_empty(&self) -> bool {
        // From the end, where joining tests puts items: a long chain of them is read in time by its length.
        self.items.iter().rev().all(Item::is_empty)
    }

    /// Number of constants.
    pub fn len(&self) -> usize {
        self.items.iter().map(Item::len).sum()
    }
}

impl Item {
    /// Number of constants.
    pub fn len(&self) -> usize {
        #[cfg(test)]
        tests::COUNTED.with(|counted| counted.set(counted.get() + 1));
        match self {
            Item::Value(_) | Item::Text(_) => 1,
            Item::Set { set, .. } => set.members().len(),
            Item::Group(group) => group.ports().len(),
        }
    }

    /// Whether it is a set or group without members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values at their places in the symbol; none for names of ports.
    pub fn values(&self) -> impl Iterator<Item = Masked> + '_ {
        let (one, set) = match self {
            Item::Value(value) => (Some(*value), None),
            Item::Set { set, offset, width } => (None, Some((set, *offset, *width))),
            Item::Text(_) | Item::Group(_) => (None, None),
        };
        let members = set.into_iter().flat_map(|(set, offset, width)| {
            set.members().iter().map(move |number| Masked::of(number, offset, width))
        });
        one.into_iter().chain(members)
    }

    /// The names of ports; none for values.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (one, group) = match self {
            Item::Text(text) => (Some(&**text), None),
            Item::Group(group) => (None, Some(group)),
            Item::Value(_) | Item::Set { .. } => (None, None),
        };
        one.into_iter().chain(group.into_iter().flat_map(|group| group.ports().iter().map(String::as_str)))
    }
}
