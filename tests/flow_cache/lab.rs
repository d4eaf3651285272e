//! A worker's use of its flow cache, without packets: what `worker::burst` does with keys, where every answer is held
//! against a translation under the present snapshot and every packet counted by the linear interpreter.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use millrace::action::Op;
use millrace::packet::key::SHORT_WORDS;
use millrace::packet::parse::{Shape, Stop, parse};
use millrace::packet::{Field, FlowKey, PacketMeta, PortNo};
use millrace::pipeline::cache::{BATCH, CacheSizes, Counts, FlowCache, Miss, NONE, Seen, Verdict};
use millrace::pipeline::stats::{FlowCount, FlowStats, StatsId, StatsWriter};
use millrace::pipeline::table::FlowFilter;
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Batch, Flow, FlowMod, Ports, Recorded, Snapshot, Tables};

use crate::oracle::flows::{Arrival, at, forget_tunnel};
use crate::oracle::{World, interpret};

/// A packet as far as the cache knows it.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub key: FlowKey,
    pub shape: Shape,
    pub len: u32,
}

impl Packet {
    /// As parsed from a frame; none if that is a runt.
    pub fn of_frame(arrival: &Arrival, frame: &[u8]) -> Option<Self> {
        let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
        let parsed = parse(frame, &mut meta, &mut key);
        let is_long = arrival.enter(&mut key);
        let whole = parsed.stop != Some(Stop::Runt);
        whole.then_some(Self { key, shape: if is_long { Shape::Long } else { parsed.shape }, len: meta.len })
    }

    /// With a key of which nothing but the words of a tunnel is long.
    pub fn tunnelled(key: FlowKey, len: u32) -> Self {
        let is_short = key.words()[SHORT_WORDS..].iter().all(|word| *word == 0);
        Self { key, shape: if is_short { Shape::Short } else { Shape::Long }, len }
    }

    /// With a key that has no long words.
    pub fn short(key: FlowKey, len: u32) -> Self {
        assert!(key.words()[SHORT_WORDS..].iter().all(|word| *word == 0));
        Self { key, shape: Shape::Short, len }
    }

    /// The same by another port.
    pub fn by(&self, port: u128) -> Self {
        let mut new = *self;
        new.key.set(Field::InPort, port);
        new
    }

    /// The number of its port.
    pub fn port(&self) -> PortNo {
        PortNo(self.key.get(Field::InPort) as u16)
    }
}

/// See the module.
pub struct Lab {
    pub cache: FlowCache,
    pub stats: Arc<FlowStats>,
    pub now_ms: u64,
    /// Packets translated.
    pub misses: u64,
    /// Packets passed on unread.
    pub wired: u64,
    /// Publications.
    pub changes: u64,
    /// What is published; the worker may not yet have seen it.
    published: Snapshot,
    /// What the worker sees.
    snapshot: Snapshot,
    writer: StatsWriter,
    /// The flows that the worker sees, as the interpreter wants them.
    flows: Vec<Flow>,
    ports: Vec<(PortNo, bool)>,
    /// What each flow must count.
    expected: HashMap<StatsId, FlowCount>,
    /// Counters of flows that are gone since the counts were last compared.
    gone: Vec<StatsId>,
    translation: Translation,
    reference: Translation,
}

impl Lab {
    pub fn new(sizes: CacheSizes, ports: Ports) -> Self {
        let stats = FlowStats::new(1);
        let writer = stats.worker(0).unwrap();
        let snapshot = Snapshot::new(Tables::default(), ports);
        let mut lab = Self {
            cache: FlowCache::new(sizes, 7),
            stats,
            now_ms: 1,
            misses: 0,
            wired: 0,
            changes: 0,
            published: snapshot.clone(),
            snapshot,
            writer,
            flows: Vec::new(),
            ports: Vec::new(),
            expected: HashMap::new(),
            gone: Vec::new(),
            translation: Translation::default(),
            reference: Translation::default(),
        };
        lab.see();
        lab
    }

    /// Publishes changes of flows in one batch; what is refused is no change.
    pub fn change(&mut self, changes: impl IntoIterator<Item = FlowMod>) {
        let mut batch = Batch::new(&self.published.tables, &self.stats, Instant::now());
        for change in changes {
            let _ = batch.apply(&change);
        }
        let (tables, changes) = batch.commit();
        self.gone.extend(changes.removed.iter().map(|flow| flow.stats));
        self.published = self.published.with_tables(tables);
        self.changes += 1;
    }

    /// Publishes a change of groups or meters.
    pub fn alter(&mut self, change: impl FnOnce(&mut Batch<'_>)) {
        let mut batch = Batch::new(&self.published.tables, &self.stats, Instant::now());
        change(&mut batch);
        self.published = self.published.with_tables(batch.commit().0);
        self.changes += 1;
    }

    /// Publishes other ports.
    pub fn set_ports(&mut self, ports: Ports) {
        self.published = self.published.with_ports(ports);
        self.changes += 1;
    }

    /// The worker sees what was published.
    pub fn see(&mut self) {
        self.snapshot = self.published.clone();
        self.cache.ingest(&self.snapshot.log);
        let flows = self.snapshot.tables.list(&FlowFilter::default());
        self.flows = flows.iter().map(|flow| Flow::clone(flow)).collect();
        self.ports = self.snapshot.ports.iter().map(|port| (port.number, port.no_flood)).collect();
    }

    /// Everything that a worker does with one burst of a port. What packets brought by a tunnel they have only as long as
    /// the port is that of tunnels.
    pub fn burst(&mut self, packets: &[Packet]) {
        let Some(first) = packets.first() else { return };
        let mut packets = packets.to_vec();
        if self.snapshot.ports.tunnel() != Some(first.port()) {
            packets.iter_mut().for_each(|packet| forget_tunnel(&mut packet.key));
        }
        let (first, packets) = (packets[0], &packets[..]);
        let port = usize::from(at(first.port()).slot);
        let mut keys = [FlowKey::default(); BATCH];
        let (mut short, mut long) = (0u32, 0u32);
        for (place, packet) in packets.iter().enumerate() {
            assert_eq!(packet.port(), first.port());
            keys[place] = packet.key;
            match packet.shape {
                Shape::Short => short |= 1 << place,
                Shape::Long => long |= 1 << place,
            }
        }
        let log = self.snapshot.log.clone();
        if let Some((number, at)) = self.cache.wire(port, first.port(), &log) {
            for packet in packets {
                self.expect(packet);
                self.judge(packet, Verdict::Output(at));
            }
            let bytes = packets.iter().map(|packet| u64::from(packet.len)).sum();
            self.wired += packets.len() as u64;
            return self.cache.count_wire(number, packets.len() as u32, bytes, self.now_ms);
        }
        let mut found = [5; BATCH];
        self.cache.lookup(port, &keys, short, long, &mut found);
        assert!(found[packets.len()..].iter().all(|number| *number == NONE));
        let version = self.cache.version();
        let mut place = 0;
        while place < packets.len() {
            let sure = self.cache.version() == version;
            let (verdict, end) = if sure { self.agree(packets, &found, place) } else { (None, place + 1) };
            for packet in &packets[place..end] {
                self.expect(packet);
                match verdict {
                    Some(verdict) => {
                        assert!(self.cache.find(port, &packet.key, packet.shape).is_some());
                        self.judge(packet, verdict);
                    }
                    None => self.unsure(packet, port),
                }
            }
            place = end;
        }
    }

    /// As the worker's function of that name: the verdict for a place, and where those end that get the same and are
    /// counted.
    fn agree(&mut self, packets: &[Packet], found: &[u32; BATCH], place: usize) -> (Option<Verdict>, usize) {
        let Some(verdict) = self.cache.verdict(found[place], &self.snapshot.log) else {
            return (None, place + 1);
        };
        let mut end = place;
        while end < packets.len() && self.cache.verdict(found[end], &self.snapshot.log) == Some(verdict) {
            let run = packets[end..].iter().zip(&found[end..]).take_while(|(_, own)| **own == found[end]);
            let (count, bytes) =
                run.fold((0, 0), |(n, sum), (packet, _)| (n + 1, sum + u64::from(packet.len)));
            self.cache.count(found[end], count, bytes, self.now_ms);
            end += count as usize;
        }
        (Some(verdict), end)
    }

    fn unsure(&mut self, packet: &Packet, port: usize) {
        let (key, log, len) = (&packet.key, self.snapshot.log.clone(), u64::from(packet.len));
        let found = self.cache.find(port, key, packet.shape);
        if let Some(verdict) = found.and_then(|found| self.cache.hit(found, 1, len, self.now_ms, &log)) {
            return self.judge(packet, verdict);
        }
        self.misses += 1;
        translate(&self.snapshot, &mut key.clone(), Start::Table(0), &mut self.translation);
        let miss = Miss { port, key, shape: packet.shape, stale: found, now_ms: self.now_ms };
        let installed = self.cache.install(&miss, &self.translation, &mut self.writer);
        let counted = installed.and_then(|number| self.cache.hit(number, 1, len, self.now_ms, &log));
        assert_eq!(counted.is_some(), installed.is_some(), "what was just put in is good");
        match counted {
            Some(verdict) => self.judge(packet, verdict),
            None => {
                for hit in self.translation.hits() {
                    self.writer.add(*hit, 1, len, self.now_ms);
                }
            }
        }
        if installed.is_some() {
            assert_eq!(self.cache.find(port, key, packet.shape).is_some(), installed.is_some());
        }
    }

    /// The answer for a packet is that of the tables as they are.
    fn judge(&mut self, packet: &Packet, verdict: Verdict) {
        translate(&self.snapshot, &mut packet.key.clone(), Start::Table(0), &mut self.reference);
        let right = self.reference.ops();
        match verdict {
            Verdict::Output(port) => assert_eq!([Op::Output(port)], right, "{packet:?}"),
            Verdict::Run(program) => assert_eq!(self.cache.ops(program), right, "{packet:?}"),
        }
    }

    /// What a translation of a packet records now, and the packet's key where that is.
    pub fn record(&self, packet: &Packet) -> (Recorded, FlowKey) {
        let mut out = Translation::default();
        translate(&self.snapshot, &mut packet.key.clone(), Start::Table(0), &mut out);
        let mut key = packet.key;
        key.words_mut().iter_mut().zip(out.recorded().mask.words()).for_each(|(word, mask)| *word &= mask);
        (out.recorded().clone(), key)
    }

    /// Counts a packet as the interpreter finds it must be.
    fn expect(&mut self, packet: &Packet) {
        let groups: Vec<_> = self.snapshot.tables.objects().groups().cloned().collect();
        let tunnel = self.snapshot.ports.tunnel();
        let world = World { flows: &self.flows, ports: &self.ports, tunnel, groups: &groups };
        for hit in interpret(&world, &packet.key, 0).hits {
            let count = self.expected.entry(hit).or_default();
            count.packets += 1;
            count.bytes += u64::from(packet.len);
            count.last_used_ms = Some(self.now_ms);
        }
    }

    /// Time passes.
    pub fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.cache.upkeep(self.now_ms, &mut self.writer);
    }

    /// What was counted reaches the flows, all of it; then those that are gone give their counters back, which the next
    /// flows get.
    pub fn settle(&mut self) {
        self.see();
        self.cache.add_all();
        for _ in 0..10_000 {
            if self.cache.is_added() {
                break;
            }
            self.cache.upkeep(self.now_ms, &mut self.writer);
        }
        assert!(self.cache.is_added());
        let live = self.flows.iter().map(|flow| flow.stats);
        for id in live.chain(self.gone.iter().copied()) {
            let expected = self.expected.get(&id).copied().unwrap_or_default();
            assert_eq!(self.stats.read(id), expected, "{id:?}");
        }
        for id in self.gone.drain(..) {
            // Flows that were added and replaced before anybody saw them have been told about twice at most.
            self.expected.remove(&id);
            self.stats.release(id);
        }
    }

    /// Removes the megaflows that `goes` chooses.
    pub fn flush(&mut self, mut goes: impl FnMut(&Seen<'_>) -> bool) {
        let before = self.cache.gauges().0 as u64;
        let (mut at, mut flushed) = (Some(0), 0);
        while let Some(from) = at {
            let (some, next) = self.cache.flush(from, 3, self.now_ms, &mut self.writer, &mut goes);
            flushed += some;
            at = next;
        }
        assert_eq!(before - flushed, self.cache.gauges().0 as u64);
    }

    /// All megaflows, by what `of` takes from each.
    /// All megaflows, by what `of` takes from each.
    pub fn dump<T>(&mut self, mut of: impl FnMut(&Seen<'_>) -> T) -> Vec<T> {
        let mut all = Vec::new();
        let mut at = Some(0);
        while let Some(from) = at {
            at = self.cache.dump(from, 64, |seen| {
                all.push(of(seen));
                true
            });
        }
        assert_eq!(all.len(), self.cache.gauges().0);
        all
    }

    /// Looks the packets of the first one's port up so often that the exact-match cache begins to be asked, if they
    /// take more than one subtable each.
    pub fn warm(&mut self, packets: &[Packet]) {
        let own = packets.iter().filter(|packet| packet.port() == packets[0].port());
        let mut short = own.filter(|packet| packet.shape == Shape::Short).cycle();
        let port = usize::from(at(packets[0].port()).slot);
        for _ in 0..2048 {
            let keys = std::array::from_fn(|_| short.next().map(|packet| packet.key).unwrap_or_default());
            self.cache.lookup(port, &keys, u32::MAX, 0, &mut [NONE; BATCH]);
        }
    }

    pub fn counts(&self) -> Counts {
        *self.cache.counts()
    }
}
