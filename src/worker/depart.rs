//! How packets leave by tunnels: they get the outer headers of their peer and go out by the uplink, or wait until the next
//! hop's address is known.

use arrayvec::ArrayVec;

use super::again::Left;
use super::counters::WorkerCounters;
use super::device::Device;
use super::stage::Outputs;
use crate::action::execute::Sink;
use crate::action::intent::{Intent, Neighbour};
use crate::ident::BURST;
use crate::packet::{DropReason, Mac, Packet, PacketMeta, PortRef, checksum};
use crate::tunnel::{Remote, TunnelOut, Wrapping, inner_len};

/// Of a packet with outer headers: nothing is left open, and its length is to be looked at.
const OUTER: PacketMeta = PacketMeta { len: u32::MAX, ..PacketMeta::NONE };

impl<D: Device> Outputs<'_, D> {
    /// Sends packets through a tunnel, in order.
    #[inline(always)]
    pub fn tunnel_all<'m>(
        &mut self,
        packets: impl Iterator<Item = (D::Packet, &'m PacketMeta)>,
        out: &TunnelOut,
    ) {
        let ready = self.overlay.and_then(|overlay| {
            let remote = overlay.underlay.remote(out.dst)?;
            Some((overlay, remote, remote.wrapping(out)?))
        });
        let Some((overlay, remote, wrapping)) = ready else {
            return self.refuse_all(packets.map(|(packet, _)| packet));
        };
        let (mut sent, mut bytes, mut refused) = (0, 0, 0);
        let mut wrapped = ArrayVec::<_, BURST>::new();
        for (mut packet, meta) in packets {
            if let Err(reason) = wrap(&mut packet, meta, &wrapping) {
                refused += 1;
                self.discard(packet, reason);
                continue;
            }
            if !remote.is_resolved {
                self.await_hop(packet, meta, remote);
                continue;
            }
            (sent, bytes) = (sent + 1, bytes + u64::from(meta.len));
            if wrapped.is_full() {
                self.output_all(wrapped.drain(..).map(|packet| (packet, &OUTER)), overlay.uplink);
            }
            // There is room: it was made above.
            let _ = wrapped.try_push(packet);
        }
        self.output_all(wrapped.drain(..).map(|packet| (packet, &OUTER)), overlay.uplink);
        count_sent(self.counters, self.topology.tunnel, (sent, bytes, refused));
    }

    /// Drops packets to a peer that is not known, or to which no route leads.
    #[cold]
    fn refuse_all(&mut self, packets: impl Iterator<Item = D::Packet>) {
        let mut refused = 0;
        for packet in packets {
            refused += 1;
            self.discard(packet, DropReason::TunnelNoRemote);
        }
        count_sent(self.counters, self.topology.tunnel, (0, 0, refused));
    }

    /// Lets a packet wait that has its outer headers but for the next hop's address. It is counted when it leaves.
    #[cold]
    fn await_hop(&mut self, packet: D::Packet, meta: &PacketMeta, remote: &Remote) {
        self.tell(&packet, meta, Intent::Resolve(remote.hop));
        self.hold(packet, meta, Neighbour::of_underlay(remote.hop), 0);
    }

    /// Sends a packet that has waited for the address of its next hop.
    pub fn depart(&mut self, left: Left<D::Packet>, mac: Mac) {
        let mut packet = left.packet;
        self.counters.account.staged.sub(1);
        let Some(uplink) = self.overlay.map(|overlay| overlay.uplink) else {
            count_sent(self.counters, self.topology.tunnel, (0, 0, 1));
            return self.discard(packet, DropReason::TunnelNoRemote);
        };
        count_sent(self.counters, self.topology.tunnel, (1, inner_len(packet.data()) as u64, 0));
        if let Some(dst) = packet.data_mut().first_chunk_mut() {
            *dst = mac.0;
        }
        self.output_all(std::iter::once((packet, &OUTER)), uplink);
    }

    /// Sends a packet of the switch's own.
    pub fn originate(&mut self, packet: D::Packet, at: PortRef) {
        self.counters.account.originated.add(1);
        self.output_all(std::iter::once((packet, &OUTER)), at);
    }
}

/// Counts packets, bytes and dropped packets on the tunnel port.
#[inline(always)]
pub(super) fn count_sent(
    counters: &WorkerCounters,
    tunnel: Option<PortRef>,
    (packets, bytes, dropped): (u64, u64, u64),
) {
    if let Some(cell) = tunnel.and_then(|at| counters.ports.get(usize::from(at.slot))) {
        cell.tx_packets.add(packets);
        cell.tx_bytes.add(bytes);
        cell.tx_dropped.add(dropped);
    }
}

/// Puts the outer headers in front of a packet that is complete then.
#[inline(always)]
fn wrap<P: Packet>(packet: &mut P, meta: &PacketMeta, wrapping: &Wrapping) -> Result<(), DropReason> {
    if meta.said.is_flagged() {
        // A device completes the checksums of what it sees, which is not this packet any more.
        checksum::complete(packet.data_mut(), meta).map_err(|_| DropReason::BadPartial)?;
        packet.clear_offloads();
    }
    wrapping.wrap(packet, meta)
}
