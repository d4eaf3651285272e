//! Groups and meters: added, changed, deleted, dumped.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::flows::{FlowsChanged, count_all};
use super::{CommandError, Outcome, Pending, done, take_flags};
use crate::control::switch::{State, Switch};
use crate::pipeline::Batch;
use crate::pipeline::flow::Moment;
use crate::pipeline::objectmod::{MeterMod, ObjectError};
use crate::pipeline::objects::meter::MeterSpec;
use crate::pipeline::objects::{Group, Meter, Named};
use crate::pipeline::syntax::{
    DurationText, GroupCommand, SyntaxError, parse_group, parse_group_id, parse_meter, parse_meter_id,
    print_group, print_meter,
};

fn shown(error: &SyntaxError, text: &str) -> CommandError {
    CommandError::Argument(error.render(text))
}

/// Makes a change and waits until workers see it.
async fn change(switch: &Switch, change: impl FnOnce(&mut Batch<'_>) -> Result<(), ObjectError>) -> Outcome {
    let applied = switch.state_mut().change_objects(change);
    let applied = applied.map_err(|error| CommandError::Argument(error.to_string()))?;
    let published = switch.settle(applied.generation).await;
    done(FlowsChanged::new(&applied, published))
}

fn change_group(switch: Rc<Switch>, text: String, command: GroupCommand) -> Pending {
    Box::pin(async move {
        let ports = switch.state().datapath.ports().clone();
        let wanted = parse_group(&text, &ports, command).map_err(|error| shown(&error, &text))?;
        change(&switch, |batch| batch.apply_group(&wanted)).await
    })
}

fn first(args: Vec<String>) -> String {
    args.into_iter().next().unwrap_or_default()
}

pub fn add_group(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    change_group(switch, first(args), GroupCommand::Add)
}

pub fn mod_group(switch: Rc<Switch>, mut args: Vec<String>) -> Pending {
    match take_flags(&mut args, ["--may-create"], "ofctl/mod-group", 1) {
        Ok(_) if args.is_empty() => Box::pin(async { Err(CommandError::TooFew("ofctl/mod-group", 1)) }),
        Ok([may_create]) => change_group(switch, first(args), GroupCommand::Modify { may_create }),
        Err(error) => Box::pin(async { Err(error) }),
    }
}

pub fn insert_buckets(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    change_group(switch, first(args), GroupCommand::Insert)
}

pub fn remove_buckets(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    change_group(switch, first(args), GroupCommand::Remove)
}

pub fn del_groups(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    change_group(switch, first(args), GroupCommand::Delete)
}

fn change_meter(switch: Rc<Switch>, text: String, of: fn(MeterSpec) -> MeterMod) -> Pending {
    Box::pin(async move {
        let wanted = of(parse_meter(&text).map_err(|error| shown(&error, &text))?);
        change(&switch, |batch| batch.apply_meter(&wanted)).await
    })
}

pub fn add_meter(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    change_meter(switch, first(args), MeterMod::Add)
}

pub fn mod_meter(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    change_meter(switch, first(args), MeterMod::Modify)
}

pub fn del_meters(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let text = first(args);
        let id = parse_meter_id(&text).map_err(|error| shown(&error, &text))?;
        change(&switch, |batch| batch.apply_meter(&MeterMod::Delete(id))).await
    })
}

/// The groups that an argument means.
fn groups(state: &State, args: &[String]) -> Result<Vec<Arc<Group>>, CommandError> {
    let text = args.first().map(String::as_str).unwrap_or_default();
    let id = parse_group_id(text).map_err(|error| shown(&error, text))?;
    let all = state.flows.tables.objects().groups();
    Ok(all.filter(|group| id.is_none_or(|id| id == group.id)).cloned().collect())
}

/// The meters that an argument means; one that is named must be there.
fn meters(state: &State, args: &[String]) -> Result<Vec<Arc<Meter>>, CommandError> {
    let text = args.first().map(String::as_str).unwrap_or_default();
    let id = parse_meter_id(text).map_err(|error| shown(&error, text))?;
    let all = state.flows.tables.objects().meters();
    match id {
        None => Ok(all.iter().cloned().collect()),
        Some(id) => {
            let meter = all.get(id).cloned();
            let missing = || CommandError::Argument(ObjectError::NoSuchMeter(id).to_string());
            Ok(vec![meter.ok_or_else(missing)?])
        }
    }
}

fn age(created: Moment) -> Duration {
    Instant::now().saturating_duration_since(created.into())
}

/// Lines of text and what they say.
#[derive(Serialize)]
struct Described {
    id: u32,
    text: String,
}

#[derive(Serialize)]
struct GroupsDescribed(Vec<Described>);

pub fn dump_groups(switch: &Switch, args: &[String]) -> Outcome {
    let found = groups(&switch.state(), args)?.into_iter();
    done(GroupsDescribed(
        found.map(|group| Described { id: group.id, text: print_group(&group, &()) }).collect(),
    ))
}

impl fmt::Display for GroupsDescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPST_GROUP_DESC reply (OF1.5) (xid=0x2):")?;
        self.0.iter().try_for_each(|group| writeln!(f, " {}", group.text))
    }
}

#[derive(Serialize)]
struct Counted {
    packet_count: u64,
    byte_count: u64,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packet_count={},byte_count={}", self.packet_count, self.byte_count)
    }
}

#[derive(Serialize)]
struct GroupUse {
    group_id: u32,
    duration: f64,
    ref_count: u32,
    #[serde(flatten)]
    all: Counted,
    buckets: Vec<Counted>,
    #[serde(skip)]
    age: Duration,
}

#[derive(Serialize)]
struct GroupsUsed(Vec<GroupUse>);

pub fn dump_group_stats(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        count_all(&switch).await;
        let state = switch.state();
        let stats = state.datapath.flow_stats();
        let counted = |id| {
            let count = stats.read(id);
            Counted { packet_count: count.packets, byte_count: count.bytes }
        };
        let of = |group: Arc<Group>| {
            let age = age(group.created);
            GroupUse {
                group_id: group.id,
                duration: age.as_secs_f64(),
                ref_count: state.flows.tables.objects().users(Named::Group(group.id)),
                all: counted(group.stats),
                buckets: group.buckets.iter().map(|bucket| counted(bucket.stats)).collect(),
                age,
            }
        };
        let used = groups(&state, &args)?.into_iter().map(of).collect();
        done(GroupsUsed(used))
    })
}

impl fmt::Display for GroupsUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPST_GROUP reply (OF1.5) (xid=0x2):")?;
        for group in &self.0 {
            let GroupUse { group_id, age, ref_count, all, buckets, .. } = group;
            write!(f, " group_id={group_id},duration={},ref_count={ref_count},{all}", DurationText(*age))?;
            for (place, bucket) in buckets.iter().enumerate() {
                write!(f, ",bucket{place}:{bucket}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct MetersDescribed(Vec<Described>);

pub fn dump_meters(switch: &Switch, args: &[String]) -> Outcome {
    let found = meters(&switch.state(), args)?.into_iter();
    done(MetersDescribed(
        found.map(|meter| Described { id: meter.spec.id, text: print_meter(&meter.spec) }).collect(),
    ))
}

impl fmt::Display for MetersDescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPST_METER_CONFIG reply (OF1.3) (xid=0x2):")?;
        for (place, meter) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "\n" })?;
            f.write_str(&meter.text)?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct MeterUse {
    meter: u32,
    flow_count: u32,
    packet_in_count: u64,
    byte_in_count: u64,
    duration: f64,
    bands: Vec<Counted>,
    #[serde(skip)]
    age: Duration,
}

#[derive(Serialize)]
struct MetersUsed(Vec<MeterUse>);

pub fn meter_stats(switch: &Switch, args: &[String]) -> Outcome {
    let state = switch.state();
    let of = |meter: Arc<Meter>| {
        let ((packets, bytes), age) = (meter.seen().read(), age(meter.created));
        let dropped = meter.dropped().map(|count| count.read());
        MeterUse {
            meter: meter.spec.id,
            flow_count: state.flows.tables.objects().users(Named::Meter(meter.spec.id)),
            packet_in_count: packets,
            byte_in_count: bytes,
            duration: age.as_secs_f64(),
            bands: dropped.map(|(packet_count, byte_count)| Counted { packet_count, byte_count }).collect(),
            age,
        }
    };
    done(MetersUsed(meters(&state, args)?.into_iter().map(of).collect()))
}

impl fmt::Display for MetersUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPST_METER reply (OF1.3) (xid=0x2):")?;
        for (place, of) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "\n" })?;
            writeln!(
                f,
                "meter:{} flow_count:{} packet_in_count:{} byte_in_count:{} duration:{} bands:",
                of.meter,
                of.flow_count,
                of.packet_in_count,
                of.byte_in_count,
                DurationText(of.age)
            )?;
            for (band, count) in of.bands.iter().enumerate() {
                writeln!(f, "{band}: packet_count:{} byte_count:{}", count.packet_count, count.byte_count)?;
            }
        }
        Ok(())
    }
}
