//! Changes to groups and meters, in the same batches as flows. Whoever names a group or meter in a flow adds that first.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::flowmod::Batch;
use super::objects::Named;
use super::objects::group::{Bucket, BucketSpec, Group, GroupKind, GroupSpec, MAX_BUCKETS};
use super::objects::meter::{MAX_BANDS, Meter, MeterSpec};
use super::stats::StatsExhausted;

/// Where buckets are put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all.
    First,
    /// Behind all.
    Last,
    /// Behind the bucket of that number.
    Behind(u32),
}

/// Which buckets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The first.
    First,
    /// The last.
    Last,
    /// All.
    All,
    /// The one of that number.
    Bucket(u32),
}

/// A change to groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupMod {
    /// `add-group`
    Add(GroupSpec),
    /// `mod-group`: another group takes the number of one.
    Modify {
        /// The new one.
        spec: GroupSpec,
        /// Whether one is added that is not there.
        may_create: bool,
    },
    /// `insert-buckets`
    Insert {
        /// The group.
        id: u32,
        /// Where.
        at: Place,
        /// Which.
        buckets: Vec<BucketSpec>,
    },
    /// `remove-buckets`
    Remove {
        /// The group.
        id: u32,
        /// Which.
        which: Which,
    },
    /// `del-groups`: that one or all, and the flows that name it. One that is not there is gone already.
    Delete(Option<u32>),
}

/// A change to meters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeterMod {
    /// `add-meter`
    Add(MeterSpec),
    /// `mod-meter`: its tokens and counters begin anew.
    Modify(MeterSpec),
    /// `del-meters`: that one or all, and the flows that name it. One that is not there is gone already.
    Delete(Option<u32>),
}

/// Why a group or meter is refused. All is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ObjectError {
    /// One of that number is there.
    #[error("group {0} exists; use mod-group to change it")]
    GroupExists(u32),
    /// There is none.
    #[error("there is no group {0}; dump-groups lists them")]
    NoSuchGroup(u32),
    /// An indirect group with several buckets, or none.
    #[error("an indirect group has one bucket, not {0}; use type=all or type=select")]
    Indirect(usize),
    /// Two buckets of one number.
    #[error("two buckets of group {group} have the number {bucket}; give one of them another bucket_id")]
    BucketExists {
        /// The group.
        group: u32,
        /// The bucket.
        bucket: u32,
    },
    /// No bucket of that number.
    #[error("group {group} has no bucket {bucket}; dump-groups lists them")]
    NoSuchBucket {
        /// The group.
        group: u32,
        /// The bucket.
        bucket: u32,
    },
    /// Too many buckets.
    #[error("a group has at most {MAX_BUCKETS} buckets, not {0}; spread them over several groups")]
    Buckets(usize),
    /// One of that number is there.
    #[error("meter {0} exists; use mod-meter to change it")]
    MeterExists(u32),
    /// There is none.
    #[error("there is no meter {0}; dump-meters lists them")]
    NoSuchMeter(u32),
    /// A meter without bands, or with too many.
    #[error("a meter has 1 to {MAX_BANDS} bands, not {0}")]
    Bands(usize),
    /// A weight where nothing is selected.
    #[error(
        "bucket {bucket} of group {group} has a weight, which only a group of type=select uses; leave it out"
    )]
    Weight {
        /// The group.
        group: u32,
        /// The bucket.
        bucket: u32,
    },
    /// No counters are left.
    #[error(transparent)]
    Stats(#[from] StatsExhausted),
}

impl Batch<'_> {
    /// Changes groups, or nothing if it is refused.
    pub fn apply_group(&mut self, change: &GroupMod) -> Result<(), ObjectError> {
        let spec_of = |id: u32| self.tables().objects().group(id).map(|group| group.spec());
        match change {
            GroupMod::Add(spec) if spec_of(spec.id).is_some() => Err(ObjectError::GroupExists(spec.id)),
            GroupMod::Modify { spec, may_create: false } if spec_of(spec.id).is_none() => {
                Err(ObjectError::NoSuchGroup(spec.id))
            }
            GroupMod::Add(spec) | GroupMod::Modify { spec, .. } => self.put_group(spec),
            GroupMod::Insert { id, at, buckets } => {
                let mut spec = spec_of(*id).ok_or(ObjectError::NoSuchGroup(*id))?;
                let at = match at {
                    Place::First => 0,
                    Place::Last => spec.buckets.len(),
                    Place::Behind(bucket) => place_of(&spec, *bucket)? + 1,
                };
                spec.buckets.splice(at..at, buckets.iter().cloned());
                self.put_group(&spec)
            }
            GroupMod::Remove { id, which } => {
                let mut spec = spec_of(*id).ok_or(ObjectError::NoSuchGroup(*id))?;
                let gone = match which {
                    Which::First => 0..spec.buckets.len().min(1),
                    Which::Last => spec.buckets.len().saturating_sub(1)..spec.buckets.len(),
                    Which::All => 0..spec.buckets.len(),
                    Which::Bucket(bucket) => {
                        let at = place_of(&spec, *bucket)?;
                        at..at + 1
                    }
                };
                spec.buckets.drain(gone);
                self.put_group(&spec)
            }
            GroupMod::Delete(id) => {
                let all: Vec<u32> = self.tables().objects().groups().map(|group| group.id).collect();
                for id in all.into_iter().filter(|other| id.is_none_or(|id| id == *other)) {
                    self.remove_flows_naming(Named::Group(id));
                    let old = self.objects().set_group(id, None);
                    self.retire(old.iter().flat_map(|old| old.all_stats()));
                }
                Ok(())
            }
        }
    }

    /// Changes meters, or nothing if it is refused.
    pub fn apply_meter(&mut self, change: &MeterMod) -> Result<(), ObjectError> {
        let has = |id: u32| self.tables().objects().meters().get(id).is_some();
        match change {
            MeterMod::Add(spec) if has(spec.id) => Err(ObjectError::MeterExists(spec.id)),
            MeterMod::Modify(spec) if !has(spec.id) => Err(ObjectError::NoSuchMeter(spec.id)),
            MeterMod::Add(spec) | MeterMod::Modify(spec) => {
                if !(1..=MAX_BANDS).contains(&spec.bands.len()) {
                    return Err(ObjectError::Bands(spec.bands.len()));
                }
                let meter = Arc::new(Meter::new(spec.clone(), self.now()));
                self.objects().set_meter(spec.id, Some(meter));
                Ok(())
            }
            MeterMod::Delete(id) => {
                let all: Vec<u32> =
                    self.tables().objects().meters().iter().map(|meter| meter.spec.id).collect();
                for id in all.into_iter().filter(|other| id.is_none_or(|id| id == *other)) {
                    self.remove_flows_naming(Named::Meter(id));
                    self.objects().set_meter(id, None);
                }
                Ok(())
            }
        }
    }

    /// Puts a group in the place of the one of its number. It counts from zero.
    fn put_group(&mut self, spec: &GroupSpec) -> Result<(), ObjectError> {
        let count = spec.buckets.len();
        if spec.kind == GroupKind::Indirect && count != 1 {
            return Err(ObjectError::Indirect(count));
        }
        if count > MAX_BUCKETS {
            return Err(ObjectError::Buckets(count));
        }
        let mut taken = BTreeSet::new();
        for id in spec.buckets.iter().filter_map(|bucket| bucket.id) {
            if !taken.insert(id) {
                return Err(ObjectError::BucketExists { group: spec.id, bucket: id });
            }
        }
        let mut free = (0u32..).filter(|id| !taken.contains(id));
        let mut buckets = Vec::with_capacity(count);
        for bucket in &spec.buckets {
            let id = bucket.id.or_else(|| free.next()).unwrap_or_default();
            let weight = match (&spec.kind, bucket.weight) {
                (GroupKind::Select(_), weight) => Some(weight.unwrap_or(1)),
                (_, None) => None,
                _ => return Err(ObjectError::Weight { group: spec.id, bucket: id }),
            };
            buckets.push(Bucket::new(id, &BucketSpec { weight, ..bucket.clone() }, self.allocate()?));
        }
        let old = self.tables().objects().group(spec.id).cloned();
        let created = old.as_ref().map_or(self.now(), |old| old.created);
        let all = buckets.iter().flat_map(|bucket| bucket.apart.iter().cloned()).collect();
        let (id, kind, stats) = (spec.id, spec.kind.clone(), self.allocate()?);
        self.objects().set_group(id, Some(Arc::new(Group { id, kind, buckets, all, stats, created })));
        self.retire(old.iter().flat_map(|old| old.all_stats()));
        Ok(())
    }
}

fn place_of(spec: &GroupSpec, bucket: u32) -> Result<usize, ObjectError> {
    let at = spec.buckets.iter().position(|other| other.id == Some(bucket));
    at.ok_or(ObjectError::NoSuchBucket { group: spec.id, bucket })
}
