//! What packets make a worker tell the control thread: each thing once in a while, by a bounded ring.

use std::hash::BuildHasher;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use rtrb::Producer;

use super::counters::Account;
use super::mailbox::{TOLD_BYTES, Told};
use crate::action::intent::Intent;
use crate::packet::{Packet, PacketMeta};

/// Things that are remembered.
const RECENT: usize = 1024;
/// Milliseconds for which a thing is not told again.
const QUIET_MS: u64 = 100;

/// What was told lately. Forgets some of it, which is then told again.
pub struct Recent {
    /// By hash: the rest of it, and when it was told.
    told: Box<[(u64, u64)]>,
    hasher: FixedState,
}

impl Recent {
    /// Nothing yet.
    pub fn new(seed: u64) -> Self {
        Self { told: (0..RECENT).map(|_| (0, 0)).collect(), hasher: FixedState::with_seed(seed) }
    }

    /// Whether a thing is new; then it is not for a while.
    fn is_new(&mut self, thing: impl std::hash::Hash, now_ms: u64) -> bool {
        let hash = self.hasher.hash_one(thing);
        let Some(place) = self.told.get_mut(hash as usize % RECENT) else { return true };
        let is_new = place.0 != hash || now_ms.saturating_sub(place.1) >= QUIET_MS;
        if is_new {
            *place = (hash, now_ms);
        }
        is_new
    }
}

/// Tells it, unless the same was told a moment ago. Of a packet that is logged its flow is part of what is the same.
pub fn tell<P: Packet>(
    ring: &mut Producer<Told>,
    recent: &mut Recent,
    account: &Account,
    (packet, meta): (&P, &PacketMeta),
    intent: Intent,
    now_ms: u64,
) {
    let frame = packet.data();
    let is_log = matches!(intent, Intent::Log { .. });
    let is_new = match is_log {
        true => recent.is_new((intent, flow(frame, meta)), now_ms),
        false => recent.is_new(intent, now_ms),
    };
    if !is_new {
        return account.intents_suppressed.add(1);
    }
    let mut data = ArrayVec::new();
    if is_log {
        // Never longer than the room.
        let _ = data.try_extend_from_slice(frame.get(..frame.len().min(TOLD_BYTES)).unwrap_or_default());
    }
    match ring.push(Told { intent, in_port: meta.in_port, data }) {
        Ok(()) => account.intents.add(1),
        Err(_) => account.intents_lost.add(1),
    }
}

/// What tells a packet's flow from others: addresses and ports, as bytes.
fn flow<'f>(frame: &'f [u8], meta: &PacketMeta) -> [Option<&'f [u8]>; 3] {
    let (l3, l4) = (usize::from(meta.l3), usize::from(meta.l4));
    let is_v6 = frame.get(l3).is_some_and(|byte| byte >> 4 == 6);
    let addresses = match meta.l3_end {
        0 => l3..l3 + 28,
        _ if is_v6 => l3 + 8..l3 + 40,
        _ => l3 + 12..l3 + 20,
    };
    [frame.get(..12), frame.get(addresses), frame.get(l4..l4 + 4)]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use rtrb::RingBuffer;

    use super::*;
    use crate::action::intent::{Neighbour, Severity};
    use crate::packet::{HeapPacket, Mac};

    #[test]
    fn a_thing_is_told_once_in_a_while_and_a_full_ring_is_counted() {
        let (mut to, mut from) = RingBuffer::new(2);
        let (mut recent, account) = (Recent::new(1), Account::default());
        let mut tell = |intent, byte: u8, now_ms| {
            let (packet, meta) =
                (HeapPacket::new(&[byte; 64]), PacketMeta { l3: 14, l4: 34, ..PacketMeta::default() });
            super::tell(&mut to, &mut recent, &account, (&packet, &meta), intent, now_ms);
        };
        let neighbour = Neighbour { datapath: 1, port: 2, ip: Ipv6Addr::LOCALHOST };
        let learned = Intent::Neighbour(neighbour, Mac([2; 6]));
        (0..100).for_each(|n| tell(learned, n as u8, n));
        tell(learned, 0, 100);
        let log = Intent::Log { table: 0, cookie: 1, verdict: None, severity: Severity::Info, meter: None };
        [1, 1, 2].into_iter().for_each(|byte| tell(log, byte, 0));
        let counts = [&account.intents, &account.intents_suppressed, &account.intents_lost].map(|c| c.get());
        assert_eq!(counts, [2, 100, 2], "logs of two flows found the ring full");
        assert_eq!(from.pop().unwrap().intent, learned);
        assert!(from.pop().unwrap().data.is_empty());
    }
}
