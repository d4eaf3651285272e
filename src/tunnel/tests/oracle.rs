//! What the classification has to say, decided slowly and one thing after the other, by numbers from the standards.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::DropReason::{self, *};
use crate::tunnel::classify::{Arrival, Kind, Local, Received};
use crate::tunnel::endpoint::Endpoint;

/// The Internet checksum's sum over all the bytes as one, 16 bits at a time.
pub fn sum(parts: &[&[u8]]) -> u16 {
    let mut bytes = parts.concat();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) * 256 + u32::from(pair[1]);
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    sum as u16
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) * 256 + usize::from(bytes[at + 1])
}

fn v4_at(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

fn v6_at(bytes: &[u8], at: usize) -> Ipv6Addr {
    Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[at..at + 16]).unwrap())
}

fn is_own(endpoint: &Endpoint, ip: Ipv6Addr) -> bool {
    endpoint.addresses().any(|(own, _)| own == ip.to_canonical())
}

fn is_near(endpoint: &Endpoint, ip: Ipv6Addr) -> bool {
    let bits = |ip: std::net::IpAddr| match ip {
        std::net::IpAddr::V4(ip) => ip.octets().iter().map(|byte| format!("{byte:08b}")).collect::<String>(),
        std::net::IpAddr::V6(ip) => ip.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
    };
    let wanted = bits(ip.to_canonical());
    ip.segments()[0] & 0xffc0 == 0xfe80 && endpoint.addresses().any(|(own, _)| own.is_ipv6())
        || endpoint.addresses().any(|(own, prefix)| {
            let own = bits(own);
            own.len() == wanted.len() && own[..usize::from(prefix)] == wanted[..usize::from(prefix)]
        })
}

pub fn classify(endpoint: &Endpoint, frame: &[u8]) -> Arrival {
    decide(endpoint, frame).unwrap_or_else(Arrival::Refused)
}

fn decide(endpoint: &Endpoint, frame: &[u8]) -> Result<Arrival, DropReason> {
    let mut l3 = 14;
    if frame.len() < 14 {
        return Ok(Arrival::Other);
    }
    if let Some(vlan) = endpoint.vlan {
        if frame.len() < 18 || frame[12..14] != [0x81, 0] || u16_at(frame, 14) % 4096 != usize::from(vlan) {
            return Ok(Arrival::Other);
        }
        l3 = 18;
    }
    let is_unicast = frame[..6] == endpoint.mac.0;
    let is_group = frame[0] % 2 == 1;
    let packet = &frame[l3..];
    match (frame[l3 - 2], frame[l3 - 1]) {
        (0x08, 0x00) if is_unicast => ipv4(endpoint, packet, l3),
        (0x86, 0xdd) if is_unicast || is_group => ipv6(endpoint, packet, l3, is_unicast),
        (0x08, 0x06) if is_unicast || is_group => arp(endpoint, packet, l3, is_group),
        _ => Ok(Arrival::Other),
    }
}

fn arp(endpoint: &Endpoint, packet: &[u8], l3: usize, is_group: bool) -> Result<Arrival, DropReason> {
    if packet.len() < 28 || packet[..6] != [0, 1, 8, 0, 6, 4] {
        return Ok(Arrival::Other);
    }
    let (spa, tpa) = (v4_at(packet, 14).to_ipv6_mapped(), v4_at(packet, 24).to_ipv6_mapped());
    if !(is_own(endpoint, tpa) || spa == tpa && is_near(endpoint, spa)) {
        return Ok(Arrival::Other);
    }
    if ![1, 2].contains(&u16_at(packet, 6)) || packet[8] % 2 == 1 || packet[8..14] == [0; 6] {
        return if is_own(endpoint, tpa) { Err(UnderlayMalformed) } else { Ok(Arrival::Other) };
    }
    let kind = if spa == tpa && is_group { Kind::ArpToAll } else { Kind::Arp };
    Ok(local(kind, l3, l3 + 28))
}

fn local(kind: Kind, at: usize, end: usize) -> Arrival {
    Arrival::Local(Local { kind, at: at as u16, end: end as u16 })
}

fn ipv4(endpoint: &Endpoint, packet: &[u8], l3: usize) -> Result<Arrival, DropReason> {
    if packet.len() < 20 || packet[0] / 16 != 4 || !is_own(endpoint, v4_at(packet, 16).to_ipv6_mapped()) {
        return Ok(Arrival::Other);
    }
    let (header, total) = (usize::from(packet[0] % 16) * 4, u16_at(packet, 2));
    if header < 20 || total < header || packet.len() < total || sum(&[&packet[..header]]) != 0xffff {
        return Err(UnderlayMalformed);
    }
    // More fragments, or an offset.
    if packet[6] & 0x3f != 0 || packet[7] != 0 {
        return Err(TunnelFragment);
    }
    let payload = &packet[header..total];
    match packet[9] {
        17 => {
            let pseudo = [&packet[12..20], &[0, 17]].concat();
            let (src, dst) = (v4_at(packet, 12).to_ipv6_mapped(), v4_at(packet, 16).to_ipv6_mapped());
            udp(payload, &pseudo, l3 + header, (src, dst, packet[1], packet[8]))
        }
        1 if header == 20 => {
            if payload.len() < 8 || sum(&[payload]) != 0xffff {
                return Err(UnderlayMalformed);
            }
            if payload[..2] != [8, 0] {
                return Err(UnderlayNotHandled);
            }
            Ok(local(Kind::Echo4, l3 + 20, l3 + total))
        }
        _ => Err(UnderlayNotHandled),
    }
}

fn ipv6(endpoint: &Endpoint, packet: &[u8], l3: usize, is_unicast: bool) -> Result<Arrival, DropReason> {
    if packet.len() < 40 || packet[0] / 16 != 6 {
        return Ok(Arrival::Other);
    }
    let (src, dst) = (v6_at(packet, 8), v6_at(packet, 24));
    let len = u16_at(packet, 4);
    let is_for_us = is_unicast && is_own(endpoint, dst);
    let is_whole = packet.len() >= 40 + len;
    if !is_for_us {
        // Neighbour discovery to a group.
        if dst.segments()[0] / 256 != 0xff || packet[6] != 58 || !is_whole || len < 24 {
            return Ok(Arrival::Other);
        }
        let message = &packet[40..40 + len];
        let target = v6_at(message, 8);
        let kind = match message[0] {
            135 if is_own(endpoint, target) => Kind::Solicit,
            136 if is_near(endpoint, target) => Kind::AdvertToAll,
            _ => return Ok(Arrival::Other),
        };
        let pseudo = [&packet[8..40], &(len as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
        if packet[7] != 255 || message[1] != 0 || sum(&[&pseudo, message]) != 0xffff {
            return if is_own(endpoint, target) { Err(UnderlayMalformed) } else { Ok(Arrival::Other) };
        }
        return Ok(local(kind, l3 + 40, l3 + 40 + len));
    }
    if !is_whole {
        return Err(UnderlayMalformed);
    }
    let datagram = &packet[40..40 + len];
    let (mut next, mut at, mut has_segments) = (packet[6], 0, false);
    let mut passed = 0;
    while [0, 43, 44, 51, 60].contains(&next) {
        let rest = &datagram[at..];
        if rest.len() < 8 || passed > 16 {
            return Err(UnderlayMalformed);
        }
        let size = match next {
            44 => 8,
            51 => usize::from(rest[1]) * 4 + 8,
            _ => usize::from(rest[1]) * 8 + 8,
        };
        if rest.len() < size {
            return Err(UnderlayMalformed);
        }
        if next == 44 && (rest[2] != 0 || rest[3] & 0xf9 != 0) {
            return Err(TunnelFragment);
        }
        has_segments |= next == 43 && rest[3] != 0;
        next = rest[0];
        at += size;
        passed += 1;
    }
    if passed > 16 {
        return Err(UnderlayMalformed);
    }
    if has_segments {
        return Err(UnderlayNotHandled);
    }
    let payload = &datagram[at..];
    let base = l3 + 40 + at;
    match next {
        17 => {
            let tos = packet[0] % 16 * 16 + packet[1] / 16;
            udp(payload, &[&packet[8..40], &[0, 17]].concat(), base, (src, dst, tos, packet[7]))
        }
        58 if at == 0 => {
            let pseudo = [&packet[8..40], &(payload.len() as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
            if payload.len() < 8 || sum(&[&pseudo, payload]) != 0xffff {
                return Err(UnderlayMalformed);
            }
            let end = base + payload.len();
            let is_sound = packet[7] == 255 && payload[1] == 0 && payload.len() >= 24;
            match payload[0] {
                135 | 136 if !is_sound => Err(UnderlayMalformed),
                135 if !is_own(endpoint, v6_at(payload, 8)) => Err(UnderlayNotHandled),
                135 => Ok(local(Kind::Solicit, base, end)),
                136 => Ok(local(Kind::Advert, base, end)),
                128 if payload[1] == 0 => Ok(local(Kind::Echo6, base, end)),
                _ => Err(UnderlayNotHandled),
            }
        }
        _ => Err(UnderlayNotHandled),
    }
}

fn udp(
    payload: &[u8],
    pseudo: &[u8],
    at: usize,
    (src, dst, tos, ttl): (Ipv6Addr, Ipv6Addr, u8, u8),
) -> Result<Arrival, DropReason> {
    if payload.len() < 8 {
        return Err(UnderlayMalformed);
    }
    if u16_at(payload, 2) != 6081 {
        return Err(UnderlayNotHandled);
    }
    let len = u16_at(payload, 4);
    if len < 8 || payload.len() < len {
        return Err(UnderlayMalformed);
    }
    let datagram = &payload[..len];
    if datagram[6..8] != [0, 0] && sum(&[pseudo, &datagram[4..6], datagram]) != 0xffff {
        return Err(TunnelBadChecksum);
    }
    let geneve = &datagram[8..];
    if geneve.len() < 8 {
        return Err(GeneveTruncated);
    }
    if geneve[0] / 64 != 0 {
        return Err(GeneveBadVersion);
    }
    if geneve[1] / 128 != 0 {
        return Err(GeneveOam);
    }
    if geneve[2..4] != [0x65, 0x58] {
        return Err(GeneveBadProtocol);
    }
    let head = 8 + usize::from(geneve[0] % 64) * 4;
    if geneve.len() < head + 14 {
        return Err(GeneveTruncated);
    }
    let mut option = None;
    let mut rest = &geneve[8..head];
    while !rest.is_empty() {
        let size = 4 + usize::from(rest[3] % 32) * 4;
        if rest.len() < size {
            return Err(GeneveTruncated);
        }
        if rest[..3] == [1, 2, 0x80] {
            if option.is_some() || size != 8 {
                return Err(GeneveCriticalOption);
            }
            option = Some(u32::from_be_bytes(rest[4..8].try_into().unwrap()));
        } else if rest[2] >= 128 {
            return Err(GeneveCriticalOption);
        }
        rest = &rest[size..];
    }
    let vni = u32::from_be_bytes([0, geneve[4], geneve[5], geneve[6]]);
    let (inner, end) = ((at + 8 + head) as u16, (at + len) as u16);
    let (option, has_option) = (option.unwrap_or(0), option.is_some());
    Ok(Arrival::Tunnel(Received { inner, end, src, dst, vni, option, has_option, tos, ttl, flags: 0 }))
}
