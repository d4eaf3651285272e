//! Groups: lists of actions of which all, the one, or one by a hash of the packet is done to a copy of the packet.
//!
//! A bucket's actions are a list and are done in its order, as those of a flow.

use std::sync::Arc;

use crate::action::Action;
use crate::packet::Field;
use crate::pipeline::flow::Moment;
use crate::pipeline::stats::StatsId;

/// Greatest number of a group.
pub const MAX_GROUP: u32 = 0xffff_ff00;
/// Most buckets of a group.
pub const MAX_BUCKETS: usize = 1024;

/// Which buckets a packet gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// All, a copy of the packet for each.
    All,
    /// The only one.
    Indirect,
    /// One, by a hash.
    Select(Selection),
}

/// How a bucket is selected.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// `selection_method`; without one as `dp_hash`.
    pub method: Option<Method>,
    /// `selection_method_param`: seeds the hash. The upper half of `dp_hash` names an algorithm: 1 is one that answers
    /// alike in both directions of a connection.
    pub param: u64,
    /// What `hash` hashes; nothing stands for addresses, protocol and ports.
    pub fields: Vec<(Field, u128)>,
}

/// What selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `hash`
    Hash,
    /// `dp_hash`
    DpHash,
}

impl Selection {
    /// Whether both directions of a connection are to get the same bucket.
    pub fn is_symmetric(&self) -> bool {
        self.method == Some(Method::DpHash) && self.param >> 32 == 1
    }
}

/// A bucket as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSpec {
    /// `bucket_id`, unique in its group; without one the least that is free.
    pub id: Option<u32>,
    /// `weight`: its share of the packets. None where its group selects none.
    pub weight: Option<u16>,
    /// What is done.
    pub actions: Arc<[Action]>,
}

/// A group as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its number.
    pub id: u32,
    /// Which buckets a packet gets.
    pub kind: GroupKind,
    /// The buckets.
    pub buckets: Vec<BucketSpec>,
}

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its number in the group.
    pub id: u32,
    /// Its share, 0 for none at all.
    pub weight: Option<u16>,
    /// What is done.
    pub actions: Arc<[Action]>,
    /// The same to a copy.
    pub(in crate::pipeline) apart: Arc<[Action]>,
    /// Its counters.
    pub stats: StatsId,
}

/// A group. Immutable.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its number.
    pub id: u32,
    /// Which buckets a packet gets.
    pub kind: GroupKind,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// The actions of all buckets, each to a copy.
    pub(in crate::pipeline) all: Arc<[Action]>,
    /// Its counters.
    pub stats: StatsId,
    /// When it was added.
    pub created: Moment,
}

impl Bucket {
    pub(in crate::pipeline) fn new(id: u32, spec: &BucketSpec, stats: StatsId) -> Self {
        let actions = Arc::clone(&spec.actions);
        let apart = Arc::from([Action::Clone(Arc::clone(&actions))]);
        Self { id, weight: spec.weight, actions, apart, stats }
    }
}

impl Group {
    /// The group as it would be asked for.
    pub fn spec(&self) -> GroupSpec {
        let bucket = |bucket: &Bucket| BucketSpec {
            id: Some(bucket.id),
            weight: bucket.weight,
            actions: Arc::clone(&bucket.actions),
        };
        GroupSpec { id: self.id, kind: self.kind.clone(), buckets: self.buckets.iter().map(bucket).collect() }
    }

    /// Its counters and those of its buckets.
    pub fn all_stats(&self) -> impl Iterator<Item = StatsId> {
        std::iter::once(self.stats).chain(self.buckets.iter().map(|bucket| bucket.stats))
    }
}

/// A hash of parts of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Hash(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(word: u64) -> u64 {
    let product = u128::from(word ^ 0xd6e8_feb8_6659_fd93) * u128::from(FACTOR);
    let folded = product as u64 ^ (product >> 64) as u64;
    (folded ^ folded >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ folded >> 32
}

impl Hash {
    /// Of nothing yet.
    pub fn new(seed: u64) -> Self {
        Self(mixed(seed))
    }

    /// Adds a value.
    pub fn add(&mut self, value: u128) {
        self.0 = mixed(self.0 ^ mixed(value as u64) ^ mixed((value >> 64) as u64).rotate_left(32));
    }
}

/// The bucket that a hash selects: each gets its share by weight, and when one comes or goes, only what it gets or had
/// changes its bucket (weighted rendezvous hashing).
pub fn choose(buckets: &[Bucket], hash: Hash) -> Option<&Bucket> {
    let shared = buckets.iter().filter_map(|bucket| {
        let weight = bucket.weight.filter(|weight| *weight > 0)?;
        // 53 bits, never 0 or 1.
        let share = (mixed(hash.0 ^ mixed(u64::from(bucket.id))) >> 11) as f64 + 0.5;
        Some((-(share / (1u64 << 53) as f64).ln() / f64::from(weight), bucket))
    });
    shared.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, bucket)| bucket)
}
