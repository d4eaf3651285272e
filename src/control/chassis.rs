//! What of the logical networks is on this chassis: which ports it claims, and the flows that rows become.
//!
//! The invariants:
//! - Rows and ports are followed one update at a time ([`Switch::follow`]), and each update is published once. A command
//!   that changes rows or ports follows before it answers, so that what was answered for is what packets meet.
//! - A port binding is `up` after the flows of its port were published, not before.
//! - Nobody confirms what this chassis claims but this chassis itself: the rows come from a file.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::learning::Counts;
use super::switch::{Published, State, Switch};
use crate::action::intent::Neighbour;
use crate::datapath::Generation;
use crate::logical::rows::tables::{DatapathBinding, MacBinding, PortBinding, StaticMacBinding};
use crate::logical::rows::{Change, Cursor, Delta, Store, Table, Transaction, Uuid};
use crate::lower::{Bindings, Changes, Lowering, Numbers, Rebound, Refused, Trouble, Zones};
use crate::packet::Mac;
use crate::pipeline::Batch;
use crate::pipeline::flow::{FlowOptions, Match};
use crate::pipeline::flowmod::{Command, FlowMod};
use crate::pipeline::objectmod::{GroupMod, MeterMod};
use crate::pipeline::syntax::print_match;

/// Rows that are lowered at once; more of them on another thread, while other commands go on.
const STRETCH: usize = 64;
/// Logical flows among which ports may come and go at once: with a port a whole network may.
const FEW_FLOWS: usize = 4096;
/// Flows of users that are named in the log when they give way at once.
const MAX_NAMED: usize = 16;

/// How far rows and ports have become flows.
pub struct Following {
    lowering: Lowering,
    cursor: Cursor,
    bindings: Bindings,
}

/// Makes flows of what changed.
pub type Lower = fn(Box<Following>, Delta, Rebound) -> Lowered;

/// What came of that.
pub struct Lowered {
    following: Box<Following>,
    changes: Changes,
    /// Neighbours that the rows know since, those first that prevail.
    neighbours: Vec<(Neighbour, Mac)>,
    /// Ports inside those of which the binding changed.
    inside: Vec<String>,
}

/// Rows did not become flows. What was commanded is done all the same, and the next command tries again from the
/// beginning.
#[derive(Debug, thiserror::Error)]
#[error("it is done, but rows could not be made flows, so packets do not meet it: {0}; please report this")]
pub struct NotLowered(String);

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
    /// The ports that are here as the flows have them.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// The rows that they have been made of.
    pub fn rows(&self) -> &Store {
        self.cursor.seen()
    }

    /// The keys of the datapaths that are here.
    pub fn vnis(&self) -> Vec<u32> {
        self.lowering.vnis(self.rows())
    }

    /// The names of the ports inside a port.
    pub fn nested_in(&self, name: &str) -> Vec<String> {
        self.lowering.nested_in(name)
    }
}

impl Switch {
    /// Makes the flows of rows and ports as they are now, claims the ports that are here, and waits until packets meet
    /// that.
    pub async fn follow(&self) -> Result<Published, NotLowered> {
        self.follow_after(Generation::default()).await
    }

    /// The same, and waits for an earlier publication too.
    pub async fn follow_after(&self, earlier: Generation) -> Result<Published, NotLowered> {
        let _turn = self.following_turn().await;
        let began = Instant::now();
        self.state_mut().reach_ahead();
        let mut generation = self.step().await?;
        let changed = began.elapsed();
        let claims = self.state().claims();
        if self.commit(claims) {
            generation = self.step().await?;
        }
        let claimed = began.elapsed();
        let reached = self.state_mut().reach();
        let published = self.settle(generation.max(earlier).max(reached)).await;
        let settled = began.elapsed();
        let up = self.state_mut().ups();
        let is_told = self.commit(up);
        let mut published = published;
        if self.tell_northbound(&published).await || is_told {
            let after = self.step().await?;
            if after > generation {
                published = self.settle(after).await;
            }
        }
        tracing::debug!(?changed, ?claimed, ?settled, up = ?began.elapsed(), "rows and ports followed");
        Ok(published)
    }

    /// Follows once, and says when the last publication was.
    async fn step(&self) -> Result<Generation, NotLowered> {
        let (following, delta, rebound, lower) = {
            let mut state = self.state_mut();
            let mut following = match state.logical.following.take() {
                Some(following) => following,
                None => {
                    state.logical.bound.look_at_all();
                    state.logical.learned = Counts::default();
                    state.start_over()
                }
            };
            let host = state.host();
            let logical = &mut state.logical;
            let delta = following.cursor.poll(&logical.rows);
            logical.learned.follow(&delta);
            let rebound = logical.bound.rebind(&following.bindings, &host, &delta);
            let is_other = rebound.host != following.bindings.host;
            if delta.changes.is_empty() && rebound.ports.is_empty() && !is_other {
                logical.following = Some(following);
                return Ok(state.flows.generation);
            }
            (following, delta, rebound, logical.lower)
        };
        let may_be_much = !rebound.ports.is_empty() && delta.after.len(Table::LogicalFlow) > FEW_FLOWS;
        let lowered = if delta.changes.len() <= STRETCH && !may_be_much {
            let began = Instant::now();
            let lowered = lower(following, delta, rebound);
            self.state_mut().logical.busy += began.elapsed();
            Ok(lowered)
        } else {
            tokio::task::spawn_blocking(move || lower(following, delta, rebound)).await
        };
        // What was lowered is lost with an error; the next one begins anew.
        let Lowered { mut following, changes, neighbours, inside } = lowered.map_err(|error| {
            tracing::error!(%error, "rows could not be lowered; please report this");
            NotLowered(error.to_string())
        })?;
        let began = Instant::now();
        let mut state = self.state_mut();
        // Just before the publication that knows them, so that nobody who waits goes on without it, or never.
        neighbours.into_iter().for_each(|(neighbour, mac)| state.datapath.neighbour_learned(neighbour, mac));
        let refused = state.install(|batch| changes.apply(batch));
        following.lowering.note(&changes, refused);
        let logical = &mut state.logical;
        logical.bound.look_at(&inside, logical.rows.snapshot());
        logical.following = Some(following);
        logical.busy += began.elapsed();
        Ok(state.flows.generation)
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

/// The [`Lower`] of a switch.
pub fn lower(mut following: Box<Following>, delta: Delta, rebound: Rebound) -> Lowered {
    let began = Instant::now();
    let changes = following.lowering.follow(&delta, &rebound);
    following.bindings.change(&rebound);
    let neighbours = neighbours(&delta, &following.lowering);
    let (rows, flows, took) = (delta.changes.len(), changes.len(), began.elapsed());
    match rows <= STRETCH {
        true => tracing::debug!(rows, flows, ?took, "rows lowered"),
        false => tracing::info!(rows, flows, ?took, "rows lowered"),
    }
    let of_rows = |change: &Change| [&delta.before, &delta.after].map(|store| port_name(store, change));
    let changed = delta.changes.iter().flat_map(of_rows).flatten();
    let names = rebound.ports.keys().map(String::as_str).chain(changed);
    let inside = names.flat_map(|name| following.lowering.nested_in(name)).collect();
    changes.troubles.iter().take(MAX_NAMED).for_each(|trouble| tracing::warn!("{trouble}"));
    if changes.troubles.len() > MAX_NAMED {
        let more = changes.troubles.len() - MAX_NAMED;
        tracing::warn!("and {more} rows more; `millrace sbctl troubles` names them");
    }
    Lowered { following, changes, neighbours, inside }
}

/// The name of a port whose row changed.
fn port_name<'a>(store: &'a Store, change: &Change) -> Option<&'a str> {
    let row = (change.table == Table::PortBinding).then(|| store.get::<PortBinding>(change.uuid))??;
    Some(&row.logical_port)
}

/// The neighbours that flows know since these changes of rows.
fn neighbours(delta: &Delta, lowering: &Lowering) -> Vec<(Neighbour, Mac)> {
    let mut known: Vec<(u8, Neighbour, Mac)> = Vec::new();
    for change in &delta.changes {
        let row = |store| Row::of(store, change.table, change.uuid);
        let Some(after) = row(&delta.after).filter(|after| row(&delta.before).as_ref() != Some(after)) else {
            continue;
        };
        let found = || {
            let (_, port) = delta.after.port(after.port)?;
            let datapath = delta.after.get::<DatapathBinding>(after.datapath)?;
            let ip = match after.ip.parse().ok()? {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let is_here = lowering.has_datapath(after.datapath) && port.datapath == after.datapath;
            let neighbour =
                Neighbour { datapath: datapath.tunnel_key.into(), port: port.tunnel_key.into(), ip };
            is_here.then_some((after.rank, neighbour, after.mac.parse().ok()?))
        };
        known.extend(found());
    }
    known.sort_by_key(|(rank, ..)| *rank);
    known.into_iter().map(|(_, neighbour, mac)| (neighbour, mac)).collect()
}

/// A row that says where a neighbour is.
#[derive(PartialEq, Eq)]
struct Row<'a> {
    datapath: Uuid,
    port: &'a str,
    ip: &'a str,
    mac: &'a str,
    /// The lowest prevails.
    rank: u8,
}

impl<'a> Row<'a> {
    fn of(store: &'a Store, table: Table, uuid: Uuid) -> Option<Self> {
        match table {
            Table::MacBinding => {
                let MacBinding { datapath, logical_port, ip, mac, .. } = &**store.get(uuid)?;
                Some(Self { datapath: *datapath, port: logical_port, ip, mac, rank: 1 })
            }
            Table::StaticMacBinding => {
                let StaticMacBinding { datapath, logical_port, ip, mac, override_dynamic_mac, .. } =
                    &**store.get(uuid)?;
                let rank = if *override_dynamic_mac { 0 } else { 2 };
                Some(Self { datapath: *datapath, port: logical_port, ip, mac, rank })
            }
            _ => None,
        }
    }
}

impl State {
    /// What has been followed so far; nothing while it is carried on elsewhere.
    pub fn extent(&self) -> Extent {
        let Some(following) = &self.logical.following else { return Extent::default() };
        let Following { lowering, cursor, bindings } = &**following;
        let rows = cursor.seen();
        let bound = bindings.in_use(rows);
        let mut troubles = lowering.troubles();
        let denied = self.logical.bound.denied(bindings, rows);
        troubles.extend(denied.into_iter().map(|(uuid, sentence)| Trouble {
            table: Table::PortBinding,
            uuid,
            sentence,
        }));
        Extent { flows: lowering.len(), bound, troubles }
    }

    /// What is to be changed of the port bindings, so that they say which are here.
    fn claims(&self) -> Option<Transaction> {
        let logical = &self.logical;
        logical.bound.claims(&logical.following.as_ref()?.bindings, logical.rows.snapshot())
    }

    /// What is to be changed of them, so that those are up that are claimed and here.
    fn ups(&mut self) -> Option<Transaction> {
        let logical = &mut self.logical;
        logical.bound.ups(&logical.following.as_ref()?.bindings, logical.rows.snapshot())
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
