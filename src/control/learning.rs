//! What packets teach: neighbours and the places of addresses become rows, logs are written.
//!
//! The invariants:
//! - What a worker tells is an intent; it counts once it is a row, and packets that waited for a neighbour go on under
//!   the tables that have it.
//! - Senders cannot fill the memory: a datapath has at most [`MAX_LEARNED`] rows of each kind that were learned. What is
//!   beyond is counted and forgotten.
//! - Rows of MAC_Binding go when they are older than their datapath's `mac_binding_age_threshold`, if it has one; rows of
//!   FDB stay, as in OVN 23.03.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::MissedTickBehavior;

use super::switch::{State, Switch};
use crate::action::Action;
use crate::action::intent::{Intent, Log, Neighbour, Severity};
use crate::datapath::Told;
use crate::logical::rows::tables::{DatapathBinding, Fdb, MacBinding};
use crate::logical::rows::{Store, Table, Transaction, Uuid};
use crate::logical::trace::FlowText;
use crate::packet::parse::parse;
use crate::packet::{FlowKey, Mac, PacketMeta};
use crate::pipeline::table::FlowFilter;

/// How often it is looked what workers have told.
const LOOK: Duration = Duration::from_millis(10);
/// How often it is looked which neighbours are too old.
const AGE: Duration = Duration::from_secs(1);
/// Things taken at a time.
const STRETCH: usize = 1024;
/// Learned neighbours, and learned addresses, of a datapath.
pub const MAX_LEARNED: usize = 8192;

/// Learns as long as the switch runs.
pub async fn learn(switch: Rc<Switch>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut until_age = AGE;
    loop {
        ticks.tick().await;
        let told = switch.state_mut().datapath.intents(STRETCH);
        until_age = until_age.saturating_sub(LOOK);
        let has_aged = until_age.is_zero() && {
            until_age = AGE;
            switch.state_mut().age_neighbours(now_ms())
        };
        if switch.state_mut().take_in(&told, now_ms()) || has_aged {
            switch.follow().await;
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl State {
    /// Makes rows of what workers told. True if there are any that are new or changed.
    fn take_in(&mut self, told: &[Told], now_ms: i64) -> bool {
        let mut learned = Learned::default();
        for told in told {
            match told.intent {
                Intent::Neighbour(neighbour, mac) => {
                    // Who waits for one that is known already goes on with the publication that made it known.
                    if learned.neighbour(self.logical.rows.snapshot(), neighbour, mac, now_ms) {
                        self.datapath.neighbour_learned(neighbour, mac);
                    }
                }
                Intent::Fdb { datapath, port, mac } => {
                    learned.address(self.logical.rows.snapshot(), datapath, port, mac);
                }
                Intent::Log { table, cookie, .. } => self.write_log(table, cookie, told),
            }
        }
        self.logical.not_learned += learned.refused;
        if learned.rows == 0 {
            return false;
        }
        match self.logical.rows.commit(learned.transaction) {
            Ok(changed) => changed > 0,
            Err(refusal) => {
                tracing::warn!(%refusal, "what packets taught could not be kept");
                false
            }
        }
    }

    /// Takes out the neighbours that are too old. True if there were any.
    fn age_neighbours(&mut self, now_ms: i64) -> bool {
        let store = self.logical.rows.snapshot();
        let mut old = Transaction::new();
        let mut count = 0;
        for (uuid, row) in store.iter::<MacBinding>() {
            let datapath = store.get::<DatapathBinding>(row.datapath);
            let threshold = datapath.and_then(|row| row.external_ids.get("mac_binding_age_threshold"));
            let seconds = threshold.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
            if seconds > 0 && now_ms.saturating_sub(row.timestamp) >= seconds.saturating_mul(1000) {
                old.delete(Table::MacBinding, uuid);
                count += 1;
            }
        }
        count > 0 && self.logical.rows.commit(old).is_ok()
    }

    /// Writes what the `log` action of a flow says.
    fn write_log(&self, table: u8, cookie: u64, told: &Told) {
        let Intent::Log { verdict, severity, .. } = told.intent else { return };
        let filter =
            FlowFilter { table: Some(table), cookie, cookie_mask: u64::MAX, ..FlowFilter::default() };
        let flows = self.flows.tables.list(&filter);
        let log = flows.iter().find_map(|flow| log_of(&flow.actions, severity));
        let name = log.map_or("", |log| &*log.name);
        let verdict = verdict.map_or("<unset>", |verdict| verdict.name());
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
}

fn key_of(frame: &[u8]) -> FlowKey {
    let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
    // What cannot be read of it is not shown.
    let _ = parse(frame, &mut meta, &mut key);
    key
}

fn log_of(actions: &[Action], severity: Severity) -> Option<&Log> {
    actions.iter().find_map(|action| match action {
        Action::Log(log) if log.severity == severity => Some(log),
        Action::Clone(inner) => log_of(inner, severity),
        _ => None,
    })
}

/// Rows that are to be.
#[derive(Default)]
struct Learned {
    transaction: Transaction,
    /// Rows in it by what makes them one.
    neighbours: HashMap<(String, IpAddr), Uuid>,
    addresses: HashMap<(u32, Mac), Uuid>,
    rows: usize,
    /// How many rows of each kind a datapath has, those in the transaction among them.
    counts: HashMap<(Table, Uuid), usize>,
    refused: u64,
}

impl Learned {
    /// True if that is new.
    fn neighbour(&mut self, store: &Store, neighbour: Neighbour, mac: Mac, timestamp: i64) -> bool {
        let datapath = u32::try_from(neighbour.datapath).ok().and_then(|key| store.datapath_by_key(key));
        let Some((datapath, _)) = datapath else { return false };
        let port = u16::try_from(neighbour.port).ok().and_then(|key| store.port_by_key(datapath, key));
        let Some((_, port)) = port else { return false };
        let ip = neighbour.ip.to_canonical();
        let logical_port = port.logical_port.clone();
        let known = store.mac_binding(&logical_port, ip);
        let mac = mac.to_string();
        if known.is_some_and(|(_, row)| row.mac == mac && row.datapath == datapath) {
            return false;
        }
        let key = (logical_port.clone(), ip);
        let uuid = self.neighbours.get(&key).copied().or(known.map(|(uuid, _)| uuid));
        let count = || store.iter::<MacBinding>().filter(|(_, row)| row.datapath == datapath).count();
        let Some(uuid) = uuid.or_else(|| room(&mut self.counts, (Table::MacBinding, datapath), count)) else {
            self.refused += 1;
            return false;
        };
        self.neighbours.insert(key, uuid);
        self.rows += 1;
        let row = MacBinding { datapath, ip: ip.to_string(), logical_port, mac, timestamp };
        self.transaction.put(uuid, row);
        true
    }

    fn address(&mut self, store: &Store, datapath: u64, port_key: u32, mac: Mac) {
        let Ok(dp_key) = u32::try_from(datapath) else { return };
        let Some((datapath, _)) = store.datapath_by_key(dp_key) else { return };
        let known = store.fdb(dp_key, mac);
        if known.is_some_and(|(_, row)| row.port_key == port_key) {
            return;
        }
        let uuid = self.addresses.get(&(dp_key, mac)).copied().or(known.map(|(uuid, _)| uuid));
        let count = || store.iter::<Fdb>().filter(|(_, row)| row.dp_key == dp_key).count();
        let Some(uuid) = uuid.or_else(|| room(&mut self.counts, (Table::Fdb, datapath), count)) else {
            self.refused += 1;
            return;
        };
        self.addresses.insert((dp_key, mac), uuid);
        self.rows += 1;
        self.transaction.put(uuid, Fdb { dp_key, mac: mac.to_string(), port_key });
    }
}

/// A name for one more row of a kind, if the datapath has room for it.
fn room(
    counts: &mut HashMap<(Table, Uuid), usize>,
    of: (Table, Uuid),
    count: impl FnOnce() -> usize,
) -> Option<Uuid> {
    let count = counts.entry(of).or_insert_with(count);
    *count += 1;
    (*count <= MAX_LEARNED).then(Uuid::random)
}
