//! Port security: which addresses a port may send from and receive at, as ovn-trace checks them.
//!
//! A list entry is an Ethernet address and any number of IP addresses. ovn-trace compares whole addresses and reads
//! over prefix lengths, which is right for the lengths 32 and 128 only.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{Field, FlowKey, Mac};

const ETH_IPV4: u128 = 0x0800;
const ETH_ARP: u128 = 0x0806;
const ETH_IPV6: u128 = 0x86dd;

/// An entry of a port's `port_security`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    mac: u128,
    ipv4: Vec<u128>,
    ipv6: Vec<u128>,
}

impl Allowed {
    /// Reads an entry. Without an Ethernet address it is none; what comes behind the first word that is no address is
    /// read over.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mac: Mac = words.next()?.parse().ok()?;
        let mut allowed = Self { mac: mac.to_u64().into(), ..Self::default() };
        for word in words {
            let (address, prefix) = word.split_once('/').unwrap_or((word, "0"));
            let length = prefix.parse::<u8>();
            if let (Ok(ip), Ok(0..=32)) = (address.parse::<Ipv4Addr>(), &length) {
                allowed.ipv4.push(ip.to_bits().into());
            } else if let (Ok(ip), Ok(0..=128)) = (address.parse::<Ipv6Addr>(), &length) {
                allowed.ipv6.push(ip.to_bits());
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
    fn link_local(&self) -> u128 {
        let (high, low) = (self.mac >> 24, self.mac & 0xff_ffff);
        (0xfe80 << 112) | ((high ^ 0x02_0000) << 40) | (0xfffe << 24) | low
    }

    fn may_send(&self, key: &FlowKey) -> bool {
        match key.get(Field::EthType) {
            ETH_IPV4 => self.may_send_ipv4(key),
            ETH_ARP => {
                key.get(Field::ArpSha) == self.mac
                    && (self.ipv4.is_empty() || self.ipv4.contains(&key.get(Field::ArpSpa)))
            }
            ETH_IPV6 => self.may_send_ipv6(key),
            _ => true,
        }
    }

    fn may_send_ipv4(&self, key: &FlowKey) -> bool {
        let is_dhcp_request = key.get(Field::NwProto) == 17
            && (key.get(Field::UdpSrc), key.get(Field::UdpDst)) == (68, 67)
            && (key.get(Field::NwSrc), key.get(Field::NwDst)) == (0, 0xffff_ffff);
        self.allows_any_ip() || self.ipv4.contains(&key.get(Field::NwSrc)) || is_dhcp_request
    }

    fn may_send_ipv6(&self, key: &FlowKey) -> bool {
        if self.allows_any_ip() {
            return true;
        }
        let own = |address| self.ipv6.contains(&address) || address == self.link_local();
        if !own(key.get(Field::Ipv6Src)) {
            return false;
        }
        let own_mac = |field| matches!(key.get(field), mac if mac == 0 || mac == self.mac);
        match (key.get(Field::NwProto), key.get(Field::Icmpv6Type)) {
            (58, 135) => own_mac(Field::NdSll),
            (58, 136) => own_mac(Field::NdTll) && (self.ipv6.is_empty() || own(key.get(Field::NdTarget))),
            _ => true,
        }
    }

    fn may_receive(&self, key: &FlowKey) -> bool {
        match key.get(Field::EthType) {
            _ if self.allows_any_ip() => true,
            ETH_IPV4 => {
                let dst = key.get(Field::NwDst);
                let is_many = dst == 0xffff_ffff || dst >> 28 == 0xe;
                !self.ipv4.is_empty() && (self.ipv4.contains(&dst) || is_many)
            }
            ETH_IPV6 => {
                let dst = key.get(Field::Ipv6Dst);
                let is_many = dst >> 120 == 0xff;
                !self.ipv6.is_empty() && (self.ipv6.contains(&dst) || dst == self.link_local() || is_many)
            }
            _ => true,
        }
    }
}

/// Whether a port with that security may not send the packet. Without entries it may send all.
pub(super) fn forbids_sending(entries: &[Allowed], key: &FlowKey) -> bool {
    forbids(entries, key.get(Field::EthSrc), |entry| entry.may_send(key))
}

/// Whether a port with that security may not receive the packet.
pub(super) fn forbids_receiving(entries: &[Allowed], key: &FlowKey) -> bool {
    forbids(entries, key.get(Field::EthDst), |entry| entry.may_receive(key))
}

/// The first entry with the Ethernet address decides.
fn forbids(entries: &[Allowed], mac: u128, allows: impl Fn(&Allowed) -> bool) -> bool {
    !entries.is_empty() && !entries.iter().find(|entry| entry.mac == mac).is_some_and(allows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fields: &[(Field, u128)]) -> FlowKey {
        let mut key = FlowKey::default();
        for (field, value) in fields {
            key.set(*field, *value);
        }
        key
    }

    fn entries(texts: &[&str]) -> Vec<Allowed> {
        texts.iter().filter_map(|text| Allowed::parse(text)).collect()
    }

    const MAC: u128 = 0x0200_0000_0001;

    #[test]
    fn entries_are_read_up_to_the_first_mistake() {
        assert_eq!(entries(&["", "router", "1.2.3.4"]), []);
        let read = entries(&["02:00:00:00:00:01 10.0.0.1/24 fd00::1 x 10.0.0.2"]);
        assert_eq!(read, [Allowed { mac: MAC, ipv4: vec![0x0a00_0001], ipv6: vec![(0xfd00 << 112) | 1] }]);
        assert_eq!(read[0].link_local(), u128::from("fe80::ff:fe00:1".parse::<Ipv6Addr>().unwrap()));
    }

    #[test]
    fn sending() {
        let any = entries(&["02:00:00:00:00:01"]);
        let v4 = entries(&["02:00:00:00:00:01 10.0.0.1"]);
        let v6 = entries(&["02:00:00:00:00:01 fd00::1"]);
        let ip4 = |src| [(Field::EthSrc, MAC), (Field::EthType, ETH_IPV4), (Field::NwSrc, src)];
        assert!(!forbids_sending(&[], &key(&ip4(5))));
        assert!(!forbids_sending(&any, &key(&ip4(5))));
        assert!(forbids_sending(&any, &key(&[(Field::EthSrc, 3)])));
        assert!(forbids_sending(&v4, &key(&ip4(5))));
        assert!(!forbids_sending(&v4, &key(&ip4(0x0a00_0001))));
        assert!(forbids_sending(&v6, &key(&ip4(0x0a00_0001))));
        let dhcp =
            [(Field::NwProto, 17), (Field::UdpSrc, 68), (Field::UdpDst, 67), (Field::NwDst, 0xffff_ffff)];
        assert!(!forbids_sending(&v4, &key(&[&ip4(0)[..], &dhcp].concat())));
        let arp = |sha, spa| {
            key(&[
                (Field::EthSrc, MAC),
                (Field::EthType, ETH_ARP),
                (Field::ArpSha, sha),
                (Field::ArpSpa, spa),
            ])
        };
        assert!(!forbids_sending(&v6, &arp(MAC, 5)));
        assert!(!forbids_sending(&v4, &arp(MAC, 0x0a00_0001)));
        assert!(forbids_sending(&v4, &arp(MAC, 5)));
        assert!(forbids_sending(&v4, &arp(4, 0x0a00_0001)));
    }

    #[test]
    fn sending_over_ipv6() {
        let v6 = entries(&["02:00:00:00:00:01 fd00::1"]);
        let own = (0xfd00 << 112) | 1;
        let packet = |src, more: &[(Field, u128)]| {
            key(&[&[(Field::EthSrc, MAC), (Field::EthType, ETH_IPV6), (Field::Ipv6Src, src)], more].concat())
        };
        assert!(!forbids_sending(&v6, &packet(own, &[])));
        assert!(!forbids_sending(&v6, &packet(v6[0].link_local(), &[])));
        assert!(forbids_sending(&v6, &packet(own + 1, &[])));
        let discovery = |kind, field, mac, target| {
            packet(
                own,
                &[(Field::NwProto, 58), (Field::Icmpv6Type, kind), (field, mac), (Field::NdTarget, target)],
            )
        };
        assert!(!forbids_sending(&v6, &discovery(135, Field::NdSll, 0, 7)));
        assert!(forbids_sending(&v6, &discovery(135, Field::NdSll, 3, 7)));
        assert!(!forbids_sending(&v6, &discovery(136, Field::NdTll, MAC, own)));
        assert!(forbids_sending(&v6, &discovery(136, Field::NdTll, MAC, own + 1)));
        assert!(forbids_sending(&v6, &discovery(136, Field::NdTll, 3, own)));
    }

    #[test]
    fn receiving() {
        let v4 = entries(&["02:00:00:00:00:01 10.0.0.1"]);
        let v6 = entries(&["02:00:00:00:00:01 fd00::1"]);
        let ip4 = |dst| key(&[(Field::EthDst, MAC), (Field::EthType, ETH_IPV4), (Field::NwDst, dst)]);
        let ip6 = |dst| key(&[(Field::EthDst, MAC), (Field::EthType, ETH_IPV6), (Field::Ipv6Dst, dst)]);
        assert!(!forbids_receiving(&v4, &ip4(0x0a00_0001)));
        assert!(!forbids_receiving(&v4, &ip4(0xe000_0001)));
        assert!(!forbids_receiving(&v4, &ip4(0xffff_ffff)));
        assert!(forbids_receiving(&v4, &ip4(5)));
        assert!(forbids_receiving(&v6, &ip4(0xffff_ffff)));
        assert!(forbids_receiving(&v4, &ip6((0xfd00 << 112) | 1)));
        assert!(!forbids_receiving(&v6, &ip6((0xfd00 << 112) | 1)));
        assert!(!forbids_receiving(&v6, &ip6((0xff02 << 112) | 1)));
        assert!(forbids_receiving(&v6, &ip6(1)));
        assert!(!forbids_receiving(&v6, &key(&[(Field::EthDst, MAC), (Field::EthType, ETH_ARP)])));
        assert!(forbids_receiving(&v6, &key(&[(Field::EthDst, 4)])));
    }
}
