//! The flows of a datapath, read once and in the order in which they are looked at.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::view::View;
use crate::logical::SyntaxError;
use crate::logical::action::{self, Action, Context, parse_actions};
use crate::logical::expr::{Expr, Relop};
use crate::logical::known::{KnownOptions, TABLES};
use crate::logical::names::Names;
use crate::logical::rows::tables::{LogicalFlow, PortBinding};
use crate::logical::rows::{Pipeline, Uuid};

/// A flow that was read.
pub(super) struct Flow {
    pub uuid: Uuid,
    pub row: Arc<LogicalFlow>,
    /// The match with all that it and the actions presuppose, without what is the same for every packet.
    pub matches: Expr,
    /// How many constants the match compares with, at most.
    pub comparisons: u64,
    pub actions: Vec<Action>,
    /// Whether it matches everything and only goes on to the next table.
    pub is_trivial: bool,
}

/// A flow whose text is wrong, so that no packet meets it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "logical flow {uuid} of {pipeline} table {table} takes no part, as its {what} cannot be read: {error}; \
     `sbctl list Logical_Flow {uuid}` shows it"
)]
pub struct Unread {
    /// Its row in Logical_Flow.
    pub uuid: Uuid,
    pipeline: &'static str,
    table: u8,
    what: &'static str,
    error: SyntaxError,
}

/// The flows of a datapath.
#[derive(Default)]
pub(super) struct Flows {
    tables: HashMap<(Pipeline, u8), Vec<Flow>>,
    pub unread: Vec<Unread>,
    /// Whether it has a port that ties it to one gateway.
    pub is_gateway: bool,
}

impl Flows {
    /// Reads the flows of the datapath of `view`.
    pub fn read(view: &View<'_>) -> Self {
        let mut flows = Self::default();
        let known = KnownOptions::of(view.store);
        for (uuid, row) in view.store.flows_of(view.datapath.uuid) {
            match read(uuid, row, view, &known) {
                Ok(flow) => flows.tables.entry((row.pipeline, row.table_id)).or_default().push(flow),
                Err(unread) => flows.unread.push(unread),
            }
        }
        for table in flows.tables.values_mut() {
            // Among equals any may win; the first by identifier always does.
            table.sort_by_key(|flow| (Reverse(flow.row.priority), flow.uuid));
        }
        flows.unread.sort_by_key(|unread| unread.uuid);
        let ports = view.store.iter::<PortBinding>();
        let mut own = ports.filter(|(_, port)| port.datapath == view.datapath.uuid);
        flows.is_gateway = own.any(|(_, port)| port.kind == "l3gateway");
        flows
    }

    /// The flows of a table, first those that win.
    pub fn table(&self, pipeline: Pipeline, table: u8) -> &[Flow] {
        self.tables.get(&(pipeline, table)).map_or(&[], Vec::as_slice)
    }

    /// The name of a table.
    pub fn stage(&self, pipeline: Pipeline, table: u8) -> Option<&str> {
        self.table(pipeline, table).first()?.row.external_ids.get("stage-name").map(String::as_str)
    }
}

fn read(uuid: Uuid, row: &Arc<LogicalFlow>, view: &View<'_>, known: &KnownOptions) -> Result<Flow, Unread> {
    let unread =
        |what, error| Unread { uuid, pipeline: row.pipeline.name(), table: row.table_id, what, error };
    let matches = Expr::parse(&row.matches, view).map_err(|error| unread("match", error))?;
    let pipeline = match row.pipeline {
        Pipeline::Ingress => action::Pipeline::Ingress,
        Pipeline::Egress => action::Pipeline::Egress,
    };
    let context = Context {
        pipeline,
        table: row.table_id,
        tables: TABLES,
        dhcp_options: &known.ipv4,
        dhcpv6_options: &known.ipv6,
    };
    let actions = parse_actions(&row.actions, &context).map_err(|error| unread("action", error))?;
    let matches = match actions.prereqs.expr() {
        Some(prereqs) => matches.and(prereqs).annotate(),
        None => matches.annotate(),
    };
    let matches = settle(matches, view);
    let goes_on = match actions.list.as_slice() {
        [Action::Next(next)] => u16::from(next.table) == u16::from(row.table_id) + 1,
        _ => false,
    };
    let is_trivial = goes_on && matches == Expr::Bool(true);
    let comparisons = matches.comparisons();
    Ok(Flow { uuid, row: Arc::clone(row), matches, comparisons, actions: actions.list, is_trivial })
}

/// A match without what is the same for every packet.
fn settle(expr: Expr, names: &dyn Names) -> Expr {
    match expr {
        Expr::Resident { port, negated } => Expr::Bool(names.is_chassis_resident(&port) != negated),
        Expr::Test(test) if test.is_empty() => Expr::Bool(test.relop == Relop::Ne),
        Expr::And(list) => join(list, names, true, Expr::and),
        Expr::Or(list) => join(list, names, false, Expr::or),
        Expr::Test(_) | Expr::Bool(_) => expr,
    }
}

/// Operands joined; `neutral` is the value that makes no difference among them, and the other one decides.
fn join(list: Vec<Expr>, names: &dyn Names, neutral: bool, join: fn(Expr, Expr) -> Expr) -> Expr {
    let mut joined: Option<Expr> = None;
    for expr in list {
        match settle(expr, names) {
            Expr::Bool(value) if value == neutral => {}
            Expr::Bool(value) => return Expr::Bool(value),
            expr => {
                joined = Some(match joined {
                    Some(before) => join(before, expr),
                    None => expr,
                });
            }
        }
    }
    joined.unwrap_or(Expr::Bool(neutral))
}
