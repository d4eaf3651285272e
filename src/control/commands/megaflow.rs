//! Megaflows: dumped and flushed, in the words of the flow tables.

use std::cmp::Reverse;
use std::fmt;
use std::rc::Rc;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::{CommandError, Pending, done, take_flags};
use crate::action::{Action, Op};
use crate::control::dpflow::leaving::leaving;
use crate::control::format::count;
use crate::control::switch::Switch;
use crate::datapath::megaflow::{Megaflow, MegaflowAnswer, MegaflowErrand};
use crate::packet::{Field, PortNo};
use crate::pipeline::syntax::{DEFAULT_PRIORITY, PortNames, parse_megaflow, print_actions, print_match};
use crate::pipeline::{Match, Ports};

/// The match that a filter says. What a flow has beside a match, a megaflow has not.
pub fn filter(ports: &Ports, text: &str) -> Result<Match, CommandError> {
    parse_megaflow(text, ports).map_err(|error| CommandError::Argument(error.render(text)))
}

/// Sends the workers on an errand and waits for them.
pub async fn errand(switch: &Switch, errand: MegaflowErrand) -> Result<MegaflowAnswer, CommandError> {
    switch.errand(errand).await.map_err(CommandError::Silent)
}

struct Dump {
    megaflows: Vec<Megaflow>,
    ports: Ports,
    names: bool,
}

pub fn dump(switch: Rc<Switch>, mut args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [names, no_names] = take_flags(&mut args, ["--names", "--no-names"], "megaflow/dump", 1)?;
        let ports = switch.state().datapath.ports().clone();
        let filter = filter(&ports, args.first().map_or("", String::as_str))?;
        let mut megaflows = errand(&switch, MegaflowErrand::Dump(filter)).await?.megaflows;
        megaflows.sort_by_key(|megaflow| (megaflow.worker, Reverse(megaflow.packets)));
        done(Dump { megaflows, ports, names: names && !no_names })
    })
}

impl Dump {
    fn names(&self) -> &dyn PortNames {
        if self.names { &self.ports } else { &() }
    }

    fn matcher(&self, megaflow: &Megaflow) -> String {
        print_match(&megaflow.matcher, DEFAULT_PRIORITY, self.names())
    }

    fn actions(&self, megaflow: &Megaflow) -> String {
        match &megaflow.ops[..] {
            [] => "drop".to_owned(),
            [Op::Drop(reason)] => format!("drop({})", reason.name()),
            ops => actions(ops, &self.ports, self.names()).join(","),
        }
    }
}

/// The actions that do what these operations do. A drop behind an output counts for nothing and is left out.
fn actions(ops: &[Op], ports: &Ports, names: &dyn PortNames) -> Vec<String> {
    let mut actions = Vec::with_capacity(ops.len());
    let mut rest = ops.iter();
    while let Some(op) = rest.next() {
        let action = match op {
            Op::Set { field, value, mask } => Action::SetField { field: *field, value: *value, mask: *mask },
            Op::PushVlan { tpid } => Action::PushVlan(*tpid),
            Op::PopVlan => Action::PopVlan,
            Op::DecTtl => Action::DecTtl,
            Op::Meter(id) => Action::Meter(*id),
            Op::SetMtu(mtu) => Action::SetMtu(*mtu),
            Op::Output(place) => {
                let port = ports.iter().find(|port| port.at == *place);
                // A port that is gone, from a megaflow that is stale.
                Action::Output(port.map_or(PortNo::NONE, |port| port.number))
            }
            Op::Controller { max_len, reason, frozen, .. } => {
                Action::Controller { max_len: *max_len, reason: *reason, id: 0, pause: *frozen != 0 }
            }
            Op::Clone { ops } => {
                let (inner, after) = rest.as_slice().split_at_checked(usize::from(*ops)).unwrap_or_default();
                rest = after.iter();
                actions.push(format!("clone({})", self::actions(inner, ports, names).join(",")));
                continue;
            }
            Op::Drop(_) => continue,
            Op::CheckLen { len, larger } => {
                actions.push(format!("check_pkt_larger({len},recirc({larger:#x}))"));
                continue;
            }
            Op::Tunnel(out) => {
                let (field, dst) = match out.dst.to_ipv4_mapped() {
                    Some(dst) => (Field::TunDst, dst.to_bits().into()),
                    None => (Field::TunIpv6Dst, out.dst.to_bits()),
                };
                let set =
                    |field: Field, value: u128| Action::SetField { field, value, mask: field.all_ones() };
                let port = ports.tunnel().unwrap_or(PortNo::NONE);
                let sets = [
                    set(Field::TunId, out.vni.into()),
                    set(field, dst),
                    set(Field::TunMetadata0, out.option.into()),
                    Action::Output(port),
                ];
                actions.push(print_actions(&sets, names));
                continue;
            }
            Op::Become { .. } | Op::Await { .. } | Op::Tell(_) => {
                actions.extend(leaving(op));
                continue;
            }
        };
        actions.push(print_actions(&[action], names));
    }
    actions
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for megaflow in &self.megaflows {
            let Megaflow { worker, min_ttl, packets, bytes, .. } = megaflow;
            write!(f, " worker={worker}, n_packets={packets}, n_bytes={bytes}, used=")?;
            match megaflow.used_ms_ago {
                Some(ms) => write!(f, "{}.{:03}s", ms / 1000, ms % 1000)?,
                None => f.write_str("never")?,
            }
            write!(f, ", {}", self.matcher(megaflow))?;
            if *min_ttl > 0 {
                write!(f, ",min_ttl>={min_ttl}")?;
            }
            writeln!(f, " actions={}", self.actions(megaflow))?;
        }
        Ok(())
    }
}

impl Serialize for Dump {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct OneMegaflow {
            worker: u16,
            #[serde(rename = "match")]
            matcher: String,
            min_ttl: u8,
            n_packets: u64,
            n_bytes: u64,
            used_ms_ago: Option<u64>,
            actions: String,
        }
        let mut list = out.serialize_seq(Some(self.megaflows.len()))?;
        for megaflow in &self.megaflows {
            list.serialize_element(&OneMegaflow {
                worker: megaflow.worker,
                matcher: self.matcher(megaflow),
                min_ttl: megaflow.min_ttl,
                n_packets: megaflow.packets,
                n_bytes: megaflow.bytes,
                used_ms_ago: megaflow.used_ms_ago,
                actions: self.actions(megaflow),
            })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Flushed {
    flushed: u64,
}

impl fmt::Display for Flushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} flushed", count(self.flushed, "megaflow"))
    }
}

pub fn flush(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let filter = filter(switch.state().datapath.ports(), args.first().map_or("", String::as_str))?;
        let flushed = errand(&switch, MegaflowErrand::Flush(filter)).await?.flushed;
        tracing::info!(flushed, "megaflows flushed");
        done(Flushed { flushed })
    })
}
