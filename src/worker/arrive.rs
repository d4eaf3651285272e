//! What comes in by the uplink: packets of tunnels, which lose their outer headers and go on as packets of the tunnel
//! port; what the endpoint answers itself; and the rest, which is a port's like any other's.
//!
//! Inner and outer headers are in the cache together, so a packet is looked up once, with what the outer headers said in
//! its key.

use arrayvec::ArrayVec;

use super::burst::{Burst, From, PacketOf};
use super::device::{Backend, Device};
use super::state::Overlay;
use crate::action::Op;
use crate::action::execute::Sink;
use crate::action::intent::Intent;
use crate::ident::BURST;
use crate::packet::headers::ETH_LEN;
use crate::packet::key::TunnelWords;
use crate::packet::parse::parse;
use crate::packet::{
    CsumState, DropReason, Field, FlowKey, Packet, PacketMeta, PortNo, PortRef, Said, checksum,
};
use crate::tunnel::{Arrival, Endpoint, Local, Received, answer, bfd, merge_ecn};

/// Packets of tunnels, in the order in which they came.
struct Inner<P> {
    packets: ArrayVec<P, BURST>,
    words: [TunnelWords; BURST],
    bytes: u64,
}

impl<B: Backend> Burst<'_, B> {
    /// Takes a burst of the uplink in. Returns the bytes as they came.
    #[inline(never)]
    pub(super) fn arrive(
        &mut self,
        packets: ArrayVec<PacketOf<B>, BURST>,
        from: From,
        overlay: &Overlay,
    ) -> u64 {
        packets.iter().for_each(B::Device::prefetch);
        let mut others = ArrayVec::<_, BURST>::new();
        let mut inner = Inner { packets: ArrayVec::new(), words: [TunnelWords::default(); BURST], bytes: 0 };
        let mut bytes = 0;
        for packet in packets {
            bytes += packet.data().len() as u64;
            let Some(mut packet) = self.plain(packet, 0) else { continue };
            let endpoint = &overlay.underlay.endpoint;
            let mut arrival = endpoint.classify(packet.data());
            if matches!(arrival, Arrival::Refused(_)) {
                arrival = Self::completed(&mut packet, endpoint).unwrap_or(arrival);
            }
            let other = match arrival {
                Arrival::Other => Some(packet),
                Arrival::Tunnel(received) => {
                    self.unwrap(packet, &received, overlay, &mut inner);
                    None
                }
                Arrival::Refused(reason) => {
                    self.out.discard(packet, reason);
                    None
                }
                Arrival::Local(local) => self.serve(packet, local, from, overlay),
            };
            if let Some(packet) = other {
                if self.live.is_some() {
                    self.look(std::slice::from_ref(&packet), from.number);
                }
                // As many as came at most, here and below.
                _ = others.try_push(packet);
            }
        }
        if !others.is_empty() {
            self.process(&mut others, from);
        }
        if let Some((number, at)) = overlay.tunnel
            && !inner.packets.is_empty()
        {
            if let Some(cell) = self.out.counters.ports.get(usize::from(at.slot)) {
                cell.rx_packets.add(inner.packets.len() as u64);
                cell.rx_bytes.add(inner.bytes);
            }
            self.process_inner(&mut inner, From { number, at });
        }
        bytes
    }

    /// Completes checksums that the sender left open, and says what the packet is then. None if there are none: what it
    /// was refused for is true.
    #[cold]
    fn completed(packet: &mut PacketOf<B>, endpoint: &Endpoint) -> Option<Arrival> {
        let mut meta = PacketMeta::NONE;
        B::Device::read_meta(packet, &mut meta);
        if ![meta.said.l3_csum(), meta.said.l4_csum()].contains(&CsumState::Partial) {
            return None;
        }
        let _ = parse(packet.data(), &mut meta, &mut FlowKey::default());
        checksum::complete(packet.data_mut(), &meta).ok()?;
        packet.clear_offloads();
        Some(endpoint.classify(packet.data()))
    }

    /// Takes the outer headers off; or drops the packet by name.
    #[inline(always)]
    fn unwrap(
        &mut self,
        mut packet: PacketOf<B>,
        received: &Received,
        overlay: &Overlay,
        inner: &mut Inner<PacketOf<B>>,
    ) {
        let Some((number, at)) = overlay.tunnel else {
            // Where no tunnel ends, Geneve is nothing that is served.
            return self.out.discard(packet, DropReason::UnderlayNotHandled);
        };
        if overlay.underlay.remote(received.src).is_none() {
            return self.out.discard(packet, DropReason::TunnelUnknownPeer);
        }
        packet.truncate(usize::from(received.end));
        if !packet.pull_front(usize::from(received.inner)) || packet.data().len() < ETH_LEN {
            return self.out.discard(packet, DropReason::Runt);
        }
        packet.clear_offloads();
        if received.vni == 0 && bfd::control(packet.data()).is_some() {
            return self.hear(packet, received, (number, at), overlay);
        }
        if let Err(reason) = merge_ecn(received.tos, &mut packet) {
            return self.out.discard(packet, reason);
        }
        let words = received.words();
        if self.live.is_some() {
            self.look_at_inner(&packet, number, words);
        }
        if let Some(place) = inner.words.get_mut(inner.packets.len()) {
            *place = words;
        }
        inner.bytes += packet.data().len() as u64;
        _ = inner.packets.try_push(packet);
    }

    /// Tells what a peer says by BFD, where sessions are run.
    #[cold]
    fn hear(
        &mut self,
        packet: PacketOf<B>,
        received: &Received,
        (in_port, in_ref): (PortNo, PortRef),
        overlay: &Overlay,
    ) {
        if !overlay.underlay.has_bfd {
            return self.out.discard(packet, DropReason::UnderlayNotHandled);
        }
        // Of the tunnel port, so that what others make the uplink tell takes nothing of its share.
        let meta = PacketMeta { in_port, in_ref, ..PacketMeta::default() };
        Sink::tell(&mut self.out, &packet, &meta, Intent::Bfd(received.src));
        Sink::consumed(&mut self.out, packet, &meta);
    }

    /// Does what the endpoint does itself. Gives back what was announced to everybody, which is the tables' as well: a
    /// physical network behind the same port may need it too.
    #[cold]
    fn serve(
        &mut self,
        mut packet: PacketOf<B>,
        local: Local,
        from: From,
        overlay: &Overlay,
    ) -> Option<PacketOf<B>> {
        let meta =
            PacketMeta { in_port: from.number, in_ref: from.at, len: u32::MAX, ..PacketMeta::default() };
        if !local.is_announcement() {
            packet.clear_offloads();
        }
        let outcome = answer(&overlay.underlay.endpoint, local, &mut packet);
        let heard = outcome.ok().and_then(|outcome| outcome.heard);
        if let Some(heard) = heard.filter(|heard| overlay.underlay.is_of_concern(heard.ip)) {
            let intent = match overlay.underlay.endpoint.has(heard.ip) {
                true => Intent::Claimed(heard.ip, heard.mac),
                false => Intent::Heard(heard),
            };
            Sink::tell(&mut self.out, &packet, &meta, intent);
        }
        if local.is_announcement() {
            return Some(packet);
        }
        match outcome {
            Err(reason) => self.out.discard(packet, reason),
            Ok(outcome) if outcome.reply => {
                self.out.output_all(std::iter::once((packet, &meta)), overlay.uplink);
            }
            Ok(_) => Sink::consumed(&mut self.out, packet, &meta),
        }
        None
    }

    /// Parses, looks up and acts.
    #[inline(always)]
    fn process_inner(&mut self, inner: &mut Inner<PacketOf<B>>, from: From) {
        let slots = &mut *self.slots;
        let count = inner.packets.len();
        slots.prepare(from, count);
        let all = u32::MAX.unbounded_shr((BURST - count) as u32);
        let were_long = slots.long;
        let places = slots.metas.iter_mut().zip(&mut slots.keys);
        slots.longest = 0;
        for (place, ((packet, words), (meta, key))) in
            inner.packets.iter().zip(&inner.words).zip(places).enumerate()
        {
            if were_long & (1 << place) != 0 {
                key.clear_long();
            }
            meta.said = Said::default();
            // None is shorter than an Ethernet header: the others were dropped.
            let _ = parse(packet.data(), meta, key);
            let _ = key.add_tunnel(words);
            slots.longest = slots.longest.max(meta.len);
        }
        slots.long = were_long | all;
        self.out.counters.perf.packets.add(count as u64);
        self.cache.lookup(from.index(), &slots.keys, 0, all, &mut slots.found);
        self.act(&mut inner.packets, from);
    }

    /// A packet of a tunnel that the tables drop because its network is none that is known here is dropped by that name.
    #[cold]
    pub(super) fn name_unknown_network(&mut self, place: usize) {
        let Some(overlay) = &self.state.overlay else { return };
        if self.slots.metas[place % BURST].frozen != 0 {
            // It has been in the tables of its network already.
            return;
        }
        let vni = self.slots.keys[place % BURST].get(Field::TunId) as u32;
        if matches!(self.translation.ops(), [Op::Drop(DropReason::Explicit | DropReason::NoMatch)])
            && !overlay.underlay.knows_vni(vni)
        {
            self.translation.drop_as(DropReason::TunnelUnknownVni);
        }
    }
}
