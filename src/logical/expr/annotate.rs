//! Predicates and parts of fields replaced by what they stand for, and prerequisites added.
//!
//! What a symbol stands for and presupposes is worked out once, in the order of the table of symbols, whose texts use
//! only symbols above them. So there is no recursion to bound here.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Expr, Item, Join, Masked, Relop, Test};
use crate::logical::symbol::{Kind, Symbol, symbols};

/// What a symbol brings into a match.
#[derive(Default)]
struct Known {
    /// What a predicate stands for.
    expansion: Option<Expr>,
    /// What the symbol presupposes.
    prereqs: Option<Expr>,
}

type Table = HashMap<&'static str, Known, foldhash::fast::FixedState>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    for symbol in symbols() {
        let read = |text| Expr::parse(text, &()).ok().map(|expr| annotate(expr, true, &table));
        let expansion = match symbol.kind {
            Kind::Predicate(text) => read(text),
            _ => None,
        };
        let prereqs = if symbol.prereqs.is_empty() { None } else { read(symbol.prereqs) };
        if expansion.is_some() || prereqs.is_some() {
            table.insert(symbol.name, Known { expansion, prereqs });
        }
    }
    table
});

/// What a predicate stands for, annotated; none for other symbols.
pub(super) fn expansion(symbol: &Symbol) -> Option<&'static Expr> {
    TABLE.get(symbol.name)?.expansion.as_ref()
}

impl Symbol {
    /// The match that its use in an action implies, annotated; none if there is none.
    pub fn implied(&self) -> Option<&'static Expr> {
        TABLE.get(self.name)?.prereqs.as_ref()
    }
}

impl Expr {
    /// The same match over whole fields only, with the prerequisites of everything that was named. Where all of a
    /// list is over one symbol its prerequisites are added once.
    pub fn annotate(self) -> Expr {
        annotate(self, true, &TABLE)
    }

    /// The symbol that all tests are about; none if there are several, or there is something else.
    fn only_symbol(&self) -> Option<&'static Symbol> {
        match self {
            Expr::Test(test) => (!test.is_empty()).then_some(test.symbol),
            Expr::And(list) | Expr::Or(list) => {
                let (first, rest) = list.split_first()?;
                let symbol = first.only_symbol()?;
                rest.iter().all(|expr| expr.only_symbol() == Some(symbol)).then_some(symbol)
            }
            Expr::Bool(_) | Expr::Resident { .. } => None,
        }
    }
}

fn annotate(expr: Expr, with_prereqs: bool, table: &Table) -> Expr {
    let only = if with_prereqs { expr.only_symbol() } else { None };
    let prereqs = only.and_then(|symbol| table.get(symbol.name)?.prereqs.clone());
    let with_prereqs = with_prereqs && only.is_none();
    let expr = match expr {
        Expr::Test(test) => whole(test, table),
        Expr::And(list) => Join::And.all(list.into_iter().map(|expr| annotate(expr, with_prereqs, table))),
        Expr::Or(list) => Join::Or.all(list.into_iter().map(|expr| annotate(expr, with_prereqs, table))),
        Expr::Bool(_) | Expr::Resident { .. } => expr,
    };
    match prereqs {
        Some(prereqs) => expr.and(prereqs),
        None => expr,
    }
}

/// The same with a test, if it is one, over the whole field or as what its predicate says.
pub(super) fn over_whole_fields(expr: Expr) -> Expr {
    match expr {
        Expr::Test(test) => whole(test, &TABLE),
        expr => expr,
    }
}

/// The test over the whole field, or what the predicate says.
fn whole(test: Test, table: &Table) -> Expr {
    if let Kind::Predicate(_) = test.symbol.kind {
        let expansion = table.get(test.symbol.name).and_then(|known| known.expansion.as_ref());
        let expansion = expansion.unwrap_or(&Expr::Bool(false));
        let join = if test.relop == Relop::Eq { Join::Or } else { Join::And };
        let values = test.items.iter().flat_map(Item::values);
        return join.all(values.map(|Masked { value, .. }| {
            let is_asked_for = (value & 1 == 1) == (test.relop == Relop::Eq);
            if is_asked_for { expansion.clone() } else { expansion.clone().negated() }
        }));
    }
    let (root, shift) = test.symbol.root();
    let items = if shift == 0 {
        test.items
    } else {
        test.items.into_iter().map(|item| item.shifted(shift)).collect()
    };
    Expr::Test(Test { symbol: root, relop: test.relop, items })
}

impl Item {
    fn shifted(self, shift: u16) -> Self {
        match self {
            Item::Value(Masked { value, mask }) => {
                Item::Value(Masked { value: value << shift, mask: mask << shift })
            }
            Item::Set { set, offset, width } => Item::Set { set, offset: offset + shift, width },
            text => text,
        }
    }
}
