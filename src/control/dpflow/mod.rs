//! Megaflows in the form of Open vSwitch's datapath flows, as `ovs-appctl dpctl/dump-flows` prints them:
//! `recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.255.255.0,frag=no), packets:1, …, actions:2`.
//!
//! The invariant: a line means what the megaflow does, in the words with which Open vSwitch prints the same flow. Where
//! it has none, there are four differences. Registers and metadata are left out (they are constant where a packet
//! enters). Tags that must be absent and tags that do not matter are both not there. A TTL that is lowered without
//! being matched is `dec_ttl`, and the least TTL that is served stands under `dp-extra-info`. Packets that
//! leave the tables and what is told the control thread have words of their own ([`leaving`]). `megaflow/dump` has all
//! of it.

mod actions;
mod key;
pub mod leaving;
#[cfg(test)]
mod tests;
mod tunnel;

use std::fmt::{self, Display, Formatter};

use crate::action::Op;
use crate::datapath::megaflow::Megaflow;
use crate::packet::{PortNo, PortRef};
use crate::pipeline::{Match, Ports};

/// How flows are shown.
#[derive(Clone, Copy)]
pub struct Style<'p> {
    /// Which port is where.
    pub ports: &'p Ports,
    /// Names of ports in place of numbers.
    pub names: bool,
    /// Also fields that are not matched.
    pub more: bool,
}

impl Style<'_> {
    fn number(self, number: PortNo) -> String {
        match self.ports.get(number) {
            Some(port) if self.names => port.name.to_string(),
            _ => number.0.to_string(),
        }
    }

    /// The port where tunnels begin.
    fn tunnel(self) -> String {
        self.ports.tunnel().map_or_else(|| "gone".to_owned(), |number| self.number(number))
    }

    fn place(self, place: PortRef) -> String {
        match self.ports.iter().find(|port| port.at == place) {
            Some(port) => self.number(port.number),
            // The port is gone, and the megaflow is stale.
            None => "gone".to_owned(),
        }
    }
}

/// What a megaflow with that match does.
pub fn actions_text(ops: &[Op], matcher: &Match, style: Style<'_>) -> String {
    actions::text(ops, matcher, style)
}

/// A line of the dump, without its end.
pub struct DpFlow<'f> {
    /// The megaflow.
    pub megaflow: &'f Megaflow,
    /// How it is shown.
    pub style: Style<'f>,
}

impl Display for DpFlow<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Megaflow { matcher, min_ttl, ops, packets, bytes, used_ms_ago, .. } = self.megaflow;
        f.write_str(&key::text(matcher, self.style))?;
        write!(f, ", packets:{packets}, bytes:{bytes}, used:")?;
        match used_ms_ago {
            Some(ms) => write!(f, "{}.{:03}s", ms / 1000, ms % 1000)?,
            None => f.write_str("never")?,
        }
        write!(f, ", actions:{}", actions::text(ops, matcher, self.style))?;
        if self.style.more && *min_ttl > 0 {
            write!(f, ", dp-extra-info:min_ttl({min_ttl})")?;
        }
        Ok(())
    }
}
