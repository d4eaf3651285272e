//! Connections: their state comes from the options, address translation from the flows, and nothing is remembered.
//!
//! Every one of these actions forks: the next table runs on a copy that the action changed, and the actions behind it
//! run on the packet as it was.

use std::net::IpAddr;

use super::flow_text::Flags;
use super::machine::{At, Machine, Packet};
use super::node::Kind;
use super::options::TRACKED;
use crate::logical::action::{Backend, LoadBalance, Nat, Select};
use crate::logical::symbol::FieldRef;
use crate::packet::addr::Ipv6Text;
use crate::packet::field::Form;
use crate::packet::{Field, FlowKey};

/// State of an established connection.
const ESTABLISHED: u32 = 1 << 1 | TRACKED;
/// State bit of a packet whose source was translated.
const SOURCE_TRANSLATED: u128 = 1 << 6;
/// State bit of a packet whose destination was translated.
const DESTINATION_TRANSLATED: u128 = 1 << 7;

const ETH_IPV4: u128 = 0x0800;
const ETH_IPV6: u128 = 0x86dd;

/// Where a packet's family has its addresses.
#[derive(Clone, Copy)]
struct Addresses {
    src: Field,
    dst: Field,
    /// The destination before translation.
    original_dst: Field,
}

const IPV4: Addresses = Addresses { src: Field::NwSrc, dst: Field::NwDst, original_dst: Field::CtNwDst };
const IPV6: Addresses =
    Addresses { src: Field::Ipv6Src, dst: Field::Ipv6Dst, original_dst: Field::CtIpv6Dst };

impl Addresses {
    fn of_packet(key: &FlowKey) -> Option<Self> {
        match key.get(Field::EthType) {
            ETH_IPV4 => Some(IPV4),
            ETH_IPV6 => Some(IPV6),
            _ => None,
        }
    }

    fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { IPV4 } else { IPV6 }
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn shown(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => Ipv6Text(ip.to_bits()).to_string(),
    }
}

impl<'a> Machine<'a> {
    /// The next connection state, and what is to be said of it.
    fn next_state(&mut self) -> (u128, &'static str) {
        let state = self.options.ct.get(self.asked);
        self.asked += 1;
        match state {
            Some(state) => ((*state).into(), ""),
            None => (ESTABLISHED.into(), " /* default (use --ct to customize) */"),
        }
    }

    pub(super) fn ct_next(&mut self, at: &At<'a>) {
        let (state, remark) = self.next_state();
        let flags = Flags { value: state, form: Form::CtState };
        let under = self.note(at, Kind::Transformation, format!("ct_next(ct_state={flags}{remark})"));
        let packet = at.packet.copy();
        packet.set(Field::CtState, state);
        self.enter_following(at, packet, under);
    }

    /// Translates an address, or, without one, takes it that there is nothing to undo.
    pub(super) fn translate(&mut self, name: &str, is_dst: bool, nat: Option<&Nat>, at: &At<'a>) {
        // Undoing translation shows nothing on a gateway router.
        if !is_dst && nat.is_none() && self.tracer.flows(at.datapath).is_gateway {
            return;
        }
        let (side, letter) = if is_dst { ("dst", 'd') } else { ("src", 's') };
        let packet = at.packet.copy();
        let mut text = match nat {
            Some(nat) => {
                let addresses = Addresses::of(nat.ip);
                let (field, bit) = if is_dst {
                    (addresses.dst, DESTINATION_TRANSLATED)
                } else {
                    (addresses.src, SOURCE_TRANSLATED)
                };
                packet.set(field, bits(nat.ip));
                packet.set(Field::CtState, packet.get(Field::CtState) | bit);
                let family = if nat.ip.is_ipv4() { "ip4" } else { "ip6" };
                format!("{name}({family}.{side}={})", shown(nat.ip))
            }
            None => format!("{name} /* assuming no un-{letter}nat entry, so no change */"),
        };
        self.track(&packet, &mut text);
        let under = self.note(at, Kind::Transformation, text);
        self.enter_following(at, packet, under);
    }

    /// Records the connection, with its translation or without, which changes no address here.
    pub(super) fn commit(&mut self, title: &str, at: &At<'a>) {
        let packet = at.packet.copy();
        let mut text = title.to_owned();
        self.track(&packet, &mut text);
        let under = self.note(at, Kind::Transformation, text);
        self.enter_following(at, packet, under);
    }

    /// Translation looks a packet up in the connection table if nothing has yet.
    fn track(&mut self, packet: &Packet, text: &mut String) {
        let state = packet.get(Field::CtState);
        if state & u128::from(TRACKED) == 0 {
            let (next, remark) = self.next_state();
            packet.set(Field::CtState, state | next);
            text.push_str(remark);
        }
    }

    pub(super) fn balance(&mut self, name: &str, balance: &LoadBalance, at: &At<'a>) {
        let packet = at.packet.copy();
        let mut remark = "";
        if let Some(addresses) = Addresses::of_packet(&packet.key()) {
            let chosen = self.backend(balance, packet.get(Field::EthType) == ETH_IPV4, at);
            let mut state = packet.get(Field::CtState);
            if let Some((ip, port)) = chosen {
                packet.set(addresses.original_dst, packet.get(addresses.dst));
                packet.set(addresses.dst, bits(ip));
                packet.set(Field::CtTpDst, packet.get(Field::TcpDst));
                if port != 0 {
                    packet.set(Field::TcpDst, port.into());
                }
                state |= DESTINATION_TRANSLATED;
            }
            let next;
            (next, remark) = self.next_state();
            packet.set(Field::CtState, state | next);
        }
        let under = self.note(at, Kind::Transformation, format!("{name}{remark}"));
        self.enter_following(at, packet, under);
    }

    /// The backend that serves: the one that the options name, else the first of the packet's family.
    fn backend(&mut self, balance: &LoadBalance, is_ipv4: bool, at: &At<'a>) -> Option<(IpAddr, u16)> {
        let wanted = self.lb_dst.filter(|(ip, _)| ip.is_ipv4() == is_ipv4);
        if balance.backends.is_empty() {
            return wanted;
        }
        let suits = |backend: &&Backend| backend.ip.is_ipv4() == is_ipv4;
        let mut backends = balance.backends.iter().filter(suits);
        let named = backends.clone().find(|backend| wanted.is_some_and(|(ip, _)| ip == backend.ip));
        if named.is_some() {
            self.lb_dst = None;
        }
        let chosen = named.or_else(|| backends.next());
        if chosen.is_none() {
            self.note(at, Kind::Error, "*** no load balancing destination (use --lb-dst)");
        }
        chosen.map(|backend| (backend.ip, backend.port))
    }

    pub(super) fn select(&mut self, select: &Select, at: &At<'a>) {
        let ids = || select.members.iter().map(|(id, _)| *id);
        let named = ids().find(|id| self.options.select_id == Some(*id));
        let Some(id) = named.or_else(|| ids().next()) else { return };
        let remark = match named {
            Some(_) => "",
            None => " /* Randomly selected. Use --select-id to specify. */",
        };
        let under = self.note(at, Kind::Transformation, format!("select: {} = {id}{remark}", select.dst));
        let packet = at.packet.copy();
        packet.write(&select.dst, id.into());
        self.enter_following(at, packet, under);
    }

    pub(super) fn ct_clear(&mut self, at: &At<'a>) {
        let mut fields = vec![Field::CtState, Field::CtZone, Field::CtMark, Field::CtLabel];
        fields.extend([Field::CtNwProto, Field::CtTpSrc, Field::CtTpDst]);
        match at.packet.get(Field::EthType) {
            ETH_IPV4 => fields.extend([Field::CtNwSrc, Field::CtNwDst]),
            ETH_IPV6 => fields.extend([Field::CtIpv6Src, Field::CtIpv6Dst]),
            _ => {}
        }
        for field in fields {
            at.packet.set(field, 0);
        }
    }

    /// Whether a load balancer sent a packet back to where it came from. `port` has the port that the load balancer
    /// was asked at: the one before translation, or that of a reply.
    pub(super) fn check_hairpin(&mut self, dst: &FieldRef, port: Field, at: &At<'a>) {
        let key = at.packet.key();
        let is_same = |addresses: Addresses| key.get(addresses.src) == key.get(addresses.dst);
        let is_hairpin = key.get(Field::CtState) & DESTINATION_TRANSLATED != 0
            && Addresses::of_packet(&key).is_some_and(is_same)
            && self.vips(&key).any(|vip| u128::from(vip.1) == key.get(port));
        at.packet.write(dst, is_hairpin.into());
        self.note(at, Kind::Modify, format!("{dst} = {}", u8::from(is_hairpin)));
    }

    pub(super) fn snat_to_vip(&mut self, at: &At<'a>) {
        let key = at.packet.key();
        let vip = self.vips(&key).find(|vip| u128::from(vip.1) == key.get(Field::CtTpDst));
        if let Some((ip, _)) = vip {
            self.note(at, Kind::Action, format!("/* nat(src={}) */", shown(ip)));
        }
    }

    /// The virtual addresses, with their ports, that a packet was sent to before it was translated.
    fn vips(&self, key: &FlowKey) -> impl Iterator<Item = (IpAddr, u16)> {
        let (ipv4, ipv6) = (key.get(Field::CtNwDst), key.get(Field::CtIpv6Dst));
        let was_asked = move |ip: IpAddr| bits(ip) == if ip.is_ipv4() { ipv4 } else { ipv6 };
        self.tracer.vips().iter().copied().filter(move |(ip, _)| was_asked(*ip))
    }
}
