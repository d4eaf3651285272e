//! What a worker does with the packets of a burst: parse all, look all up, then act on them in their order.

use arrayvec::ArrayVec;
use rtrb::Producer;

use super::again::Left;
use super::depart::count_sent;
use super::device::{Backend, Device};
use super::live::Live;
use super::mailbox::Learned;
use super::stage::{ETHERNET, Outputs};
use super::state::{Overlay, Poll, State};
use super::wait::{MISSES, Waiting};
use crate::action::execute::{Exit, Straight, execute};
use crate::ident::BURST;
use crate::packet::key::{TunnelWords, w};
use crate::packet::parse::{Shape, Stop, parse};
use crate::packet::{DropReason, FlowKey, Packet, PacketMeta, PortNo, PortRef};
use crate::pipeline::cache::{FlowCache, Miss, NONE, Served, Verdict};
use crate::pipeline::stats::StatsWriter;
use crate::pipeline::translate::{Start, Translation, translate};
use crate::rcu::Guard;

/// EtherType of a tag that the driver took out of the frame.
const TPID: [u8; 2] = [0x81, 0x00];

/// What is known of the packets of a burst, by their places.
pub struct Slots {
    pub(super) keys: [FlowKey; BURST],
    pub(super) metas: [PacketMeta; BURST],
    /// A bit for every place whose key has its long words in use.
    pub(super) long: u32,
    /// By place: the megaflow found.
    pub(super) found: [u32; BURST],
    /// The most bytes of a packet of the burst; no number of bytes if one of them must be looked at before it is sent.
    pub(super) longest: u32,
    /// Where the packets of the first places come from, and how many places are filled with that.
    from: Option<From>,
    prepared: usize,
    /// The key that is being translated.
    work: FlowKey,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            keys: [FlowKey::default(); BURST],
            metas: [PacketMeta::default(); BURST],
            long: 0,
            found: [NONE; BURST],
            longest: u32::MAX,
            from: None,
            prepared: 0,
            work: FlowKey::default(),
        }
    }
}

impl Slots {
    fn shape(&self, place: usize) -> Shape {
        if self.long & (1 << (place % BURST)) != 0 { Shape::Long } else { Shape::Short }
    }

    fn key(&self, place: usize) -> &FlowKey {
        &self.keys[place % BURST]
    }

    fn meta(&self, place: usize) -> &PacketMeta {
        &self.metas[place % BURST]
    }

    /// The packet of a place, just parsed, goes on from a frozen context.
    fn comes_back(&mut self, place: usize, frozen: u32) {
        let place = place % BURST;
        self.metas[place].frozen = frozen;
        self.keys[place].words[w::CONTEXT] |= u64::from(frozen);
    }

    /// The packet of a place, just parsed, came by a tunnel, if by any.
    fn came_by(&mut self, place: usize, tunnel: &TunnelWords) {
        let place = place % BURST;
        if self.keys[place].add_tunnel(tunnel) {
            self.long |= 1 << place;
        }
    }

    /// Fills what does not depend on the packet into the first places. They keep it until packets of another port come.
    #[inline(always)]
    pub(super) fn prepare(&mut self, from: From, count: usize) {
        if self.from != Some(from) {
            (self.from, self.prepared) = (Some(from), 0);
        }
        if self.prepared < count {
            let places = self.metas.iter_mut().zip(&mut self.keys).take(count);
            places.skip(self.prepared).for_each(|(meta, key)| fill(meta, key, from));
            self.prepared = count;
        }
    }

    /// Parses a packet into a place, whose `meta` holds what the driver said. False if it is no frame.
    fn parse(&mut self, frame: &[u8], place: usize, from: From) -> bool {
        let place = place % BURST;
        let (meta, key) = (&mut self.metas[place], &mut self.keys[place]);
        let bit = 1 << place;
        if self.long & bit != 0 {
            key.clear_long();
        }
        fill(meta, key, from);
        // The place may differ from its neighbours now.
        self.prepared = 0;
        let parsed = parse(frame, meta, key);
        self.long = self.long & !bit | u32::from(parsed.shape == Shape::Long) << place;
        parsed.stop != Some(Stop::Runt)
    }
}

/// What is known of a packet before it is looked at.
#[inline(always)]
fn fill(meta: &mut PacketMeta, key: &mut FlowKey, from: From) {
    (meta.in_port, meta.in_ref, meta.frozen) = (from.number, from.at, 0);
    key.words[w::CONTEXT] = u64::from(from.number.0) << 32;
    key.words[w::MARK] = 0;
}

/// Where packets come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct From {
    pub(super) number: PortNo,
    pub(super) at: PortRef,
}

impl From {
    pub(super) fn index(self) -> usize {
        usize::from(self.at.slot)
    }
}

/// What is known of a packet that is looked up by itself.
#[derive(Clone, Copy, Default)]
struct Known {
    /// It need not wait for others of its flow: it has waited longest of all of its port, or goes another way than they.
    first: bool,
    /// A megaflow was found for it and counted before.
    counted: bool,
}

/// What is needed to process a burst.
pub struct Burst<'a, B: Backend> {
    pub now_ms: u64,
    pub translation: &'a mut Translation,
    pub slots: &'a mut Slots,
    pub cache: &'a mut FlowCache,
    pub waiting: &'a mut Waiting<<B::Device as Device>::Packet>,
    pub flow_stats: &'a mut StatsWriter,
    pub state: &'a Guard<'a, State<B::Device>>,
    pub live: &'a mut Option<Box<Live>>,
    pub lives: &'a mut Producer<Box<Live>>,
    pub out: Outputs<'a, B::Device>,
}

/// The packets of a backend.
pub(super) type PacketOf<B> = <<B as Backend>::Device as Device>::Packet;

impl<B: Backend> Burst<'_, B> {
    /// Receives one burst and does everything for it. True if it was not empty. `since` is when the time of the queue
    /// began, and becomes when it ended.
    pub fn poll(&mut self, poll: &Poll<B::Device>, since: &mut u64) -> bool {
        let mut packets = ArrayVec::<PacketOf<B>, BURST>::new();
        let received = poll.slot.device.rx_burst(self.out.id, poll.queue, &mut packets) as u64;
        if received == 0 {
            return false;
        }
        self.out.counters.account.received.add(received);
        let from = From { number: poll.slot.number, at: poll.slot.at };
        let bytes = match &self.state.overlay {
            Some(overlay) if overlay.uplink == from.at => self.arrive(packets, from, overlay),
            _ => {
                if self.live.is_some() {
                    self.look(&packets, from.number);
                }
                self.process(&mut packets, from)
            }
        };
        self.go_again();
        self.out.flush();
        if let Some(cell) = self.out.counters.ports.get(from.index()) {
            cell.rx_packets.add(received);
            cell.rx_bytes.add(bytes);
        }
        self.out.counters.perf.bursts.add(1);
        let now = B::tsc();
        poll.counters.packets.add(received);
        poll.counters.bursts.add(1);
        poll.counters.cycles.add(now.wrapping_sub(*since));
        *since = now;
        true
    }

    /// Treats a packet as if a port had received it.
    pub fn inject(&mut self, packet: PacketOf<B>, number: PortNo, at: PortRef, table: u8) {
        let from = From { number, at };
        if table == 0
            && let Some(overlay) = self.state.overlay.as_ref().filter(|overlay| overlay.uplink == at)
        {
            return self.inject_at_uplink(packet, from, overlay);
        }
        if self.live.is_some() {
            self.look(std::slice::from_ref(&packet), number);
        }
        let Some(packet) = self.admit(packet, from) else { return };
        if table == 0 {
            self.unsure(packet, 0, from, &mut 1, Known::default());
        } else {
            // Megaflows are of packets that begin in the first table.
            let _ = self.translate(0, table);
            self.count_flows(self.slots.meta(0).len);
            execute(packet, self.slots.meta(0), self.translation.ops(), &mut self.out);
        }
        self.go_again();
    }

    #[cold]
    fn inject_at_uplink(&mut self, packet: PacketOf<B>, from: From, overlay: &Overlay) {
        self.count_injected(from);
        let mut packets = ArrayVec::new();
        // There is room for one.
        let _ = packets.try_push(packet);
        self.arrive(packets, from, overlay);
        self.go_again();
    }

    /// Lets a packet go on where it left the tables.
    pub fn resume(&mut self, packet: PacketOf<B>, number: PortNo, at: PortRef, frozen: u32) {
        let from = From { number, at };
        let Some(packet) = self.admit(packet, from) else { return };
        self.slots.comes_back(0, frozen);
        // Packets of its flow that wait are to go a way that this one has left.
        self.unsure(packet, 0, from, &mut 1, Known { first: true, counted: false });
        self.go_again();
    }

    /// Lets packets go on that left the tables in this turn, until none is left.
    #[inline(always)]
    pub fn go_again(&mut self) {
        if !self.out.again.is_empty() {
            self.go_all_again();
        }
    }

    #[cold]
    fn go_all_again(&mut self) {
        let mut misses = MISSES;
        while let Some(left) = self.out.again.pop() {
            self.out.counters.perf.packets.add(1);
            self.go(left, &mut misses, Known::default());
        }
    }

    /// Lets the packets go on that wait for a neighbour, with its address.
    pub fn learned(&mut self, learned: &Learned) {
        for mut left in self.out.held.take(&learned.neighbour) {
            if learned.neighbour.is_of_underlay() {
                self.out.depart(left, learned.mac);
                continue;
            }
            if let Some(dst) = left.packet.data_mut().first_chunk_mut() {
                *dst = learned.mac.0;
            }
            self.out.counters.perf.packets.add(1);
            self.go(left, &mut 1, Known { first: true, counted: false });
        }
        self.go_again();
    }

    /// Drops the packets that have waited too long for a neighbour.
    #[inline(always)]
    pub fn give_up(&mut self) {
        let Outputs { held, counters, topology, .. } = &mut self.out;
        held.expire(self.now_ms, |packet, neighbour| {
            counters.account.staged.sub(1);
            counters.account.drop(DropReason::NeighbourUnresolved, 1);
            if neighbour.is_of_underlay() {
                count_sent(counters, topology.tunnel, (0, 0, 1));
            }
            drop(packet);
        });
    }

    /// Goes on with a packet that was in flight. It is a plain frame.
    fn go(&mut self, left: Left<PacketOf<B>>, misses: &mut usize, known: Known) {
        let Left { packet, said, number, at, frozen, round, tunnel } = left;
        self.out.counters.account.staged.sub(1);
        let from = From { number, at };
        if !self.state.has_port(at) {
            return self.out.discard(packet, DropReason::PortGone);
        }
        self.slots.metas[0].said = said;
        if !self.slots.parse(packet.data(), 0, from) {
            return self.out.discard(packet, DropReason::Runt);
        }
        self.slots.comes_back(0, frozen);
        self.slots.came_by(0, &tunnel);
        self.out.again.round = round;
        self.unsure(packet, 0, from, misses, known);
        self.out.again.round = 0;
    }

    /// Counts a packet of the control thread and parses it into the first place; or drops it by name.
    fn admit(&mut self, packet: PacketOf<B>, from: From) -> Option<PacketOf<B>> {
        if !self.state.has_port(from.at) {
            self.out.counters.account.injected.add(1);
            self.out.discard(packet, DropReason::PortGone);
            return None;
        }
        self.count_injected(from);
        self.out.counters.perf.packets.add(1);
        self.single(packet, 0, from)
    }

    fn count_injected(&self, from: From) {
        self.out.counters.account.injected.add(1);
        if let Some(cell) = self.out.counters.ports.get(from.index()) {
            cell.injected.add(1);
        }
    }

    /// Translates packets that wait, as many of each port as may be at once. True if there were any.
    pub fn go_on(&mut self) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        for index in 0..self.waiting.ports() {
            let mut misses = MISSES;
            while misses > 0
                && let Some((left, counted)) = self.waiting.pop(index)
            {
                self.go(left, &mut misses, Known { first: true, counted });
            }
        }
        self.go_again();
        self.waiting.settle();
        self.out.flush();
        true
    }

    /// Parses, looks up and acts. Returns the bytes as they came.
    #[inline(always)]
    pub(super) fn process(&mut self, packets: &mut ArrayVec<PacketOf<B>, BURST>, from: From) -> u64 {
        if let Some(bytes) = self.pass(packets, from) {
            return bytes;
        }
        let (bytes, odd) = self.parse(packets, from);
        if odd {
            *packets = self.straighten(std::mem::take(packets), from);
        }
        let count = packets.len();
        self.out.counters.perf.packets.add(count as u64);
        let all = u32::MAX.unbounded_shr((BURST - count) as u32);
        let Slots { keys, long, found, .. } = &mut *self.slots;
        self.cache.lookup(from.index(), keys, all & !*long, all & *long, found);
        self.act(packets, from);
        bytes
    }

    /// Sends a burst on of which nothing counts but the port it came in by: nothing of it need be read. None where that is
    /// not so, or a packet is no plain frame. Returns the bytes.
    #[inline(always)]
    fn pass(&mut self, packets: &mut ArrayVec<PacketOf<B>, BURST>, from: From) -> Option<u64> {
        let (wire, at) = self.cache.wire(from.index(), from.number, &self.state.pipeline.log)?;
        if self.waiting.has(from.index()) {
            return None;
        }
        let slots = &mut *self.slots;
        slots.prepare(from, packets.len());
        let (mut bytes, mut shortest, mut longest, mut odd) = (0, u32::MAX, 0, false);
        for (packet, meta) in packets.iter().zip(&mut slots.metas) {
            B::Device::read_meta(packet, meta);
            bytes += u64::from(meta.len);
            shortest = shortest.min(meta.len);
            longest = longest.max(meta.len);
            odd |= meta.said.is_flagged() | !B::Device::is_linear(packet);
        }
        if odd || shortest < ETHERNET {
            return None;
        }
        let count = packets.len() as u32;
        self.cache.count_wire(wire, count, bytes, self.now_ms);
        self.out.counters.perf.packets.add(u64::from(count));
        self.out.output_burst(packets, &slots.metas, longest, at);
        Some(bytes)
    }

    /// Parses packets into their places. Returns their bytes, and whether one of them is no plain frame. Apart from what
    /// follows it, so that each has the registers for itself.
    #[inline(never)]
    fn parse(&mut self, packets: &ArrayVec<PacketOf<B>, BURST>, from: From) -> (u64, bool) {
        let slots = &mut *self.slots;
        slots.prepare(from, packets.len());
        let were_long = slots.long;
        let (mut bytes, mut longest, mut long) = (0, 0, 0);
        let (mut odd, mut flagged) = (false, false);
        // Two loops, each with few things to remember; by the second one the bytes are on their way.
        for (packet, meta) in packets.iter().zip(&mut slots.metas) {
            B::Device::prefetch(packet);
            B::Device::read_meta(packet, meta);
            bytes += u64::from(meta.len);
            longest = longest.max(meta.len);
            flagged |= meta.said.is_flagged();
            odd |= !B::Device::is_linear(packet);
        }
        let places = slots.metas.iter_mut().zip(&mut slots.keys);
        for (place, (packet, (meta, key))) in packets.iter().zip(places).enumerate() {
            if were_long & (1 << place) != 0 {
                key.clear_long();
            }
            let parsed = parse(packet.data(), meta, key);
            long |= u32::from(parsed.shape == Shape::Long) << place;
            odd |= parsed.stop == Some(Stop::Runt);
        }
        let parsed = u32::MAX.unbounded_shr((BURST - packets.len()) as u32);
        slots.long = were_long & !parsed | long;
        slots.longest = if flagged | odd { u32::MAX } else { longest };
        let mut metas = slots.metas.iter().take(packets.len());
        (bytes, odd || flagged && metas.any(|meta| meta.said.stripped_vlan() != 0))
    }

    /// Acts on packets that were looked up, in their order.
    #[inline(never)]
    pub(super) fn act(&mut self, packets: &mut ArrayVec<PacketOf<B>, BURST>, from: From) {
        let count = packets.len();
        if count == 0 {
            return;
        }
        let version = self.cache.version();
        let in_order = !self.waiting.has(from.index());
        let mut misses = if in_order { MISSES } else { 0 };
        let mut place = 0;
        let mut next = in_order.then(|| self.agree(0, count));
        if let Some((Some(Verdict::Output(at)), end)) = next
            && end == count
        {
            return self.out.output_burst(packets, &self.slots.metas, self.slots.longest, at);
        }
        while place < count {
            // A packet that began to wait in this burst has others of its flow wait behind it.
            let sure = in_order && self.cache.version() == version && !self.waiting.has(from.index());
            let (verdict, end) = match next.take() {
                Some(known) => known,
                None if sure => self.agree(place, count),
                None => (None, place + 1),
            };
            match verdict {
                Some(Verdict::Output(at)) => {
                    let metas = self.slots.metas.iter().skip(place);
                    self.out.output_all(packets.drain(..end - place).zip(metas), at);
                }
                Some(Verdict::Run(program)) => self.execute(packets, (place, end), program),
                None => {
                    if let Some(packet) = packets.pop_at(0) {
                        let counted = self.slots.found[place % BURST] != NONE;
                        self.unsure(packet, place, from, &mut misses, Known { first: false, counted });
                    }
                }
            }
            place = end;
        }
    }

    /// Does a program to the first of `packets`, which are those of the places from `start` to `end`.
    #[inline(always)]
    fn execute(
        &mut self,
        packets: &mut ArrayVec<PacketOf<B>, BURST>,
        (start, end): (usize, usize),
        program: u32,
    ) {
        let (ops, count) = (self.cache.ops(program), end - start);
        let (Some(metas), Some(keys)) = (self.slots.metas.get(start..end), self.slots.keys.get(start..end))
        else {
            return;
        };
        let ttl = |key: &FlowKey| (key.words[w::NW_MISC] >> 40) as u8;
        if let Some(straight) = Straight::of(ops)
            && (straight.ttls == 0 || keys.iter().all(|key| ttl(key) > straight.ttls))
            && (straight.longest == u32::MAX || metas.iter().all(|meta| meta.len <= straight.longest))
        {
            straight.change_all(packets.get_mut(..count).unwrap_or_default(), metas);
            let packets = packets.drain(..count).zip(metas);
            return match straight.exit {
                Exit::Port(at) => self.out.output_all(packets, at),
                Exit::Tunnel(out) => self.out.tunnel_all(packets, out),
            };
        }
        for (packet, meta) in packets.drain(..count).zip(metas) {
            execute(packet, meta, ops, &mut self.out);
        }
    }

    /// See [`FlowCache::agree`].
    #[inline(always)]
    fn agree(&mut self, place: usize, count: usize) -> (Option<Verdict>, usize) {
        let Slots { found, metas, .. } = &*self.slots;
        let bytes = |place: usize| metas[place % BURST].len;
        let log = &self.state.pipeline.log;
        self.cache.agree(&Served { found, count, bytes, now_ms: self.now_ms, log }, place)
    }

    /// Makes plain frames of packets that are not, and parses all anew: one segment, the tag that the driver took out,
    /// nothing too short.
    #[cold]
    fn straighten(
        &mut self,
        packets: ArrayVec<PacketOf<B>, BURST>,
        from: From,
    ) -> ArrayVec<PacketOf<B>, BURST> {
        let mut plain = ArrayVec::new();
        for packet in packets {
            if let Some(packet) = self.single(packet, plain.len(), from) {
                // As many come out as go in at most.
                let _ = plain.try_push(packet);
            }
        }
        plain
    }

    /// Makes a plain frame of a packet, which goes to a place; or drops it by name.
    pub(super) fn plain(&mut self, packet: PacketOf<B>, place: usize) -> Option<PacketOf<B>> {
        let meta = &mut self.slots.metas[place % BURST];
        B::Device::read_meta(&packet, meta);
        let stripped = meta.said.stripped_vlan();
        let Some(mut packet) = B::Device::linear(packet) else {
            // The packet is gone with the attempt; only its count is left to settle.
            self.out.counters.account.drop(DropReason::Segments, 1);
            return None;
        };
        if stripped != 0 && !put_back_tag(&mut packet, stripped) {
            self.out.discard(packet, DropReason::NoHeadroom);
            return None;
        }
        Some(packet)
    }

    /// Makes a packet plain and parses it into a place; or drops it by name.
    fn single(&mut self, packet: PacketOf<B>, place: usize, from: From) -> Option<PacketOf<B>> {
        let packet = self.plain(packet, place)?;
        if self.slots.parse(packet.data(), place, from) {
            return Some(packet);
        }
        self.out.discard(packet, DropReason::Runt);
        None
    }

    /// A packet for which no megaflow was found, or one that may be another by now, or that may have to wait.
    #[cold]
    fn unsure(&mut self, packet: PacketOf<B>, place: usize, from: From, misses: &mut usize, known: Known) {
        let (key, shape, len) = (self.slots.key(place), self.slots.shape(place), self.slots.meta(place).len);
        if !known.first && self.waiting.is_behind(from.index(), key) {
            return self.wait(packet, place, known.counted);
        }
        let log = &self.state.pipeline.log;
        let found = self.cache.find(from.index(), key, shape);
        let verdict = found.and_then(|found| self.cache.hit(found, 1, u64::from(len), self.now_ms, log));
        if verdict.is_none() && *misses == 0 {
            return self.wait(packet, place, known.counted);
        }
        match (found.is_some(), known.counted) {
            (true, false) => self.cache.count_hit(),
            (false, true) => self.cache.count_gone(),
            _ => {}
        }
        if let Some(verdict) = verdict {
            let meta = self.slots.meta(place);
            return match verdict {
                Verdict::Output(at) => self.out.output_all(std::iter::once((packet, meta)), at),
                Verdict::Run(program) => execute(packet, meta, self.cache.ops(program), &mut self.out),
            };
        }
        *misses -= 1;
        let began = B::tsc();
        if !self.translate(place, 0) {
            return self.out.discard(packet, DropReason::ContextGone);
        }
        let (key, now_ms) = (self.slots.key(place), self.now_ms);
        let miss = Miss { port: from.index(), key, shape, stale: found, now_ms };
        let installed = self.cache.install(&miss, self.translation, self.flow_stats);
        let counted = installed.and_then(|number| self.cache.hit(number, 1, u64::from(len), now_ms, log));
        if counted.is_none() {
            self.count_flows(len);
        }
        self.out.counters.perf.missed(B::tsc().wrapping_sub(began));
        execute(packet, self.slots.meta(place), self.translation.ops(), &mut self.out);
    }

    fn wait(&mut self, packet: PacketOf<B>, place: usize, counted: bool) {
        let meta = self.slots.meta(place);
        let mut left = Left::of(packet, meta, meta.frozen, self.out.again.round);
        left.tunnel = self.slots.key(place).tunnel();
        match self.waiting.push(left, self.slots.key(place), counted) {
            Ok(()) => self.out.counters.account.staged.add(1),
            Err(packet) => self.out.discard(packet, DropReason::MissQueueFull),
        }
    }

    /// Translates the packet of a place. False if it came back to a context that is gone.
    fn translate(&mut self, place: usize, table: u8) -> bool {
        self.slots.work = self.slots.keys[place % BURST];
        let start = match self.slots.meta(place).frozen {
            0 => Start::Table(table),
            number => match self.cache.context(number, self.now_ms) {
                Some(context) => Start::Frozen(context),
                None => return false,
            },
        };
        translate(&self.state.pipeline, &mut self.slots.work, start, self.translation);
        let port = usize::from(self.slots.meta(place).in_ref.slot);
        self.cache.freeze(self.translation, port, self.now_ms);
        if self.state.topology.tunnel == Some(self.slots.meta(place).in_ref) {
            self.name_unknown_network(place);
        }
        true
    }

    /// Counts the packet just translated on the flows it passed.
    fn count_flows(&mut self, len: u32) {
        for hit in self.translation.hits() {
            self.flow_stats.add(*hit, 1, u64::from(len), self.now_ms);
        }
    }
}

/// Puts a tag back that the driver took out, so that the bytes say all there is. False without headroom.
fn put_back_tag<P: Packet>(packet: &mut P, tci: u16) -> bool {
    let len = packet.data().len();
    if len < 12 || !packet.push_front(4) {
        // Too short to have had a tag: the parser will name it.
        return len < 12;
    }
    let data = packet.data_mut();
    if data.len() >= 16 {
        data.copy_within(4..16, 0);
    }
    if let Some(tag) = data.get_mut(12..16) {
        let [high, low] = (tci & !0x1000).to_be_bytes();
        tag.copy_from_slice(&[TPID[0], TPID[1], high, low]);
    }
    // Who reads again what the driver said finds nothing more to put back.
    packet.tag_is_back();
    true
}
