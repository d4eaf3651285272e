//! Port security: which addresses a port may send from and receive at.
//!
//! An entry is an Ethernet address and any number of IP addresses. An address with a prefix whose host part is zero
//! stands for all of the network, any other one for itself. A port with an entry that has addresses of one family only
//! may not use the other one. In the way of a port that seeks whether its IPv6 address is free nothing stands.
//!
//! A flag says what the tables found: one is that the packet is not allowed.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::actions::{go_to, set};
use super::numbers::{DATAPATH, FLAGS, INPORT, OUTPORT, flag};
use super::physical::{Base, Flow, Notes};
use crate::action::{Action, Subfield};
use crate::logical::error::shortened;
use crate::logical::rows::tables::PortBinding;
use crate::packet::{Field, Mac};
use crate::pipeline::Match;

/// Entries that are named which count for nothing.
const MAX_NAMED: usize = 8;

const ETH_IPV4: u128 = 0x0800;
const ETH_ARP: u128 = 0x0806;
const ETH_IPV6: u128 = 0x86dd;
const UDP: u128 = 17;
const ICMPV6: u128 = 58;
const SOLICITATION: u128 = 135;
const ADVERTISEMENT: u128 = 136;
/// Membership reports of MLDv1 and MLDv2.
const REPORTS: [u128; 2] = [131, 143];

/// An address that counts in some of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address {
    value: u128,
    mask: u128,
    /// The broadcast address of its network, for an IPv4 address of one.
    broadcast: Option<u128>,
}

/// An entry of a port's `port_security`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Allowed {
    mac: u128,
    ipv4: Vec<Address>,
    ipv6: Vec<Address>,
}

impl Address {
    fn new(value: u128, width: u32, length: u32) -> Self {
        let all = u128::MAX >> (128 - width);
        let host = all.checked_shr(length).unwrap_or(0);
        let is_network = length < width && value & host == 0;
        let mask = if is_network { all & !host } else { all };
        let broadcast = (width == 32 && length < width && !is_network).then_some(value | host);
        Self { value: value & mask, mask, broadcast }
    }
}

impl Allowed {
    /// Reads an entry. Without an Ethernet address it is none; what comes behind the first word that is no address is
    /// read over.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mac: Mac = words.next()?.parse().ok()?;
        let mut allowed = Self { mac: mac.to_u64().into(), ..Self::default() };
        for word in words {
            let (address, length) = match word.split_once('/') {
                Some((address, length)) => (address, length.parse::<u32>().ok()),
                None => (word, Some(128)),
            };
            let Some(length) = length else { break };
            if let Ok(ip) = address.parse::<Ipv4Addr>() {
                let length = if word.contains('/') { length } else { 32 };
                if length > 32 {
                    break;
                }
                allowed.ipv4.push(Address::new(ip.to_bits().into(), 32, length));
            } else if let (Ok(ip), 0..=128) = (address.parse::<Ipv6Addr>(), length) {
                allowed.ipv6.push(Address::new(ip.to_bits(), 128, length));
            } else {
                break;
            }
        }
        Some(allowed)
    }

    fn allows_any_ip(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    /// The link-local address made of the Ethernet address.
    fn link_local(&self) -> Address {
        let (high, low) = (self.mac >> 24, self.mac & 0xff_ffff);
        Address::new((0xfe80 << 112) | ((high ^ 0x02_0000) << 40) | (0xfffe << 24) | low, 128, 128)
    }
}

/// A match in the making.
#[derive(Clone)]
struct Of(Match);

impl Of {
    fn is(mut self, field: Field, value: u128) -> Self {
        self.0.set(field, value);
        self
    }

    fn within(mut self, field: Field, address: Address) -> Self {
        self.0.set_masked(field, address.value, address.mask);
        self
    }

    fn discovery(self, kind: u128) -> Self {
        self.is(Field::EthType, ETH_IPV6)
            .is(Field::NwProto, ICMPV6)
            .is(Field::NwTtl, 255)
            .is(Field::Icmpv6Type, kind)
            .is(Field::Icmpv6Code, 0)
    }
}

/// What a flow says of the packet.
#[derive(Clone, Copy)]
enum Verdict {
    Allow,
    Deny,
    /// The table about ARP and neighbour discovery decides.
    Further,
}

struct Writer<'a> {
    base: Base<'a>,
    flows: Vec<Flow>,
}

impl Writer<'_> {
    fn say(&mut self, table: u8, priority: u16, of: Of, verdict: Verdict) {
        let denied = Subfield { field: FLAGS, start: flag::PORT_SECURITY, bits: 1 };
        let action: Action = match verdict {
            Verdict::Allow => set(denied, 0),
            Verdict::Deny => set(denied, 1),
            Verdict::Further => go_to(self.base.numbers.in_port_security_nd),
        };
        self.flows.push(Flow { table, priority, matcher: of.0, actions: vec![action] });
    }

    /// What may be sent, but for ARP and neighbour discovery.
    fn sending(&mut self, port: &Of, entry: &Allowed) {
        let table = self.base.numbers.in_port_security;
        let own = port.clone().is(Field::EthSrc, entry.mac);
        if entry.allows_any_ip() {
            return self.say(table, 90, own, Verdict::Allow);
        }
        let ipv4 = own.clone().is(Field::EthType, ETH_IPV4);
        for address in &entry.ipv4 {
            self.say(table, 90, ipv4.clone().within(Field::NwSrc, *address), Verdict::Allow);
        }
        if !entry.ipv4.is_empty() {
            let dhcp = ipv4.is(Field::NwProto, UDP).is(Field::NwSrc, 0).is(Field::NwDst, 0xffff_ffff);
            self.say(table, 90, dhcp.is(Field::UdpSrc, 68).is(Field::UdpDst, 67), Verdict::Allow);
        }
        if entry.ipv6.is_empty() {
            return;
        }
        let ipv6 = own.is(Field::EthType, ETH_IPV6);
        for address in entry.ipv6.iter().chain([&entry.link_local()]) {
            self.say(table, 90, ipv6.clone().within(Field::Ipv6Src, *address), Verdict::Further);
        }
        // Before it has an address it reports groups and asks whether the address is free.
        let groups = Address::new(0xff02 << 112, 128, 16);
        let nobody = ipv6.is(Field::Ipv6Src, 0).within(Field::Ipv6Dst, groups).is(Field::NwProto, ICMPV6);
        let of_kind = |kind| nobody.clone().is(Field::Icmpv6Type, kind).is(Field::Icmpv6Code, 0);
        for report in REPORTS {
            self.say(table, 90, of_kind(report), Verdict::Allow);
        }
        self.say(table, 90, of_kind(SOLICITATION), Verdict::Further);
    }

    /// Which ARP and neighbour discovery may be sent.
    fn discovery(&mut self, port: &Of, entry: &Allowed) {
        let table = self.base.numbers.in_port_security_nd;
        let own = port.clone().is(Field::EthSrc, entry.mac);
        let arp = own.clone().is(Field::EthType, ETH_ARP).is(Field::ArpSha, entry.mac);
        for address in &entry.ipv4 {
            self.say(table, 90, arp.clone().within(Field::ArpSpa, *address), Verdict::Allow);
        }
        if entry.ipv4.is_empty() {
            self.say(table, 90, arp, Verdict::Allow);
        }
        for mac in [0, entry.mac] {
            let asks = own.clone().discovery(SOLICITATION).is(Field::NdSll, mac);
            self.say(table, 90, asks, Verdict::Allow);
            let tells = own.clone().discovery(ADVERTISEMENT).is(Field::NdTll, mac);
            for address in &entry.ipv6 {
                self.say(table, 90, tells.clone().within(Field::NdTarget, *address), Verdict::Allow);
            }
            if entry.ipv6.is_empty() {
                self.say(table, 90, tells, Verdict::Allow);
            } else {
                let link_local = tells.within(Field::NdTarget, entry.link_local());
                self.say(table, 90, link_local, Verdict::Allow);
            }
        }
    }

    /// What may be received.
    fn receiving(&mut self, port: &Of, entry: &Allowed) {
        let table = self.base.numbers.out_port_security;
        let own = port.clone().is(Field::EthDst, entry.mac);
        self.say(table, 85, own.clone(), Verdict::Allow);
        if entry.allows_any_ip() {
            return;
        }
        let ipv4 = own.clone().is(Field::EthType, ETH_IPV4);
        let ipv6 = own.is(Field::EthType, ETH_IPV6);
        if !entry.ipv4.is_empty() {
            let all = [Address::new(0xffff_ffff, 32, 32), Address::new(0xe000_0000, 32, 4)];
            let networks = entry.ipv4.iter().filter_map(|address| address.broadcast);
            let networks: Vec<Address> = networks.map(|all| Address::new(all, 32, 32)).collect();
            for address in entry.ipv4.iter().chain(&all).chain(&networks) {
                self.say(table, 95, ipv4.clone().within(Field::NwDst, *address), Verdict::Allow);
            }
        }
        if !entry.ipv6.is_empty() {
            let more = [entry.link_local(), Address::new(0xff << 120, 128, 8)];
            for address in entry.ipv6.iter().chain(&more) {
                self.say(table, 95, ipv6.clone().within(Field::Ipv6Dst, *address), Verdict::Allow);
            }
        }
        self.say(table, 90, ipv4, Verdict::Deny);
        self.say(table, 90, ipv6, Verdict::Deny);
    }
}

impl Base<'_> {
    /// The flows of a port's security. A port without an entry has none, and what no flow speaks of is allowed.
    pub fn security(&self, port: &PortBinding, notes: &mut Notes) -> Vec<Flow> {
        let is_bound = port.kind.is_empty() && self.local.plug(port, self.store).is_some();
        let Some(datapath) = self.local_key(port.datapath).filter(|_| is_bound) else { return Vec::new() };
        let (mut entries, mut empty): (Vec<Allowed>, Vec<String>) = (Vec::new(), Vec::new());
        for entry in &port.port_security {
            match Allowed::parse(entry) {
                Some(allowed) => entries.push(allowed),
                None => empty.push(format!("{:?}", shortened(entry))),
            }
        }
        if let [_, rest @ ..] = &empty[..] {
            let (name, count) = if rest.is_empty() { ("names", "counts") } else { ("name", "count") };
            let more = if empty.len() > MAX_NAMED { ", …" } else { "" };
            empty.truncate(MAX_NAMED);
            let entries = empty.join(", ");
            notes.say(format!(
                "port security {entries}{more} {name} no Ethernet address and {count} for nothing; begin with one"
            ));
        }
        if entries.is_empty() {
            return Vec::new();
        }
        let datapath = Of(Match::default()).is(DATAPATH, datapath.into());
        let from = datapath.clone().is(INPORT, port.tunnel_key.into());
        let to = datapath.is(OUTPORT, port.tunnel_key.into());
        let mut writer = Writer { base: *self, flows: Vec::new() };
        let numbers = self.numbers;
        let arp = from.clone().is(Field::EthType, ETH_ARP);
        writer.say(numbers.in_port_security, 95, arp.clone(), Verdict::Further);
        writer.say(numbers.in_port_security, 80, from.clone(), Verdict::Deny);
        writer.say(numbers.in_port_security_nd, 80, arp, Verdict::Deny);
        for kind in [SOLICITATION, ADVERTISEMENT] {
            writer.say(numbers.in_port_security_nd, 80, from.clone().discovery(kind), Verdict::Deny);
        }
        writer.say(numbers.out_port_security, 80, to.clone(), Verdict::Deny);
        for entry in &entries {
            writer.sending(&from, entry);
            writer.discovery(&from, entry);
            writer.receiving(&to, entry);
        }
        writer.flows
    }
}
