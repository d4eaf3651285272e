//! Addresses as Northbound rows write them: `MAC IP IP …` of ports, `IP/LENGTH` of router ports.
//!
//! What cannot be read ends the list, as in OVN. Texts are those of the C library, which go into matches and actions.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::logical::nb::nbctl::address::{Network, scan_mac, scan_network4, scan_network6};
use crate::packet::Mac;
use crate::packet::addr::Ipv6Text;

/// An IPv4 address with the length of its network's prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ipv4Network {
    /// The address.
    pub address: Ipv4Addr,
    /// The length; 32 if it was written without any.
    pub length: u8,
}

/// An IPv6 address with the length of its network's prefix. It prints without the length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ipv6Network {
    /// The address.
    pub address: Ipv6Addr,
    /// The length; 128 if it was written without any.
    pub length: u8,
}

/// An address that was scanned, and what follows it.
type Scanned<'a, T> = Option<(T, &'a str)>;

impl Ipv4Network {
    fn scan(text: &str) -> Scanned<'_, Self> {
        match scan_network4(text)? {
            (Network::V4(address, length), rest) => {
                let length = u8::try_from(length).ok()?;
                Some((Self { address: Ipv4Addr::from_bits(address), length }, rest))
            }
            (Network::V6(..), _) => None,
        }
    }

    /// Reads `IP`, `IP/LENGTH` or `IP/MASK`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::scan(text).filter(|(_, rest)| rest.is_empty()).map(|(read, _)| read)
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0)
    }

    /// The first address of its network.
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & self.mask())
    }

    /// The last address of its network.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// Whether an address is in its network.
    pub fn contains(self, other: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & self.mask() == 0
    }
}

impl Ipv6Network {
    fn scan(text: &str) -> Scanned<'_, Self> {
        match scan_network6(text)? {
            (Network::V6(address, length), rest) => {
                let length = u8::try_from(length).ok()?;
                Some((Self { address: Ipv6Addr::from_bits(address), length }, rest))
            }
            (Network::V4(..), _) => None,
        }
    }

    /// Reads `IP` or `IP/LENGTH`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::scan(text).filter(|(_, rest)| rest.is_empty()).map(|(read, _)| read)
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0)
    }

    /// The first address of its network.
    pub fn network(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.address.to_bits() & self.mask())
    }

    /// Whether an address is in its network.
    pub fn contains(self, other: Ipv6Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & self.mask() == 0
    }

    /// The group at which whoever has the address is asked for it.
    pub fn solicited_node(self) -> Ipv6Addr {
        let group = 0xff02 << 112 | 1 << 32 | 0xff00_0000;
        Ipv6Addr::from_bits(group | self.address.to_bits() & 0xff_ffff)
    }

    /// Whether the address is of use on its own link only.
    pub fn is_link_local(self) -> bool {
        self.address.is_unicast_link_local()
    }
}

/// The address alone.
impl fmt::Display for Ipv4Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// The address alone.
impl fmt::Display for Ipv6Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ipv6_text(self.address).fmt(f)
    }
}

/// An IPv6 address as the C library writes it.
pub fn ipv6_text(address: Ipv6Addr) -> Ipv6Text {
    Ipv6Text(address.to_bits())
}

/// The link-local address that is made of an Ethernet address.
pub fn link_local(mac: Mac) -> Ipv6Addr {
    let bits = u128::from(mac.to_u64());
    let (high, low) = (bits >> 24 ^ 0x02_0000, bits & 0xff_ffff);
    Ipv6Addr::from_bits(0xfe80 << 112 | high << 40 | 0xfffe << 24 | low)
}

/// An Ethernet address with the IP addresses that are behind it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Addresses {
    /// The Ethernet address.
    pub mac: Mac,
    /// The IPv4 addresses, in the order in which they are written.
    pub ipv4: Vec<Ipv4Network>,
    /// The IPv6 addresses, likewise.
    pub ipv6: Vec<Ipv6Network>,
}

impl Addresses {
    /// Reads `MAC IP IP …`; what comes behind the first that is no address is read over. None without an Ethernet
    /// address.
    pub fn parse(text: &str) -> Option<Self> {
        let (mac, rest) = scan_mac(text)?;
        let mut read = Self { mac, ..Self::default() };
        read.scan_ips(rest);
        Some(read)
    }

    /// Reads `IP IP …`, likewise. None without an address.
    pub fn parse_ips(text: &str) -> Option<Self> {
        let mut read = Self::default();
        read.scan_ips(text);
        (!read.is_without_ips()).then_some(read)
    }

    fn scan_ips(&mut self, text: &str) {
        let mut rest = text;
        loop {
            let from = rest.trim_start();
            if let Some((address, behind)) = Ipv4Network::scan(from) {
                self.ipv4.push(address);
                rest = behind;
            } else if let Some((address, behind)) = Ipv6Network::scan(from) {
                self.ipv6.push(address);
                rest = behind;
            } else {
                return;
            }
        }
    }

    /// The addresses of a router port: those of its networks that can be read, and at last the link-local one. None
    /// without an Ethernet address.
    pub fn of_router_port<'a>(mac: &str, networks: impl IntoIterator<Item = &'a String>) -> Option<Self> {
        let mut read = Self { mac: mac.parse().ok()?, ..Self::default() };
        for network in networks {
            if let Some(address) = Ipv4Network::parse(network) {
                read.ipv4.extend((!address.address.is_unspecified()).then_some(address));
            } else {
                read.ipv6.extend(Ipv6Network::parse(network));
            }
        }
        read.ipv6.push(Ipv6Network { address: link_local(read.mac), length: 64 });
        Some(read)
    }

    /// Whether there are no IP addresses.
    pub fn is_without_ips(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(read: &Addresses) -> String {
        let ipv4 = read.ipv4.iter().map(|one| format!("{one}/{}", one.length));
        let ipv6 = read.ipv6.iter().map(|one| format!("{one}/{}", one.length));
        let all: Vec<String> = ipv4.chain(ipv6).collect();
        format!("{} {}", read.mac, all.join(" "))
    }

    #[test]
    fn ports() {
        for (text, read) in [
            ("0a:0b:0c:0d:0e:0F", "0a:0b:0c:0d:0e:0f "),
            (
                "0a:0b:0c:0d:0e:0f 10.0.0.1 FD00:0::1 10.0.1.1/24",
                "0a:0b:0c:0d:0e:0f 10.0.0.1/32 10.0.1.1/24 fd00::1/128",
            ),
            // Numbers count modulo their size, as in OVN.
            ("0a:0b:0c:0d:0e:10f 10.0.0.1 10.0.0.300", "0a:0b:0c:0d:0e:0f 10.0.0.1/32 10.0.0.44/32"),
            ("0a:0b:0c:0d:0e:0f 10.0.0.1 x 10.0.0.2", "0a:0b:0c:0d:0e:0f 10.0.0.1/32"),
            ("0a:0b:0c:0d:0e:0f 10.0.0.1/33 10.0.0.2", "0a:0b:0c:0d:0e:0f "),
            ("0a:0b:0c:0d:0e:0f 10.0.0.1/255.255.0.0", "0a:0b:0c:0d:0e:0f 10.0.0.1/16"),
            ("0a:0b:0c:0d:0e:0f 10.0.0.1/255.0.255.0", "0a:0b:0c:0d:0e:0f "),
            ("0a:0b:0c:0d:0e:0f 10.0.0.1,10.0.0.2", "0a:0b:0c:0d:0e:0f 10.0.0.1/32"),
            (
                "0a:0b:0c:0d:0e:0f ::1.2.3.4 ::ffff:1.2.3.4",
                "0a:0b:0c:0d:0e:0f ::1.2.3.4/128 ::ffff:1.2.3.4/128",
            ),
        ] {
            assert_eq!(texts(&Addresses::parse(text).unwrap()), read, "{text}");
        }
        for text in ["", "dynamic", "router", "10.0.0.1", "unknown"] {
            assert_eq!(Addresses::parse(text), None, "{text}");
        }
        assert_eq!(Addresses::parse_ips("10.0.0.1 fd00::1 x").unwrap().ipv6.len(), 1);
        assert_eq!(Addresses::parse_ips("x"), None);
    }

    #[test]
    fn router_ports() {
        let networks = ["10.0.0.1/24", "0.0.0.0/0", "fd00::5:6789/64", "x"].map(str::to_owned);
        let read = Addresses::of_router_port("02:00:00:00:01:02", &networks).unwrap();
        assert_eq!(texts(&read), "02:00:00:00:01:02 10.0.0.1/24 fd00::5:6789/64 fe80::ff:fe00:102/64");
        assert_eq!(Addresses::of_router_port("02:00:00:00:01:02 ", &networks), None);
        let [ipv4] = *read.ipv4 else { panic!() };
        assert_eq!(
            (ipv4.network().to_string(), ipv4.broadcast().to_string()),
            ("10.0.0.0".into(), "10.0.0.255".into())
        );
        assert!(ipv4.contains([10, 0, 0, 77].into()) && !ipv4.contains([10, 0, 1, 1].into()));
        let ipv6 = read.ipv6[0];
        assert_eq!(ipv6.solicited_node().to_string(), "ff02::1:ff05:6789");
        assert_eq!(ipv6.network().to_string(), "fd00::");
        assert!(ipv6.contains("fd00::9".parse().unwrap()) && !ipv6.contains("fd01::9".parse().unwrap()));
        assert!(!ipv6.is_link_local() && read.ipv6[1].is_link_local());
    }

    #[test]
    fn whole_range() {
        let all = Ipv4Network::parse("1.2.3.4/0").unwrap();
        assert_eq!(
            (all.network().to_string(), all.broadcast().to_string()),
            ("0.0.0.0".into(), "255.255.255.255".into())
        );
        let all = Ipv6Network::parse("1::/0").unwrap();
        assert!(all.contains("::".parse().unwrap()));
        assert_eq!(Ipv6Network::parse("1::/129"), None);
    }
}
