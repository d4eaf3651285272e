//! The Ethernet address, and how an IPv6 address is written.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A 48-bit Ethernet address, in wire order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// The address as the low 48 bits of an integer.
    pub fn to_u64(self) -> u64 {
        self.0.iter().fold(0, |acc, byte| (acc << 8) | u64::from(*byte))
    }

    /// The address in the low 48 bits of `value`.
    pub fn from_u64(value: u64) -> Self {
        let [_, _, bytes @ ..] = value.to_be_bytes();
        Mac(bytes)
    }

    /// Whether the group bit is set (broadcast included).
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an Ethernet address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{0}\" is not an Ethernet address; write six pairs of hexadecimal digits, such as 02:00:00:00:00:01"
)]
pub struct BadMac(String);

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| matches!(part.len(), 1 | 2)).ok_or_else(bad)?;
            if !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Mac(bytes)) }
    }
}

/// An address in IPv6 form; those that only fill the low 32 bits end in IPv4 form, as the C library has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Text(pub u128);

impl fmt::Display for Ipv6Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0) {
            Ok(low) if low > 0xffff => write!(f, "::{}", Ipv4Addr::from_bits(low)),
            _ => write!(f, "{}", Ipv6Addr::from_bits(self.0)),
        }
    }
}

impl serde::Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let mac: Mac = "0a:b:0c:0d:0e:0f".parse().unwrap();
        assert_eq!(mac.to_string(), "0a:0b:0c:0d:0e:0f");
        assert_eq!(Mac::from_u64(mac.to_u64()), mac);
        for bad in ["", "1:2:3:4:5", "1:2:3:4:5:6:7", "+1:2:3:4:5:6", "001:2:3:4:5:6", "g:2:3:4:5:6"] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }
}
