//! The canonical form: numbers in hexadecimal, a run of bits as a subfield, sets as `||` or `&&` of their members.

use std::fmt;

use super::{Expr, Item, Join, Masked, Relop, Test};
use crate::logical::lex::Quoted;
use crate::logical::symbol::{Level, Symbol};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, None)
    }
}

impl Expr {
    /// Prints what stands in a list joined by `outer`, in parentheses if it is a list of the other kind.
    fn print(&self, f: &mut fmt::Formatter<'_>, outer: Option<Join>) -> fmt::Result {
        let enclosed = |f: &mut fmt::Formatter<'_>,
                        join: Join,
                        list: &dyn Fn(&mut fmt::Formatter<'_>) -> fmt::Result| {
            let parens = outer.is_some_and(|outer| outer != join);
            f.write_str(if parens { "(" } else { "" })?;
            list(f)?;
            f.write_str(if parens { ")" } else { "" })
        };
        match self {
            Expr::Bool(value) => f.write_str(if *value { "1" } else { "0" }),
            Expr::Resident { port, negated } => {
                let not = if *negated { "!" } else { "" };
                write!(f, "{not}is_chassis_resident({})", Quoted(port))
            }
            Expr::Test(test) if test.len() < 2 => test.print(f),
            Expr::Test(test) => enclosed(f, test.join(), &|f| test.print(f)),
            Expr::And(list) => enclosed(f, Join::And, &|f| print_list(f, Join::And, list)),
            Expr::Or(list) => enclosed(f, Join::Or, &|f| print_list(f, Join::Or, list)),
        }
    }
}

fn print_list(f: &mut fmt::Formatter<'_>, join: Join, list: &[Expr]) -> fmt::Result {
    for (index, expr) in list.iter().enumerate() {
        f.write_str(if index > 0 { join.operator() } else { "" })?;
        expr.print(f, Some(join))?;
    }
    Ok(())
}

impl Join {
    const fn operator(self) -> &'static str {
        match self {
            Join::And => " && ",
            Join::Or => " || ",
        }
    }
}

impl Test {
    /// What joins the tests of single members.
    fn join(&self) -> Join {
        if self.relop == Relop::Eq { Join::Or } else { Join::And }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for item in &self.items {
            for value in item.values() {
                f.write_str(std::mem::replace(&mut separator, self.join().operator()))?;
                print_value(f, self.symbol, self.relop, value)?;
            }
            for text in item.texts() {
                f.write_str(std::mem::replace(&mut separator, self.join().operator()))?;
                write!(f, "{} {} {}", self.symbol.name, self.relop.symbol(), Quoted(text))?;
            }
        }
        if self.is_empty() {
            f.write_str(if self.relop == Relop::Eq { "0" } else { "1" })?;
        }
        Ok(())
    }
}

fn print_value(
    f: &mut fmt::Formatter<'_>,
    symbol: &Symbol,
    relop: Relop,
    Masked { value, mask }: Masked,
) -> fmt::Result {
    let name = symbol.name;
    let operator = relop.symbol();
    let width = symbol.width();
    match run_of_ones(mask) {
        // A nominal symbol's bits have no names.
        Some((_, bits)) if symbol.level == Level::Nominal && bits < width => {}
        Some((offset, 1)) if relop.is_equality() => {
            let is_set = (value != 0) == (relop == Relop::Eq);
            f.write_str(if is_set { "" } else { "!" })?;
            f.write_str(name)?;
            return if width > 1 { write!(f, "[{offset}]") } else { Ok(()) };
        }
        Some((_, bits)) if bits == width => return write!(f, "{name} {operator} {value:#x}"),
        Some((offset, 1)) => return write!(f, "{name}[{offset}] {operator} {:#x}", value >> offset),
        Some((offset, bits)) => {
            let last = offset + bits - 1;
            return write!(f, "{name}[{offset}..{last}] {operator} {:#x}", value >> offset);
        }
        None => {}
    }
    write!(f, "{name} {operator} {value:#x}/{mask:#x}")
}

/// Lowest bit and length of the only run of ones in `mask`; none if there is no run or more than one.
fn run_of_ones(mask: u128) -> Option<(u16, u16)> {
    let offset = mask.trailing_zeros();
    let run = mask.checked_shr(offset)?;
    let bits = run.trailing_ones();
    let is_only = run.checked_shr(bits).unwrap_or(0) == 0;
    is_only.then_some((offset as u16, bits as u16))
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Value(Masked { value, mask }) => write!(f, "{value:#x}/{mask:#x}"),
            Item::Set { set, .. } => write!(f, "${}", set.name()),
            Item::Text(text) => Quoted(text).fmt(f),
            Item::Group(group) => write!(f, "@{}", group.name()),
        }
    }
}
