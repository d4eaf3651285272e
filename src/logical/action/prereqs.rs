//! The match that actions imply.

use std::sync::LazyLock;

use crate::logical::expr::Expr;
use crate::logical::symbol::Symbol;

/// One thing that must hold of a packet for the actions to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// What an action asks for, as a match.
    Action(&'static str),
    /// What a field asks for.
    Field(&'static Symbol),
}

/// All that must hold, in the order in which it was met; the same may be there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prerequisites(pub Vec<Prerequisite>);

/// What actions ask for.
pub(super) const OF_ACTIONS: [&str; 7] = ["ip", "ip4", "ip6", "tcp", "udp", "sctp", "nd_ns"];

/// What actions ask for, read once.
static EXPRS: LazyLock<Vec<(&str, Expr)>> = LazyLock::new(|| {
    OF_ACTIONS.into_iter().filter_map(|text| Some((text, Expr::parse(text, &()).ok()?))).collect()
});

impl Prerequisite {
    /// Itself as matches, the second for the field that the first one's is a part of.
    fn exprs(self) -> [Option<Expr>; 2] {
        match self {
            Prerequisite::Action(text) => {
                let known = EXPRS.iter().find(|(known, _)| *known == text);
                // What is not there cannot be met; a test sees to it that all is there.
                [Some(known.map_or(Expr::Bool(false), |(_, expr)| expr.clone())), None]
            }
            Prerequisite::Field(symbol) => {
                let (root, _) = symbol.root();
                let of_root = if root == symbol { None } else { root.implied() };
                [symbol.implied().cloned(), of_root.cloned()]
            }
        }
    }
}

impl Prerequisites {
    /// All of it as one match, in the form OVN prints: what fields ask for over fields alone, what actions ask for by
    /// its name. `None` where nothing is asked for.
    pub fn expr(&self) -> Option<Expr> {
        self.0.iter().flat_map(|prereq| prereq.exprs()).flatten().reduce(Expr::and)
    }
}
