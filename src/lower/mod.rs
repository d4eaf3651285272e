//! Lowering: from Southbound rows and the ports of this chassis to flows of the public tables, incrementally.
//!
//! ```text
//! Delta (rows before, after, which changed) ─┐
//! Bindings (chassis, logical port ─▶ PortNo) ─┴▶ Lowering::update ─▶ Changes ─▶ FlowMods, published once
//! ```
//!
//! A [`Lowering`] stands beside a [`rows::Cursor`](crate::logical::rows::Cursor) that began with
//! `subscribe_from_nothing`, on whatever thread (the first update takes long). Each [`Lowering::update`] takes what changed
//! and yields the flows, groups and meters that are to be put in and taken out ([`Changes::apply`] to a
//! [`Batch`](crate::pipeline::Batch)); applied one after the other they keep the tables equal to what the rows say.
//! Nothing else may write flows with those matches and priorities.
//!
//! The invariant: after any history of updates the flows are those that a new `Lowering` with the same [`Zones`]
//! makes of the last rows and bindings alone (the ids of conjunctions, groups and meters aside, which are arbitrary).
//!
//! Every flow belongs to a row, the lowest by uuid where several rows make the same one, and its cookie is the first
//! 32 bits of that row's uuid; flows that no row asks for have cookie 0. A row that cannot be lowered, or only in part,
//! is reported by [`Lowering::troubles`] and hinders no other.
//!
//! Inside: [`numbers`] has tables and registers; `flow`, `matches` and `actions` translate logical flows, `grown` what a
//! changed set changes in them; `objects` has the groups and meters that flows name; `physical`, `multicast`, `learned`
//! and `security` make the flows of ports, groups, neighbours and port security; `local` knows which datapaths this chassis needs, `view` what names mean in one of
//! them, `book` which flow belongs to whom, `refused` what of it the tables do not take, `units` who made and refers to
//! what, and `engine` what is to be made anew when a row changes.

mod actions;
mod book;
mod engine;
mod flow;
mod grown;
mod learned;
mod local;
mod matches;
mod multicast;
pub mod numbers;
mod objects;
mod packed;
mod physical;
mod refused;
mod security;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod units;
mod view;
mod zones;

pub use book::{Changes, LoweredFlow};
pub use engine::{Lowering, Trouble};
pub use local::{is_here, unfit};
pub use numbers::Numbers;
pub use refused::{Refused, Why};
pub use zones::Zones;

use std::collections::BTreeMap;

use crate::packet::PortNo;

/// What this chassis is and which of its switch ports are bound to logical ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// Its name in the table Chassis.
    pub chassis: String,
    /// Switch ports by the names of the logical ports that they are.
    pub ports: BTreeMap<String, PortNo>,
}

/// What changes of [`Bindings`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebound {
    /// The name of the chassis from now on.
    pub chassis: String,
    /// Logical ports that are another switch port, or none, from now on.
    pub ports: BTreeMap<String, Option<PortNo>>,
}

impl Bindings {
    /// What makes other bindings of these.
    pub fn changes_to(&self, other: &Bindings) -> Rebound {
        let gone = self.ports.keys().filter(|name| !other.ports.contains_key(*name));
        let new = other.ports.iter().filter(|(name, port)| self.ports.get(*name) != Some(*port));
        let ports = gone.map(|name| (name.clone(), None));
        let ports = ports.chain(new.map(|(name, port)| (name.clone(), Some(*port)))).collect();
        Rebound { chassis: other.chassis.clone(), ports }
    }

    /// Makes that change.
    pub fn change(&mut self, rebound: &Rebound) {
        self.chassis.clone_from(&rebound.chassis);
        for (name, port) in &rebound.ports {
            match port {
                Some(port) => self.ports.insert(name.clone(), *port),
                None => self.ports.remove(name),
            };
        }
    }
}
