//! The tunnel endpoint: what the workers need to know of the switch's own place in the underlay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arrayvec::ArrayVec;

use crate::packet::Mac;
use crate::packet::headers::{ETH_LEN, VLAN_LEN};

/// Why an endpoint cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Nothing to be reached by.
    #[error("the tunnel endpoint has no address; give it at least one in `addresses`")]
    NoAddress,
    /// More than the classification looks at.
    #[error("the tunnel endpoint has more than {} addresses of one family; leave some out", Endpoint::MAX)]
    TooMany,
    /// A prefix longer than the address.
    #[error("{0}/{1} is no prefix; write a length of at most 32 for IPv4 and 128 for IPv6")]
    BadPrefix(IpAddr, u8),
    /// Not the address of one host.
    #[error("{0} is not the address of a host; give the endpoint a unicast address")]
    NotUnicast(IpAddr),
    /// The Ethernet address of none or of several.
    #[error("{0} is not the address of one device; give the endpoint a unicast Ethernet address")]
    BadMac(Mac),
    /// No VLAN has that number.
    #[error("{0} is no VLAN; write a number from 1 to 4094, or 0 for none")]
    BadVlan(u16),
    /// Too little to tunnel through.
    #[error("an MTU of {0} leaves no room for tunnelled packets; give the underlay at least {min}", min = Endpoint::LEAST_MTU)]
    BadMtu(u16),
}

/// The endpoint of all tunnels of the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Ethernet address.
    pub mac: Mac,
    /// Tag of the underlay's frames, if they have one.
    pub vlan: Option<u16>,
    /// Most bytes of an outer IP packet.
    pub mtu: u16,
    /// Whether outer UDP over IPv4 gets a checksum; over IPv6 it always does.
    pub checksum: bool,
    /// Addresses with the length of their prefix.
    pub(super) v4: ArrayVec<(u32, u8), { Endpoint::MAX }>,
    /// The same of IPv6.
    pub(super) v6: ArrayVec<(u128, u8), { Endpoint::MAX }>,
}

impl Endpoint {
    /// Most addresses of one family.
    pub const MAX: usize = 8;
    /// Least MTU.
    pub const LEAST_MTU: u16 = 576;

    /// An endpoint with these addresses and the lengths of their prefixes. The first of each family is the source of what
    /// is sent to peers of that family.
    pub fn new(
        mac: Mac,
        vlan: Option<u16>,
        addresses: &[(IpAddr, u8)],
        mtu: u16,
        checksum: bool,
    ) -> Result<Endpoint, BadEndpoint> {
        if mac.is_multicast() || mac == Mac::default() {
            return Err(BadEndpoint::BadMac(mac));
        }
        if let Some(vlan) = vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
            return Err(BadEndpoint::BadVlan(vlan));
        }
        if mtu < Self::LEAST_MTU {
            return Err(BadEndpoint::BadMtu(mtu));
        }
        if addresses.is_empty() {
            return Err(BadEndpoint::NoAddress);
        }
        let (mut v4, mut v6) = (ArrayVec::new(), ArrayVec::new());
        for &(ip, prefix) in addresses {
            let ip = ip.to_canonical();
            if ip.is_multicast() || ip.is_unspecified() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
                return Err(BadEndpoint::NotUnicast(ip));
            }
            if prefix > if ip.is_ipv4() { 32 } else { 128 } {
                return Err(BadEndpoint::BadPrefix(ip, prefix));
            }
            let pushed = match ip {
                IpAddr::V4(ip) => v4.try_push((ip.to_bits(), prefix)).is_ok(),
                IpAddr::V6(ip) => v6.try_push((ip.to_bits(), prefix)).is_ok(),
            };
            if !pushed {
                return Err(BadEndpoint::TooMany);
            }
        }
        Ok(Endpoint { mac, vlan, mtu, checksum, v4, v6 })
    }

    /// The addresses with the lengths of their prefixes, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let v4 = self.v4.iter().map(|(ip, prefix)| (IpAddr::V4(Ipv4Addr::from_bits(*ip)), *prefix));
        v4.chain(self.v6.iter().map(|(ip, prefix)| (IpAddr::V6(Ipv6Addr::from_bits(*ip)), *prefix)))
    }

    /// Whether the address is the endpoint's own.
    #[inline]
    pub fn has(&self, ip: Ipv6Addr) -> bool {
        match ip.to_ipv4_mapped() {
            Some(ip) => self.has_v4(ip.to_bits()),
            None => self.has_v6(ip.to_bits()),
        }
    }

    /// Whether the address lies in the prefix of one of the endpoint's.
    pub fn is_on_link(&self, ip: Ipv6Addr) -> bool {
        match ip.to_ipv4_mapped() {
            Some(ip) => self.is_on_link_v4(ip.to_bits()),
            None => self.is_on_link_v6(ip.to_bits()),
        }
    }

    /// The own address that peers of the family of `ip` see; none if the endpoint has no address of that family.
    pub fn source_for(&self, ip: Ipv6Addr) -> Option<Ipv6Addr> {
        match ip.to_ipv4_mapped() {
            Some(_) => self.v4.first().map(|(ip, _)| Ipv4Addr::from_bits(*ip).to_ipv6_mapped()),
            None => self.v6.first().map(|(ip, _)| Ipv6Addr::from_bits(*ip)),
        }
    }

    /// Where the IP header of the underlay's frames stands.
    pub(super) fn l3(&self) -> usize {
        if self.vlan.is_some() { ETH_LEN + VLAN_LEN } else { ETH_LEN }
    }

    #[inline(always)]
    pub(super) fn has_v4(&self, ip: u32) -> bool {
        self.v4.iter().any(|(own, _)| *own == ip)
    }

    #[inline(always)]
    pub(super) fn has_v6(&self, ip: u128) -> bool {
        self.v6.iter().any(|(own, _)| *own == ip)
    }

    /// Whether the address is that of one other host, as far as can be told: a reply may go there.
    pub(super) fn may_answer_v4(&self, ip: u32) -> bool {
        let addr = Ipv4Addr::from_bits(ip);
        let is_group = addr.is_multicast() || addr.is_broadcast() || self.is_broadcast_v4(ip);
        !is_group && !addr.is_unspecified() && !addr.is_loopback() && !self.has_v4(ip)
    }

    /// The same of IPv6.
    pub(super) fn may_answer_v6(&self, ip: u128) -> bool {
        let addr = Ipv6Addr::from_bits(ip);
        !addr.is_multicast() && !addr.is_unspecified() && !addr.is_loopback() && !self.has_v6(ip)
    }

    /// Whether the address stands for all hosts of one of the endpoint's networks.
    fn is_broadcast_v4(&self, ip: u32) -> bool {
        self.v4.iter().any(|(own, prefix)| {
            *prefix < 31 && ip == own | u32::MAX.checked_shr((*prefix).into()).unwrap_or(0)
        })
    }

    pub(super) fn is_on_link_v4(&self, ip: u32) -> bool {
        self.v4.iter().any(|(own, prefix)| is_in_v4(*own, *prefix, ip))
    }

    /// The own address to ask a neighbour from: one whose prefix it is in, else the first; 0 without any.
    pub(super) fn near_v4(&self, ip: u32) -> u32 {
        let near = self.v4.iter().find(|(own, prefix)| is_in_v4(*own, *prefix, ip));
        near.or(self.v4.first()).map_or(0, |(own, _)| *own)
    }

    /// The same of IPv6.
    pub(super) fn near_v6(&self, ip: u128) -> u128 {
        let near = self.v6.iter().find(|(own, prefix)| is_in_v6(*own, *prefix, ip));
        near.or(self.v6.first()).map_or(0, |(own, _)| *own)
    }

    /// Link-local addresses are, if there is an address of that family at all.
    pub(super) fn is_on_link_v6(&self, ip: u128) -> bool {
        let is_near = self.v6.iter().any(|(own, prefix)| is_in_v6(*own, *prefix, ip));
        is_near || (!self.v6.is_empty() && Ipv6Addr::from_bits(ip).is_unicast_link_local())
    }
}

fn is_in_v4(own: u32, prefix: u8, ip: u32) -> bool {
    (own ^ ip).checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
}

fn is_in_v6(own: u128, prefix: u8, ip: u128) -> bool {
    (own ^ ip).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
}
