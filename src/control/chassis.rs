//! What of the logical networks is on this chassis: which ports it claims, and the flows that rows become.
//!
//! The invariants:
//! - Rows and ports are followed one update at a time ([`Switch::follow`]), and each update is published once. A command
//!   that changes rows or ports follows before it answers, so that what was answered for is what packets meet.
//! - A port binding is `up` after the flows of its port were published, not before.
//! - Nobody confirms what this chassis claims but this chassis itself: the rows come from a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::switch::{Published, State, Switch};
use crate::datapath::Generation;
use crate::logical::rows::tables::PortBinding;
use crate::logical::rows::{Cursor, Delta, Store, Transaction, Uuid};
use crate::lower::{Bindings, Changes, Lowering, Numbers, Refused, Trouble, Zones};
use crate::pipeline::Batch;
use crate::pipeline::flow::{FlowOptions, Match};
use crate::pipeline::flowmod::{Command, FlowMod};
use crate::pipeline::objectmod::{GroupMod, MeterMod};
use crate::pipeline::syntax::print_match;

/// Rows that are lowered at once; more of them on another thread, while other commands go on.
const STRETCH: usize = 64;
/// Flows of users that are named in the log when they give way at once.
const MAX_NAMED: usize = 16;

/// How far rows and ports have become flows.
pub struct Following {
    lowering: Lowering,
    cursor: Cursor,
    bindings: Bindings,
}

/// What this chassis is of the logical networks, for `show`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Flows that rows became.
    pub flows: usize,
    /// Ports of the switch that are logical ports of some row.
    pub bound: usize,
    /// Rows that take no part, or not wholly.
    pub troubles: Vec<Trouble>,
}

impl Following {
    /// What has been followed so far.
    pub fn extent(&self) -> Extent {
        let rows = self.cursor.seen();
        let bound = self.bindings.ports.keys().filter(|name| rows.port(name).is_some()).count();
        Extent { flows: self.lowering.len(), bound, troubles: self.lowering.troubles() }
    }
}

impl Switch {
    /// Makes the flows of rows and ports as they are now, claims the ports that are here, and waits until packets meet
    /// that.
    pub async fn follow(&self) -> Published {
        let _turn = self.following_turn().await;
        let began = Instant::now();
        let mut generation = self.step().await;
        let changed = began.elapsed();
        let claims = self.state().claims();
        if self.commit(claims) {
            generation = self.step().await;
        }
        let claimed = began.elapsed();
        let published = self.settle(generation).await;
        let settled = began.elapsed();
        let up = self.state().ups();
        if self.commit(up) {
            self.step().await;
        }
        tracing::debug!(?changed, ?claimed, ?settled, up = ?began.elapsed(), "rows and ports followed");
        published
    }

    /// Follows once, and says when the last publication was.
    async fn step(&self) -> Generation {
        let (following, delta, bindings) = {
            let mut state = self.state_mut();
            let bindings = state.bindings();
            let mut following = match state.logical.following.take() {
                Some(following) => following,
                None => state.start_over(),
            };
            let delta = following.cursor.poll(&state.logical.rows);
            if delta.changes.is_empty() && bindings == following.bindings {
                state.logical.following = Some(following);
                return state.flows.generation;
            }
            (following, delta, bindings)
        };
        let lowered = if delta.changes.len() <= STRETCH {
            Ok(lower(following, &delta, bindings))
        } else {
            tokio::task::spawn_blocking(move || lower(following, &delta, bindings)).await
        };
        let mut state = self.state_mut();
        match lowered {
            Ok((mut following, changes)) => {
                let refused = state.install(|batch| changes.apply(batch));
                following.lowering.note(&changes, refused);
                state.logical.following = Some(following);
            }
            // What was lowered is lost with it; the next one begins anew.
            Err(error) => tracing::error!(%error, "rows could not be lowered; please report this"),
        }
        state.flows.generation
    }

    fn commit(&self, transaction: Option<Transaction>) -> bool {
        let Some(transaction) = transaction else { return false };
        match self.state_mut().logical.rows.commit(transaction) {
            Ok(changed) => changed > 0,
            Err(refusal) => {
                tracing::warn!(%refusal, "a port binding could not be claimed");
                false
            }
        }
    }
}

fn lower(mut following: Box<Following>, delta: &Delta, bindings: Bindings) -> (Box<Following>, Changes) {
    let began = Instant::now();
    let changes = following.lowering.update(delta, &bindings);
    following.bindings = bindings;
    let (rows, flows, took) = (delta.changes.len(), changes.len(), began.elapsed());
    tracing::info!(rows, flows, ?took, "rows lowered");
    (following, changes)
}

impl State {
    /// The ports of this switch by the names of the logical ports that they are.
    fn bindings(&self) -> Bindings {
        let chassis = self.logical.chassis.clone().unwrap_or_default();
        let mut ports = BTreeMap::new();
        for port in self.datapath.ports().iter() {
            let status = self.datapath.port_status(port.number);
            ports.extend(status.and_then(|status| status.spec.iface_id).map(|name| (name, port.number)));
        }
        Bindings { chassis, ports }
    }

    /// Nothing lowered yet, and none of what was.
    fn start_over(&mut self) -> Box<Following> {
        self.install(take_out_lowered);
        Box::new(Following {
            lowering: Lowering::new(Numbers::default(), Zones::default()),
            cursor: self.logical.rows.subscribe_from_nothing(),
            bindings: Bindings::default(),
        })
    }

    /// Changes flows, groups and meters with one publication. What cannot be had is left out and told of, and so is what
    /// a user had put where rows have their flows.
    fn install(&mut self, change: impl FnOnce(&mut Batch<'_>) -> Vec<Refused>) -> Vec<Refused> {
        let stats = Arc::clone(self.datapath.flow_stats());
        let mut batch = Batch::new(&self.flows.tables, &stats, Instant::now());
        let refused = change(&mut batch);
        if let Some(first) = refused.first() {
            tracing::error!(count = refused.len(), "logical networks lack something: {first}");
        }
        let displaced = self.publish_batch(batch).displaced;
        for flow in displaced.iter().take(MAX_NAMED) {
            let (table, cookie) = (flow.table, flow.options.cookie);
            let matcher = print_match(&flow.matcher(), flow.priority, &());
            tracing::warn!("the flow cookie={cookie:#x},table={table},{matcher} gave way to one of rows");
        }
        if displaced.len() > MAX_NAMED {
            tracing::warn!("and so did {} more", displaced.len() - MAX_NAMED);
        }
        refused
    }

    /// What is to be changed of the port bindings, so that they say which are here.
    fn claims(&self) -> Option<Transaction> {
        let store = self.logical.rows.snapshot();
        let (own, _) = store.chassis(self.logical.chassis.as_deref()?)?;
        // Ports of other kinds are no chassis's, or that of whom the rows name.
        changed(store, |row| match (self.is_here(row), row.chassis == Some(own)) {
            _ if !row.kind.is_empty() => None,
            (true, false) => Some(PortBinding { chassis: Some(own), ..row.clone() }),
            (false, true) => Some(PortBinding { chassis: None, up: row.up.and(Some(false)), ..row.clone() }),
            _ => None,
        })
    }

    /// What is to be changed of the port bindings, so that those are up that are claimed and here.
    fn ups(&self) -> Option<Transaction> {
        let store = self.logical.rows.snapshot();
        let (own, _) = store.chassis(self.logical.chassis.as_deref()?)?;
        changed(store, |row| {
            let comes_up = self.is_here(row) && row.chassis == Some(own) && row.up != Some(true);
            comes_up.then(|| PortBinding { up: Some(true), ..row.clone() })
        })
    }

    /// Whether a logical port was here when rows were last followed.
    fn is_here(&self, port: &PortBinding) -> bool {
        self.logical.following.as_ref().is_some_and(|following| following.lowering.is_here(port))
    }
}

/// A transaction with the port bindings that are to be another; none if none is.
fn changed(store: &Store, change: impl Fn(&PortBinding) -> Option<PortBinding>) -> Option<Transaction> {
    let rows: Vec<(Uuid, PortBinding)> =
        store.iter::<PortBinding>().filter_map(|(uuid, row)| Some((uuid, change(row)?))).collect();
    if rows.is_empty() {
        return None;
    }
    let mut transaction = Transaction::new();
    rows.into_iter().for_each(|(uuid, row)| transaction.put(uuid, row));
    Some(transaction)
}

/// Takes out all that rows had asked for.
fn take_out_lowered(batch: &mut Batch<'_>) -> Vec<Refused> {
    let flows = FlowMod {
        command: Command::Delete,
        table: None,
        priority: 0,
        matcher: Match::default(),
        cookie_filter: None,
        out_port: None,
        actions: Arc::default(),
        options: FlowOptions { lowered: true, ..FlowOptions::default() },
    };
    // To delete is never refused.
    let _ = batch.apply(&flows);
    let _ = batch.apply_lowered_group(&GroupMod::Delete(None));
    let _ = batch.apply_lowered_meter(&MeterMod::Delete(None));
    Vec::new()
}
