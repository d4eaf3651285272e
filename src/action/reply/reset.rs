//! Ends of connections: TCP's reset and SCTP's abort.

use super::Original;
use super::build::{datagram, put};
use crate::packet::checksum::{Zero, crc32c::Crc32c};
use crate::packet::headers::{Sctp, Tcp, ip_proto};
use crate::packet::{DropReason, Packet};

/// TTL and hop limit; OVN's manual says 255, its code and its packets have this.
const TTL: u8 = 63;
/// Bytes of a TCP header.
const TCP_LEN: usize = size_of::<Tcp>();
/// Bytes of an SCTP header.
const SCTP_LEN: usize = size_of::<Sctp>();
/// Header length of five words, with the flags RST and ACK.
const RESET: [u8; 2] = [0x50, 0x14];
/// The flag RST.
const RST: u8 = 0x04;
/// SCTP chunks.
const CHUNK_INIT: u8 = 1;
const CHUNK_ABORT: u8 = 6;
/// Bytes of a chunk's header, and of an INIT chunk behind it.
const CHUNK_LEN: usize = 4;
const INIT_LEN: usize = 16;
/// In an ABORT: the verification tag is the one that the packet came with.
const REFLECTED: u8 = 1;

/// Whether the segment is a reset.
pub(super) fn is_reset(frame: &[u8], original: &Original) -> Result<bool, DropReason> {
    let [flags] = original.l4_bytes(frame, 13)?;
    Ok(flags & RST != 0)
}

/// A reset that acknowledges the segment.
pub(super) fn tcp<P: Packet>(packet: &mut P, original: &Original) -> Result<(), DropReason> {
    if original.proto != ip_proto::TCP {
        return Err(DropReason::BadReply);
    }
    let [a, b, c, d, s, t, u, v] = original.l4_bytes(packet.data(), 0)?;
    let seq = u32::from_be_bytes([s, t, u, v]);
    let mut segment = [0; TCP_LEN];
    put(&mut segment, 0, &[c, d, a, b]);
    put(&mut segment, 8, &seq.wrapping_add(1).to_be_bytes());
    put(&mut segment, 12, &RESET);
    let sum = original.addrs.pseudo(ip_proto::TCP, TCP_LEN).bytes(&segment).fold();
    put(&mut segment, 16, &Zero::Plain.canonical(!sum).to_be_bytes());
    datagram(packet, original, &original.addrs, ip_proto::TCP, TTL, &segment)
}

/// An abort, by the rules of RFC 4960, 8.4 for packets out of the blue.
pub(super) fn sctp<P: Packet>(packet: &mut P, original: &Original) -> Result<(), DropReason> {
    if original.proto != ip_proto::SCTP {
        return Err(DropReason::BadReply);
    }
    let frame = packet.data();
    let [a, b, c, d, tag @ .., _, _, _, _] = original.l4_bytes::<SCTP_LEN>(frame, 0)?;
    let [chunk, ..] = original.l4_bytes::<CHUNK_LEN>(frame, SCTP_LEN)?;
    let (tag, flags) = match chunk {
        CHUNK_ABORT => return Err(DropReason::ReplyToError),
        CHUNK_INIT => {
            let [w, x, y, z, ..] = original.l4_bytes::<INIT_LEN>(frame, SCTP_LEN + CHUNK_LEN)?;
            if tag == [0; 4] { ([w, x, y, z], 0) } else { (tag, REFLECTED) }
        }
        _ => (tag, REFLECTED),
    };
    let mut message = [0; SCTP_LEN + CHUNK_LEN];
    put(&mut message, 0, &[c, d, a, b]);
    put(&mut message, 4, &tag);
    put(&mut message, SCTP_LEN, &[CHUNK_ABORT, flags, 0, CHUNK_LEN as u8]);
    let crc = Crc32c::default().bytes(&message).finish();
    put(&mut message, 8, &crc.to_le_bytes());
    datagram(packet, original, &original.addrs, ip_proto::SCTP, TTL, &message)
}
