//! Addresses and numbers as OVS's tools read them.
//!
//! What stands in a set of its own is read as `inet_pton` does. Networks and Ethernet addresses are read by OVS's own
//! scanner, which takes the beginning of a text as far as it fits, blanks before a number, and a number modulo the size of
//! its field. That is kept, since rows hold such texts as they were written and both sides must take them for the same.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::addr::{Ipv6Text, Mac};

/// Longest IPv6 address that is looked for.
const IPV6_LENGTH: usize = 46;

/// Blanks as C has them.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// A number from the beginning of a text, and the rest.
fn scan(text: &str, base: u32) -> Option<(i64, &str)> {
    let text = text.trim_start_matches(is_blank);
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text =
        if base == 16 { text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text) } else { text };
    let rest = text.trim_start_matches(|c: char| c.is_digit(base));
    let digits = text.strip_suffix(rest).filter(|digits| !digits.is_empty())?;
    let value = digits
        .chars()
        .filter_map(|digit| digit.to_digit(base))
        .fold(0_i64, |value, digit| value.wrapping_mul(i64::from(base)).wrapping_add(i64::from(digit)));
    Some((if is_negative { value.wrapping_neg() } else { value }, rest))
}

/// A decimal number from the beginning of a text; what follows does not count.
pub fn number(text: &str) -> Option<i64> {
    Some(scan(text, 10)?.0)
}

/// A decimal number that is all of a text.
pub fn whole_number(text: &str) -> Option<i64> {
    text.trim_start_matches(is_blank).parse().ok()
}

/// The low byte of a number.
fn byte(number: i64) -> u8 {
    number.to_le_bytes()[0]
}

/// An Ethernet address from the beginning of a text, and the rest.
pub fn scan_mac(text: &str) -> Option<(Mac, &str)> {
    let mut bytes = [0; 6];
    let mut rest = text;
    for (at, slot) in bytes.iter_mut().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(':')?;
        }
        let (number, behind) = scan(rest, 16)?;
        (*slot, rest) = (byte(number), behind);
    }
    Some((Mac(bytes), rest))
}

/// An Ethernet address that is all of a text.
pub fn mac(text: &str) -> Option<Mac> {
    scan_mac(text).filter(|(_, rest)| rest.is_empty()).map(|(mac, _)| mac)
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Network {
    /// IPv4
    V4(u32, u32),
    /// IPv6
    V6(u128, u32),
}

/// The ones of a mask, if none follows a zero.
fn prefix_length(mask: u128, bits: u32) -> Option<u32> {
    let length = (mask << (128 - bits)).leading_ones().min(bits);
    (mask.count_ones() == length).then_some(length)
}

fn scan_dotted(text: &str) -> Option<(u32, &str)> {
    let mut rest = text;
    let mut value = 0;
    for at in 0..4 {
        if at > 0 {
            rest = rest.strip_prefix('.')?;
        }
        let (number, behind) = scan(rest, 10)?;
        value = value << 8 | u32::from(byte(number));
        rest = behind;
    }
    Some((value, rest))
}

/// An IPv4 network from the beginning of a text, and the rest.
pub fn scan_network4(text: &str) -> Option<(Network, &str)> {
    let (address, rest) = scan_dotted(text)?;
    let Some(behind) = rest.strip_prefix('/') else { return Some((Network::V4(address, 32), rest)) };
    if let Some((mask, rest)) = scan_dotted(behind) {
        return Some((Network::V4(address, prefix_length(mask.into(), 32)?), rest));
    }
    match scan(behind, 10) {
        Some((length, rest)) => {
            let length = u32::try_from(length).ok().filter(|length| *length <= 32)?;
            Some((Network::V4(address, length), rest))
        }
        None => Some((Network::V4(address, 32), rest)),
    }
}

fn scan_colons(text: &str) -> Option<(u128, &str)> {
    let is_part = |c: &(usize, char)| c.1.is_ascii_hexdigit() || matches!(c.1, ':' | '.');
    let end = text.char_indices().take(IPV6_LENGTH).take_while(is_part).count();
    let (address, rest) = text.split_at_checked(end)?;
    Some((address.parse::<Ipv6Addr>().ok()?.to_bits(), rest))
}

/// An IPv6 network from the beginning of a text, and the rest.
pub fn scan_network6(text: &str) -> Option<(Network, &str)> {
    let (address, rest) = scan_colons(text.trim_start_matches(is_blank))?;
    let Some(behind) = rest.strip_prefix('/') else { return Some((Network::V6(address, 128), rest)) };
    if let Some((length, rest)) = scan(behind, 10) {
        let length = u32::try_from(length).ok().filter(|length| *length <= 128)?;
        return Some((Network::V6(address, length), rest));
    }
    let has_mask = behind.starts_with(|c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    if !has_mask {
        return Some((Network::V6(address, 128), rest));
    }
    let (mask, rest) = scan_colons(behind)?;
    Some((Network::V6(address, prefix_length(mask, 128)?), rest))
}

impl Network {
    /// An IPv4 network that is all of a text.
    pub fn v4(text: &str) -> Option<Self> {
        scan_network4(text).filter(|(_, rest)| rest.is_empty()).map(|(network, _)| network)
    }

    /// An IPv6 network that is all of a text.
    pub fn v6(text: &str) -> Option<Self> {
        scan_network6(text).filter(|(_, rest)| rest.is_empty()).map(|(network, _)| network)
    }

    /// One of either kind.
    pub fn any(text: &str) -> Option<Self> {
        Network::v4(text).or_else(|| Network::v6(text))
    }

    /// An IPv4 address by itself.
    pub fn host4(text: &str) -> Option<Self> {
        Some(Network::V4(text.parse::<Ipv4Addr>().ok()?.to_bits(), 32))
    }

    /// An IPv6 address by itself.
    pub fn host6(text: &str) -> Option<Self> {
        Some(Network::V6(text.parse::<Ipv6Addr>().ok()?.to_bits(), 128))
    }

    /// One of either kind.
    pub fn host(text: &str) -> Option<Self> {
        Network::host4(text).or_else(|| Network::host6(text))
    }

    /// The address by itself.
    pub fn host_of(self) -> Self {
        match self {
            Network::V4(address, _) => Network::V4(address, 32),
            Network::V6(address, _) => Network::V6(address, 128),
        }
    }

    /// Whether it is of IPv4.
    pub fn is_v4(self) -> bool {
        matches!(self, Network::V4(..))
    }

    /// The length of the prefix.
    pub fn length(self) -> u32 {
        match self {
            Network::V4(_, length) | Network::V6(_, length) => length,
        }
    }

    /// Whether an address is in the network.
    pub fn holds(self, host: Network) -> bool {
        match (self, host) {
            (Network::V4(own, length), Network::V4(host, _)) => {
                (own ^ host) & !u32::MAX.checked_shr(length).unwrap_or(0) == 0
            }
            (Network::V6(own, length), Network::V6(host, _)) => {
                (own ^ host) & !u128::MAX.checked_shr(length).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The network as OVN writes it: without what is no part of it, and without the length if it is an address.
    pub fn normal(self) -> String {
        match self {
            Network::V4(address, 32) => Ipv4Addr::from_bits(address).to_string(),
            Network::V4(address, length) => {
                let address = address & !u32::MAX.checked_shr(length).unwrap_or(0);
                format!("{}/{length}", Ipv4Addr::from_bits(address))
            }
            Network::V6(address, 128) => Ipv6Text(address).to_string(),
            Network::V6(address, length) => {
                let address = address & !u128::MAX.checked_shr(length).unwrap_or(0);
                format!("{}/{length}", Ipv6Text(address))
            }
        }
    }
}

/// The same network in its normal form, if a text is one.
pub fn normal(text: &str) -> Option<String> {
    Some(Network::any(text)?.normal())
}

/// The addresses behind the Ethernet address of a switch port's addresses; none without an Ethernet address.
pub fn port_addresses(text: &str) -> Vec<Network> {
    let mut found = Vec::new();
    let Some((_, mut rest)) = scan_mac(text) else { return found };
    while !rest.is_empty() {
        let Some((network, behind)) = scan_network4(rest).or_else(|| scan_network6(rest)) else { break };
        found.push(network);
        rest = behind;
    }
    found
}

/// Whether a text asks for addresses to be chosen.
pub fn is_dynamic(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("dynamic") else {
        let behind_mac = scan_mac(text).map(|(_, rest)| rest.trim_start_matches(is_blank));
        return behind_mac == Some("dynamic");
    };
    let address = rest.trim_start_matches(is_blank);
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    let is_dotted = scan_dotted(address).is_some_and(|(_, behind)| behind.is_empty());
    rest.is_empty() || is_dotted || !address.is_empty() && address.trim_start_matches(is_part).is_empty()
}

/// Whether a text can stand among the addresses of a switch port.
pub fn is_port_address(text: &str) -> bool {
    let first = text.strip_prefix("dynamic").map(|rest| rest.trim_start_matches(is_blank));
    let has_address =
        first.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.')));
    matches!(text, "unknown" | "dynamic" | "router") || scan_mac(text).is_some() || has_address
}

/// An address with or without a port, as load balancers have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// The address.
    pub address: Network,
    /// The port; 0 is none.
    pub port: u16,
}

impl Endpoint {
    /// From a text such as 10.0.0.1, 10.0.0.1:80, `fd00::1` or `[fd00::1]:80`.
    pub fn read(text: &str) -> Option<Self> {
        let mut is_inside = false;
        let mut colons = text.bytes().enumerate().filter(|(_, byte)| {
            match byte {
                b'[' => is_inside = true,
                b']' => is_inside = false,
                _ => {}
            }
            *byte == b':' && !is_inside
        });
        let (host, port) = match (colons.next(), colons.next()) {
            (Some(_), Some(_)) => (text, ""),
            (Some((at, _)), None) => {
                let (host, port) = text.split_at_checked(at)?;
                (unbracketed(host), unbracketed(port.strip_prefix(':')?))
            }
            _ => (unbracketed(text), ""),
        };
        let port = match port {
            "" => 0,
            port => u16::try_from(whole_number(port)?).ok()?,
        };
        let address = if host.contains(':') { Network::host6(host) } else { Network::host4(host) };
        Some(Self { address: address?, port })
    }

    /// As OVN writes it.
    pub fn normal(self) -> String {
        match (self.address, self.port) {
            (address, 0) => address.normal(),
            (Network::V6(..), port) => format!("[{}]:{port}", self.address.normal()),
            (Network::V4(..), port) => format!("{}:{port}", self.address.normal()),
        }
    }
}

fn unbracketed(text: &str) -> &str {
    match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').unwrap_or(inner),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_ovs_reads_them() {
        let cases = [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1/24", Some("10.0.0.0/24")),
            ("10.0.0.1/255.255.255.0", Some("10.0.0.0/24")),
            ("10.0.0.1/255.0.255.0", None),
            ("10.0.0.1/33", None),
            ("10.0.0.1/", None),
            ("10.0.0.1 ", None),
            (" 10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.300/24", Some("10.0.0.0/24")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("fd00::1/64", Some("fd00::/64")),
            ("fd00::1/ffff::", Some("fd00::/16")),
            ("fd00::1/129", None),
            ("::/0", Some("::/0")),
            ("FD00:0:0::1", Some("fd00::1")),
            ("", None),
            ("10.0.0", None),
        ];
        for (text, normal_form) in cases {
            assert_eq!(normal(text).as_deref(), normal_form, "{text}");
        }
    }

    #[test]
    fn endpoints() {
        let cases = [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1:80", Some("10.0.0.1:80")),
            ("10.0.0.1:", Some("10.0.0.1")),
            ("10.0.0.1:65536", None),
            ("10.0.0.1:http", None),
            ("fd00::1", Some("fd00::1")),
            ("[fd00::1]:80", Some("[fd00::1]:80")),
            ("[fd00::1]", Some("fd00::1")),
            ("lb", None),
            (":80", None),
        ];
        for (text, normal_form) in cases {
            assert_eq!(Endpoint::read(text).map(Endpoint::normal).as_deref(), normal_form, "{text}");
        }
    }

    #[test]
    fn addresses_of_ports() {
        assert_eq!(port_addresses("40:44:00:00:00:01 192.168.0.11 fd00::1 x").len(), 2);
        assert!(port_addresses("unknown").is_empty());
        for good in ["unknown", "dynamic 10.0.0.1", "dynamic fd00::1", "0:0:0:0:0:1", "00:00:00:00:00:01 any"]
        {
            assert!(is_port_address(good), "{good}");
        }
        for bad in ["", "10.0.0.1", "dynamic x", "nobody", "00:00:00:00:00"] {
            assert!(!is_port_address(bad), "{bad}");
        }
        assert!(
            is_dynamic("dynamic")
                && is_dynamic("00:00:00:00:00:01 dynamic")
                && is_dynamic("dynamic 10.0.0.1")
        );
        assert!(!is_dynamic("00:00:00:00:00:01") && !is_dynamic("dynamic x"));
    }
}
