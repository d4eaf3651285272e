//! A packet described by a match: `inport == "lp1" && ip4.src == 10.0.0.1 && icmp4.type == 8`.

use std::collections::BTreeSet;

use super::{Clause, Expr, Item, Masked, Normal, Relop, SyntaxError};
use crate::logical::error::shortened;
use crate::logical::microflow::Microflow;
use crate::logical::names::Names;
use crate::logical::symbol::{FieldRef, Kind, Symbol};

/// Reads a microflow: a match with the prerequisites of what it names, which must leave every field one value. What it
/// does not name is zero.
pub fn parse_microflow(text: &str, names: &dyn Names) -> Result<Microflow, SyntaxError> {
    let whole = 0..text.len();
    let fail = |sentence: String| SyntaxError::new(whole.clone(), sentence);
    let annotated = Expr::parse(text, names)?.annotate();
    let mut normal = annotated.clone().normalize().map_err(|error| fail(error.to_string()))?;
    // A microflow is not of any chassis: every port is resident.
    normal.conjunctions.retain(|conjunction| conjunction.residents.iter().all(|(_, here)| *here));
    let conjunction = match normal.conjunctions.as_slice() {
        [] => {
            let sentence =
                "the microflow contradicts itself, so that no packet is like it; remove one of its terms";
            return Err(fail(sentence.to_owned()));
        }
        [one] => one,
        [first, ..] => return Err(fail(ambiguous(&normal, first.clauses.first(), &annotated))),
    };
    let mut flow = Microflow::default();
    for clause in &conjunction.clauses {
        let field = FieldRef::whole(clause.symbol);
        match (clause.items.as_slice(), clause.symbol.kind) {
            ([Item::Value(Masked { value, mask })], Kind::Field { field, .. }) => {
                flow.key.set_masked(field, *value, *mask);
            }
            ([item], Kind::Str(_)) if item.len() == 1 => {
                let port = item.texts().next().unwrap_or_default();
                let Some(key) = names.port_key(port) else {
                    let port = shortened(port);
                    return Err(fail(format!("there is no port \"{port}\" here; name one of this datapath")));
                };
                flow.set(&field, key.into());
            }
            ([item], Kind::Field { field, .. }) if item.len() == 1 => {
                for Masked { value, mask } in item.values() {
                    flow.key.set_masked(field, value, mask);
                }
            }
            _ => return Err(fail(ambiguous(&normal, Some(clause), &annotated))),
        }
    }
    Ok(flow)
}

/// The sentence about a match that fits several packets. The clause is one that leaves a choice, or the first of all.
fn ambiguous(normal: &Normal, clause: Option<&Clause>, annotated: &Expr) -> String {
    let differs = |clause: &&Clause| {
        let same = normal.conjunctions.iter().filter(|other| other.clauses.contains(clause)).count();
        same < normal.conjunctions.len() || clause.items.len() > 1
    };
    let clauses = normal.conjunctions.iter().flat_map(|conjunction| &conjunction.clauses);
    let clause = clauses.take(64).find(differs).or(clause);
    let name = clause.map_or("a field", |clause| clause.symbol.name);
    let example = clause.map_or_else(|| "ip4".to_owned(), |clause| example(clause.symbol));
    let text: String = annotated.to_string().chars().take(200).collect();
    format!("the microflow leaves open what {name} is; say more, as in {example} (it means: {text})")
}

/// A match that leaves a field one value.
pub(super) fn example(symbol: &Symbol) -> String {
    let name = symbol.name;
    let value = match (name, symbol.kind) {
        ("eth.type", _) => return "ip4".to_owned(),
        ("ip.proto", _) => return "tcp".to_owned(),
        (_, Kind::Str(_)) => "\"…\"",
        (_, Kind::Field { width: 48, .. }) => "02:00:00:00:00:01",
        ("ip4.src" | "ip4.dst" | "arp.spa" | "arp.tpa", _) => "10.0.0.1",
        ("ip6.src" | "ip6.dst" | "nd.target", _) => "fd00::1",
        // What neighbour discovery asks for.
        ("icmp6.type", _) => "135",
        _ => "1",
    };
    format!("{name} == {value}")
}

impl Expr {
    /// The ports that the match asks `inport` for.
    pub fn inports(&self) -> BTreeSet<&str> {
        let mut ports = BTreeSet::new();
        self.collect_inports(&mut ports);
        ports
    }

    fn collect_inports<'a>(&'a self, ports: &mut BTreeSet<&'a str>) {
        match self {
            Expr::Test(test) if test.symbol.name == "inport" && test.relop == Relop::Eq => {
                ports.extend(test.items.iter().flat_map(Item::texts));
            }
            Expr::And(list) | Expr::Or(list) => list.iter().for_each(|expr| expr.collect_inports(ports)),
            Expr::Test(_) | Expr::Bool(_) | Expr::Resident { .. } => {}
        }
    }
}
