//! The one table of symbols, a line each: OVN 23.03's, and the flags of later releases. A text in it uses only symbols
//! above it, so that no expansion leads back to where it began.

use super::{Kind, Level, Symbol, Writable};
use crate::packet::Field;
use crate::packet::field::Maskable;

/// All symbols.
pub fn symbols() -> &'static [Symbol] {
    SYMBOLS
}

const fn level(field: Field) -> Level {
    match field.info().maskable {
        Maskable::Bits => Level::Ordinal,
        Maskable::Whole => Level::Nominal,
    }
}

const fn writable(field: Field) -> Writable {
    match (field.info().writable, field) {
        (false, _) => Writable::No,
        (true, Field::CtMark | Field::CtLabel) => Writable::InCommit,
        (true, _) => Writable::Anywhere,
    }
}

/// A whole field.
const fn field(name: &'static str, field: Field, prereqs: &'static str) -> Symbol {
    part(name, field, 0, field.bits(), prereqs)
}

/// Some bits of a field.
const fn part(name: &'static str, field: Field, offset: u16, width: u16, prereqs: &'static str) -> Symbol {
    let kind = Kind::Field { field, offset, width };
    Symbol { name, kind, level: level(field), prereqs, writable: writable(field) }
}

const fn bit(name: &'static str, field: Field, bit: u16) -> Symbol {
    part(name, field, bit, 1, "")
}

const fn string(name: &'static str, field: Field) -> Symbol {
    Symbol { name, kind: Kind::Str(field), level: Level::Nominal, prereqs: "", writable: Writable::Anywhere }
}

/// A predicate that says something of a nominal field.
const fn nominal(name: &'static str, text: &'static str) -> Symbol {
    Symbol { name, kind: Kind::Predicate(text), level: Level::Nominal, prereqs: "", writable: Writable::No }
}

/// A predicate that may also be negated.
const fn boolean(name: &'static str, text: &'static str) -> Symbol {
    Symbol { name, kind: Kind::Predicate(text), level: Level::Boolean, prereqs: "", writable: Writable::No }
}

const fn ovn(name: &'static str, width: u16) -> Symbol {
    Symbol {
        name,
        kind: Kind::OvnField(width),
        level: Level::Nominal,
        prereqs: "",
        writable: Writable::Anywhere,
    }
}

use Field as F;

#[rustfmt::skip] // one line per symbol
static SYMBOLS: &[Symbol] = &[
    string("inport", F::Reg14),
    string("outport", F::Reg15),

    field("xxreg0", F::Xxreg0, ""),
    field("xxreg1", F::Xxreg1, ""),
    part("xreg0", F::Xxreg0, 64, 64, ""),
    part("xreg1", F::Xxreg0, 0, 64, ""),
    part("xreg2", F::Xxreg1, 64, 64, ""),
    part("xreg3", F::Xxreg1, 0, 64, ""),
    field("xreg4", F::Xreg4, ""),
    part("reg0", F::Xxreg0, 96, 32, ""),
    part("reg1", F::Xxreg0, 64, 32, ""),
    part("reg2", F::Xxreg0, 32, 32, ""),
    part("reg3", F::Xxreg0, 0, 32, ""),
    part("reg4", F::Xxreg1, 96, 32, ""),
    part("reg5", F::Xxreg1, 64, 32, ""),
    part("reg6", F::Xxreg1, 32, 32, ""),
    part("reg7", F::Xxreg1, 0, 32, ""),
    part("reg8", F::Xreg4, 32, 32, ""),
    part("reg9", F::Xreg4, 0, 32, ""),

    field("flags", F::Reg10, ""),
    bit("flags.loopback", F::Reg10, 0),
    bit("flags.force_snat_for_dnat", F::Reg10, 2),
    bit("flags.force_snat_for_lb", F::Reg10, 3),
    bit("flags.skip_snat_for_lb", F::Reg10, 9),
    bit("flags.use_snat_zone", F::Reg10, 11),
    bit("flags.localnet", F::Reg10, 15),
    bit("flags.tunnel_rx", F::Reg10, 16),
    bit("flags.icmp_snat", F::Reg10, 17),
    bit("flags.from_ctrl", F::Reg10, 19),
    bit("flags.unsnat_new", F::Reg10, 20),
    bit("flags.unsnat_not_tracked", F::Reg10, 21),
    bit("flags.igmp_loopback", F::Reg10, 22),
    bit("flags.pkt_sampled", F::Reg10, 23),
    part("flags.network_id", F::Reg10, 28, 4, ""),

    field("ct_mark", F::CtMark, ""),
    bit("ct_mark.blocked", F::CtMark, 0),
    bit("ct_mark.natted", F::CtMark, 1),
    bit("ct_mark.skip_snat", F::CtMark, 2),
    bit("ct_mark.force_snat", F::CtMark, 3),
    part("ct_mark.obs_stage", F::CtMark, 4, 2, ""),
    bit("ct_mark.allow_established", F::CtMark, 6),
    part("ct_mark.ecmp_reply_port", F::CtMark, 16, 16, ""),
    part("ct_mark.obs_collector_id", F::CtMark, 16, 8, ""),
    field("ct_label", F::CtLabel, ""),
    bit("ct_label.blocked", F::CtLabel, 0),
    bit("ct_label.natted", F::CtLabel, 1),
    bit("ct_label.skip_snat", F::CtLabel, 2),
    bit("ct_label.force_snat", F::CtLabel, 3),
    part("ct_label.ecmp_reply_eth", F::CtLabel, 32, 48, ""),
    part("ct_label.ecmp_reply_port", F::CtLabel, 80, 16, ""),
    part("ct_label.label", F::CtLabel, 96, 32, ""),
    part("ct_label.obs_point_id", F::CtLabel, 96, 32, ""),
    part("ct_label.obs_unused", F::CtLabel, 0, 96, ""),
    part("ct_label.acl_id", F::CtLabel, 80, 16, ""),
    field("ct_state", F::CtState, ""),
    part("ct.trk", F::CtState, 5, 1, ""),
    part("ct.new", F::CtState, 0, 1, "ct.trk"),
    part("ct.est", F::CtState, 1, 1, "ct.trk"),
    part("ct.rel", F::CtState, 2, 1, "ct.trk"),
    part("ct.rpl", F::CtState, 3, 1, "ct.trk"),
    part("ct.inv", F::CtState, 4, 1, "ct.trk"),
    part("ct.snat", F::CtState, 6, 1, "ct.trk"),
    part("ct.dnat", F::CtState, 7, 1, "ct.trk"),

    field("eth.src", F::EthSrc, ""),
    field("eth.dst", F::EthDst, ""),
    field("eth.type", F::EthType, ""),
    boolean("eth.bcast", "eth.dst == ff:ff:ff:ff:ff:ff"),
    bit("eth.mcast", F::EthDst, 40),
    boolean("eth.mcastv6", "eth.dst[32..47] == 0x3333"),
    field("vlan.tci", F::VlanTci, ""),
    boolean("vlan.present", "vlan.tci[12]"),
    part("vlan.pcp", F::VlanTci, 13, 3, "vlan.present"),
    part("vlan.vid", F::VlanTci, 0, 12, "vlan.present"),

    nominal("ip4", "eth.type == 0x800"),
    nominal("ip6", "eth.type == 0x86dd"),
    nominal("ip", "ip4 || ip6"),
    field("ip.proto", F::NwProto, "ip"),
    field("ip.dscp", F::IpDscp, "ip"),
    field("ip.ecn", F::NwEcn, "ip"),
    field("ip.ttl", F::NwTtl, "ip"),
    field("ip.frag", F::IpFrag, "ip"),
    boolean("ip.is_frag", "ip.frag[0]"),
    boolean("ip.later_frag", "ip.frag[1]"),
    boolean("ip.first_frag", "ip.is_frag && !ip.later_frag"),
    field("ip4.src", F::NwSrc, "ip4"),
    field("ip4.dst", F::NwDst, "ip4"),
    boolean("ip4.src_mcast", "ip4.src[28..31] == 0xe"),
    boolean("ip4.mcast", "eth.mcast && ip4.dst[28..31] == 0xe"),
    nominal("icmp4", "ip4 && ip.proto == 1"),
    field("icmp4.type", F::IcmpType, "icmp4"),
    field("icmp4.code", F::IcmpCode, "icmp4"),
    nominal("igmp", "ip4 && ip.proto == 2"),

    field("ip6.src", F::Ipv6Src, "ip6"),
    field("ip6.dst", F::Ipv6Dst, "ip6"),
    field("ip6.label", F::Ipv6Label, "ip6"),
    boolean("ip6.mcast_rsvd", "ip6.dst[116..127] == 0xff0 && ip6.dst[0..111] == 0x0"),
    boolean("ip6.mcast_all_nodes", "ip6.dst == ff01::1 || ip6.dst == ff02::1"),
    boolean("ip6.mcast_all_rtrs", "ip6.dst == ff01::2 || ip6.dst == ff02::2 || ip6.dst == ff05::2"),
    boolean("ip6.mcast_sol_node", "ip6.dst == ff02::1:ff00:0000/104"),
    boolean("ip6.mcast_flood", "eth.mcastv6 && (ip6.mcast_rsvd || ip6.mcast_all_nodes || ip6.mcast_all_rtrs || ip6.mcast_sol_node)"),
    boolean("ip6.mcast", "eth.mcastv6 && ip6.dst[120..127] == 0xff"),
    nominal("icmp6", "ip6 && ip.proto == 58"),
    field("icmp6.type", F::Icmpv6Type, "icmp6"),
    field("icmp6.code", F::Icmpv6Code, "icmp6"),
    nominal("icmp", "icmp4 || icmp6"),

    nominal("arp", "eth.type == 0x806"),
    field("arp.op", F::ArpOp, "arp"),
    field("arp.spa", F::ArpSpa, "arp"),
    field("arp.sha", F::ArpSha, "arp"),
    field("arp.tpa", F::ArpTpa, "arp"),
    field("arp.tha", F::ArpTha, "arp"),
    nominal("rarp", "eth.type == 0x8035"),
    field("rarp.op", F::ArpOp, "rarp"),
    field("rarp.spa", F::ArpSpa, "rarp"),
    field("rarp.sha", F::ArpSha, "rarp"),
    field("rarp.tpa", F::ArpTpa, "rarp"),
    field("rarp.tha", F::ArpTha, "rarp"),

    nominal("nd", "icmp6.type == {135, 136} && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_ns", "icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_na", "icmp6.type == 136 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_rs", "icmp6.type == 133 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_ra", "icmp6.type == 134 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_ns_mcast", "ip6.mcast && icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"),
    field("nd.target", F::NdTarget, "nd"),
    field("nd.sll", F::NdSll, "nd_ns"),
    field("nd.tll", F::NdTll, "nd_na"),
    nominal("mldv1", "ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}"),
    nominal("mldv2", "ip6.dst == ff02::16 && icmp6.type == 143"),

    nominal("tcp", "ip.proto == 6"),
    field("tcp.src", F::TcpSrc, "tcp"),
    field("tcp.dst", F::TcpDst, "tcp"),
    field("tcp.flags", F::TcpFlags, "tcp"),
    nominal("udp", "ip.proto == 17"),
    field("udp.src", F::UdpSrc, "udp"),
    field("udp.dst", F::UdpDst, "udp"),
    nominal("sctp", "ip.proto == 132"),
    field("sctp.src", F::SctpSrc, "sctp"),
    field("sctp.dst", F::SctpDst, "sctp"),

    field("pkt.mark", F::PktMark, ""),
    ovn("icmp4.frag_mtu", 16),
    ovn("icmp6.frag_mtu", 32),
    ovn("icmp4.inner_ip4.src", 32),
];
