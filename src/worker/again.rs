//! Packets that are to be parsed and looked up again in the same turn: they went on from a frozen context, as what they
//! were or as a reply.
//!
//! The invariant: the queue is empty between two bursts. There is room for so many packets, and each may come so often.

use std::collections::VecDeque;

use crate::packet::key::TunnelWords;
use crate::packet::{PacketMeta, PortNo, PortRef, Said};

/// Packets of a burst that may be here. A packet of a burst seldom comes here twice, and copies of it seldom.
const ROOM: usize = 256;
/// How often a packet may come, before it is taken for one that goes in circles.
pub const ROUNDS: u8 = 8;

/// A packet and all that is known of it without its bytes.
pub struct Left<P> {
    /// The packet, a plain frame.
    pub packet: P,
    /// What the driver said of its checksums.
    pub said: Said,
    /// The port it came in by.
    pub number: PortNo,
    /// That port's place.
    pub at: PortRef,
    /// The context that it goes on from; 0 if it is new.
    pub frozen: u32,
    /// How often it has come back.
    pub round: u8,
    /// The words of the key that say by which tunnel it came; zero if by none, or if the context has them.
    pub tunnel: TunnelWords,
}

impl<P> Left<P> {
    /// A packet that stands as `meta` says.
    pub fn of(packet: P, meta: &PacketMeta, frozen: u32, round: u8) -> Self {
        let tunnel = TunnelWords::default();
        Self { packet, said: meta.said, number: meta.in_port, at: meta.in_ref, frozen, round, tunnel }
    }
}

/// See the module.
pub struct Again<P> {
    queue: VecDeque<Left<P>>,
    /// How often the packet at hand has come back.
    pub round: u8,
}

impl<P> Again<P> {
    /// None yet, with memory for all.
    pub fn new() -> Self {
        Self { queue: VecDeque::with_capacity(ROOM), round: 0 }
    }

    /// Whether there is none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a packet in, or gives it back if there is no room.
    pub fn push(&mut self, packet: Left<P>) -> Result<(), P> {
        if self.queue.len() == ROOM {
            return Err(packet.packet);
        }
        self.queue.push_back(packet);
        Ok(())
    }

    /// The packet that has been here longest.
    pub fn pop(&mut self) -> Option<Left<P>> {
        self.queue.pop_front()
    }
}
