//! Whether a packet meets a match.

use super::annotate::expansion;
use super::{Expr, Item, Masked, Relop, Test};
use crate::logical::microflow::Microflow;
use crate::logical::names::Names;
use crate::logical::symbol::{FieldRef, Kind};

impl Expr {
    /// Whether `flow` meets the match. An expression that was not annotated is taken by its word: no prerequisite
    /// is asked for.
    pub fn eval(&self, flow: &Microflow, names: &dyn Names) -> bool {
        match self {
            Expr::Bool(value) => *value,
            Expr::Test(test) => test.eval(flow, names),
            Expr::Resident { port, negated } => names.is_chassis_resident(port) != *negated,
            Expr::And(list) => list.iter().all(|expr| expr.eval(flow, names)),
            Expr::Or(list) => list.iter().any(|expr| expr.eval(flow, names)),
        }
    }
}

impl Test {
    fn eval(&self, flow: &Microflow, names: &dyn Names) -> bool {
        let found = match self.symbol.kind {
            Kind::Predicate(_) => {
                u128::from(expansion(self.symbol).is_some_and(|expansion| expansion.eval(flow, names)))
            }
            _ => flow.get(&FieldRef::whole(self.symbol)),
        };
        match self.relop {
            Relop::Eq => self.items.iter().any(|item| item.holds(found, names)),
            Relop::Ne => self.items.iter().all(|item| item.differs(found, names)),
            Relop::Lt => self.compares(|value| found & value.mask < value.value),
            Relop::Le => self.compares(|value| found & value.mask <= value.value),
            Relop::Gt => self.compares(|value| found & value.mask > value.value),
            Relop::Ge => self.compares(|value| found & value.mask >= value.value),
        }
    }

    fn compares(&self, holds: impl Fn(Masked) -> bool) -> bool {
        self.items.iter().flat_map(Item::values).all(holds)
    }
}

impl Item {
    /// Whether the symbol's value is this, or one of these. As in OVN, the name of a port that is not there is
    /// nobody's.
    pub fn holds(&self, found: u128, names: &dyn Names) -> bool {
        self.values().any(|Masked { value, mask }| found & mask == value)
            || self.texts().any(|port| names.port_key(port).is_some_and(|key| u128::from(key) == found))
    }

    /// Whether the symbol's value is not this, and none of these. As in OVN, a comparison with the name of a port that
    /// is not there is false, whichever it is.
    pub fn differs(&self, found: u128, names: &dyn Names) -> bool {
        self.values().all(|Masked { value, mask }| found & mask != value)
            && self.texts().all(|port| names.port_key(port).is_some_and(|key| u128::from(key) != found))
    }
}
