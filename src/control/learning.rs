//! What packets teach: neighbours and the places of addresses become rows, logs are written.
//!
//! The invariants:
//! - What a worker tells is an intent; it counts once it is a row, and packets that waited for a neighbour go on under
//!   the tables that have it.
//! - Senders cannot fill the memory: a datapath has at most [`MAX_LEARNED`] rows of each kind, and a port at most
//!   [`OF_PORT`]. What is beyond is counted and forgotten.
//! - Senders cannot take the control thread's time: after each turn that learned something it rests, so that learning
//!   takes at most a fifth of it.
//! - Rows of MAC_Binding go when they are older than their datapath's `mac_binding_age_threshold`, if it has one; rows of
//!   FDB stay, as in OVN 23.03.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::switch::{State, Switch};
use super::told::STRETCH;
use crate::action::intent::{Intent, Neighbour};
use crate::datapath::Told;
use crate::logical::nb::tables::LogicalRouter;
use crate::logical::northd::names;
use crate::logical::rows::tables::{DatapathBinding, Fdb, MacBinding};
use crate::logical::rows::{Delta, Store, Table, Transaction, Uuid};
use crate::packet::Mac;

/// How often it is looked what workers have told.
const LOOK: Duration = Duration::from_millis(10);
/// How long it is not looked at most.
const LONGEST: Duration = Duration::from_secs(1);
/// How often it is looked which neighbours are too old.
const AGE: Duration = Duration::from_secs(1);
/// Learned neighbours, and learned addresses, of a datapath.
pub const MAX_LEARNED: usize = 8192;
/// Of those, how many may be behind one port of it.
pub const OF_PORT: usize = MAX_LEARNED / 2;

/// Learns as long as the switch runs.
pub async fn learn(switch: Rc<Switch>) {
    let mut aged = Instant::now();
    let mut pause = LOOK;
    loop {
        tokio::time::sleep(pause).await;
        let turn = switch.compiling_turn().await;
        let (began, before) = (Instant::now(), switch.state().logical.busy);
        let (is_new, took) = {
            let mut state = switch.state_mut();
            let told = state.told(STRETCH);
            let has_aged = aged.elapsed() >= AGE && {
                aged = began;
                state.age_neighbours(now_ms())
            };
            (state.take_in(&told, now_ms()) || has_aged, began.elapsed())
        };
        drop(turn);
        if is_new {
            // What goes wrong is in the log, and tried again with the next thing that is learned.
            let _ = switch.follow().await;
        }
        pause = rest(took + switch.state().logical.busy.saturating_sub(before));
    }
}

/// How long to rest after so much work.
fn rest(work: Duration) -> Duration {
    (work * 4).clamp(LOOK, LONGEST)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl State {
    /// What workers told, so much of it at most.
    fn told(&mut self, most: usize) -> Vec<Told> {
        if self.told.is_empty() {
            self.fetch_told();
        }
        self.told.take(most)
    }

    /// Makes rows of what workers told. True if there are any that are new or changed.
    fn take_in(&mut self, told: &[Told], now_ms: i64) -> bool {
        let now = self.datapath.now_ms();
        let logical = &mut self.logical;
        let store = logical.rows.snapshot();
        let logs = told.iter().filter(|told| matches!(told.intent, Intent::Log { .. }));
        logical.logs.write(logs, (&self.flows.tables, self.flows.generation), store, now);
        let mut learned = Learned::over(store, &logical.learned);
        for told in told {
            match told.intent {
                Intent::Neighbour(neighbour, mac) => learned.neighbour(neighbour, mac, now_ms),
                Intent::Fdb { datapath, port, mac } => learned.address(datapath, port, mac),
                Intent::Log { .. }
                | Intent::Heard(_)
                | Intent::Claimed(..)
                | Intent::Resolve(_)
                | Intent::Bfd(_) => {}
            }
        }
        let Learned { transaction, rows, refused, .. } = learned;
        logical.not_learned.neighbours += refused.neighbours;
        logical.not_learned.addresses += refused.addresses;
        if rows == 0 {
            return false;
        }
        match logical.rows.commit(transaction) {
            Ok(changed) => changed > 0,
            Err(refusal) => {
                tracing::warn!(%refusal, "what packets taught could not be kept");
                false
            }
        }
    }

    /// Takes out the neighbours that are too old. True if there were any.
    fn age_neighbours(&mut self, now_ms: i64) -> bool {
        const THRESHOLD: &str = "mac_binding_age_threshold";
        let (store, northbound) = (self.logical.rows.snapshot(), self.logical.northbound.rows().snapshot());
        let loaded = store.iter::<DatapathBinding>();
        let loaded = loaded.filter_map(|(uuid, row)| Some((uuid, row.external_ids.get(THRESHOLD)?)));
        let own = northbound.iter::<LogicalRouter>();
        let own = own.filter_map(|(uuid, row)| Some((names::datapath(uuid), row.options.get(THRESHOLD)?)));
        let thresholds: HashMap<Uuid, i64> = loaded
            .chain(own)
            .filter_map(|(uuid, text)| Some((uuid, text.parse().ok().filter(|seconds| *seconds > 0)?)))
            .collect();
        if thresholds.is_empty() {
            return false;
        }
        let mut old = Transaction::new();
        let mut count = 0;
        for (uuid, row) in store.iter::<MacBinding>() {
            let Some(seconds) = thresholds.get(&row.datapath) else { continue };
            if now_ms.saturating_sub(row.timestamp) >= seconds.saturating_mul(1000) {
                old.delete(Table::MacBinding, uuid);
                count += 1;
            }
        }
        count > 0 && self.logical.rows.commit(old).is_ok()
    }
}

/// Things that were not learned, for their datapath or port has too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotLearned {
    /// Neighbours.
    pub neighbours: u64,
    /// Ethernet addresses.
    pub addresses: u64,
}

/// What has a bound.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Of {
    /// Neighbours of a datapath …
    Neighbours(Uuid),
    /// … and behind a port.
    Behind(String),
    /// Addresses of a datapath …
    Addresses(u32),
    /// … and behind a port of it.
    At(u32, u32),
}

/// How many rows each datapath and each port has, as far as rows were followed.
#[derive(Default)]
pub struct Counts(HashMap<Of, usize>);

impl Counts {
    /// Follows.
    pub fn follow(&mut self, delta: &Delta) {
        for change in &delta.changes {
            for (store, is_new) in [(&delta.before, false), (&delta.after, true)] {
                let both = match change.table {
                    Table::MacBinding => store.get(change.uuid).map(|row| of_neighbour(row)),
                    Table::Fdb => store.get(change.uuid).map(|row| of_address(row)),
                    _ => break,
                };
                for of in both.into_iter().flatten() {
                    if is_new {
                        *self.0.entry(of).or_default() += 1;
                    } else if let std::collections::hash_map::Entry::Occupied(mut count) = self.0.entry(of) {
                        *count.get_mut() -= 1;
                        if *count.get() == 0 {
                            count.remove();
                        }
                    }
                }
            }
        }
    }
}

fn of_neighbour(row: &MacBinding) -> [Of; 2] {
    [Of::Neighbours(row.datapath), Of::Behind(row.logical_port.clone())]
}

fn of_address(row: &Fdb) -> [Of; 2] {
    [Of::Addresses(row.dp_key), Of::At(row.dp_key, row.port_key)]
}

/// Rows that are to be.
struct Learned<'a> {
    store: &'a Store,
    known: &'a Counts,
    transaction: Transaction,
    /// Rows in it by what makes them one.
    neighbours: HashMap<(String, IpAddr), (Uuid, String)>,
    addresses: HashMap<(u32, Mac), (Uuid, u32)>,
    rows: usize,
    /// Rows that are more than known.
    more: HashMap<Of, usize>,
    refused: NotLearned,
}

impl<'a> Learned<'a> {
    fn over(store: &'a Store, known: &'a Counts) -> Self {
        Self {
            store,
            known,
            transaction: Transaction::new(),
            neighbours: HashMap::new(),
            addresses: HashMap::new(),
            rows: 0,
            more: HashMap::new(),
            refused: NotLearned::default(),
        }
    }

    /// Whether there is room for one more; then it is counted.
    fn has_room(&mut self, of: impl IntoIterator<Item = (Of, usize)>) -> bool {
        let of: Vec<(Of, usize)> = of.into_iter().collect();
        let count = |of: &Of| {
            let counts = [self.known.0.get(of), self.more.get(of)];
            counts.into_iter().flatten().sum::<usize>()
        };
        if of.iter().any(|(of, most)| count(of) >= *most) {
            return false;
        }
        of.into_iter().for_each(|(of, _)| *self.more.entry(of).or_default() += 1);
        true
    }

    fn neighbour(&mut self, neighbour: Neighbour, mac: Mac, timestamp: i64) {
        let store = self.store;
        let datapath = u32::try_from(neighbour.datapath).ok().and_then(|key| store.datapath_by_key(key));
        let Some((datapath, _)) = datapath else { return };
        let port = u16::try_from(neighbour.port).ok().and_then(|key| store.port_by_key(datapath, key));
        let Some((_, port)) = port else { return };
        let ip = neighbour.ip.to_canonical();
        let logical_port = port.logical_port.clone();
        let known = store.mac_binding(&logical_port, ip);
        let mac = mac.to_string();
        let key = (logical_port.clone(), ip);
        // What was heard last counts, also within a turn.
        let is_known = match self.neighbours.get(&key) {
            Some((_, last)) => *last == mac,
            None => known.is_some_and(|(_, row)| row.mac == mac && row.datapath == datapath),
        };
        if is_known {
            return;
        }
        let row = MacBinding { datapath, ip: ip.to_string(), logical_port, mac, timestamp };
        let before = self.neighbours.get(&key).map(|(uuid, _)| *uuid);
        let uuid = match before.or(known.map(|(uuid, _)| uuid)) {
            Some(uuid) => uuid,
            None if self.has_room(of_neighbour(&row).into_iter().zip([MAX_LEARNED, OF_PORT])) => {
                Uuid::random()
            }
            None => return self.refused.neighbours += 1,
        };
        self.neighbours.insert(key, (uuid, row.mac.clone()));
        self.rows += 1;
        self.transaction.put(uuid, row);
    }

    fn address(&mut self, datapath: u64, port_key: u32, mac: Mac) {
        let Ok(dp_key) = u32::try_from(datapath) else { return };
        if self.store.datapath_by_key(dp_key).is_none() {
            return;
        }
        let known = self.store.fdb(dp_key, mac).map(|(uuid, row)| (uuid, row.port_key));
        let before = self.addresses.get(&(dp_key, mac)).copied().or(known);
        if before.is_some_and(|(_, at)| at == port_key) {
            return;
        }
        let row = Fdb { dp_key, mac: mac.to_string(), port_key };
        let [of_datapath, of_port] = of_address(&row);
        // One that moves is no more of the datapath's.
        let of_datapath = before.is_none().then_some((of_datapath, MAX_LEARNED));
        if !self.has_room(of_datapath.into_iter().chain([(of_port, OF_PORT)])) {
            return self.refused.addresses += 1;
        }
        let uuid = before.map_or_else(Uuid::random, |(uuid, _)| uuid);
        self.addresses.insert((dp_key, mac), (uuid, port_key));
        self.rows += 1;
        self.transaction.put(uuid, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_takes_a_fifth_of_the_time_at_most() {
        for work in [0, 1, 2, 3, 10, 50, 250, 1000, 5000].map(Duration::from_millis) {
            let pause = rest(work);
            assert!(pause >= LOOK && pause <= LONGEST);
            assert!(pause == LONGEST || work.as_secs_f64() / (work + pause).as_secs_f64() <= 0.2);
        }
    }
}
