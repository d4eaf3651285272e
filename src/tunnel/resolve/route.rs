//! The way to a peer: its next hop.

use std::net::{IpAddr, Ipv6Addr};

use super::Spec;
use crate::tunnel::Endpoint;

/// A route to what is not on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Destination; bits behind the prefix do not count.
    pub prefix: IpAddr,
    /// Length of the prefix; 0: the gateway of the family.
    pub len: u8,
    /// Router, which has to be on the link.
    pub via: IpAddr,
}

/// Why a route cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    /// IPv4 by IPv6, or the reverse.
    #[error("{0}/{1} is routed via {2}, which is of the other family; name a router of the same")]
    Family(IpAddr, u8, IpAddr),
    /// A prefix longer than the address.
    #[error("{0}/{1} is no prefix; write a length of at most 32 for IPv4 and 128 for IPv6")]
    BadPrefix(IpAddr, u8),
    /// Not to be reached without a route itself.
    #[error("the router {0} is in no prefix of the endpoint's addresses; name one that is on the link")]
    NotOnLink(IpAddr),
    /// Ourselves, or several.
    #[error("{0} is no router's address; name another host on the link")]
    NotARouter(IpAddr),
}

impl Route {
    /// Whether packets can go that way.
    pub(super) fn check(&self, endpoint: &Endpoint) -> Result<(), BadRoute> {
        let Route { prefix, len, via } = *self;
        if prefix.is_ipv4() != via.is_ipv4() {
            return Err(BadRoute::Family(prefix, len, via));
        }
        if len > if prefix.is_ipv4() { 32 } else { 128 } {
            return Err(BadRoute::BadPrefix(prefix, len));
        }
        let via_v6 = to_v6(via);
        if via.is_multicast() || via.is_unspecified() || endpoint.has(via_v6) {
            return Err(BadRoute::NotARouter(via));
        }
        if !endpoint.is_on_link(via_v6) {
            return Err(BadRoute::NotOnLink(via));
        }
        Ok(())
    }

    /// How many bits of the address the prefix covers, if it covers it.
    fn covers(&self, ip: Ipv6Addr) -> Option<u8> {
        covers(self.prefix, self.len, ip)
    }
}

/// In the form that holds both families.
fn to_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn covers(prefix: IpAddr, len: u8, ip: Ipv6Addr) -> Option<u8> {
    let (differing, bits) = match (prefix, ip.to_ipv4_mapped()) {
        (IpAddr::V4(prefix), Some(ip)) => (u128::from(prefix.to_bits() ^ ip.to_bits()), 32),
        (IpAddr::V6(prefix), None) => (prefix.to_bits() ^ ip.to_bits(), 128),
        _ => return None,
    };
    (differing.checked_shr(bits - u32::from(len)).unwrap_or(0) == 0).then_some(len)
}

impl Spec {
    /// The next hop of an address: itself if it is on the link, else the router of the longest prefix.
    pub(super) fn hop(&self, ip: Ipv6Addr) -> Option<Ipv6Addr> {
        if ip.is_unicast_link_local() {
            return Some(ip);
        }
        let connected = self.endpoint.addresses().filter_map(|(own, len)| Some((covers(own, len, ip)?, ip)));
        let routed = self.routes.iter().filter_map(|route| Some((route.covers(ip)?, to_v6(route.via))));
        // Of equally long ones the last counts, which is the connected one.
        routed.chain(connected).max_by_key(|(len, _)| *len).map(|(_, hop)| hop)
    }
}
