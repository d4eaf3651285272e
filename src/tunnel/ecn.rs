//! Explicit congestion notification through tunnels (RFC 6040, normal mode).

use crate::packet::checksum::{Zero, update};
use crate::packet::headers::{ETH_LEN, VLAN_LEN, eth_type};
use crate::packet::{DropReason, Packet};

/// The two bits of ECN in the type of service.
pub(super) const ECN: u8 = 3;
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// Brings the congestion that the outer packet met into the inner frame, whose ECN is written in place. An inner packet that
/// cannot say so is to be dropped; frames without IP go on as they are.
#[inline(always)]
pub fn merge_ecn<P: Packet>(outer_tos: u8, packet: &mut P) -> Result<(), DropReason> {
    match outer_tos & ECN {
        NOT_ECT | ECT_0 => Ok(()),
        outer => merge(outer, packet.data_mut()),
    }
}

#[cold]
fn merge(outer: u8, frame: &mut [u8]) -> Result<(), DropReason> {
    let Some((is_ipv6, ip)) = inner_ip(frame) else { return Ok(()) };
    let Some(&[first, second]) = ip.first_chunk() else { return Ok(()) };
    let tos = if is_ipv6 { first << 4 | second >> 4 } else { second };
    let merged = match (tos & ECN, outer) {
        (NOT_ECT, CE) => return Err(DropReason::TunnelEcn),
        (ECT_0, ECT_1) => ECT_1,
        (ECT_0 | ECT_1, CE) => CE,
        _ => return Ok(()),
    };
    let change = (tos ^ merged) & ECN;
    let word = u16::from_be_bytes([first, second]);
    let changed = word ^ u16::from(change) << if is_ipv6 { 4 } else { 0 };
    if let Some(to) = ip.first_chunk_mut() {
        *to = changed.to_be_bytes();
    }
    if let Some(csum) = ip.get_mut(10..).and_then(|rest| rest.first_chunk_mut()).filter(|_| !is_ipv6) {
        let old = u16::from_be_bytes(*csum);
        *csum = update(old, word.into(), changed.into(), Zero::Plain).to_be_bytes();
    }
    Ok(())
}

/// The IP header of a frame, behind two tags at most, and whether it is IPv6's; none if its version is another or a
/// header without options does not fit.
fn inner_ip(frame: &mut [u8]) -> Option<(bool, &mut [u8])> {
    let mut at = ETH_LEN;
    let mut kind = read(frame, at - 2)?;
    for _ in 0..2 {
        if eth_type::is_vlan(kind) {
            at += VLAN_LEN;
            kind = read(frame, at - 2)?;
        }
    }
    let ip = frame.get_mut(at..)?;
    match (kind, ip.first()? >> 4, ip.len()) {
        (eth_type::IPV4, 4, 20..) => Some((false, ip)),
        (eth_type::IPV6, 6, 40..) => Some((true, ip)),
        _ => None,
    }
}

fn read(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
