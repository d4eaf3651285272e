//! BFD control packets, and the frame inside the tunnel that carries one as OVS makes it.

use super::{Diag, Ignored, State};
use crate::packet::Mac;
use crate::packet::checksum::{Sum, Zero};
use crate::packet::headers::{ETH_LEN, Ipv4, Udp, eth_type, ip_proto};
use crate::tunnel::frames::put;

/// Bytes of a control packet without authentication.
pub const CONTROL_LEN: usize = 24;
/// Bytes of the inner frame.
pub const FRAME_LEN: usize = ETH_LEN + size_of::<Ipv4>() + size_of::<Udp>() + CONTROL_LEN;
/// UDP port of single-hop BFD.
pub const PORT: u16 = 3784;
/// The least port that control packets come from (RFC 5881); each session has its own, as long as there are so many.
pub const FIRST_PORT: u16 = 49152;
/// Inner destination, which no guest has.
pub const DST_MAC: Mac = Mac([0x00, 0x23, 0x20, 0x00, 0x00, 0x01]);

/// 169.254.1.1
const SRC: u32 = 0xa9fe_0101;
/// 169.254.1.0
const DST: u32 = 0xa9fe_0100;
/// Internetwork control.
const TOS: u8 = 0xc0;
/// Shows that no router was passed (RFC 5082).
const TTL: u8 = 255;

/// Flags beside the state.
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATED: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;
const VERSION: u8 = 1;

/// A control packet (RFC 5880, 4.1). Intervals are in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::tunnel) struct Control {
    pub diag: Diag,
    pub state: State,
    pub is_poll: bool,
    pub is_final: bool,
    pub is_demand: bool,
    pub mult: u8,
    pub my_discriminator: u32,
    pub your_discriminator: u32,
    pub min_tx: u32,
    pub min_rx: u32,
}

impl Control {
    /// Reads a packet that is sound by itself, whatever the session that it is for.
    pub fn read(packet: &[u8]) -> Result<Control, Ignored> {
        let (head, behind) = packet.split_first_chunk::<4>().ok_or(Ignored::Length)?;
        let [version_diag, flags, mult, len] = *head;
        let words = behind.first_chunk::<{ CONTROL_LEN - 4 }>().ok_or(Ignored::Length)?;
        let mut words = words.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut word = || words.next().unwrap_or(0);
        if version_diag >> 5 != VERSION {
            return Err(Ignored::Version);
        }
        let least = if flags & AUTHENTICATED != 0 { CONTROL_LEN + 2 } else { CONTROL_LEN };
        if usize::from(len) < least {
            return Err(Ignored::Length);
        }
        if mult == 0 {
            return Err(Ignored::Multiplier);
        }
        if flags & MULTIPOINT != 0 {
            return Err(Ignored::Multipoint);
        }
        let (my_discriminator, your_discriminator) = (word(), word());
        if my_discriminator == 0 {
            return Err(Ignored::NoSender);
        }
        if flags & AUTHENTICATED != 0 {
            return Err(Ignored::Authenticated);
        }
        Ok(Control {
            diag: Diag(version_diag & 0x1f),
            state: State::of(flags >> 6),
            is_poll: flags & POLL != 0,
            is_final: flags & FINAL != 0,
            is_demand: flags & DEMAND != 0,
            mult,
            my_discriminator,
            your_discriminator,
            min_tx: word(),
            min_rx: word(),
        })
    }

    /// On the wire. Echoes are not wanted.
    pub fn bytes(&self) -> [u8; CONTROL_LEN] {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = (self.state as u8) << 6
            | flag(self.is_poll, POLL)
            | flag(self.is_final, FINAL)
            | flag(self.is_demand, DEMAND);
        let mut packet = [0; CONTROL_LEN];
        put(&mut packet, 0, &[VERSION << 5 | self.diag.0 & 0x1f, flags, self.mult, CONTROL_LEN as u8]);
        let words = [self.my_discriminator, self.your_discriminator, self.min_tx, self.min_rx];
        for (to, word) in packet.as_chunks_mut::<4>().0.iter_mut().skip(1).zip(words) {
            *to = word.to_be_bytes();
        }
        packet
    }
}

/// The inner frame of a control packet, without a UDP checksum.
pub fn frame(src: Mac, port: u16, control: &[u8; CONTROL_LEN]) -> [u8; FRAME_LEN] {
    const L3: usize = ETH_LEN;
    const L4: usize = L3 + size_of::<Ipv4>();
    const TOTAL: u16 = (FRAME_LEN - L3) as u16;
    let mut frame = [0; FRAME_LEN];
    put(&mut frame, 0, &DST_MAC.0);
    put(&mut frame, 6, &src.0);
    put(&mut frame, 12, &eth_type::IPV4.to_be_bytes());
    put(&mut frame, L3, &[0x45, TOS]);
    put(&mut frame, L3 + 2, &TOTAL.to_be_bytes());
    put(&mut frame, L3 + 8, &[TTL, ip_proto::UDP]);
    put(&mut frame, L3 + 12, &SRC.to_be_bytes());
    put(&mut frame, L3 + 16, &DST.to_be_bytes());
    let sum = Sum::default().bytes(frame.get(L3..L4).unwrap_or_default()).fold();
    put(&mut frame, L3 + 10, &Zero::Plain.canonical(!sum).to_be_bytes());
    put(&mut frame, L4, &port.to_be_bytes());
    put(&mut frame, L4 + 2, &PORT.to_be_bytes());
    put(&mut frame, L4 + 4, &(TOTAL - size_of::<Ipv4>() as u16).to_be_bytes());
    put(&mut frame, L4 + size_of::<Udp>(), control);
    frame
}

/// The control packet in an inner frame, if it is one: BFD over UDP and IPv4 to [`DST_MAC`], from no further than the peer,
/// and as long as it says itself. Authentication behind it is not kept.
#[inline]
pub fn control(frame: &[u8]) -> Option<[u8; CONTROL_LEN]> {
    use zerocopy::FromBytes;
    let (eth, rest) = frame.split_first_chunk::<ETH_LEN>()?;
    let [dst @ .., _, _, _, _, _, _, high, low] = eth;
    if *dst != DST_MAC.0 || u16::from_be_bytes([*high, *low]) != eth_type::IPV4 {
        return None;
    }
    let (ip, _) = Ipv4::ref_from_prefix(rest).ok()?;
    let header = ip.header_len();
    let is_fit = ip.version_ihl >> 4 == 4
        && header >= size_of::<Ipv4>()
        && ip.nw_frag() == 0
        && (ip.proto, ip.ttl) == (ip_proto::UDP, TTL);
    if !is_fit {
        return None;
    }
    let datagram = rest.get(..usize::from(ip.total_len.get()))?.get(header..)?;
    let (udp, _) = Udp::ref_from_prefix(datagram).ok()?;
    if udp.ports.get() as u16 != PORT {
        return None;
    }
    let [len, _] = udp.tail;
    let payload = datagram.get(..usize::from(len.get()))?.get(size_of::<Udp>()..)?;
    let control = payload.first_chunk::<CONTROL_LEN>()?;
    let [_, _, _, said, ..] = control;
    (usize::from(*said) <= payload.len()).then_some(*control)
}
