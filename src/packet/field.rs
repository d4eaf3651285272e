//! The one table of fields: name, width, place in the key, prerequisites, form, and what may be done with it.
//!
//! Names, aliases and prerequisites are those of ovs-fields(7). A *view* shares its bits with another field (as
//! `xreg0` with `reg0` and `reg1`, or `arp_spa` with `nw_src`); every bit of the key has one field that is no view.

use super::key::w;

/// Where a field lies in the key: `bits` wide, `shift` above bit 0 of `word`; 128-bit fields take two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loc {
    /// First word.
    pub word: u8,
    /// Lowest bit in that word.
    pub shift: u8,
    /// Width in bits, 1 to 128.
    pub bits: u16,
}

/// How a value is written in the flow syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 10
    Decimal,
    /// 0xa
    Hex,
    /// 02:00:00:00:00:01
    Mac,
    /// 192.0.2.1/24
    Ipv4,
    /// 2001:db8::1/64
    Ipv6,
    /// A port's number or name
    Port,
    /// no, yes, first, later, not_later
    Frag,
    /// +syn-ack, or a number with mask
    TcpFlags,
    /// +trk+est-inv
    CtState,
    /// oam, -oam
    TunFlags,
}

impl Form {
    /// Names of the flags that a value of this form is made of, lowest bit first.
    pub const fn flag_names(self) -> Option<&'static [&'static str]> {
        match self {
            Form::CtState => Some(&["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"]),
            Form::TcpFlags => Some(&[
                "fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]",
            ]),
            Form::TunFlags => Some(&["oam"]),
            _ => None,
        }
    }
}

/// What may be wildcarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maskable {
    /// All bits or none.
    Whole,
    /// Any bits.
    Bits,
}

/// What must be matched before a field means anything, ovs-fields(7) "Prerequisites".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prereq {
    /// Always there.
    None,
    /// A VLAN tag.
    Vlan,
    /// dl_type 0x0806 or 0x8035
    Arp,
    /// dl_type 0x0800
    Ipv4,
    /// dl_type 0x86dd
    Ipv6,
    /// dl_type 0x0800 or 0x86dd
    Ip,
    /// IP, nw_proto 6, no later fragment
    Tcp,
    /// IP, nw_proto 17, no later fragment
    Udp,
    /// IP, nw_proto 132, no later fragment
    Sctp,
    /// IPv4, nw_proto 1
    Icmp4,
    /// IPv6, nw_proto 58
    Icmp6,
    /// ICMPv6 type 135 or 136, code 0
    Nd,
    /// ICMPv6 type 135, code 0
    NdSolicit,
    /// ICMPv6 type 136, code 0
    NdAdvert,
    /// IP, with connection state
    Ct,
    /// IPv4, with connection state
    CtIpv4,
    /// IPv6, with connection state
    CtIpv6,
}

/// The row of one field.
#[derive(Debug)]
pub struct Info {
    /// Name in the flow syntax.
    pub name: &'static str,
    /// Further names that are read but not printed, NXM and OXM names among them.
    pub aliases: &'static [&'static str],
    /// Place in the key.
    pub loc: Loc,
    /// Form of its values.
    pub form: Form,
    /// Whether single bits may be matched.
    pub maskable: Maskable,
    /// Whether `set_field`, `load` and `move` may write it.
    pub writable: bool,
    /// What must be matched with it.
    pub prereq: Prereq,
    /// Whether its bits are those of another field.
    pub is_view: bool,
}

/// A field of the flow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// Port the packet came in by.
    InPort,
    /// Frozen context that the packet resumes from.
    RecircId,
    /// Mark carried beside the packet.
    PktMark,
    /// Hash computed by the datapath.
    DpHash,
    /// Table metadata; the logical datapath in OVN.
    Metadata,
    /// General register 0.
    Reg0,
    /// General register 1.
    Reg1,
    /// General register 2.
    Reg2,
    /// General register 3.
    Reg3,
    /// General register 4.
    Reg4,
    /// General register 5.
    Reg5,
    /// General register 6.
    Reg6,
    /// General register 7.
    Reg7,
    /// General register 8.
    Reg8,
    /// General register 9.
    Reg9,
    /// General register 10.
    Reg10,
    /// General register 11.
    Reg11,
    /// General register 12.
    Reg12,
    /// General register 13.
    Reg13,
    /// General register 14.
    Reg14,
    /// General register 15.
    Reg15,
    /// Registers 0 and 1 as one.
    Xreg0,
    /// Registers 2 and 3 as one.
    Xreg1,
    /// Registers 4 and 5 as one.
    Xreg2,
    /// Registers 6 and 7 as one.
    Xreg3,
    /// Registers 8 and 9 as one.
    Xreg4,
    /// Registers 10 and 11 as one.
    Xreg5,
    /// Registers 12 and 13 as one.
    Xreg6,
    /// Registers 14 and 15 as one.
    Xreg7,
    /// Registers 0 to 3 as one.
    Xxreg0,
    /// Registers 4 to 7 as one.
    Xxreg1,
    /// Registers 8 to 11 as one.
    Xxreg2,
    /// Registers 12 to 15 as one.
    Xxreg3,
    /// Tunnel key (VNI).
    TunId,
    /// Outer IPv4 source.
    TunSrc,
    /// Outer IPv4 destination.
    TunDst,
    /// Outer IPv6 source.
    TunIpv6Src,
    /// Outer IPv6 destination.
    TunIpv6Dst,
    /// Tunnel flags (oam).
    TunFlags,
    /// Outer type of service.
    TunTos,
    /// Outer time to live.
    TunTtl,
    /// VXLAN group policy id.
    TunGbpId,
    /// VXLAN group policy flags.
    TunGbpFlags,
    /// Geneve option 0, 32 bits.
    TunMetadata0,
    /// Geneve option 1, 32 bits.
    TunMetadata1,
    /// Geneve option 2, 32 bits.
    TunMetadata2,
    /// Geneve option 3, 32 bits.
    TunMetadata3,
    /// Geneve option 4, 32 bits.
    TunMetadata4,
    /// Geneve option 5, 32 bits.
    TunMetadata5,
    /// Geneve option 6, 32 bits.
    TunMetadata6,
    /// Geneve option 7, 32 bits.
    TunMetadata7,
    /// Connection state flags.
    CtState,
    /// Connection zone.
    CtZone,
    /// Protocol of the original direction.
    CtNwProto,
    /// Connection mark.
    CtMark,
    /// Source port of the original direction.
    CtTpSrc,
    /// Destination port of the original direction.
    CtTpDst,
    /// Connection label.
    CtLabel,
    /// IPv4 source of the original direction.
    CtNwSrc,
    /// IPv4 destination of the original direction.
    CtNwDst,
    /// IPv6 source of the original direction.
    CtIpv6Src,
    /// IPv6 destination of the original direction.
    CtIpv6Dst,
    /// The conjunction that is met: not 0 only in the lookup that follows it.
    ConjId,
    /// Ethernet destination.
    EthDst,
    /// Ethernet source.
    EthSrc,
    /// Ethernet type after the VLAN tags; 0x05ff for 802.3 frames without SNAP.
    EthType,
    /// Outer tag: priority, presence (bit 12), identifier.
    VlanTci,
    /// Ethernet type of the outer tag; not a field of OpenFlow, kept so that tags are rebuilt as they were.
    VlanTpid,
    /// Outer VLAN identifier; 65535 in the flow syntax means no tag.
    DlVlan,
    /// Outer VLAN priority.
    DlVlanPcp,
    /// Outer VLAN identifier with the presence bit.
    VlanVid,
    /// Outer VLAN priority.
    VlanPcp,
    /// Inner tag; not a field of OpenFlow, becomes vlan_tci after a pop.
    InnerVlanTci,
    /// Ethernet type of the inner tag.
    InnerVlanTpid,
    /// IPv4 source.
    NwSrc,
    /// IPv4 destination.
    NwDst,
    /// IPv6 source.
    Ipv6Src,
    /// IPv6 destination.
    Ipv6Dst,
    /// IPv6 flow label.
    Ipv6Label,
    /// IPv4 protocol or IPv6 next header after the extension headers.
    NwProto,
    /// DSCP in place, ECN bits zero.
    NwTos,
    /// DSCP, right-aligned.
    IpDscp,
    /// Explicit congestion notification.
    NwEcn,
    /// Time to live or hop limit.
    NwTtl,
    /// Fragment: bit 0 any, bit 1 later.
    IpFrag,
    /// ARP operation; those above 255 read as 0.
    ArpOp,
    /// ARP sender IPv4 address.
    ArpSpa,
    /// ARP target IPv4 address.
    ArpTpa,
    /// ARP sender Ethernet address.
    ArpSha,
    /// ARP target Ethernet address.
    ArpTha,
    /// TCP source port.
    TcpSrc,
    /// TCP destination port.
    TcpDst,
    /// UDP source port.
    UdpSrc,
    /// UDP destination port.
    UdpDst,
    /// SCTP source port.
    SctpSrc,
    /// SCTP destination port.
    SctpDst,
    /// TCP flags, 12 bits.
    TcpFlags,
    /// ICMP type.
    IcmpType,
    /// ICMP code.
    IcmpCode,
    /// ICMPv6 type.
    Icmpv6Type,
    /// ICMPv6 code.
    Icmpv6Code,
    /// ND target address.
    NdTarget,
    /// ND source link-layer address.
    NdSll,
    /// ND target link-layer address.
    NdTll,
    /// ND flags and reserved bits.
    NdReserved,
    /// Type of the first ND option.
    NdOptionsType,
    /// IGMP group address; not a field of OpenFlow.
    IgmpGroup,
}

/// Builds a row; keeps the table below to one line per field.
#[allow(clippy::too_many_arguments)] // a table row, not an interface
const fn row(
    name: &'static str,
    (word, shift, bits): (usize, u8, u16),
    form: Form,
    maskable: Maskable,
    writable: bool,
    prereq: Prereq,
    is_view: bool,
    aliases: &'static [&'static str],
) -> Info {
    Info {
        name,
        aliases,
        loc: Loc { word: word as u8, shift, bits },
        form,
        maskable,
        writable,
        prereq,
        is_view,
    }
}

const RW: bool = true;
const RO: bool = false;
const VIEW: bool = true;
const OWN: bool = false;

use Form::*;
use Maskable::*;
use Prereq as P;

#[rustfmt::skip] // one line per field
static TABLE: [Info; Field::COUNT] = [
    row("in_port", (w::CONTEXT, 32, 32), Port, Whole, RW, P::None, OWN, &["in_port_oxm", "NXM_OF_IN_PORT", "OXM_OF_IN_PORT"]),
    row("recirc_id", (w::CONTEXT, 0, 32), Hex, Whole, RO, P::None, OWN, &[]),
    row("pkt_mark", (w::MARK, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_PKT_MARK"]),
    row("dp_hash", (w::MARK, 0, 32), Hex, Bits, RO, P::None, OWN, &["NXM_NX_DP_HASH"]),
    row("metadata", (w::METADATA, 0, 64), Hex, Bits, RW, P::None, OWN, &["OXM_OF_METADATA"]),
    row("reg0", (w::REGS, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG0"]),
    row("reg1", (w::REGS, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG1"]),
    row("reg2", (w::REGS + 1, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG2"]),
    row("reg3", (w::REGS + 1, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG3"]),
    row("reg4", (w::REGS + 2, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG4"]),
    row("reg5", (w::REGS + 2, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG5"]),
    row("reg6", (w::REGS + 3, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG6"]),
    row("reg7", (w::REGS + 3, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG7"]),
    row("reg8", (w::REGS + 4, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG8"]),
    row("reg9", (w::REGS + 4, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG9"]),
    row("reg10", (w::REGS + 5, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG10"]),
    row("reg11", (w::REGS + 5, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG11"]),
    row("reg12", (w::REGS + 6, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG12"]),
    row("reg13", (w::REGS + 6, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG13"]),
    row("reg14", (w::REGS + 7, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG14"]),
    row("reg15", (w::REGS + 7, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_REG15"]),
    row("xreg0", (w::REGS, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG0"]),
    row("xreg1", (w::REGS + 1, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG1"]),
    row("xreg2", (w::REGS + 2, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG2"]),
    row("xreg3", (w::REGS + 3, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG3"]),
    row("xreg4", (w::REGS + 4, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG4"]),
    row("xreg5", (w::REGS + 5, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG5"]),
    row("xreg6", (w::REGS + 6, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG6"]),
    row("xreg7", (w::REGS + 7, 0, 64), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_PKT_REG7"]),
    row("xxreg0", (w::REGS, 0, 128), Hex, Bits, RW, P::None, VIEW, &["NXM_NX_XXREG0"]),
    row("xxreg1", (w::REGS + 2, 0, 128), Hex, Bits, RW, P::None, VIEW, &["NXM_NX_XXREG1"]),
    row("xxreg2", (w::REGS + 4, 0, 128), Hex, Bits, RW, P::None, VIEW, &["NXM_NX_XXREG2"]),
    row("xxreg3", (w::REGS + 6, 0, 128), Hex, Bits, RW, P::None, VIEW, &["NXM_NX_XXREG3"]),
    row("tun_id", (w::TUN_ID, 0, 64), Hex, Bits, RW, P::None, OWN, &["tunnel_id", "NXM_NX_TUN_ID", "OXM_OF_TUNNEL_ID"]),
    row("tun_src", (w::TUN_V4, 32, 32), Ipv4, Bits, RW, P::None, OWN, &["NXM_NX_TUN_IPV4_SRC"]),
    row("tun_dst", (w::TUN_V4, 0, 32), Ipv4, Bits, RW, P::None, OWN, &["NXM_NX_TUN_IPV4_DST"]),
    row("tun_ipv6_src", (w::TUN_V6_SRC, 0, 128), Ipv6, Bits, RW, P::None, OWN, &["NXM_NX_TUN_IPV6_SRC"]),
    row("tun_ipv6_dst", (w::TUN_V6_DST, 0, 128), Ipv6, Bits, RW, P::None, OWN, &["NXM_NX_TUN_IPV6_DST"]),
    row("tun_flags", (w::TUN_MISC, 48, 16), TunFlags, Bits, RW, P::None, OWN, &["NXM_NX_TUN_FLAGS"]),
    row("tun_tos", (w::TUN_MISC, 40, 8), Decimal, Bits, RO, P::None, OWN, &[]),
    row("tun_ttl", (w::TUN_MISC, 32, 8), Decimal, Bits, RO, P::None, OWN, &[]),
    row("tun_gbp_id", (w::TUN_MISC, 16, 16), Decimal, Bits, RW, P::None, OWN, &["NXM_NX_TUN_GBP_ID"]),
    row("tun_gbp_flags", (w::TUN_MISC, 8, 8), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_GBP_FLAGS"]),
    row("tun_metadata0", (w::TUN_METADATA, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA0"]),
    row("tun_metadata1", (w::TUN_METADATA, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA1"]),
    row("tun_metadata2", (w::TUN_METADATA + 1, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA2"]),
    row("tun_metadata3", (w::TUN_METADATA + 1, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA3"]),
    row("tun_metadata4", (w::TUN_METADATA + 2, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA4"]),
    row("tun_metadata5", (w::TUN_METADATA + 2, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA5"]),
    row("tun_metadata6", (w::TUN_METADATA + 3, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA6"]),
    row("tun_metadata7", (w::TUN_METADATA + 3, 0, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_TUN_METADATA7"]),
    row("ct_state", (w::CT, 32, 32), CtState, Bits, RO, P::None, OWN, &["NXM_NX_CT_STATE"]),
    row("ct_zone", (w::CT, 16, 16), Hex, Whole, RO, P::None, OWN, &["NXM_NX_CT_ZONE"]),
    row("ct_nw_proto", (w::CT, 8, 8), Decimal, Whole, RO, P::Ct, OWN, &["NXM_NX_CT_NW_PROTO"]),
    row("ct_mark", (w::CT_MARK, 32, 32), Hex, Bits, RW, P::None, OWN, &["NXM_NX_CT_MARK"]),
    row("ct_tp_src", (w::CT_MARK, 16, 16), Decimal, Bits, RO, P::Ct, OWN, &["NXM_NX_CT_TP_SRC"]),
    row("ct_tp_dst", (w::CT_MARK, 0, 16), Decimal, Bits, RO, P::Ct, OWN, &["NXM_NX_CT_TP_DST"]),
    row("ct_label", (w::CT_LABEL, 0, 128), Hex, Bits, RW, P::None, OWN, &["NXM_NX_CT_LABEL"]),
    row("ct_nw_src", (w::CT_NW, 32, 32), Ipv4, Bits, RO, P::CtIpv4, OWN, &["NXM_NX_CT_NW_SRC"]),
    row("ct_nw_dst", (w::CT_NW, 0, 32), Ipv4, Bits, RO, P::CtIpv4, OWN, &["NXM_NX_CT_NW_DST"]),
    row("ct_ipv6_src", (w::CT_IPV6_SRC, 0, 128), Ipv6, Bits, RO, P::CtIpv6, OWN, &["NXM_NX_CT_IPV6_SRC"]),
    row("ct_ipv6_dst", (w::CT_IPV6_DST, 0, 128), Ipv6, Bits, RO, P::CtIpv6, OWN, &["NXM_NX_CT_IPV6_DST"]),
    row("conj_id", (w::CONJ, 32, 32), Decimal, Whole, RO, P::None, OWN, &["NXM_NX_CONJ_ID"]),
    row("dl_dst", (w::ETH_DST, 16, 48), Mac, Bits, RW, P::None, OWN, &["eth_dst", "NXM_OF_ETH_DST", "OXM_OF_ETH_DST"]),
    row("dl_src", (w::ETH_SRC, 16, 48), Mac, Bits, RW, P::None, OWN, &["eth_src", "NXM_OF_ETH_SRC", "OXM_OF_ETH_SRC"]),
    row("dl_type", (w::ETH_DST, 0, 16), Hex, Whole, RO, P::None, OWN, &["eth_type", "NXM_OF_ETH_TYPE", "OXM_OF_ETH_TYPE"]),
    row("vlan_tci", (w::VLAN, 32, 16), Hex, Bits, RW, P::None, OWN, &["NXM_OF_VLAN_TCI"]),
    row("vlan_tpid", (w::VLAN, 48, 16), Hex, Whole, RO, P::None, OWN, &[]),
    row("dl_vlan", (w::VLAN, 32, 12), Decimal, Whole, RW, P::None, VIEW, &[]),
    row("dl_vlan_pcp", (w::VLAN, 45, 3), Decimal, Whole, RW, P::None, VIEW, &[]),
    row("vlan_vid", (w::VLAN, 32, 13), Hex, Bits, RW, P::None, VIEW, &["OXM_OF_VLAN_VID"]),
    row("vlan_pcp", (w::VLAN, 45, 3), Decimal, Whole, RW, P::Vlan, VIEW, &["OXM_OF_VLAN_PCP"]),
    row("inner_vlan_tci", (w::VLAN, 0, 16), Hex, Bits, RO, P::None, OWN, &[]),
    row("inner_vlan_tpid", (w::VLAN, 16, 16), Hex, Whole, RO, P::None, OWN, &[]),
    row("nw_src", (w::NW, 32, 32), Ipv4, Bits, RW, P::Ipv4, OWN, &["ip_src", "NXM_OF_IP_SRC", "OXM_OF_IPV4_SRC"]),
    row("nw_dst", (w::NW, 0, 32), Ipv4, Bits, RW, P::Ipv4, OWN, &["ip_dst", "NXM_OF_IP_DST", "OXM_OF_IPV4_DST"]),
    row("ipv6_src", (w::IPV6_SRC, 0, 128), Ipv6, Bits, RW, P::Ipv6, OWN, &["NXM_NX_IPV6_SRC", "OXM_OF_IPV6_SRC"]),
    row("ipv6_dst", (w::IPV6_DST, 0, 128), Ipv6, Bits, RW, P::Ipv6, OWN, &["NXM_NX_IPV6_DST", "OXM_OF_IPV6_DST"]),
    row("ipv6_label", (w::NW_MISC, 0, 20), Hex, Bits, RW, P::Ipv6, OWN, &["NXM_NX_IPV6_LABEL", "OXM_OF_IPV6_FLABEL"]),
    row("nw_proto", (w::NW_MISC, 56, 8), Decimal, Whole, RO, P::Ip, OWN, &["ip_proto", "NXM_OF_IP_PROTO", "OXM_OF_IP_PROTO"]),
    row("nw_tos", (w::NW_MISC, 48, 8), Decimal, Whole, RW, P::Ip, VIEW, &["NXM_OF_IP_TOS"]),
    row("ip_dscp", (w::NW_MISC, 50, 6), Decimal, Whole, RW, P::Ip, VIEW, &["nw_tos_shifted", "OXM_OF_IP_DSCP"]),
    row("nw_ecn", (w::NW_MISC, 48, 2), Decimal, Whole, RW, P::Ip, VIEW, &["ip_ecn", "NXM_NX_IP_ECN", "OXM_OF_IP_ECN"]),
    row("nw_ttl", (w::NW_MISC, 40, 8), Decimal, Whole, RW, P::Ip, OWN, &["NXM_NX_IP_TTL"]),
    row("ip_frag", (w::NW_MISC, 32, 2), Frag, Bits, RO, P::Ip, OWN, &["nw_frag", "NXM_NX_IP_FRAG"]),
    row("arp_op", (w::NW_MISC, 56, 8), Decimal, Whole, RW, P::Arp, VIEW, &["NXM_OF_ARP_OP", "OXM_OF_ARP_OP"]),
    row("arp_spa", (w::NW, 32, 32), Ipv4, Bits, RW, P::Arp, VIEW, &["NXM_OF_ARP_SPA", "OXM_OF_ARP_SPA"]),
    row("arp_tpa", (w::NW, 0, 32), Ipv4, Bits, RW, P::Arp, VIEW, &["NXM_OF_ARP_TPA", "OXM_OF_ARP_TPA"]),
    row("arp_sha", (w::ARP_SHA, 16, 48), Mac, Bits, RW, P::Arp, OWN, &["NXM_NX_ARP_SHA", "OXM_OF_ARP_SHA"]),
    row("arp_tha", (w::ARP_THA, 16, 48), Mac, Bits, RW, P::Arp, OWN, &["NXM_NX_ARP_THA", "OXM_OF_ARP_THA"]),
    row("tcp_src", (w::TP, 48, 16), Decimal, Bits, RW, P::Tcp, OWN, &["NXM_OF_TCP_SRC", "OXM_OF_TCP_SRC"]),
    row("tcp_dst", (w::TP, 32, 16), Decimal, Bits, RW, P::Tcp, OWN, &["NXM_OF_TCP_DST", "OXM_OF_TCP_DST"]),
    row("udp_src", (w::TP, 48, 16), Decimal, Bits, RW, P::Udp, VIEW, &["NXM_OF_UDP_SRC", "OXM_OF_UDP_SRC"]),
    row("udp_dst", (w::TP, 32, 16), Decimal, Bits, RW, P::Udp, VIEW, &["NXM_OF_UDP_DST", "OXM_OF_UDP_DST"]),
    row("sctp_src", (w::TP, 48, 16), Decimal, Bits, RW, P::Sctp, VIEW, &["OXM_OF_SCTP_SRC"]),
    row("sctp_dst", (w::TP, 32, 16), Decimal, Bits, RW, P::Sctp, VIEW, &["OXM_OF_SCTP_DST"]),
    row("tcp_flags", (w::TP, 16, 12), TcpFlags, Bits, RO, P::Tcp, OWN, &["NXM_NX_TCP_FLAGS", "OXM_OF_TCP_FLAGS"]),
    row("icmp_type", (w::TP, 48, 8), Decimal, Whole, RW, P::Icmp4, VIEW, &["icmpv4_type", "NXM_OF_ICMP_TYPE", "OXM_OF_ICMPV4_TYPE"]),
    row("icmp_code", (w::TP, 32, 8), Decimal, Whole, RW, P::Icmp4, VIEW, &["icmpv4_code", "NXM_OF_ICMP_CODE", "OXM_OF_ICMPV4_CODE"]),
    row("icmpv6_type", (w::TP, 48, 8), Decimal, Whole, RW, P::Icmp6, VIEW, &["NXM_NX_ICMPV6_TYPE", "OXM_OF_ICMPV6_TYPE"]),
    row("icmpv6_code", (w::TP, 32, 8), Decimal, Whole, RW, P::Icmp6, VIEW, &["NXM_NX_ICMPV6_CODE", "OXM_OF_ICMPV6_CODE"]),
    row("nd_target", (w::ND_TARGET, 0, 128), Ipv6, Bits, RW, P::Nd, OWN, &["NXM_NX_ND_TARGET", "OXM_OF_IPV6_ND_TARGET"]),
    row("nd_sll", (w::ARP_SHA, 16, 48), Mac, Bits, RW, P::NdSolicit, VIEW, &["NXM_NX_ND_SLL", "OXM_OF_IPV6_ND_SLL"]),
    row("nd_tll", (w::ARP_THA, 16, 48), Mac, Bits, RW, P::NdAdvert, VIEW, &["NXM_NX_ND_TLL", "OXM_OF_IPV6_ND_TLL"]),
    row("nd_reserved", (w::ND_MISC, 32, 32), Hex, Bits, RW, P::Nd, OWN, &["ERICOXM_OF_ICMPV6_ND_RESERVED"]),
    row("nd_options_type", (w::ND_MISC, 24, 8), Decimal, Whole, RW, P::Nd, OWN, &["ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE"]),
    row("igmp_group", (w::ND_MISC, 32, 32), Ipv4, Bits, RO, P::Ipv4, VIEW, &[]),
];

impl Field {
    /// How many there are.
    pub const COUNT: usize = 107;

    /// All fields, in the order of the table.
    pub const ALL: &[Field] = &[
        Field::InPort,
        Field::RecircId,
        Field::PktMark,
        Field::DpHash,
        Field::Metadata,
        Field::Reg0,
        Field::Reg1,
        Field::Reg2,
        Field::Reg3,
        Field::Reg4,
        Field::Reg5,
        Field::Reg6,
        Field::Reg7,
        Field::Reg8,
        Field::Reg9,
        Field::Reg10,
        Field::Reg11,
        Field::Reg12,
        Field::Reg13,
        Field::Reg14,
        Field::Reg15,
        Field::Xreg0,
        Field::Xreg1,
        Field::Xreg2,
        Field::Xreg3,
        Field::Xreg4,
        Field::Xreg5,
        Field::Xreg6,
        Field::Xreg7,
        Field::Xxreg0,
        Field::Xxreg1,
        Field::Xxreg2,
        Field::Xxreg3,
        Field::TunId,
        Field::TunSrc,
        Field::TunDst,
        Field::TunIpv6Src,
        Field::TunIpv6Dst,
        Field::TunFlags,
        Field::TunTos,
        Field::TunTtl,
        Field::TunGbpId,
        Field::TunGbpFlags,
        Field::TunMetadata0,
        Field::TunMetadata1,
        Field::TunMetadata2,
        Field::TunMetadata3,
        Field::TunMetadata4,
        Field::TunMetadata5,
        Field::TunMetadata6,
        Field::TunMetadata7,
        Field::CtState,
        Field::CtZone,
        Field::CtNwProto,
        Field::CtMark,
        Field::CtTpSrc,
        Field::CtTpDst,
        Field::CtLabel,
        Field::CtNwSrc,
        Field::CtNwDst,
        Field::CtIpv6Src,
        Field::CtIpv6Dst,
        Field::ConjId,
        Field::EthDst,
        Field::EthSrc,
        Field::EthType,
        Field::VlanTci,
        Field::VlanTpid,
        Field::DlVlan,
        Field::DlVlanPcp,
        Field::VlanVid,
        Field::VlanPcp,
        Field::InnerVlanTci,
        Field::InnerVlanTpid,
        Field::NwSrc,
        Field::NwDst,
        Field::Ipv6Src,
        Field::Ipv6Dst,
        Field::Ipv6Label,
        Field::NwProto,
        Field::NwTos,
        Field::IpDscp,
        Field::NwEcn,
        Field::NwTtl,
        Field::IpFrag,
        Field::ArpOp,
        Field::ArpSpa,
        Field::ArpTpa,
        Field::ArpSha,
        Field::ArpTha,
        Field::TcpSrc,
        Field::TcpDst,
        Field::UdpSrc,
        Field::UdpDst,
        Field::SctpSrc,
        Field::SctpDst,
        Field::TcpFlags,
        Field::IcmpType,
        Field::IcmpCode,
        Field::Icmpv6Type,
        Field::Icmpv6Code,
        Field::NdTarget,
        Field::NdSll,
        Field::NdTll,
        Field::NdReserved,
        Field::NdOptionsType,
        Field::IgmpGroup,
    ];

    /// The field's row.
    #[inline(always)]
    pub const fn info(self) -> &'static Info {
        &TABLE[self as usize]
    }

    /// Name in the flow syntax.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// Width in bits.
    pub const fn bits(self) -> u16 {
        self.info().loc.bits
    }

    /// The mask that matches the whole field, right-aligned.
    pub const fn all_ones(self) -> u128 {
        u128::MAX >> (128 - self.bits() as u32)
    }

    /// Register `n` of 0 to 15.
    pub fn reg(n: usize) -> Option<Field> {
        (n < 16).then(|| Field::ALL[Field::Reg0 as usize + n])
    }

    /// The field with that name or alias.
    pub fn by_name(name: &str) -> Option<Field> {
        Field::ALL.iter().copied().find(|field| {
            let info = field.info();
            info.name == name || info.aliases.contains(&name)
        })
    }

    /// Whether the field lives in the packet's bytes, so that writing it means rewriting the packet.
    pub const fn in_packet(self) -> bool {
        self as u8 >= Field::EthDst as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::key::KEY_WORDS;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, field) in Field::ALL.iter().enumerate() {
            assert_eq!(*field as usize, index, "{}", field.name());
        }
        assert_eq!(Field::by_name("reg15"), Field::reg(15));
        assert_eq!(Field::by_name("NXM_OF_IP_SRC"), Some(Field::NwSrc));
    }

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        for field in Field::ALL {
            assert!(seen.insert(field.name()), "{}", field.name());
            for alias in field.info().aliases {
                assert!(seen.insert(alias), "{alias}");
            }
        }
    }

    #[test]
    fn fields_that_are_no_view_do_not_overlap_and_views_lie_within_them() {
        let mut taken = [0u64; KEY_WORDS];
        let spans = |field: &Field| {
            let loc = field.info().loc;
            let ones = u64::MAX >> (64 - loc.bits.min(64));
            let mut words = vec![(loc.word as usize, ones << loc.shift)];
            if loc.bits > 64 {
                words.push((loc.word as usize + 1, u64::MAX));
            }
            words
        };
        // nw_tos and friends are views of a byte that no single field of OpenFlow names.
        taken[w::NW_MISC] |= 0xff << 48;
        for field in Field::ALL.iter().filter(|field| !field.info().is_view) {
            for (word, bits) in spans(field) {
                assert_eq!(taken[word] & bits, 0, "{}", field.name());
                taken[word] |= bits;
            }
        }
        for field in Field::ALL.iter().filter(|field| field.info().is_view) {
            for (word, bits) in spans(field) {
                assert_eq!(bits & !taken[word], 0, "{}", field.name());
            }
        }
    }
}
