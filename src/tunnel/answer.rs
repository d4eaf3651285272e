//! Answers to ARP, neighbour solicitations and echo requests, made in the buffer of what they answer.

use std::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::FromBytes;

use super::DEFAULT_TTL;
use super::classify::{Kind, Local};
use super::endpoint::Endpoint;
use super::frames::{
    ALL_NODES, ND_LEN, Nd, OVERRIDE, REPLY, REQUEST, SOLICITED, arp, discovery, group_mac, put,
};
use crate::packet::checksum::{Zero, update};
use crate::packet::headers::{Arp, Icmp, Ipv4, Ipv6};
use crate::packet::parse::NdOptions;
use crate::packet::{DropReason, Mac, Packet};

/// What a neighbour said of itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Heard {
    /// Its address.
    pub ip: Ipv6Addr,
    /// Its Ethernet address.
    pub mac: Mac,
    /// It answered us, which shows that it hears us too.
    pub is_answer: bool,
    /// What it says replaces what was known; otherwise only what was not known.
    pub overrides: bool,
}

/// What became of a packet for the endpoint itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalOutcome {
    /// The packet is now the answer, to be sent by the uplink. Otherwise it has served.
    pub reply: bool,
    /// What was learnt from it.
    pub heard: Option<Heard>,
}

/// ICMP: echo reply.
const REPLY_V4: u8 = 0;
/// ICMPv6: echo reply.
const REPLY_V6: u8 = 129;

/// Answers in place, and says what was learnt. `local` is what the classification said of this very packet.
pub fn answer<P: Packet>(
    endpoint: &Endpoint,
    local: Local,
    packet: &mut P,
) -> Result<LocalOutcome, DropReason> {
    let (at, end) = (usize::from(local.at), usize::from(local.end));
    match local.kind {
        Kind::Arp | Kind::ArpToAll => answer_arp(endpoint, at, packet),
        Kind::Solicit => solicited(endpoint, at, end, packet),
        Kind::Advert | Kind::AdvertToAll => advertised(endpoint, at, end, packet),
        Kind::Echo4 | Kind::Echo6 => {
            let echoed = echo(endpoint, at, packet.data_mut(), local.kind == Kind::Echo6);
            echoed.ok_or(DropReason::UnderlayMalformed)?;
            packet.truncate(end);
            Ok(LocalOutcome { reply: true, heard: None })
        }
    }
}

fn answer_arp<P: Packet>(endpoint: &Endpoint, at: usize, packet: &mut P) -> Result<LocalOutcome, DropReason> {
    let message = packet.data().get(at..).unwrap_or_default();
    let (arp_in, _) = Arp::ref_from_prefix(message).map_err(|_| DropReason::UnderlayMalformed)?;
    let (sender, spa, tpa) = (Mac(arp_in.sha), arp_in.spa.get(), arp_in.tpa.get());
    let is_for_us = endpoint.has_v4(tpa) && spa != tpa;
    let is_request = arp_in.op.get() == REQUEST;
    // A probe (RFC 5227) says nothing of who asks.
    let heard = (spa != 0).then(|| Heard {
        ip: Ipv4Addr::from_bits(spa).to_ipv6_mapped(),
        mac: sender,
        is_answer: is_for_us && !is_request,
        overrides: true,
    });
    // Our own question, come back, has no answer.
    let reply = is_request && is_for_us && sender != endpoint.mac;
    if reply {
        let message = arp(REPLY, (endpoint.mac, tpa), (sender, spa));
        let frame = packet.data_mut();
        put(frame, 0, &sender.0);
        put(frame, 6, &endpoint.mac.0);
        put(frame, at, &message);
        packet.truncate(at + message.len());
    }
    Ok(LocalOutcome { reply, heard: heard.filter(|heard| is_learnable(endpoint, heard)) })
}

/// Only neighbours are learnt. An own address is told too: somebody else claims it.
fn is_learnable(endpoint: &Endpoint, heard: &Heard) -> bool {
    is_device(heard.mac)
        && heard.mac != endpoint.mac
        && endpoint.is_on_link(heard.ip)
        && !heard.ip.is_multicast()
}

/// Whether an Ethernet address is that of one device.
fn is_device(mac: Mac) -> bool {
    mac != Mac::default() && !mac.is_multicast()
}

/// Source, options and target of a message of neighbour discovery.
struct Discovery {
    src: u128,
    target: u128,
    flags: u32,
    options: NdOptions,
    /// Ethernet source.
    sender: Mac,
    is_to_group: bool,
}

impl Discovery {
    fn read(frame: &[u8], at: usize, end: usize) -> Option<Discovery> {
        let (ip, _) = Ipv6::ref_from_prefix(frame.get(at.checked_sub(size_of::<Ipv6>())?..end)?).ok()?;
        let (icmp, body) = Icmp::ref_from_prefix(frame.get(at..end)?).ok()?;
        let (target, options) = body.split_first_chunk()?;
        Some(Discovery {
            src: ip.src.get(),
            target: u128::from_be_bytes(*target),
            flags: icmp.rest.get(),
            options: NdOptions::read(options)?,
            sender: Mac(*frame.get(6..)?.first_chunk()?),
            is_to_group: Ipv6Addr::from_bits(ip.dst.get()).is_multicast(),
        })
    }
}

fn solicited<P: Packet>(
    endpoint: &Endpoint,
    at: usize,
    end: usize,
    packet: &mut P,
) -> Result<LocalOutcome, DropReason> {
    let asked = Discovery::read(packet.data(), at, end).ok_or(DropReason::UnderlayMalformed)?;
    let source = asked.options.sll.map(|(_, mac)| Mac(mac));
    // Somebody who wants the address for itself has none yet and says none.
    let is_probe = asked.src == 0;
    if is_probe && (source.is_some() || !asked.is_to_group) {
        return Err(DropReason::UnderlayMalformed);
    }
    let to = source.unwrap_or(asked.sender);
    if !is_device(to) || Ipv6Addr::from_bits(asked.src).is_multicast() {
        return Err(DropReason::UnderlayMalformed);
    }
    let heard = source.map(|mac| Heard {
        ip: Ipv6Addr::from_bits(asked.src),
        mac,
        is_answer: false,
        overrides: true,
    });
    let heard = heard.filter(|heard| is_learnable(endpoint, heard));
    if to == endpoint.mac || endpoint.has_v6(asked.src) {
        // It would be an answer to ourselves.
        return Ok(LocalOutcome { reply: false, heard });
    }
    let (dst, mac, flags) = match is_probe {
        true => (ALL_NODES, group_mac(ALL_NODES), OVERRIDE),
        false => (asked.src, to, SOLICITED | OVERRIDE),
    };
    let l3 = at - size_of::<Ipv6>();
    let message = discovery(Nd::Advert(flags), asked.target, dst, asked.target, endpoint.mac);
    let (now, wanted) = (packet.data().len(), l3 + ND_LEN);
    if now < wanted && !packet.push_back(wanted - now) {
        return Err(DropReason::NoHeadroom);
    }
    packet.truncate(wanted);
    let frame = packet.data_mut();
    put(frame, 0, &mac.0);
    put(frame, 6, &endpoint.mac.0);
    put(frame, l3, &message);
    Ok(LocalOutcome { reply: true, heard })
}

/// Without the option the Ethernet source stands in for it, which a neighbour's message has.
fn advertised<P: Packet>(
    endpoint: &Endpoint,
    at: usize,
    end: usize,
    packet: &P,
) -> Result<LocalOutcome, DropReason> {
    let said = Discovery::read(packet.data(), at, end).ok_or(DropReason::UnderlayMalformed)?;
    let is_answer = said.flags & SOLICITED != 0;
    // An answer has one receiver.
    if is_answer && said.is_to_group {
        return Err(DropReason::UnderlayMalformed);
    }
    let heard = Heard {
        ip: Ipv6Addr::from_bits(said.target),
        mac: said.options.tll.map_or(said.sender, |(_, mac)| Mac(mac)),
        is_answer,
        overrides: said.flags & OVERRIDE != 0,
    };
    Ok(LocalOutcome { reply: false, heard: Some(heard).filter(|heard| is_learnable(endpoint, heard)) })
}

/// Turns a request into its reply: receiver and sender change places, and nothing of the data is read. None if the sender
/// is nobody to whom a reply can go, so that no forged request makes the endpoint speak to a group (RFC 1122, 3.2.2.6, and
/// RFC 4443, 2.4) or to itself.
fn echo(endpoint: &Endpoint, at: usize, frame: &mut [u8], is_ipv6: bool) -> Option<()> {
    let sender: [u8; 6] = *frame.get(6..)?.first_chunk()?;
    if !is_device(Mac(sender)) || Mac(sender) == endpoint.mac {
        return None;
    }
    let l3 = at.checked_sub(if is_ipv6 { size_of::<Ipv6>() } else { size_of::<Ipv4>() })?;
    let ip = frame.get_mut(l3..)?;
    let kind = if is_ipv6 {
        let addrs: &mut [u8; 32] = ip.get_mut(8..)?.first_chunk_mut()?;
        endpoint.may_answer_v6(u128::from_be_bytes(*addrs.first_chunk()?)).then_some(())?;
        addrs.rotate_left(16);
        put(ip, 7, &[DEFAULT_TTL]);
        REPLY_V6
    } else {
        let addrs: &mut [u8; 8] = ip.get_mut(12..)?.first_chunk_mut()?;
        endpoint.may_answer_v4(u32::from_be_bytes(*addrs.first_chunk()?)).then_some(())?;
        addrs.rotate_left(4);
        let [old, proto]: [u8; 2] = *ip.get(8..)?.first_chunk()?;
        let csum = u16::from_be_bytes(*ip.get(10..)?.first_chunk()?);
        let (old, new) = (u16::from_be_bytes([old, proto]), u16::from_be_bytes([DEFAULT_TTL, proto]));
        put(ip, 8, &new.to_be_bytes());
        put(ip, 10, &update(csum, old.into(), new.into(), Zero::Plain).to_be_bytes());
        REPLY_V4
    };
    put(frame, 0, &sender);
    put(frame, 6, &endpoint.mac.0);
    let icmp = frame.get_mut(at..)?;
    let [old, code, high, low]: [u8; 4] = *icmp.first_chunk()?;
    let (old, new) = (u16::from_be_bytes([old, code]), u16::from_be_bytes([kind, code]));
    let zero = if is_ipv6 { Zero::Plain } else { Zero::AllOnes };
    put(icmp, 0, &new.to_be_bytes());
    put(icmp, 2, &update(u16::from_be_bytes([high, low]), old.into(), new.into(), zero).to_be_bytes());
    Some(())
}
