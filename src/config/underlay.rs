//! How this host reaches the others: the endpoint of its tunnels, and the chassis on the other ends.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use crate::packet::Mac;

/// An IP address with the length of its prefix, or a prefix alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The address.
    pub ip: IpAddr,
    /// How many bits of it are the prefix.
    pub len: u8,
}

impl Prefix {
    /// Bits of an address of that family.
    fn width(ip: IpAddr) -> u8 {
        if ip.is_ipv4() { 32 } else { 128 }
    }

    /// The address as the high bits of an integer.
    fn bits(ip: IpAddr) -> u128 {
        match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
            IpAddr::V6(ip) => ip.to_bits(),
        }
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.len)).unwrap_or(0)
    }

    /// Whether an address lies in the prefix.
    pub fn holds(self, ip: IpAddr) -> bool {
        self.ip.is_ipv4() == ip.is_ipv4() && (Self::bits(self.ip) ^ Self::bits(ip)) & self.mask() == 0
    }

    /// The prefix alone, all other bits zero.
    pub fn network(self) -> Self {
        let bits = Self::bits(self.ip) & self.mask();
        let ip = match self.ip {
            IpAddr::V4(_) => Ipv4Addr::from_bits((bits >> 96) as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
        };
        Self { ip, len: self.len }
    }

    /// Whether a host can have the address: it is unicast, and not the network's own or its broadcast address.
    pub fn is_of_a_host(self) -> bool {
        let IpAddr::V4(ip) = self.ip else { return is_unicast(self.ip) };
        let host = ip.to_bits().wrapping_shl(self.len.into());
        is_unicast(self.ip) && (self.len >= 31 || (host != 0 && host != u32::MAX << self.len))
    }
}

impl FromStr for Prefix {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (ip, len) = text.split_once('/').ok_or(())?;
        let ip: IpAddr = ip.parse().map_err(drop)?;
        // A sign would be read too.
        let plain = len.bytes().all(|digit| digit.is_ascii_digit());
        let len = plain.then(|| len.parse().ok()).flatten().filter(|len| *len <= Self::width(ip)).ok_or(())?;
        Ok(Self { ip, len })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.len)
    }
}

/// Whether a packet can be sent to the address and reach one host that is not this one.
pub fn is_unicast(ip: IpAddr) -> bool {
    let is_odd = match ip {
        // 0.0.0.0/8 is this host on this network.
        IpAddr::V4(ip) => ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unspecified() || ip.to_ipv4_mapped().is_some(),
    };
    !is_odd && !ip.is_multicast() && !ip.is_loopback()
}

/// A route of the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub to: Prefix,
    /// The next hop, on the underlay itself.
    pub via: IpAddr,
}

/// The endpoint of the tunnels, which the switch serves by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Underlay {
    /// The switch port that leads to the other hosts.
    pub port: String,
    /// Addresses of the endpoint; never empty.
    pub addresses: Vec<Prefix>,
    /// Its Ethernet address; else that of the port.
    pub mac: Option<Mac>,
    /// Routes, the gateways among them as prefixes of no bits.
    pub routes: Vec<Route>,
    /// Tag of the underlay's frames.
    pub vlan: Option<u16>,
    /// Bytes of an IP packet of the underlay; never more than those of the port.
    pub mtu: u16,
    /// Whether outer UDP checksums are sent over IPv4; over IPv6 they always are.
    pub checksum: bool,
    /// BFD sessions with the other chassis, if there are to be any.
    pub bfd: Option<Bfd>,
}

impl Underlay {
    /// Whether the address is one that a host beside this one cannot have: its network's own, or its broadcast address.
    pub fn is_of_no_host(&self, ip: IpAddr) -> bool {
        let mut near = self.addresses.iter().filter(|address| address.holds(ip));
        near.any(|address| !Prefix { ip, ..*address }.is_of_a_host())
    }

    /// Whether the address is the endpoint's own.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip == ip)
    }

    /// Least MTU of IPv6.
    const IPV6_MTU: u16 = 1280;

    /// Bytes that Geneve with OVN's option, UDP, IP and the inner Ethernet header take of an IP packet of the underlay.
    fn overhead(&self) -> u16 {
        let is_ipv6 = self.addresses.first().is_some_and(|address| address.ip.is_ipv6());
        if is_ipv6 { 78 } else { 58 }
    }

    /// What is allowed and may not be meant: a sentence with its mend.
    pub fn caution(&self) -> Option<String> {
        let (overhead, least) = (self.overhead(), Self::IPV6_MTU);
        let left = self.mtu.saturating_sub(overhead);
        (left < least).then(|| {
            format!(
                "packets of guests have {left} bytes at most in tunnels, and IPv6 needs {least}; raise `underlay.mtu` to {} \
                 or more, unless guests have IPv4 only",
                least + overhead
            )
        })
    }
}

/// What a BFD session is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bfd {
    /// Least time between two packets that this host can take.
    pub min_rx: Duration,
    /// Time between two packets that this host sends, where the other end takes them.
    pub min_tx: Duration,
    /// How many packets may be lost before the other end counts as lost.
    pub mult: u8,
}

impl Default for Bfd {
    fn default() -> Self {
        Self { min_rx: Duration::from_secs(1), min_tx: Duration::from_millis(100), mult: 3 }
    }
}

/// Another chassis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chassis {
    /// Its name.
    pub name: String,
    /// Address that its tunnels lead to.
    pub encap_ip: IpAddr,
    /// Logical ports bound there.
    pub ports: Vec<String>,
}

/// The switch port that stands for a physical network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// `network_name` of localnet ports.
    pub network: String,
    /// Name of the switch port.
    pub port: String,
}
