//! What the workers know of the underlay: one immutable value, published as a whole.

use std::net::Ipv6Addr;

use hashbrown::{HashMap, HashSet};

use super::encap::Remote;
use super::endpoint::Endpoint;
use crate::packet::PortNo;

/// Endpoint, peers and virtual networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// The port that leads to the other hosts.
    pub uplink: PortNo,
    /// The switch's own place.
    pub endpoint: Endpoint,
    /// Whether sessions of BFD are run, and what peers say by it is to be told.
    pub has_bfd: bool,
    remotes: HashMap<u128, Remote, foldhash::fast::FixedState>,
    /// Next hops of the peers.
    hops: HashSet<u128, foldhash::fast::FixedState>,
    /// Sorted; none if every number is known.
    vnis: Option<Box<[u32]>>,
}

impl Underlay {
    /// With the peers, and the virtual networks that the switch has: all without a list. With BFD.
    pub fn new(
        uplink: PortNo,
        endpoint: Endpoint,
        remotes: impl IntoIterator<Item = Remote>,
        vnis: Option<Box<[u32]>>,
    ) -> Self {
        let remotes = remotes.into_iter().map(|remote| (remote.ip.to_bits(), remote));
        let remotes: HashMap<u128, Remote, _> = HashMap::from_iter(remotes);
        let hops = HashSet::from_iter(remotes.values().map(|remote| remote.hop.to_bits()));
        let mut vnis = vnis;
        if let Some(vnis) = &mut vnis {
            vnis.sort_unstable();
        }
        Self { uplink, endpoint, has_bfd: true, remotes, hops, vnis }
    }

    /// The peer of that address.
    #[inline]
    pub fn remote(&self, ip: Ipv6Addr) -> Option<&Remote> {
        self.remotes.get(&ip.to_bits())
    }

    /// All peers, in no order.
    pub fn remotes(&self) -> impl Iterator<Item = &Remote> {
        self.remotes.values()
    }

    /// Whether it matters what Ethernet address somebody has: next hops, and whoever claims an address of the endpoint.
    pub fn is_of_concern(&self, ip: Ipv6Addr) -> bool {
        self.hops.contains(&ip.to_bits()) || self.endpoint.has(ip)
    }

    /// Whether the virtual network is one of the switch's.
    #[inline]
    pub fn knows_vni(&self, vni: u32) -> bool {
        self.vnis.as_ref().is_none_or(|vnis| vnis.binary_search(&vni).is_ok())
    }
}
