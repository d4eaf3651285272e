//! BFD with one chassis.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use super::sparing::Sparing;
use crate::config;
use crate::logical::rows::Uuid;
use crate::packet::parse::parse;
use crate::packet::{FlowKey, HeapPacket, Packet, PacketMeta};
use crate::tunnel::bfd::wire::FIRST_PORT;
use crate::tunnel::bfd::{Params, Session, State, Status, control, frame};
use crate::tunnel::{TunnelOut, Underlay};

/// Ports that a session may send from, from [`FIRST_PORT`] on.
const PORTS: u32 = 1 << 14;

/// A session and what became of it.
#[derive(Debug)]
pub struct Watch {
    session: Session,
    /// As it was last told of.
    state: State,
    lines: Sparing,
    /// Packets of the peer that were ignored.
    pub ignored: u64,
}

/// What is to be done.
pub enum Due {
    /// Nothing.
    Nothing,
    /// A frame is to be sent by the uplink.
    Frame(Vec<u8>),
    /// It could not be made: the Ethernet address of this next hop is not known.
    Unresolved(Ipv6Addr),
}

impl Watch {
    /// One that is down, with a discriminator other than these, and a port of its own as long as there are so many.
    pub fn new(bfd: config::Bfd, taken: &[u32], now: u64) -> Self {
        let millis = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let params = Params { min_rx: millis(bfd.min_rx), min_tx: millis(bfd.min_tx), mult: bfd.mult };
        let ports: HashSet<u32> = taken.iter().map(|taken| taken % PORTS).collect();
        let is_free = |discriminator: u32| {
            let has_port = ports.len() as u32 == PORTS || !ports.contains(&(discriminator % PORTS));
            discriminator != 0 && has_port && !taken.contains(&discriminator)
        };
        let mut discriminator = Uuid::random().first_word();
        while !is_free(discriminator) {
            discriminator = discriminator.wrapping_add(1);
        }
        let session = Session::new(params, discriminator);
        Self { session, state: State::Down, lines: Sparing::new(now), ignored: 0 }
    }

    /// Names the session on the wire.
    pub fn discriminator(&self) -> u32 {
        self.session.discriminator()
    }

    /// The port that packets are sent from.
    fn port(&self) -> u16 {
        FIRST_PORT + (self.discriminator() % PORTS) as u16
    }

    /// What there is to show.
    pub fn status(&self) -> Status {
        self.session.status()
    }

    /// Takes in a frame of the peer.
    pub fn received(&mut self, name: &str, inner: &[u8], now: u64) {
        let Some(packet) = control(inner) else { return };
        if let Err(why) = self.session.received(&packet, now) {
            self.ignored += 1;
            tracing::debug!(chassis = %name, why = why.name(), "a BFD packet was ignored");
        }
        self.note(name, now);
    }

    /// Goes on to `now`.
    pub fn tick(&mut self, name: &str, ip: Ipv6Addr, underlay: &Underlay, now: u64) -> Due {
        let packet = self.session.tick(now);
        self.note(name, now);
        let (Some(packet), Some(remote)) = (packet, underlay.remote(ip)) else { return Due::Nothing };
        if !remote.is_resolved {
            return Due::Unresolved(remote.hop);
        }
        let mut packet = HeapPacket::new(&frame(underlay.endpoint.mac, self.port(), &packet));
        let mut meta = PacketMeta::default();
        let _ = parse(packet.data(), &mut meta, &mut FlowKey::default());
        let out = TunnelOut { dst: ip, vni: 0, option: 0, ttl: 0, tos: 0 };
        match remote.encapsulate(&mut packet, &meta, &out) {
            Ok(()) => Due::Frame(packet.data().to_vec()),
            Err(_) => Due::Nothing,
        }
    }

    /// Tells of a change. Of a session that goes up and down without end some changes are passed over, but not the last.
    fn note(&mut self, name: &str, now: u64) {
        let Status { state, diag, remote_state, flaps, .. } = self.session.status();
        if state != self.state && self.lines.take(now) {
            let (before, remote) = (self.state.name(), remote_state.name());
            tracing::info!(chassis = %name, before, now = state.name(), diag = diag.name(), remote, flaps, "BFD state changed");
            self.state = state;
        }
    }
}
