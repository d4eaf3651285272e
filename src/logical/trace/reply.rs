//! Actions that make another packet of the present one: requests, answers, errors and resets.
//!
//! ovn-trace changes what it shows of the new packet and leaves the rest of the fields as they were, an error's
//! protocol number included where a switch would send a complete packet.

use super::machine::{At, Machine, Packet};
use crate::logical::action::Action;
use crate::packet::Field;

const ETH_ARP: u128 = 0x0806;
const ETH_IPV4: u128 = 0x0800;
const ICMP: u128 = 1;
const TCP: u128 = 6;
const ICMP6: u128 = 58;
const SCTP: u128 = 132;
/// Destination unreachable, the type that errors begin with.
const UNREACHABLE: u128 = 3;
const UNREACHABLE6: u128 = 1;
/// Host unreachable in one version, prohibited in the other.
const CODE: u128 = 1;
const RST: u128 = 4;
const MAX_TTL: u128 = 255;

impl<'a> Machine<'a> {
    pub(super) fn arp(&mut self, nested: &'a [Action], at: &At<'a>) {
        let packet = at.packet.copy();
        for field in [Field::IpFrag, Field::NwTos, Field::NwTtl, Field::TcpFlags, Field::ArpTha] {
            packet.set(field, 0);
        }
        packet.set(Field::EthType, ETH_ARP);
        packet.set(Field::ArpOp, 1);
        packet.set(Field::ArpSha, packet.get(Field::EthSrc));
        // The protocol addresses are where those of IPv4 were.
        self.nest(at, "arp", packet, nested);
    }

    pub(super) fn nd_na(&mut self, name: &str, nested: &'a [Action], at: &At<'a>) {
        let (was, packet) = (at.packet.key(), at.packet.copy());
        packet.set(Field::EthSrc, was.get(Field::EthDst));
        packet.set(Field::EthDst, was.get(Field::EthSrc));
        packet.set(Field::Ipv6Dst, was.get(Field::Ipv6Src));
        packet.set(Field::Ipv6Src, was.get(Field::NdTarget));
        packet.set(Field::TcpSrc, 136);
        packet.set(Field::ArpSha, 0);
        packet.set(Field::ArpTha, was.get(Field::EthDst));
        self.nest(at, name, packet, nested);
    }

    pub(super) fn nd_ns(&mut self, nested: &'a [Action], at: &At<'a>) {
        let (was, packet) = (at.packet.key(), at.packet.copy());
        // To the Ethernet group of the solicited-node address.
        packet.set(Field::EthDst, 0x3333_ff00_0000 | (was.get(Field::Ipv6Dst) & 0xff_ffff));
        packet.set(Field::TcpSrc, 135);
        packet.set(Field::ArpSha, 0);
        packet.set(Field::ArpTha, was.get(Field::EthDst));
        self.nest(at, "nd_ns", packet, nested);
    }

    /// `turned` says that it goes back to the sender.
    pub(super) fn icmp4(&mut self, nested: &'a [Action], at: &At<'a>, turned: bool) {
        // An answer to an answer would never end.
        if turned && at.packet.get(Field::TcpSrc) == UNREACHABLE {
            return;
        }
        let packet = error(&at.packet, turned, Field::NwSrc, Field::NwDst, ICMP);
        packet.set(Field::TcpSrc, UNREACHABLE);
        packet.set(Field::TcpDst, CODE);
        self.nest(at, "icmp4", packet, nested);
    }

    pub(super) fn icmp6(&mut self, nested: &'a [Action], at: &At<'a>, turned: bool) {
        if turned && at.packet.get(Field::TcpSrc) == UNREACHABLE6 {
            return;
        }
        let packet = error(&at.packet, turned, Field::Ipv6Src, Field::Ipv6Dst, ICMP6);
        packet.set(Field::TcpSrc, UNREACHABLE6);
        packet.set(Field::TcpDst, CODE);
        self.nest(at, "icmp6", packet, nested);
    }

    pub(super) fn tcp_reset(&mut self, nested: &'a [Action], at: &At<'a>, turned: bool) {
        self.reset("tcp_reset", TCP, TCP, nested, at, turned);
    }

    pub(super) fn sctp_abort(&mut self, nested: &'a [Action], at: &At<'a>, turned: bool) {
        // Over IPv6 ovn-trace makes it one of TCP.
        self.reset("sctp_abort", SCTP, TCP, nested, at, turned);
    }

    fn reset(
        &mut self,
        name: &str,
        proto: u128,
        proto6: u128,
        nested: &'a [Action],
        at: &At<'a>,
        turned: bool,
    ) {
        if turned && at.packet.get(Field::TcpFlags) == RST {
            return;
        }
        let packet = if at.packet.get(Field::EthType) == ETH_IPV4 {
            error(&at.packet, turned, Field::NwSrc, Field::NwDst, proto)
        } else {
            error(&at.packet, turned, Field::Ipv6Src, Field::Ipv6Dst, proto6)
        };
        packet.set(Field::TcpFlags, RST);
        self.nest(at, name, packet, nested);
    }

    /// Whichever of these suits the packet, back to the sender.
    pub(super) fn reject(&mut self, nested: &'a [Action], at: &At<'a>) {
        match (at.packet.get(Field::NwProto), at.packet.get(Field::EthType)) {
            (TCP, _) => self.tcp_reset(nested, at, true),
            (SCTP, _) => self.sctp_abort(nested, at, true),
            (_, ETH_IPV4) => self.icmp4(nested, at, true),
            _ => self.icmp6(nested, at, true),
        }
    }
}

/// A copy with another protocol and a fresh time to live, its addresses exchanged if it turns back.
fn error(was: &Packet, turned: bool, src: Field, dst: Field, proto: u128) -> Packet {
    let packet = was.copy();
    if turned {
        for (one, other) in [(Field::EthSrc, Field::EthDst), (src, dst)] {
            packet.set(one, was.get(other));
            packet.set(other, was.get(one));
        }
    }
    packet.set(Field::NwProto, proto);
    packet.set(Field::NwTtl, MAX_TTL);
    packet
}
