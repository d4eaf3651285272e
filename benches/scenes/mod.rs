//! What the benches of caches and pipeline and the count of instructions work on. Nothing here is left to chance, so
//! that every run does the same.
#![allow(dead_code, missing_docs)] // each bench takes its part

use std::sync::Arc;
use std::time::Instant;

use millrace::action::Action;
use millrace::classifier::Classifier;
use millrace::classifier::cache::{ExactMatch, Limits, Megaflows, NONE, Seed, TtlGuard, flow_hash};
use millrace::packet::key::SHORT_WORDS;
use millrace::packet::parse::Shape;
use millrace::packet::{Field, FlowKey, FlowMask, PortNo, PortRef};
use millrace::pipeline::cache::{CacheSizes, FlowCache, Miss, Verdict};
use millrace::pipeline::flow::FlowOptions;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::ports::PortView;
use millrace::pipeline::stats::{FlowStats, StatsWriter};
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Batch, FlowMod, Ports, Snapshot, Tables};

use rules::{Random, Rule};

pub mod tunnel;

#[path = "../../tests/support/rules.rs"]
pub mod rules;
#[path = "../../tests/support/mod.rs"]
pub mod support;

pub const BURST: usize = 32;
pub type Burst = [FlowKey; BURST];

/// The place of the port that packets come in by.
const PORT: usize = 1;
/// Addresses, MAC and L4 ports that the tables of [`chain`] tell apart.
const KINDS: u32 = 64;

/// A UDP packet of the flow of that number.
pub fn key(n: u32) -> FlowKey {
    let kind = u128::from(n % KINDS);
    let mut key = FlowKey::default();
    key.set(Field::InPort, 1);
    key.set(Field::EthDst, 0x0200_0000_0000 | kind);
    key.set(Field::EthSrc, 0x0200_0001_0000);
    key.set(Field::EthType, 0x0800);
    key.set(Field::NwSrc, 0x0a00_0000 + u128::from(n));
    key.set(Field::NwDst, 0x0b00_0000 | kind);
    key.set(Field::NwProto, 17);
    key.set(Field::NwTtl, 64);
    key.set(Field::TcpSrc, 1000);
    key.set(Field::TcpDst, 2000 + kind);
    key
}

/// Bursts of the keys of flows drawn from the first so many.
pub fn bursts(count: usize, flows: u32, key: impl Fn(u32) -> FlowKey) -> Vec<Burst> {
    let mut random = Random(3);
    (0..count).map(|_| std::array::from_fn(|_| key(random.below(flows as usize) as u32))).collect()
}

/// Megaflows under several masks, and packets that meet one each.
pub struct Tuples {
    pub megaflows: Megaflows<SHORT_WORDS, [u64; 7]>,
    pub exact: ExactMatch,
    pub seed: Seed,
    pub bursts: Vec<Burst>,
}

impl Tuples {
    pub fn new(subtables: u32, count: u32) -> Self {
        let limits = Limits {
            // Half full: where two buckets are full, one more is refused.
            megaflows: 2 * count as usize,
            per_port: count as usize,
            masks_per_port: subtables as usize,
        };
        let seed = Seed::new(1);
        let mut megaflows = Megaflows::new(limits, seed);
        let mut exact = ExactMatch::new(2 * count as usize);
        // The source MAC says which mask it is, so that no packet meets two.
        let key = |n| {
            let mut key = key(n);
            key.set(Field::EthSrc, u128::from(n % subtables));
            key
        };
        for n in 0..count {
            let mut mask = FlowMask::default();
            for field in [Field::InPort, Field::EthSrc, Field::NwSrc, Field::NwDst] {
                mask.set_exact(field);
            }
            mask.set(Field::TcpSrc, u128::from(n % subtables + 1));
            let words = mask.words().first_chunk().unwrap();
            let number = megaflows.insert(PORT, words, &key(n), TtlGuard(0), [0; 7]).unwrap();
            exact.insert(flow_hash(&seed, &key(n)), number);
        }
        assert_eq!(megaflows.subtables(), subtables as usize);
        let drawn = if count == 1 { 1 } else { 1024 };
        Self { bursts: bursts(drawn, count, key), megaflows, exact, seed }
    }

    /// Searches the subtables; how many packets found nothing.
    pub fn search(&mut self, burst: usize) -> u32 {
        let mut found = [NONE; BURST];
        let Some(keys) = self.bursts.get(burst % self.bursts.len()) else { return 0 };
        self.megaflows.lookup(PORT, keys, u32::MAX, &mut found).0.count_ones()
    }

    /// Asks the exact-match cache and compares; how many packets it failed.
    pub fn guess(&self, burst: usize) -> u32 {
        let keys = &self.bursts[burst % self.bursts.len()];
        let hashes = keys.each_ref().map(|key| {
            let hash = flow_hash(&self.seed, key);
            self.exact.prefetch(hash);
            hash
        });
        let guesses = hashes.map(|hash| {
            let guess = self.exact.guess(hash).unwrap_or(NONE);
            self.megaflows.prefetch(guess);
            guess
        });
        keys.iter().zip(guesses).map(|(key, guess)| u32::from(!self.megaflows.is_met(guess, key))).sum()
    }
}

/// Ports 1 and 2.
fn ports() -> Ports {
    let port = |slot| PortView {
        number: PortNo(slot),
        name: Arc::from(format!("p{slot}")),
        at: PortRef { slot, generation: 0 },
        no_flood: false,
    };
    Ports::new(vec![port(1), port(2)])
}

fn snapshot(flows: &[String]) -> Snapshot {
    let flows: Vec<_> = flows.iter().map(String::as_str).collect();
    Snapshot::new(support::tables(&FlowStats::new(0), &flows), ports())
}

/// So many tables one behind the other, of 64 flows each.
pub fn chain(tables: u32) -> Snapshot {
    let flow = |table: u32, kind| {
        let matcher = match table % 3 {
            0 => format!("dl_dst=02:00:00:00:00:{kind:02x}"),
            1 => format!("udp,nw_dst=11.0.0.{kind}"),
            _ => format!("udp,tp_dst={}", 2000 + kind),
        };
        let action =
            if table + 1 < tables { format!("goto_table:{}", table + 1) } else { "output:2".to_owned() };
        format!("table={table},{matcher},actions={action}")
    };
    let flows: Vec<_> = (0..tables)
        .flat_map(|table| (0..KINDS).map(move |kind| (table, kind)))
        .map(|(t, k)| flow(t, k))
        .collect();
    snapshot(&flows)
}

/// Translates one packet; how many flows it passed.
pub fn walk(snapshot: &Snapshot, key: &FlowKey, out: &mut Translation) -> usize {
    translate(snapshot, &mut key.clone(), Start::Table(0), out);
    out.hits().len()
}

/// A cache with what it takes to put megaflows in.
pub struct Filled {
    pub snapshot: Snapshot,
    pub cache: FlowCache,
    translation: Translation,
    stats: StatsWriter,
}

impl Filled {
    /// An empty cache, and a translation that looked at these fields of the packet, `in_port` or `nw_src`.
    pub fn new(matcher: &str, megaflows: usize) -> Self {
        let snapshot = snapshot(&[format!("{matcher},actions=output:2")]);
        let sizes = CacheSizes { megaflows, emc_entries: megaflows, ..CacheSizes::default() };
        let mut translation = Translation::default();
        assert_eq!(walk(&snapshot, &key(0), &mut translation), 1);
        let stats = FlowStats::new(1).worker(0).unwrap();
        Self { snapshot, cache: FlowCache::new(sizes, 1), translation, stats }
    }

    /// Puts in the megaflow that the packets of this key meet.
    pub fn install(&mut self, key: &FlowKey) -> bool {
        let miss = Miss { port: PORT, key, shape: Shape::Short, stale: None, now_ms: 1 };
        self.cache.install(&miss, &self.translation, &mut self.stats).is_some()
    }

    /// Looks a burst up and counts each run of packets on its megaflow; how many packets go out.
    pub fn forward(&mut self, keys: &Burst) -> u32 {
        let mut found = [NONE; BURST];
        self.cache.lookup(PORT, keys, u32::MAX, 0, &mut found);
        let runs = found.chunk_by(|one, other| one == other);
        runs.map(|run| {
            let packets = run.len() as u32;
            let verdict = self.cache.hit(run[0], packets, u64::from(packets) * 64, 2, &self.snapshot.log);
            if matches!(verdict, Some(Verdict::Output(_))) { packets } else { 0 }
        })
        .sum()
    }
}

/// A classifier of so many rules, and keys to look up.
pub fn acl(count: usize) -> (Classifier<u32>, Vec<FlowKey>) {
    let set = rules::rules(rules::Kind::Acl, count, 1);
    let mut classifier = Classifier::default();
    for (rule, at) in set.iter().zip(0..) {
        classifier.insert(rule.priority, &rule.matcher, at);
    }
    (classifier, rules::keys(&set, 4096, 2))
}

/// Published flows, and single changes of them.
pub struct Publisher {
    rules: Vec<Rule>,
    stats: Arc<FlowStats>,
    snapshot: Snapshot,
    actions: [Arc<[Action]>; 2],
    changes: usize,
}

impl Publisher {
    pub fn new(count: usize) -> Self {
        let rules = rules::rules(rules::Kind::Acl, count, 1);
        let stats = FlowStats::new(0);
        let actions = [1, 2].map(|port| Arc::from([Action::Output(PortNo(port))]));
        let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
        for rule in &rules {
            batch.apply(&flow_mod(Command::Add, rule, &actions[0])).unwrap();
        }
        let snapshot = Snapshot::new(batch.commit().0, ports());
        Self { rules, stats, snapshot, actions, changes: 0 }
    }

    /// The snapshot after one flow got other actions; the one before goes. Returns the number of the last change.
    pub fn change(&mut self) -> u64 {
        self.changes += 1;
        let rule = &self.rules[self.changes * 7919 % self.rules.len()];
        // A flow comes by again after all the others, and is then given the other actions.
        let actions = &self.actions[(1 + self.changes / self.rules.len()) % 2];
        let mut batch = Batch::new(&self.snapshot.tables, &self.stats, Instant::now());
        batch.apply(&flow_mod(Command::ModifyStrict, rule, actions)).unwrap();
        self.snapshot = self.snapshot.with_tables(batch.commit().0);
        self.snapshot.log.latest()
    }
}

fn flow_mod(command: Command, rule: &Rule, actions: &Arc<[Action]>) -> FlowMod {
    FlowMod {
        command,
        table: Some(0),
        priority: rule.priority,
        matcher: rule.matcher.clone(),
        cookie_filter: None,
        out_port: None,
        actions: Arc::clone(actions),
        options: FlowOptions::default(),
    }
}
