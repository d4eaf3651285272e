//! What a translation depended on: the bits of the key that decided something, a floor for the TTL, and the tables and
//! ports that were consulted. A megaflow is made of it.
//!
//! A bit that was written before it is read is not recorded. The invariants, of two keys that agree on the mask and
//! reach the floor:
//! - they get the same operations, pass the same flows and are dropped for the same reason;
//! - they are recorded alike: what is looked at next depends on nothing but what is already recorded.

#[cfg(test)]
mod tests;

use super::frozen;
use crate::classifier::Wildcards;
use crate::packet::key::{KEY_WORDS, w};
use crate::packet::{Field, FlowKey, FlowMask, PortNo};

/// The most that a translation may consult and still be kept.
pub const MAX_DEPS: usize = 512;

const TTL: u64 = 0xff << Field::NwTtl.info().loc.shift;
const IN_PORT: u64 = 0xffff_ffff << Field::InPort.info().loc.shift;
/// A tag and its type take half of the word: the outer one above the inner one.
const INNER_TAG: u64 = 0xffff_ffff;
const OUTER_TAG: u64 = INNER_TAG << 32;

/// Something that was consulted. What it held when translating may change; the result is then no longer sure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dep {
    /// The flows of a table that a packet with this metadata can meet.
    Table {
        /// The table.
        table: u8,
        /// The key's metadata at that moment: the logical datapath.
        datapath: u64,
    },
    /// Whether there is a port of that number, and where.
    Port(PortNo),
    /// All ports, and which of them take part in a flood.
    Ports,
    /// The group of that number, or that there is none.
    Group(u32),
    /// The meter of that number, or that there is none.
    Meter(u32),
}

impl Dep {
    /// In two words, which tell dependencies apart.
    #[inline]
    pub(super) fn encode(self) -> [u64; 2] {
        match self {
            Dep::Table { table, datapath } => [Self::TABLE | u64::from(table), datapath],
            Dep::Port(number) => [2 << 32 | u64::from(number.0), 0],
            Dep::Ports => [3 << 32, 0],
            Dep::Group(id) => [4 << 32 | u64::from(id), 0],
            Dep::Meter(id) => [5 << 32 | u64::from(id), 0],
        }
    }

    /// In the first word of tables, above their numbers.
    pub(super) const TABLE: u64 = 1 << 32;
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The bits of the entering key that decided something. Port and frozen context always count, the Ethernet type where
    /// any other bit does; metadata and registers never do, since they start as the frozen context has them.
    pub mask: FlowMask,
    /// The entering TTL must be at least this; 0 asks for nothing. It is never 1, and 0 where the mask has the TTL.
    pub min_ttl: u8,
    /// Bits of the key that some action wrote, or that a lookup saw under another value than the packet entered with.
    pub rewritten: FlowMask,
    /// What was consulted, sorted, each once. Incomplete where the result is not to be kept.
    pub deps: Vec<Dep>,
    /// Whether the result may be kept. False where more was consulted than is remembered, or there is no number for a context.
    pub cacheable: bool,
}

impl Recorded {
    /// Whether nothing of a packet decided anything but where it comes from, and what it comes back to.
    pub fn is_of_port_alone(&self) -> bool {
        let mut others = self.mask.words().iter().enumerate().filter(|(word, _)| *word != w::CONTEXT);
        self.min_ttl == 0 && others.all(|(_, bits)| *bits == 0)
    }
}

/// Where the bits of the key at hand come from. `clone` keeps it and gives it back.
#[derive(Clone, Copy)]
pub(super) struct Provenance {
    /// Bits that hold a constant or a copy of recorded bits. The others are as the packet brought them, except that a
    /// tag may have moved and the TTL may be lower.
    written: FlowMask,
    /// Which half of the entering word the tags came from: how far it is from the low end. Matters for the bits that
    /// are not written.
    outer_from: u32,
    inner_from: u32,
    /// How much lower the TTL is, where it is not written.
    decrements: u8,
}

impl Provenance {
    /// Of a packet that enters the pipeline.
    fn fresh() -> Self {
        Self { written: FRESH, outer_from: 32, inner_from: 0, decrements: 0 }
    }

    /// Of a packet that comes back: what the context gives it follows from the context's number.
    fn thawed() -> Self {
        let mut thawed = Self::fresh();
        for (word, bits) in frozen::kept() {
            if let Some(written) = thawed.written.words.get_mut(word) {
                *written |= bits;
            }
        }
        thawed
    }

    /// The bits of the entering VLAN word that stand at these bits of the word at hand.
    fn entering_tags(&self, bits: u64) -> u64 {
        (bits >> 32) << self.outer_from | (bits & INNER_TAG) << self.inner_from
    }

    fn written(&self, word: usize) -> u64 {
        self.written.words.get(word).copied().unwrap_or(u64::MAX)
    }
}

/// Metadata and registers, and the conjunction, which a packet never brings.
const FRESH: FlowMask = {
    let mut written = FlowMask { words: [0; KEY_WORDS] };
    let mut word = w::METADATA;
    while word < w::REGS + 8 {
        written.words[word] = u64::MAX;
        word += 1;
    }
    written.words[w::CONJ] = u64::MAX;
    written
};

/// Records while a key is translated. Told of every look at the key and of every write to it.
pub(super) struct Recorder {
    recorded: Recorded,
    now: Provenance,
    entered_ttl: u8,
}

impl Default for Recorder {
    fn default() -> Self {
        let deps = Vec::with_capacity(MAX_DEPS);
        let (mask, rewritten) = (FlowMask::default(), FlowMask::default());
        let recorded = Recorded { mask, min_ttl: 0, rewritten, deps, cacheable: true };
        Self { recorded, now: Provenance::fresh(), entered_ttl: 0 }
    }
}

impl Recorder {
    /// Forgets what was recorded and starts with this key, whose packet comes back to a frozen context or is new.
    pub(super) fn start(&mut self, key: &FlowKey, comes_back: bool) {
        let recorded = &mut self.recorded;
        recorded.mask = FlowMask::default();
        recorded.mask.set_exact(Field::InPort);
        recorded.mask.set_exact(Field::RecircId);
        recorded.rewritten = FlowMask::default();
        recorded.min_ttl = 0;
        recorded.deps.clear();
        recorded.cacheable = true;
        self.now = if comes_back { Provenance::thawed() } else { Provenance::fresh() };
        if comes_back {
            // Lookups see what the context gives back, not what the key entered with.
            for (word, bits) in frozen::kept() {
                if let Some(rewritten) = recorded.rewritten.words.get_mut(word) {
                    *rewritten |= bits;
                }
            }
        }
        self.entered_ttl = key.get(Field::NwTtl) as u8;
    }

    /// Ends the record. A TTL that is matched needs no floor.
    pub(super) fn finish(&mut self) {
        if self.ttl_is_matched() {
            self.recorded.min_ttl = 0;
        }
        if !self.recorded.is_of_port_alone() {
            self.recorded.mask.set_exact(Field::EthType);
        }
    }

    pub(super) fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// What a clone has to give back: what the bits are, not that they were recorded.
    pub(super) fn provenance(&self) -> Provenance {
        self.now
    }

    /// The key is again what it was then.
    pub(super) fn restore(&mut self, then: Provenance) {
        self.now = then;
    }

    /// The result is not to be kept.
    pub(super) fn forget(&mut self) {
        self.recorded.cacheable = false;
    }

    /// A table, port or set of ports is consulted.
    pub(super) fn depend(&mut self, on: Dep) {
        let deps = &mut self.recorded.deps;
        // Most come in their order.
        let found = match deps.last() {
            Some(last) if *last >= on => deps.binary_search(&on),
            _ => Err(deps.len()),
        };
        match found {
            Ok(_) => {}
            Err(at) if deps.len() < MAX_DEPS => deps.insert(at, on),
            Err(_) => self.recorded.cacheable = false,
        }
    }

    /// Bits of a field are looked at.
    #[inline]
    pub(super) fn read_field(&mut self, field: Field, mask: u128) {
        each_word(field, mask, |word, bits| self.read(word, bits));
    }

    /// Bits of a field get a constant, or a copy of what was looked at.
    #[inline]
    pub(super) fn write_field(&mut self, field: Field, mask: u128) {
        each_word(field, mask, |word, bits| self.write(word, bits));
    }

    /// Bits of a word get a constant, or a copy of what was looked at.
    pub(super) fn write(&mut self, word: usize, bits: u64) {
        let written = self.now.written.words.get_mut(word);
        if let (Some(written), Some(rewritten)) = (written, self.recorded.rewritten.words.get_mut(word)) {
            *written |= bits;
            *rewritten |= bits;
        }
    }

    /// A lookup sees another port than the packet came in by.
    pub(super) fn pretend_in_port(&mut self) {
        self.recorded.rewritten.words[w::CONTEXT] |= IN_PORT;
    }

    /// The outer tag becomes the inner one, and a constant takes its place.
    pub(super) fn push_tag(&mut self) {
        let outer = self.now.written(w::VLAN) & OUTER_TAG;
        self.now.inner_from = self.now.outer_from;
        self.move_tags(OUTER_TAG | outer >> 32);
    }

    /// The inner tag becomes the outer one, and zero takes its place.
    pub(super) fn pop_tag(&mut self) {
        let inner = self.now.written(w::VLAN) & INNER_TAG;
        self.now.outer_from = self.now.inner_from;
        self.move_tags(inner << 32 | INNER_TAG);
    }

    fn move_tags(&mut self, written: u64) {
        self.now.written.words[w::VLAN] = written;
        self.recorded.rewritten.words[w::VLAN] = u64::MAX;
    }

    /// The TTL at hand, which was seen to be 2 or more, becomes one less.
    pub(super) fn decrement_ttl(&mut self) {
        self.recorded.rewritten.words[w::NW_MISC] |= TTL;
        match self.ttl_is_known() {
            true => self.now.written.words[w::NW_MISC] |= TTL,
            false => self.now.decrements = self.now.decrements.saturating_add(1),
        }
    }

    fn ttl_is_matched(&self) -> bool {
        self.recorded.mask.words[w::NW_MISC] & TTL == TTL
    }

    /// Whether the TTL at hand follows from what is recorded. It is matched as a whole or not at all.
    fn ttl_is_known(&self) -> bool {
        self.ttl_is_matched() || self.now.written(w::NW_MISC) & TTL == TTL
    }
}

impl Wildcards for Recorder {
    #[inline]
    fn read(&mut self, word: usize, bits: u64) {
        let new = bits & !self.now.written(word);
        let entering = match word {
            w::VLAN => self.now.entering_tags(new),
            // What is left of a lowered TTL tells something of all its bits.
            w::NW_MISC if new & TTL != 0 => new | TTL,
            _ => new,
        };
        if let Some(mask) = self.recorded.mask.words.get_mut(word) {
            *mask |= entering;
        }
    }

    fn ttl_at_least(&mut self, ttl: u8) {
        if ttl == 0 || self.ttl_is_known() {
            return;
        }
        // A floor of 1 would only tell a TTL of 0 apart.
        let floor = ttl.saturating_add(self.now.decrements).max(2);
        if self.now.written(w::NW_MISC) & TTL == 0 && self.entered_ttl >= floor {
            self.recorded.min_ttl = self.recorded.min_ttl.max(floor);
        } else {
            self.read(w::NW_MISC, TTL);
        }
    }
}

/// Calls `f` with index and bits of each word in which the bits of `mask` of a field lie.
#[inline(always)]
fn each_word(field: Field, mask: u128, mut f: impl FnMut(usize, u64)) {
    let loc = field.info().loc;
    let (word, mask) = (usize::from(loc.word), mask & field.all_ones());
    if loc.bits > 64 {
        f(word, (mask >> 64) as u64);
        f(word + 1, mask as u64);
    } else {
        f(word, (mask as u64) << loc.shift);
    }
}
