//! The match that actions imply.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::logical::expr::Expr;
use crate::logical::symbol::{Symbol, symbols};

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

/// The expressions of all texts that prerequisites have: those of actions as they are, those of fields annotated.
static EXPRS: LazyLock<HashMap<(bool, &'static str), Expr>> = LazyLock::new(|| {
    let of_actions = OF_ACTIONS.into_iter().filter_map(|text| Some(((false, text), Expr::parse(text, &()).ok()?)));
    let of_fields = symbols().iter().filter(|symbol| !symbol.prereqs.is_empty()).filter_map(|symbol| {
        let annotated = Expr::parse(symbol.prereqs, &()).and_then(|expr| expr.annotate()).ok()?;
        Some(((true, symbol.prereqs), annotated))
    });
    of_actions.chain(of_fields).collect()
});

impl Prerequisites {
    /// All of it as one match, in the form OVN prints: what fields ask for over fields alone, what actions ask for by
    /// its name. `None` where nothing is asked for.
    pub fn expr(&self) -> Option<Expr> {
        let texts = self.0.iter().flat_map(|prereq| match prereq {
            Prerequisite::Action(text) => [(false, *text), (true, "")],
            Prerequisite::Field(symbol) => {
                let (root, _) = symbol.root();
                [(true, symbol.prereqs), (true, if root == *symbol { "" } else { root.prereqs })]
            }
        });
        let exprs = texts.filter(|(_, text)| !text.is_empty());
        // A text without expression cannot be (a test reads them all); it would have to match nothing.
        exprs.map(|text| EXPRS.get(&text).cloned().unwrap_or(Expr::Bool(false))).reduce(Expr::and)
    }
}
