//! Routes and neighbours of the underlay, on the control thread.
//!
//! [`Resolver`] finds the next hop of every peer and its Ethernet address, ahead of the packets that need it, and builds
//! what the workers see of it. It has no clock and no port: times are milliseconds that never go back, and what is to be
//! sent is handed out by [`Resolver::tick`].
//!
//! The invariant: there is a neighbour in the table for each next hop of a peer and no other, so that nobody on the wire can
//! make it grow; and of each at most one request a second is sent.

mod neighbour;
mod route;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use super::answer::Heard;
use super::encap::Remote;
use super::endpoint::Endpoint;
use super::frames::{ALL_NODES, Nd, OVERRIDE, REQUEST, arp, discovery, group_mac, solicited_node};
use super::underlay::Underlay;
use crate::packet::headers::eth_type;
use crate::packet::{Mac, PortNo};

pub use neighbour::State;
use neighbour::{Ask, Neighbour};
pub use route::{BadRoute, Route};

/// What the underlay is configured to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The port that leads to the other hosts.
    pub uplink: PortNo,
    /// The switch's own place.
    pub endpoint: Endpoint,
    /// Routes, and gateways as routes with a prefix of length 0.
    pub routes: Vec<Route>,
}

/// A neighbour, to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Address.
    pub ip: IpAddr,
    /// Ethernet address, if known.
    pub mac: Option<Mac>,
    /// State.
    pub state: State,
    /// Milliseconds since the neighbour was last heard, or since it is looked for.
    pub age: u64,
}

/// A peer, to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteRow {
    /// Address.
    pub ip: IpAddr,
    /// The neighbour that packets go to first; none without a route.
    pub hop: Option<IpAddr>,
    /// Ethernet address of that neighbour, if known.
    pub mac: Option<Mac>,
}

/// How often the own addresses are announced, and how far apart (RFC 5227).
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_INTERVAL: u64 = 2000;
/// The own addresses are defended no more often than this (RFC 5227).
const DEFEND_INTERVAL: u64 = 10_000;

/// Routes and neighbours as a state machine on a clock of milliseconds.
#[derive(Clone, Debug)]
pub struct Resolver {
    spec: Spec,
    /// The peers with their next hops.
    remotes: BTreeMap<Ipv6Addr, Option<Ipv6Addr>>,
    neighbours: BTreeMap<Ipv6Addr, Neighbour>,
    vnis: Option<Vec<u32>>,
    has_bfd: bool,
    has_changed: bool,
    /// Announcements left, and when the next is due.
    announcements: (u8, u64),
    defended_at: Option<u64>,
    /// How often somebody else claimed an address of the endpoint, and who did last.
    conflicts: (u64, Option<(Ipv6Addr, Mac)>),
}

impl Resolver {
    /// With no peers yet, and all virtual networks. The own addresses are announced at the first [`Resolver::tick`].
    pub fn new(spec: Spec) -> Result<Self, BadRoute> {
        for route in &spec.routes {
            route.check(&spec.endpoint)?;
        }
        Ok(Self {
            spec,
            remotes: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            vnis: None,
            has_bfd: true,
            has_changed: true,
            announcements: (ANNOUNCEMENTS, 0),
            defended_at: None,
            conflicts: (0, None),
        })
    }

    /// What it was made with.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The peers from now on. Addresses of the endpoint itself are left out, and those of a family that it has none of.
    pub fn set_remotes(&mut self, remotes: impl IntoIterator<Item = Ipv6Addr>, now: u64) {
        let endpoint = &self.spec.endpoint;
        let is_peer = |ip: &Ipv6Addr| endpoint.source_for(*ip).is_some() && !endpoint.has(*ip);
        let remotes: BTreeMap<_, _> =
            remotes.into_iter().filter(is_peer).map(|ip| (ip, self.spec.hop(ip))).collect();
        if remotes == self.remotes {
            return;
        }
        self.remotes = remotes;
        self.has_changed = true;
        let hops: BTreeSet<_> = self.remotes.values().flatten().copied().collect();
        self.neighbours.retain(|ip, _| hops.contains(ip));
        for hop in hops {
            self.neighbours.entry(hop).or_insert_with(|| Neighbour::new(now));
        }
    }

    /// The virtual networks that the switch has from now on; all without a list.
    pub fn set_vnis(&mut self, vnis: Option<Vec<u32>>) {
        self.has_changed |= vnis != self.vnis;
        self.vnis = vnis;
    }

    /// Another host claimed an address of the endpoint. Whether that is answered: not each time.
    pub fn claimed(&mut self, ip: Ipv6Addr, mac: Mac, now: u64) -> bool {
        self.conflicts.0 += 1;
        self.conflicts.1 = Some((ip, mac));
        let is_answered = self.defended_at.is_none_or(|at| now >= at + DEFEND_INTERVAL);
        if is_answered {
            self.defended_at = Some(now);
            self.announcements = (self.announcements.0.max(1), now);
        }
        is_answered
    }

    /// Whether sessions of BFD are run from now on, as they are at first.
    pub fn set_bfd(&mut self, has_bfd: bool) {
        self.has_changed |= has_bfd != self.has_bfd;
        self.has_bfd = has_bfd;
    }

    /// A neighbour showed itself.
    pub fn heard(&mut self, heard: &Heard, now: u64) {
        if let Some(neighbour) = self.neighbours.get_mut(&heard.ip) {
            self.has_changed |= neighbour.heard(heard, now);
        }
    }

    /// A packet waits for a neighbour.
    pub fn wanted(&mut self, hop: Ipv6Addr, now: u64) {
        if let Some(neighbour) = self.neighbours.get_mut(&hop) {
            neighbour.wanted(now);
        }
    }

    /// Announces the own addresses again, as after the uplink came back.
    pub fn announce(&mut self, now: u64) {
        self.announcements = (ANNOUNCEMENTS, now);
    }

    /// Goes on to `now`; gives frames to be sent by the uplink.
    pub fn tick(&mut self, now: u64) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let (left, at) = self.announcements;
        if left > 0 && now >= at {
            self.announcements = (left - 1, now + ANNOUNCE_INTERVAL);
            frames.extend(self.spec.endpoint.addresses().map(|(ip, _)| self.spec.announcement(ip)));
        }
        for (ip, neighbour) in &mut self.neighbours {
            let (ask, has_changed) = neighbour.tick(now);
            self.has_changed |= has_changed;
            frames.extend(ask.map(|ask| self.spec.request(*ip, ask)));
        }
        frames
    }

    /// When [`Resolver::tick`] has to be called next.
    pub fn due(&self) -> Option<u64> {
        let (left, at) = self.announcements;
        let announce = (left > 0).then_some(at);
        self.neighbours.values().map(Neighbour::due).chain(announce).min()
    }

    /// What the workers are to know, if it has changed since the last call.
    pub fn build(&mut self) -> Option<Underlay> {
        if !std::mem::take(&mut self.has_changed) {
            return None;
        }
        let Spec { uplink, endpoint, .. } = &self.spec;
        let remotes = self.remotes.iter().filter_map(|(ip, hop)| {
            let mac = hop.and_then(|hop| self.neighbours.get(&hop)).and_then(|neighbour| neighbour.mac);
            Remote::new(endpoint, *ip, hop.unwrap_or(Ipv6Addr::UNSPECIFIED), mac)
        });
        let vnis = self.vnis.clone().map(Vec::into_boxed_slice);
        let mut built = Underlay::new(*uplink, endpoint.clone(), remotes, vnis);
        built.has_bfd = self.has_bfd;
        Some(built)
    }

    /// The neighbours, by address.
    pub fn show(&self, now: u64) -> Vec<Row> {
        let row = |(ip, neighbour): (&Ipv6Addr, &Neighbour)| Row {
            ip: ip.to_canonical(),
            mac: neighbour.mac,
            state: neighbour.state,
            age: now.saturating_sub(neighbour.since),
        };
        self.neighbours.iter().map(row).collect()
    }

    /// The peers, by address.
    pub fn show_remotes(&self) -> Vec<RemoteRow> {
        let row = |(ip, hop): (&Ipv6Addr, &Option<Ipv6Addr>)| RemoteRow {
            ip: ip.to_canonical(),
            hop: hop.map(|hop| hop.to_canonical()),
            mac: hop.and_then(|hop| self.neighbours.get(&hop)).and_then(|neighbour| neighbour.mac),
        };
        self.remotes.iter().map(row).collect()
    }

    /// How often it was told that somebody else claims an address of the endpoint, and which address who claimed last.
    pub fn conflicts(&self) -> (u64, Option<(Ipv6Addr, Mac)>) {
        self.conflicts
    }
}

impl Spec {
    /// A frame of the endpoint.
    fn frame(&self, dst: Mac, kind: u16, body: &[u8]) -> Vec<u8> {
        let mut frame = [dst.0, self.endpoint.mac.0].concat();
        if let Some(vlan) = self.endpoint.vlan {
            frame.extend(eth_type::VLAN.to_be_bytes());
            frame.extend(vlan.to_be_bytes());
        }
        frame.extend(kind.to_be_bytes());
        frame.extend(body);
        frame
    }

    /// Tells all neighbours of an own address.
    fn announcement(&self, ip: IpAddr) -> Vec<u8> {
        let mac = self.endpoint.mac;
        match ip {
            IpAddr::V4(ip) => {
                let own = ip.to_bits();
                let body = arp(REQUEST, (mac, own), (Mac::default(), own));
                self.frame(Mac::BROADCAST, eth_type::ARP, &body)
            }
            IpAddr::V6(ip) => {
                let own = ip.to_bits();
                let body = discovery(Nd::Advert(OVERRIDE), own, ALL_NODES, own, mac);
                self.frame(group_mac(ALL_NODES), eth_type::IPV6, &body)
            }
        }
    }

    /// Asks for a neighbour.
    fn request(&self, ip: Ipv6Addr, ask: Ask) -> Vec<u8> {
        let mac = self.endpoint.mac;
        let to = match ask {
            Ask::All => None,
            Ask::One(mac) => Some(mac),
        };
        match ip.to_ipv4_mapped() {
            Some(ip) => {
                let (target, own) = (ip.to_bits(), self.endpoint.near_v4(ip.to_bits()));
                let body = arp(REQUEST, (mac, own), (Mac::default(), target));
                self.frame(to.unwrap_or(Mac::BROADCAST), eth_type::ARP, &body)
            }
            None => {
                let (target, own) = (ip.to_bits(), self.endpoint.near_v6(ip.to_bits()));
                let group = solicited_node(target);
                let dst = if to.is_some() { target } else { group };
                let body = discovery(Nd::Solicit, own, dst, target, mac);
                self.frame(to.unwrap_or(group_mac(group)), eth_type::IPV6, &body)
            }
        }
    }
}
