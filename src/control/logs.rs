//! What the `log` action of flows says, in the log under `acl_log`.
//!
//! The invariants:
//! - Flows are looked through for names once when they changed, not for each packet that is logged.
//! - A log whose meter is a row is written no faster than the row allows: its bands are buckets of tokens here.
//!   Without a meter, and beyond [`MOST`] a turn, logs are not written but counted, so that they leave time for all
//!   else.

use std::collections::HashMap;
use std::sync::Arc;

use crate::action::Action;
use crate::action::intent::{Intent, Log, Severity, Verdict};
use crate::datapath::{Generation, Told};
use crate::logical::action::{Action as LogicalAction, Context, parse_actions};
use crate::logical::rows::tables::{LogicalFlow, MeterBand};
use crate::logical::rows::{Pipeline, Store, Table};
use crate::logical::trace::FlowText;
use crate::packet::parse::parse;
use crate::packet::{FlowKey, PacketMeta};
use crate::pipeline::flow::Moment;
use crate::pipeline::objects::meter::{BandSpec, Meter, MeterSpec, Unit};
use crate::pipeline::table::FlowFilter;
use crate::pipeline::{Flow, Tables};

/// Logs that are written at most each time that workers are asked what they have to tell.
pub const MOST: usize = 100;
/// Rows of which it is remembered by which meter they log; beyond that they are forgotten and read again.
const KEPT: usize = 1 << 14;

/// Which log of which flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    table: u8,
    cookie: u64,
    severity: Severity,
    verdict: Option<Verdict>,
}

/// A log that was found, with the flow that has it.
struct Found {
    flow: Arc<Flow>,
    name: Arc<str>,
    /// The last publication that is known to have the flow.
    seen: Generation,
}

/// What is known of logs. See the module.
#[derive(Default)]
pub struct Logs {
    found: HashMap<Key, Found>,
    /// By table: the publication in which all of it was looked through.
    looked: HashMap<u8, Generation>,
    /// By cookie: the row, and the name of the meter by which it logs.
    metered: HashMap<u64, (Arc<LogicalFlow>, Option<Arc<str>>)>,
    meters: HashMap<Arc<str>, Meter>,
    /// Logs that were not written.
    pub unwritten: u64,
}

impl Logs {
    /// Writes logs, as many as may be.
    pub fn write<'t>(
        &mut self,
        told: impl Iterator<Item = &'t Told>,
        (tables, generation): (&Tables, Generation),
        rows: &Store,
        now_ms: u64,
    ) {
        let mut room = MOST;
        for told in told {
            let Intent::Log { table, cookie, verdict, severity, .. } = told.intent else { continue };
            if room == 0 || !self.may(rows, cookie, told.data.len(), now_ms) {
                self.unwritten += 1;
                continue;
            }
            room -= 1;
            let name = self.name(Key { table, cookie, severity, verdict }, tables, generation);
            write(name.as_deref().unwrap_or_default(), verdict, severity, told);
        }
    }

    /// The name of a log; none where the flow is gone.
    fn name(&mut self, key: Key, tables: &Tables, generation: Generation) -> Option<Arc<str>> {
        if let Some(found) = self.found.get_mut(&key) {
            let flow = &found.flow;
            let is_there = || {
                let now = tables.get(flow.table, flow.priority, &flow.matcher());
                now.is_some_and(|now| Arc::ptr_eq(now, flow))
            };
            if found.seen == generation || is_there() {
                found.seen = generation;
                return Some(Arc::clone(&found.name));
            }
        }
        if self.looked.insert(key.table, generation) != Some(generation) {
            self.look(key.table, tables, generation);
        }
        self.found.get(&key).map(|found| Arc::clone(&found.name))
    }

    /// Looks for the logs of all flows of a table.
    fn look(&mut self, table: u8, tables: &Tables, seen: Generation) {
        self.found.retain(|key, _| key.table != table);
        for flow in tables.list(&FlowFilter { table: Some(table), ..FlowFilter::default() }) {
            let mut enter = |log: &Log| {
                let (cookie, severity, verdict) = (flow.options.cookie, log.severity, log.verdict);
                let found = || Found { flow: Arc::clone(&flow), name: Arc::clone(&log.name), seen };
                self.found.entry(Key { table, cookie, severity, verdict }).or_insert_with(found);
            };
            each_log(&flow.actions, &mut enter);
        }
    }

    /// Takes a token of the meter by which the row logs that the flow was made of.
    fn may(&mut self, rows: &Store, cookie: u64, bytes: usize, now_ms: u64) -> bool {
        let Some(name) = self.meter_of(rows, cookie) else { return true };
        let Some(spec) = spec(rows, &name) else { return true };
        let meter = match self.meters.get(&name).filter(|meter| meter.spec == spec) {
            Some(meter) => meter,
            None => {
                if self.meters.len() >= KEPT {
                    self.meters.clear();
                }
                let new = Meter::new(spec, Moment::from(std::time::Instant::now()));
                self.meters.insert(Arc::clone(&name), new);
                let Some(meter) = self.meters.get(&name) else { return true };
                meter
            }
        };
        meter.admit(bytes, now_ms)
    }

    fn meter_of(&mut self, rows: &Store, cookie: u64) -> Option<Arc<str>> {
        let word = u32::try_from(cookie).ok()?;
        let row =
            rows.beginning_with(Table::LogicalFlow, word).find_map(|uuid| rows.get::<LogicalFlow>(uuid))?;
        if let Some((known, meter)) = self.metered.get(&cookie)
            && Arc::ptr_eq(known, row)
        {
            return meter.clone();
        }
        if self.metered.len() >= KEPT {
            self.metered.clear();
        }
        let meter = meter_in(row).map(Into::into);
        self.metered.insert(cookie, (Arc::clone(row), meter.clone()));
        meter
    }
}

/// The meter by which a row logs.
fn meter_in(row: &LogicalFlow) -> Option<Box<str>> {
    use crate::logical::action::Pipeline as Half;
    let half = match row.pipeline {
        Pipeline::Ingress => Half::Ingress,
        Pipeline::Egress => Half::Egress,
    };
    let actions = parse_actions(&row.actions, &Context::at(half, row.table_id)).ok()?;
    actions.list.into_iter().find_map(|action| match action {
        LogicalAction::Log(log) => log.meter,
        _ => None,
    })
}

/// What the row of a meter says.
fn spec(rows: &Store, name: &str) -> Option<MeterSpec> {
    let (_, row) = rows.meter(name)?;
    let bands = row.bands.iter().filter_map(|band| rows.get::<MeterBand>(*band));
    let bands = bands.map(|band| BandSpec { rate: band.rate, burst: band.burst_size }).collect();
    let unit = if row.unit == "pktps" { Unit::Pktps } else { Unit::Kbps };
    Some(MeterSpec { id: 0, unit, burst: true, stats: true, bands })
}

/// Every log among these actions and those inside them.
fn each_log(actions: &[Action], take: &mut impl FnMut(&Log)) {
    for action in actions {
        match action {
            Action::Log(log) => take(log),
            _ => each_log(action.inner(), take),
        }
    }
}

fn write(name: &str, verdict: Option<Verdict>, severity: Severity, told: &Told) {
    let verdict = verdict.map_or("<unset>", Verdict::name);
    let packet = FlowText(&key_of(&told.data));
    let in_port = told.in_port;
    match severity {
        Severity::Alert => {
            tracing::error!(target: "acl_log", name, verdict, severity = severity.name(), %in_port, "{packet}")
        }
        Severity::Warning => {
            tracing::warn!(target: "acl_log", name, verdict, severity = severity.name(), %in_port, "{packet}")
        }
        Severity::Debug => {
            tracing::debug!(target: "acl_log", name, verdict, severity = severity.name(), %in_port, "{packet}")
        }
        _ => {
            tracing::info!(target: "acl_log", name, verdict, severity = severity.name(), %in_port, "{packet}")
        }
    }
}

fn key_of(frame: &[u8]) -> FlowKey {
    let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
    // What cannot be read of it is not shown.
    let _ = parse(frame, &mut meta, &mut key);
    key
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::control::flows::read_flows;
    use crate::logical::rows::tables::{DatapathBinding, Meter as MeterRow};
    use crate::logical::rows::{Database, Transaction, Uuid};
    use crate::packet::PortNo;
    use crate::pipeline::stats::FlowStats;
    use crate::pipeline::syntax::Command;
    use crate::pipeline::{Batch, Ports};

    fn tables(before: &Tables, flows: &[&str]) -> Tables {
        let texts: Vec<String> = flows.iter().map(|flow| (*flow).to_owned()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let changes = runtime.block_on(read_flows(&texts, &Ports::default(), Command::Add)).unwrap();
        let stats = FlowStats::new(1);
        let mut batch = Batch::new(before, &stats, Instant::now());
        changes.iter().for_each(|(_, change)| batch.apply(change).unwrap());
        batch.commit().0
    }

    fn key(cookie: u64, severity: Severity) -> Key {
        Key { table: 0, cookie, severity, verdict: None }
    }

    #[test]
    fn names_are_found_wherever_a_log_stands_and_are_those_of_the_flows_as_they_are() {
        let first = tables(
            &Tables::default(),
            &[
                "cookie=1,udp,actions=log(name=\"plain\",severity=info),log(name=\"other\",severity=alert)",
                "cookie=2,tcp,actions=clone(reply(reject,clone(log(name=\"deep\",severity=info))))",
                "cookie=3,arp,actions=log(name=\"goes\",severity=info)",
            ],
        );
        let mut logs = Logs::default();
        let name = |logs: &mut Logs, cookie, severity, tables: &Tables, generation| {
            logs.name(key(cookie, severity), tables, Generation(generation)).map(|name| name.to_string())
        };
        for _ in 0..2 {
            let found = |name: &str| Some(name.to_owned());
            assert_eq!(name(&mut logs, 1, Severity::Info, &first, 1), found("plain"));
            assert_eq!(name(&mut logs, 1, Severity::Alert, &first, 1), found("other"));
            assert_eq!(name(&mut logs, 2, Severity::Info, &first, 1), found("deep"));
            assert_eq!(name(&mut logs, 2, Severity::Debug, &first, 1), None);
            assert_eq!(name(&mut logs, 9, Severity::Info, &first, 1), None);
        }
        // Another publication: the flow that is still there is not looked for again.
        let looked = logs.looked.clone();
        let second = tables(&first, &["cookie=3,arp,actions=log(name=\"came\",severity=info)"]);
        assert_eq!(name(&mut logs, 1, Severity::Info, &second, 2).as_deref(), Some("plain"));
        assert_eq!(logs.looked, looked);
        assert_eq!(name(&mut logs, 3, Severity::Info, &second, 2).as_deref(), Some("came"));
    }

    #[test]
    fn a_log_is_written_no_faster_than_the_row_of_its_meter_allows() {
        let mut database = Database::default();
        let mut rows = Transaction::new();
        let band = |rate| MeterBand { action: "drop".to_owned(), burst_size: 2, rate };
        rows.put(Uuid(1), band(5));
        rows.put(
            Uuid(2),
            MeterRow { bands: [Uuid(1)].into(), name: "slow".to_owned(), unit: "pktps".to_owned() },
        );
        rows.put(Uuid(3), DatapathBinding { tunnel_key: 1, ..DatapathBinding::default() });
        let flow = |meter: &str| LogicalFlow {
            actions: format!("reg0 = 1; log(verdict=allow, severity=debug{meter}); next;"),
            logical_datapath: Some(Uuid(3)),
            ..LogicalFlow::default()
        };
        for (word, meter) in [(7, ", meter=\"slow\""), (8, ""), (9, ", meter=\"nobody\"")] {
            rows.put(Uuid(word << 96 | 1), flow(meter));
        }
        database.commit(rows).unwrap();
        let mut logs = Logs::default();
        let mut written = |database: &Database, cookie, now_ms| {
            let before = logs.unwritten;
            let intent =
                Intent::Log { table: 0, cookie, verdict: None, severity: Severity::Debug, meter: None };
            let told = vec![Told { intent, in_port: PortNo(1), data: vec![0; 60] }; 50];
            logs.write(told.iter(), (&Tables::default(), Generation(1)), database.snapshot(), now_ms);
            50 - (logs.unwritten - before)
        };
        assert_eq!([7, 8, 9, 10].map(|cookie| written(&database, cookie, 1000)), [2, 50, 50, 50]);
        assert_eq!(written(&database, 7, 1200), 1, "a fifth of a second later");
        // The row changes.
        let mut rows = Transaction::new();
        rows.put(Uuid(1), band(1000));
        database.commit(rows).unwrap();
        assert_eq!(written(&database, 7, 1200), 2);
        assert_eq!(written(&database, 7, 1210), 2);
    }

    #[test]
    fn a_flood_of_logs_is_bounded_and_counted() {
        let mut logs = Logs::default();
        let intent =
            Intent::Log { table: 0, cookie: 1, verdict: None, severity: Severity::Debug, meter: None };
        let told = vec![Told { intent, in_port: PortNo(1), data: Vec::new() }; MOST + 7];
        logs.write(told.iter(), (&Tables::default(), Generation(1)), &Store::default(), 0);
        assert_eq!(logs.unwritten, 7);
    }
}
