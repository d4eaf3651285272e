//! A look at the packets that are received, for a live trace: the first that meets a filter is copied.
//!
//! The memory is the control thread's, as that of an errand. While nobody looks, a burst pays one test for this.

use std::num::NonZeroU64;

use super::burst::{Burst, PacketOf};
use super::device::{Backend, Device};
use crate::classifier::Match;
use crate::packet::headers::{MACS_LEN, VLAN_LEN, VLAN_PRESENT, eth_type};
use crate::packet::key::TunnelWords;
use crate::packet::parse::parse;
use crate::packet::{Field, FlowKey, Packet, PacketMeta, PortNo};

/// What is looked for, and what was found.
pub struct Live {
    /// Which look it is.
    pub token: NonZeroU64,
    /// What the packet looks like.
    pub filter: Match,
    /// The port that it came in by, once there was one.
    pub found: Option<PortNo>,
    /// What the tunnel said that it came by, if it came by one.
    pub tunnel: TunnelWords,
    /// Its bytes. Never grows beyond its capacity.
    pub data: Vec<u8>,
    key: FlowKey,
}

impl Live {
    /// Nothing found yet; a packet has the room that `data` has.
    pub fn new(token: NonZeroU64, filter: Match, data: Vec<u8>) -> Self {
        Self { token, filter, found: None, tunnel: TunnelWords::default(), data, key: FlowKey::default() }
    }

    /// Copies a packet that a port received if it meets the filter. One in several segments, or of which there are more bytes
    /// than room, is passed over.
    pub fn look<D: Device>(&mut self, packet: &D::Packet, port: PortNo, tunnel: TunnelWords) -> bool {
        let frame = packet.data();
        if !D::is_linear(packet) || frame.len() + VLAN_LEN > self.data.capacity() {
            return false;
        }
        let mut meta = PacketMeta::default();
        D::read_meta(packet, &mut meta);
        self.data.clear();
        let stripped = meta.said.stripped_vlan();
        match frame.split_at_checked(MACS_LEN).filter(|_| stripped != 0) {
            Some((macs, rest)) => {
                self.data.extend_from_slice(macs);
                self.data.extend_from_slice(&eth_type::VLAN.to_be_bytes());
                self.data.extend_from_slice(&(stripped & !VLAN_PRESENT).to_be_bytes());
                self.data.extend_from_slice(rest);
            }
            None => self.data.extend_from_slice(frame),
        }
        self.key.clear_long();
        self.key.set(Field::InPort, port.0.into());
        let _ = parse(&self.data, &mut meta, &mut self.key);
        let _ = self.key.add_tunnel(&tunnel);
        self.tunnel = tunnel;
        let meets = self.key.eq_masked(&self.filter.key, &self.filter.mask);
        self.found = meets.then_some(port);
        meets
    }
}

impl<B: Backend> Burst<'_, B> {
    /// Looks for the packet of a live trace.
    #[cold]
    #[inline(never)]
    pub(super) fn look(&mut self, packets: &[<B::Device as Device>::Packet], port: PortNo) {
        let Some(live) = self.live else { return };
        if packets.iter().any(|packet| live.look::<B::Device>(packet, port, TunnelWords::default())) {
            self.look_no_more();
        }
    }

    /// The same of a packet that came by a tunnel, without its outer headers.
    #[cold]
    #[inline(never)]
    pub(super) fn look_at_inner(&mut self, packet: &PacketOf<B>, port: PortNo, tunnel: TunnelWords) {
        if self.live.as_mut().is_some_and(|live| live.look::<B::Device>(packet, port, tunnel)) {
            self.look_no_more();
        }
    }

    /// Brings back what looks for the packet of a live trace.
    pub fn look_no_more(&mut self) {
        if let Some(live) = self.live.take() {
            // There is one at a time, and room for it.
            let _ = self.lives.push(live);
        }
    }
}
