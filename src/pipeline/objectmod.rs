//! Changes to groups and meters, in the same batches as flows. Whoever names a group or meter in a flow adds that first.
//!
//! Those of rows are changed by rows alone: others are refused if they name one, and pass them by if they mean all.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::flowmod::Batch;
use super::objects::group::{Bucket, BucketSpec, Group, GroupKind, GroupSpec, MAX_BUCKETS, MAX_GROUP};
use super::objects::meter::{MAX_BANDS, MAX_METER, Meter, MeterSpec};
use super::objects::{LOWERED_GROUPS, LOWERED_METERS, Named, Owner};
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
    /// `del-groups`: that one, or all that are not another's, and the flows that name it. One that is not there is gone already.
    Delete(Option<u32>),
}

/// A change to meters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeterMod {
    /// `add-meter`
    Add(MeterSpec),
    /// `mod-meter`: its tokens and counters begin anew.
    Modify(MeterSpec),
    /// `del-meters`: that one, or all that are not another's, and the flows that name it. One that is not there is gone already.
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
    /// The group is not for whoever asks.
    #[error(
        "group {0} belongs to rows of logical networks, as all from {LOWERED_GROUPS} on do; use a smaller number"
    )]
    LoweredGroup(u32),
    /// The meter is not for whoever asks.
    #[error(
        "meter {0} belongs to rows of logical networks, as all from {LOWERED_METERS} on do; use a smaller number"
    )]
    LoweredMeter(u32),
    /// The rows ask for more groups than there are numbers.
    #[error("there are no more numbers for groups of rows, {} at most; use fewer", MAX_GROUP - LOWERED_GROUPS + 1)]
    NoGroupLeft,
    /// The rows ask for more meters than there are numbers.
    #[error("there are no more numbers for meters of rows, {} at most; use fewer", MAX_METER - LOWERED_METERS + 1)]
    NoMeterLeft,
    /// No counters are left.
    #[error(transparent)]
    Stats(#[from] StatsExhausted),
}

impl GroupMod {
    /// The group it names; none if it means all.
    pub fn named(&self) -> Option<u32> {
        match self {
            GroupMod::Add(spec) | GroupMod::Modify { spec, .. } => Some(spec.id),
            GroupMod::Insert { id, .. } | GroupMod::Remove { id, .. } => Some(*id),
            GroupMod::Delete(id) => *id,
        }
    }
}

impl MeterMod {
    /// The meter it names; none if it means all.
    pub fn named(&self) -> Option<u32> {
        match self {
            MeterMod::Add(spec) | MeterMod::Modify(spec) => Some(spec.id),
            MeterMod::Delete(id) => *id,
        }
    }
}

/// Refuses what somebody asks of something that is another's.
fn check_owner(owner: Owner, named: Option<Named>) -> Result<(), ObjectError> {
    match named.filter(|named| !owner.owns(*named)) {
        None => Ok(()),
        Some(Named::Group(_)) if owner == Owner::Rows => Err(ObjectError::NoGroupLeft),
        Some(Named::Meter(_)) if owner == Owner::Rows => Err(ObjectError::NoMeterLeft),
        Some(Named::Group(id)) => Err(ObjectError::LoweredGroup(id)),
        Some(Named::Meter(id)) => Err(ObjectError::LoweredMeter(id)),
    }
}

impl Batch<'_> {
    /// Changes groups of users, or nothing if it is refused.
    pub fn apply_group(&mut self, change: &GroupMod) -> Result<(), ObjectError> {
        self.change_group(change, Owner::User)
    }

    /// Changes meters of users, or nothing if it is refused.
    pub fn apply_meter(&mut self, change: &MeterMod) -> Result<(), ObjectError> {
        self.change_meter(change, Owner::User)
    }

    /// Changes groups that rows ask for, or nothing if it is refused.
    pub fn apply_lowered_group(&mut self, change: &GroupMod) -> Result<(), ObjectError> {
        self.change_group(change, Owner::Rows)
    }

    /// Changes meters that rows ask for, or nothing if it is refused.
    pub fn apply_lowered_meter(&mut self, change: &MeterMod) -> Result<(), ObjectError> {
        self.change_meter(change, Owner::Rows)
    }

    fn change_group(&mut self, change: &GroupMod, owner: Owner) -> Result<(), ObjectError> {
        check_owner(owner, change.named().map(Named::Group))?;
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
                let meant: Vec<u32> = match id {
                    Some(id) => spec_of(*id).map(|_| *id).into_iter().collect(),
                    None => {
                        let all = self.tables().objects().groups().map(|group| group.id);
                        all.filter(|id| owner.owns(Named::Group(*id))).collect()
                    }
                };
                for id in meant {
                    self.remove_flows_naming(Named::Group(id));
                    let old = self.objects().set_group(id, None);
                    self.retire(old.iter().flat_map(|old| old.all_stats()));
                }
                Ok(())
            }
        }
    }

    fn change_meter(&mut self, change: &MeterMod, owner: Owner) -> Result<(), ObjectError> {
        check_owner(owner, change.named().map(Named::Meter))?;
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
                let meant: Vec<u32> = match id {
                    Some(id) => has(*id).then_some(*id).into_iter().collect(),
                    None => {
                        let all = self.tables().objects().meters().iter().map(|meter| meter.spec.id);
                        all.filter(|id| owner.owns(Named::Meter(*id))).collect()
                    }
                };
                for id in meant {
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
