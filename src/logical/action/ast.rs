//! What an action is once read.
//!
//! One variant for each action of OVN. Which table comes next is not kept where OVN takes it to be "the one after
//! this": whoever runs the actions knows in which table it is.

use std::net::{IpAddr, Ipv4Addr};

use super::options::{Event, OptionDef};
use crate::logical::expr::{Constant, ConstantSet};
use crate::logical::lex::Number;
use crate::logical::symbol::FieldRef;

/// A pipeline of a logical datapath.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pipeline {
    /// From the port a packet came in by to the decision where it leaves.
    Ingress,
    /// Once for each port it leaves by.
    Egress,
}

/// One action of a logical flow. Displays in the canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `output;`: runs the egress pipeline, or in it puts the packet out at `outport`.
    Output,
    /// `next;`, `next(table);`, `next(pipeline=…, table=…);`: runs a table as a subroutine.
    Next(Next),
    /// `field = constant;`
    Load {
        /// What is written.
        dst: FieldRef,
        /// The value; where it has a mask only those bits are written, and bits beyond the field are cut off.
        value: Constant,
    },
    /// `icmp4.frag_mtu = 1500;`: a field of the reply under construction that no match can name.
    LoadReply {
        /// What is written.
        field: ReplyField,
        /// The value, which fits the field.
        value: u32,
    },
    /// `field = field;`
    Move {
        /// What is written.
        dst: FieldRef,
        /// What is read.
        src: FieldRef,
    },
    /// `field <-> field;`
    Exchange(FieldRef, FieldRef),
    /// `push(field);`
    Push(FieldRef),
    /// `pop(field);`
    Pop(FieldRef),
    /// `ip.ttl--;`: halts where the packet would live no longer.
    DecTtl,

    /// `ct_next;`: looks the packet up in the connection table, then the next table.
    CtNext(Option<NatZone>),
    /// `ct_commit { … };` or `ct_commit;`: records the connection; the actions write its mark and label.
    CtCommit(Vec<Action>),
    /// `ct_commit(ct_mark=…, ct_label=…);`, the form before the braces. It has at least one argument.
    CtCommitArgs(CtCommitArgs),
    /// `ct_commit_to_zone(dnat);`: records the connection in that zone without translating.
    CtCommitToZone(NatZone),
    /// `ct_commit_nat;`: records the connection and applies its translation.
    CtCommitNat(Option<NatZone>),
    /// `ct_dnat;` undoes source translation, `ct_dnat(IP);` sets the destination.
    CtDnat(Option<Nat>),
    /// `ct_snat;` undoes destination translation, `ct_snat(IP);` sets the source.
    CtSnat(Option<Nat>),
    /// As `ct_dnat`, in the zone that both kinds of translation share.
    CtDnatInCzone(Option<Nat>),
    /// As `ct_snat`, in the zone that both kinds of translation share.
    CtSnatInCzone(Option<Nat>),
    /// `ct_lb;` or `ct_lb(backends=…);`, which marks connections in `ct_label`.
    CtLb(LoadBalance),
    /// As `ct_lb`, which marks connections in `ct_mark`.
    CtLbMark(LoadBalance),
    /// As `ct_lb_mark`, among those backends whose port is on this chassis.
    CtLbMarkLocal(LoadBalance),
    /// `ct_clear;`: forgets what the connection table said.
    CtClear,
    /// `ct_snat_to_vip;`: sets the source of a hairpinned packet to the address it was sent to.
    CtSnatToVip,
    /// `R = ct_nw_dst();`: the IPv4 destination before translation.
    CtNwDst(FieldRef),
    /// `R = ct_ip6_dst();`: the IPv6 destination before translation.
    CtIp6Dst(FieldRef),
    /// `R = ct_tp_dst();`: the destination port before translation.
    CtTpDst(FieldRef),
    /// `R = ct_proto();`: the protocol of the connection.
    CtProto(FieldRef),
    /// `R = ct_state_save();`: the connection state.
    CtStateSave(FieldRef),
    /// `R = select(…);`: one of several numbers, by the hash of the packet, then the next table.
    Select(Select),

    /// `clone { … };`: on a copy.
    Clone(Vec<Action>),
    /// `arp { … };`: on an ARP request made of an IPv4 packet.
    Arp(Vec<Action>),
    /// `icmp4 { … };`: on an ICMPv4 error made of the packet.
    Icmp4(Vec<Action>),
    /// `icmp4_error { … };`: as `icmp4`, with the start of the packet in it.
    Icmp4Error(Vec<Action>),
    /// `icmp6 { … };`: on an ICMPv6 error made of the packet.
    Icmp6(Vec<Action>),
    /// `icmp6_error { … };`: as `icmp6`, with the start of the packet in it.
    Icmp6Error(Vec<Action>),
    /// `tcp_reset { … };`: on a TCP reset made of the packet.
    TcpReset(Vec<Action>),
    /// `sctp_abort { … };`: on an SCTP abort made of the packet.
    SctpAbort(Vec<Action>),
    /// `reject { … };`: whichever of the last ones suits the packet, addresses exchanged.
    Reject(Vec<Action>),
    /// `nd_ns { … };`: on a neighbour solicitation made of an IPv6 packet.
    NdNs(Vec<Action>),
    /// `nd_na { … };`: on a neighbour advertisement that answers a solicitation.
    NdNa(Vec<Action>),
    /// `nd_na_router { … };`: as `nd_na`, from a router.
    NdNaRouter(Vec<Action>),

    /// `get_arp(P, A);`: `eth.dst` becomes the neighbour's address, or zero.
    GetArp(GetBinding),
    /// `put_arp(P, A, E);`
    PutArp(PutBinding),
    /// `R = lookup_arp(P, A, M);`
    LookupArp(LookupBinding),
    /// `R = lookup_arp_ip(P, A);`
    LookupArpIp(LookupBindingIp),
    /// `get_nd(P, A);`
    GetNd(GetBinding),
    /// `put_nd(P, A, E);`
    PutNd(PutBinding),
    /// `R = lookup_nd(P, A, M);`
    LookupNd(LookupBinding),
    /// `R = lookup_nd_ip(P, A);`
    LookupNdIp(LookupBindingIp),
    /// `R = chk_evpn_arp(A);`: whether an EVPN neighbour of that address is known.
    ChkEvpnArp {
        /// One bit.
        dst: FieldRef,
        /// IPv4 or IPv6 address.
        ip: FieldRef,
    },
    /// `mac_cache_use;`: refreshes the age of the binding the packet used.
    MacCacheUse,
    /// `put_fdb(P, A);`
    PutFdb {
        /// Port.
        port: FieldRef,
        /// Ethernet address.
        mac: FieldRef,
    },
    /// `P = get_fdb(A);`
    GetFdb(GetFdb),
    /// `P = get_remote_fdb(A);`: among the addresses learnt of other EVPN nodes.
    GetRemoteFdb(GetFdb),
    /// `R = lookup_fdb(P, A);`
    LookupFdb {
        /// One bit.
        dst: FieldRef,
        /// Port.
        port: FieldRef,
        /// Ethernet address.
        mac: FieldRef,
    },

    /// `R = put_dhcp_opts(…);`: turns a DHCP request into its answer.
    PutDhcpOpts(PutOptions),
    /// `R = put_dhcpv6_opts(…);`
    PutDhcpv6Opts(PutOptions),
    /// `R = put_nd_ra_opts(…);`: turns a router solicitation into an advertisement.
    PutNdRaOpts(PutOptions),
    /// `R = dhcp_relay_req_chk(RELAY, SERVER);`
    DhcpRelayReqChk(DhcpRelay),
    /// `R = dhcp_relay_resp_chk(RELAY, SERVER);`
    DhcpRelayRespChk(DhcpRelay),
    /// `handle_dhcpv6_reply;`: to the prefix delegation client.
    HandleDhcpv6Reply,
    /// `R = dns_lookup();`: turns a DNS query into its answer.
    DnsLookup(FieldRef),

    /// `R = check_pkt_larger(L);`
    CheckPktLarger {
        /// One bit.
        dst: FieldRef,
        /// Bytes.
        bytes: u16,
    },
    /// `R = check_in_port_sec();`
    CheckInPortSec(FieldRef),
    /// `R = check_out_port_sec();`
    CheckOutPortSec(FieldRef),
    /// `R = chk_lb_hairpin();`
    ChkLbHairpin(FieldRef),
    /// `R = chk_lb_hairpin_reply();`
    ChkLbHairpinReply(FieldRef),
    /// `R = chk_lb_aff();`
    ChkLbAff(FieldRef),
    /// `R = chk_ecmp_nh_mac();`
    ChkEcmpNhMac(FieldRef),
    /// `R = chk_ecmp_nh();`
    ChkEcmpNh(FieldRef),
    /// `commit_ecmp_nh(ipv6 = …, proto = …);`: replies go back by the next hop a connection came from.
    CommitEcmpNh {
        /// Whether the connection is one of IPv6.
        ipv6: bool,
        /// Its transport.
        proto: Transport,
    },
    /// `commit_lb_aff(…);`: later connections of the client go to the same backend.
    CommitLbAff(CommitLbAff),
    /// `fwd_group(…);`: one of several ports, by the hash of the packet.
    FwdGroup(FwdGroup),

    /// `set_queue(queue);`
    SetQueue(u16),
    /// `set_meter(rate, burst);`
    SetMeter {
        /// In kilobit a second; never 0.
        rate: u64,
        /// In kilobit; 0 where none was given.
        burst: u64,
    },
    /// `log(…);`
    Log(Log),
    /// `sample(…);`
    Sample(Sample),
    /// `mirror("port");`
    Mirror(Box<str>),
    /// `flood_remote;`: to every other chassis.
    FloodRemote,

    /// `trigger_event(event = "…", …);`
    TriggerEvent(TriggerEvent),
    /// `bind_vport("V", P);`
    BindVport {
        /// Name of the virtual port.
        vport: Box<str>,
        /// The port behind which it now is.
        parent: FieldRef,
    },
    /// `handle_svc_check(P);`: an answer to a health check.
    HandleSvcCheck(FieldRef),
    /// `handle_bfd_msg();`
    HandleBfdMsg,
    /// `igmp;`: to multicast snooping.
    Igmp,
}

/// Where `next` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Pipeline of the table.
    pub pipeline: Pipeline,
    /// Its number.
    pub table: u8,
    /// How it is told apart from where the flow is.
    pub form: NextForm,
}

/// How `next` is written: the shortest that names the table from where the flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextForm {
    /// The table after this one.
    Following,
    /// Another table of this pipeline.
    Table,
    /// A table of the other pipeline.
    Pipeline,
}

/// A field of a reply under construction that is no field of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyField {
    /// `icmp4.frag_mtu`, 16 bits.
    Icmp4FragMtu,
    /// `icmp6.frag_mtu`, 32 bits.
    Icmp6FragMtu,
    /// `icmp4.inner_ip4.src`, 32 bits: source in the packet an ICMPv4 error quotes.
    Icmp4InnerIp4Src,
}

/// One of the connection zones a router keeps for translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatZone {
    /// That of destination translation.
    Dnat,
    /// That of source translation.
    Snat,
}

/// `ct_commit(ct_mark=value/mask, ct_label=value/mask)`. A mask of ones is one that was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtCommitArgs {
    /// Value and mask for the connection's mark.
    pub mark: Option<(u32, u32)>,
    /// Value and mask for its label.
    pub label: Option<(u128, u128)>,
}

/// What an address is translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// The address.
    pub ip: IpAddr,
    /// First port; never 0.
    pub ports: Option<PortRange>,
}

/// Ports that translation may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first, never 0.
    pub first: u16,
    /// The last, greater than the first; `None` where only one was written.
    pub last: Option<u16>,
}

/// Arguments of the `ct_lb` family; without backends nothing is chosen, only undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalance {
    /// Who may serve the connection.
    pub backends: Vec<Backend>,
    /// Fields that choose among them, as one comma-separated string; without, the switch's own hash does.
    pub hash_fields: Option<Box<str>>,
    /// What later stages are told about source translation.
    pub flag: Option<SnatFlag>,
}

/// A server behind a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its logical port, for `ct_lb_mark_local` alone.
    pub lport: Option<Box<str>>,
    /// Its address.
    pub ip: IpAddr,
    /// Its port; 0 leaves the packet's.
    pub port: u16,
}

/// What a load balancer tells later stages about source translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnatFlag {
    /// Leave it out.
    Skip,
    /// Do it always.
    Force,
}

/// Arguments of `select`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Where the chosen number goes, at least 16 bits wide.
    pub dst: FieldRef,
    /// The numbers, two or more, each with its weight from 1.
    pub members: Vec<(u16, u16)>,
    /// Fields that choose among them, as one comma-separated string; without, the five-tuple does.
    pub hash_fields: Option<Box<str>>,
}

/// Arguments of `get_arp` and `get_nd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetBinding {
    /// Port behind which the neighbour is.
    pub port: FieldRef,
    /// Its IP address.
    pub ip: FieldRef,
}

/// Arguments of `put_arp` and `put_nd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutBinding {
    /// Port behind which the neighbour is.
    pub port: FieldRef,
    /// Its IP address.
    pub ip: FieldRef,
    /// Its Ethernet address.
    pub mac: FieldRef,
}

/// Arguments of `lookup_arp` and `lookup_nd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupBinding {
    /// One bit: whether it is known.
    pub dst: FieldRef,
    /// Port behind which the neighbour is.
    pub port: FieldRef,
    /// Its IP address.
    pub ip: FieldRef,
    /// Its Ethernet address.
    pub mac: FieldRef,
}

/// Arguments of `lookup_arp_ip` and `lookup_nd_ip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupBindingIp {
    /// One bit: whether it is known.
    pub dst: FieldRef,
    /// Port behind which the neighbour is.
    pub port: FieldRef,
    /// Its IP address.
    pub ip: FieldRef,
}

/// Arguments of `get_fdb` and `get_remote_fdb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetFdb {
    /// Where the port's key goes: `inport`, `outport` or 32 bits.
    pub dst: FieldRef,
    /// Ethernet address that is looked up.
    pub mac: FieldRef,
}

/// Arguments of `put_dhcp_opts` and its like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOptions {
    /// One bit: whether the packet was turned into an answer.
    pub dst: FieldRef,
    /// The options of the answer.
    pub options: Vec<OptionValue>,
}

/// An option and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionValue {
    /// Which.
    pub option: OptionDef,
    /// Its value.
    pub value: ConstantSet,
}

impl OptionValue {
    /// The value as one string, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self.value.constants.as_slice() {
            [Constant::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The value as one number, if it is one.
    pub fn number(&self) -> Option<Number> {
        match self.value.constants.as_slice() {
            [Constant::Number(number)] => Some(*number),
            _ => None,
        }
    }
}

/// Arguments of `dhcp_relay_req_chk` and `dhcp_relay_resp_chk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpRelay {
    /// One bit: whether the packet may be relayed.
    pub dst: FieldRef,
    /// The relay.
    pub relay: Ipv4Addr,
    /// The server.
    pub server: Ipv4Addr,
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Arguments of `commit_lb_aff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitLbAff {
    /// Address of the load balancer and its port, 0 for all.
    pub vip: (IpAddr, u16),
    /// Address of the backend, of the same family, and its port.
    pub backend: (IpAddr, u16),
    /// Protocol; there is one exactly where the load balancer has a port.
    pub proto: Option<Transport>,
    /// In seconds.
    pub timeout: u16,
}

/// Arguments of `fwd_group`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FwdGroup {
    /// Whether ports behind a dead tunnel are left out.
    pub liveness: bool,
    /// Names of the ports.
    pub child_ports: Vec<Box<str>>,
}

/// Arguments of `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Name of the ACL.
    pub name: Option<Box<str>>,
    /// What became of the packet.
    pub verdict: Verdict,
    /// How serious it is.
    pub severity: Severity,
    /// Meter that limits the log.
    pub meter: Option<Box<str>>,
}

/// What a log entry says became of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let through.
    Allow,
    /// Dropped without a word.
    Drop,
    /// Dropped with an answer.
    Reject,
    /// Left to the next tier.
    Pass,
}

/// How serious a log entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The most serious.
    Alert,
    /// A warning.
    Warning,
    /// Worth a notice.
    Notice,
    /// The default.
    Info,
    /// The least serious.
    Debug,
}

/// Arguments of `sample`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Packets sampled out of 65535; never 0.
    pub probability: u16,
    /// Which collectors.
    pub collector_set: u32,
    /// Most significant byte of the observation domain.
    pub obs_domain: u8,
    /// The observation point.
    pub obs_point: ObsPoint,
}

/// The observation point of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObsPoint {
    /// That number.
    Number(u32),
    /// First 32 bits of the logical flow's uuid, written `$cookie`.
    Cookie,
    /// What a field holds.
    Field(FieldRef),
}

/// Arguments of `trigger_event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerEvent {
    /// Which.
    pub event: Event,
    /// What is reported.
    pub options: Vec<OptionValue>,
}
