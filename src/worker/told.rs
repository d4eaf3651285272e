//! What packets make a worker tell the control thread: each thing once in a while, by a bounded ring.
//!
//! No port can fill the ring. A quarter of it is kept for ports of which nothing is in it; of the rest a port may
//! have as much as a quarter of what is free. So however many ports tell without measure, the next one finds room.
//! Logs may have half of that, half of the ring in all, and nothing of what is kept, so that they leave room for what
//! is learned.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use rtrb::Producer;

use super::counters::{Account, MAX_SLOTS};
use super::mailbox::{TOLD, TOLD_BYTES, Told};
use crate::action::intent::Intent;
use crate::packet::{Mac, Packet, PacketMeta};

/// Things that are remembered.
const RECENT: usize = 1024;
/// Milliseconds for which a thing is not told again.
const QUIET_MS: u64 = 100;
/// Packets of BFD that are told of one peer in [`STRETCH_MS`]: far more than it has reason to send.
const BFD_EACH: u8 = 4;
const STRETCH_MS: u64 = 10;
/// Peers that may be heard in a stretch: so many sets of [`WAYS`], found by a hash.
const SETS: usize = 256;
const WAYS: usize = 4;

/// What was told lately. Forgets some of it, which is then told again.
pub struct Recent {
    /// By hash: the rest of it, and when it was told.
    told: Box<[(u64, u64)]>,
    hasher: FixedState,
    shares: Shares,
    speakers: Speakers,
}

/// How much each peer has said by BFD of late, so that none takes the others' part of the ring.
struct Speakers(Box<[[Speaker; WAYS]]>);

#[derive(Clone, Copy)]
struct Speaker {
    name: u64,
    stretch: u64,
    count: u8,
}

impl Speakers {
    fn new() -> Self {
        Self((0..SETS).map(|_| [Speaker { name: 0, stretch: u64::MAX, count: 0 }; WAYS]).collect())
    }

    /// Whether one more packet of that peer may be told; then it is counted.
    fn take(&mut self, name: u64, now_ms: u64) -> bool {
        let stretch = now_ms / STRETCH_MS;
        let Some(set) = self.0.get_mut(name as usize % SETS) else { return false };
        let known = set.iter().position(|speaker| speaker.name == name);
        let place = known.or_else(|| set.iter().position(|speaker| speaker.stretch != stretch));
        let Some(speaker) = place.and_then(|place| set.get_mut(place)) else { return false };
        if (speaker.name, speaker.stretch) != (name, stretch) {
            *speaker = Speaker { name, stretch, count: 0 };
        }
        let may = speaker.count < BFD_EACH;
        speaker.count += u8::from(may);
        may
    }
}

/// Who has how much of the ring.
struct Shares {
    /// Whose things are in it, oldest first: the port's slot, and whether it is a log.
    things: VecDeque<(u16, bool)>,
    /// By slot of the port: how many are learned, how many are logs.
    of_port: Box<[[u16; 2]]>,
    logs: usize,
    /// Ports of which something learned is in it.
    present: usize,
}

impl Shares {
    fn new() -> Self {
        Self {
            things: VecDeque::with_capacity(TOLD),
            of_port: (0..MAX_SLOTS).map(|_| [0; 2]).collect(),
            logs: 0,
            present: 0,
        }
    }

    fn count(&mut self, slot: u16, is_log: bool) -> Option<&mut u16> {
        self.of_port.get_mut(usize::from(slot))?.get_mut(usize::from(is_log))
    }

    /// So many of the ring's places are free. Whether a port may put something in; then it is counted.
    fn take(&mut self, slot: u16, is_log: bool, free: usize, places: usize) -> bool {
        // What was in front has been fetched.
        while self.things.len() > places - free.min(places)
            && let Some((slot, is_log)) = self.things.pop_front()
        {
            let Some(count) = self.count(slot, is_log) else { continue };
            *count -= 1;
            let is_gone = *count == 0;
            self.logs -= usize::from(is_log);
            self.present -= usize::from(is_gone && !is_log);
        }
        let kept = (places / 4).saturating_sub(self.present);
        let open = free.saturating_sub(kept);
        let Some(count) = self.count(slot, is_log).copied().map(usize::from) else { return false };
        let has_room = match is_log {
            true => open > 0 && count <= open / 8 && self.logs < places.div_ceil(2),
            false => free > 0 && (count == 0 || (open > 0 && count <= open / 4)),
        };
        if !has_room || self.things.len() == TOLD {
            return false;
        }
        self.count(slot, is_log).into_iter().for_each(|count| *count += 1);
        self.logs += usize::from(is_log);
        self.present += usize::from(count == 0 && !is_log);
        self.things.push_back((slot, is_log));
        true
    }
}

impl Recent {
    /// Nothing yet.
    pub fn new(seed: u64) -> Self {
        Self {
            told: (0..RECENT).map(|_| (0, 0)).collect(),
            hasher: FixedState::with_seed(seed),
            shares: Shares::new(),
            speakers: Speakers::new(),
        }
    }

    /// The name of a thing.
    fn name(&self, thing: impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(thing)
    }

    /// Whether a thing was not told for a while.
    fn is_new(&self, name: u64, now_ms: u64) -> bool {
        let place = self.told.get(name as usize % RECENT);
        place.is_none_or(|(last, at)| *last != name || now_ms.saturating_sub(*at) >= QUIET_MS)
    }

    /// It was told now.
    fn note(&mut self, name: u64, now_ms: u64) {
        if let Some(place) = self.told.get_mut(name as usize % RECENT) {
            *place = (name, now_ms);
        }
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
    let is_bfd = matches!(intent, Intent::Bfd(_));
    let name = match intent {
        Intent::Log { .. } => recent.name((intent, flow(frame, meta))),
        Intent::Claimed(ip, _) => recent.name(Intent::Claimed(ip, Mac::default())),
        _ => recent.name(intent),
    };
    // That a peer says the same again is what is told.
    let may = if is_bfd { recent.speakers.take(name, now_ms) } else { recent.is_new(name, now_ms) };
    if !may {
        return account.intents_suppressed.add(1);
    }
    let (free, places) = (ring.slots(), ring.buffer().capacity());
    if !recent.shares.take(meta.in_ref.slot, is_log, free, places) {
        return account.intents_lost.add(1);
    }
    // What was refused is as new as before.
    if !is_bfd {
        recent.note(name, now_ms);
    }
    let mut data = ArrayVec::new();
    if is_log || is_bfd {
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
    use crate::packet::HeapPacket;

    #[test]
    fn a_thing_is_told_once_in_a_while_and_a_full_ring_is_counted() {
        let (mut to, mut from) = RingBuffer::new(1);
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
        assert_eq!(counts, [1, 99, 4], "three logs, and what was learned again, found the ring full");
        let first = from.pop().unwrap();
        assert_eq!((first.intent, first.data.len()), (learned, 0));
        tell(learned, 0, 101);
        assert_eq!(account.intents.get(), 2, "what was refused a moment ago is told now");
        let _ = from.pop();
        for last in 0..=255 {
            tell(Intent::Claimed(Ipv6Addr::LOCALHOST, Mac([2, 0, 0, 0, 0, last])), 0, 200);
        }
        let counts = [&account.intents, &account.intents_suppressed].map(|c| c.get());
        assert_eq!(counts, [3, 99 + 255], "one claim, however many hosts there seem to be");
    }

    #[test]
    fn a_peer_that_says_too_much_leaves_room_for_what_others_say_by_bfd() {
        let (mut to, mut from) = RingBuffer::new(TOLD);
        let (mut recent, account) = (Recent::new(1), Account::default());
        let mut tell = |peer: u128, now_ms| {
            let (packet, meta) = (HeapPacket::new(&[7; 66]), PacketMeta::default());
            let intent = Intent::Bfd(Ipv6Addr::from_bits(peer));
            super::tell(&mut to, &mut recent, &account, (&packet, &meta), intent, now_ms);
        };
        for now_ms in 0..100 {
            (0..1000).for_each(|_| tell(1, now_ms));
        }
        (2..100).for_each(|peer| tell(peer, 99));
        tell(2, 99);
        let told: Vec<_> = std::iter::from_fn(|| from.pop().ok()).map(|told| told.intent).collect();
        let of = |peer| told.iter().filter(|told| **told == Intent::Bfd(Ipv6Addr::from_bits(peer))).count();
        assert_eq!(of(1), 10 * usize::from(BFD_EACH), "so many in each stretch");
        assert_eq!(of(2), 2, "that the same is said again is told");
        assert!((3..100).all(|peer| of(peer) == 1), "{told:?}");
        assert_eq!((account.intents_lost.get(), account.intents_suppressed.get()), (0, 100_000 - 40));
    }

    /// Shares of a ring of this size, and what is in it.
    struct Lab {
        shares: Shares,
        ring: VecDeque<(u16, bool)>,
        places: usize,
    }

    impl Lab {
        fn new(places: usize) -> Self {
            Self { shares: Shares::new(), ring: VecDeque::new(), places }
        }

        fn tell(&mut self, slot: u16, is_log: bool) -> bool {
            let taken = self.shares.take(slot, is_log, self.places - self.ring.len(), self.places);
            self.ring.extend(taken.then_some((slot, is_log)));
            taken
        }

        fn has(&self, what: impl Fn(&(u16, bool)) -> bool) -> usize {
            self.ring.iter().filter(|thing| what(thing)).count()
        }
    }

    #[test]
    fn one_port_has_a_share_of_the_ring_and_logs_leave_room_for_what_is_learned() {
        let mut lab = Lab::new(TOLD);
        (0..5000).for_each(|_| _ = lab.tell(3, true));
        (0..5000).for_each(|_| _ = lab.tell(3, false));
        let (logs, learned) = (lab.has(|thing| thing.1), lab.has(|thing| !thing.1));
        assert!((75..95).contains(&logs) && (130..150).contains(&learned), "{logs} logs, {learned} learned");
        for slot in 4..60 {
            (0..5000).for_each(|_| _ = lab.tell(slot, true));
        }
        assert!(lab.has(|thing| thing.1) <= TOLD / 2);
        assert!(lab.tell(200, false), "another port finds room");
        // The other side fetches all of it.
        lab.ring.clear();
        assert!(lab.tell(3, false) && lab.tell(3, true));
    }

    #[test]
    fn however_many_ports_tell_without_measure_the_next_one_finds_room() {
        let mut lab = Lab::new(TOLD);
        for slot in 0..MAX_SLOTS as u16 {
            (0..TOLD).for_each(|_| _ = lab.tell(slot, true));
            assert!(lab.tell(slot, false), "port {slot}");
            (0..TOLD).for_each(|_| _ = lab.tell(slot, false));
        }
        assert!(lab.ring.len() > TOLD * 9 / 10, "and the ring is used: {}", lab.ring.len());
    }

    #[test]
    fn what_is_counted_is_what_is_in_the_ring() {
        let (mut lab, mut random) = (Lab::new(64), 1u64);
        for _ in 0..20_000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (slot, is_log) = ((random >> 40) as u16 % 12, random >> 50 & 1 == 1);
            if random >> 60 == 0 {
                let fetched = (random >> 33) as usize % (lab.ring.len() + 1);
                lab.ring.drain(..fetched);
            }
            lab.tell(slot, is_log);
            assert!(lab.ring.len() <= lab.places);
            for slot in 0..12 {
                let [learned, logs] = lab.shares.of_port[usize::from(slot)].map(usize::from);
                if lab.shares.things.len() == lab.ring.len() {
                    assert_eq!(
                        (learned, logs),
                        (lab.has(|t| *t == (slot, false)), lab.has(|t| *t == (slot, true)))
                    );
                }
            }
        }
    }
}
