//! What is to be lowered anew when something changes.
//!
//! A [`Unit`] is a row, and for a logical flow one for each local datapath that has it. It knows which flows it made and
//! what it referred to. An update collects the units whose row changed, whose datapath came or went, or which referred
//! to something that changed; takes back what they made; and lowers them from the rows as they are now.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::book::{Body, Book, Changes, LoweredFlow, Unit};
use super::flow::Reader;
use super::local::{Local, network, parent};
use super::numbers::{INPORT, Numbers, OUTPORT};
use super::objects::{Object, Objects};
use super::packed::Packed;
use super::physical::{Base, Flow, Notes, zone_names};
use super::refused::{LeftOut, Refused};
use super::remote::{Fanouts, beyond, is_same_seat};
use super::units::{Left, NOBODY, Numbered, Rare, Units};
use super::view::{Datapath, Kept, Ref, Refs, View};
use super::zones::Zones;
use super::{Bindings, Rebound};
use crate::logical::action::Kind;
use crate::logical::rows::tables::{
    self, DatapathBinding, Fdb, LogicalDpGroup, LogicalFlow, MacBinding, MulticastGroup, PortBinding,
    PortGroup, StaticMacBinding,
};
use crate::logical::rows::{Change, Delta, Pipeline, Store, Table, Uuid};
use crate::pipeline::objects::group::GroupSpec;
use crate::pipeline::objects::meter::MeterSpec;

/// A row that was not lowered, or only in part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {uuid}: {sentence}", .table.def().name)]
pub struct Trouble {
    /// Table of the row.
    pub table: Table,
    /// The row.
    pub uuid: Uuid,
    /// What is wrong, or missing.
    pub sentence: String,
}

/// Numbers of conjunctions.
#[derive(Default)]
struct Conjunctions {
    last: u32,
    free: Vec<u32>,
}

/// The lowered flows, and all that is needed to follow the rows. See the [module](super).
pub struct Lowering {
    pub(super) numbers: Numbers,
    pub(super) zones: Zones,
    pub(super) local: Local,
    pub(super) fanouts: Fanouts,
    pub(super) kept: Kept,
    pub(super) reader: Reader,
    pub(super) units: Units,
    conjunctions: Conjunctions,
    objects: Objects,
    pub(super) book: Book,
    left_out: LeftOut,
    /// For the time of an update.
    pub(super) datapaths: ByKey,
    /// How often a unit was lowered from its row, and how often only members of sets came and went.
    #[cfg(test)]
    pub(super) work: (usize, usize),
}

impl Conjunctions {
    fn next(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.last = self.last.wrapping_add(1);
            self.last
        })
    }
}

/// What a unit comes to.
#[derive(Default)]
struct Output {
    flows: Vec<(u8, u16, Packed, Body)>,
    refs: Refs,
    rare: Rare,
}

/// What is to be lowered anew.
#[derive(Default)]
pub(super) struct Stale {
    /// In no order, and some more than once, until they are tidied.
    pub units: Vec<Unit>,
    pub refs: HashSet<Ref, foldhash::fast::FixedState>,
}

impl Stale {
    pub fn row(&mut self, table: Table, uuid: Uuid) {
        self.units.push(Unit { uuid, table, datapath: 0 });
    }

    /// A logical flow in one datapath.
    fn flow(&mut self, uuid: Uuid, datapath: u32) {
        self.units.push(Unit { uuid, table: Table::LogicalFlow, datapath });
    }

    /// Puts the units in order, each once; with the ports of a multicast group what leaves by it.
    fn tidy(&mut self) {
        let is_group = |unit: &&Unit| unit.table == Table::MulticastGroup;
        let beyond: Vec<Unit> = self.units.iter().filter(is_group).map(|unit| beyond(unit.uuid)).collect();
        self.units.extend(beyond);
        self.units.sort_unstable();
        self.units.dedup();
    }

    /// All logical flows that a datapath had or has.
    fn flows_of(&mut self, delta: &Delta, datapath: Uuid) {
        for store in [&delta.before, &delta.after] {
            if let Some(key) = key(store, datapath) {
                store.flows_of(datapath).for_each(|(uuid, _)| self.flow(uuid, key));
            }
        }
    }
}

/// The datapaths of a logical flow.
fn datapaths(store: &Store, row: &LogicalFlow) -> BTreeSet<Uuid> {
    let group = row.logical_dp_group.and_then(|group| store.get::<LogicalDpGroup>(group));
    let members = group.into_iter().flat_map(|group| group.datapaths.iter().copied());
    members.chain(row.logical_datapath).collect()
}

fn key(store: &Store, datapath: Uuid) -> Option<u32> {
    Some(store.get::<DatapathBinding>(datapath)?.tunnel_key)
}

impl Trouble {
    /// Whether somebody can mend the row. Else it is that actions are not there yet.
    pub fn is_of_row(&self) -> bool {
        !self.sentence.starts_with(WITHOUT)
    }
}

impl Lowering {
    /// Without rows: the first update must be the delta from no rows to all of them. The zones are those of before.
    pub fn new(numbers: Numbers, zones: Zones) -> Self {
        Self {
            numbers,
            zones,
            local: Local::default(),
            fanouts: Fanouts::default(),
            kept: Kept::default(),
            reader: Reader::default(),
            units: Units::default(),
            conjunctions: Conjunctions::default(),
            objects: Objects::default(),
            book: Book::default(),
            left_out: LeftOut::default(),
            datapaths: HashMap::default(),
            #[cfg(test)]
            work: (0, 0),
        }
    }

    /// The numbers that were chosen.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The zones, to be kept for the next start.
    pub fn zones(&self) -> &Zones {
        &self.zones
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.book.len()
    }

    /// Whether there are no flows, as before the first update.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All flows, in no order.
    pub fn flows(&self) -> impl Iterator<Item = LoweredFlow> {
        self.book.flows(|id| self.units.unit(id))
    }

    /// All groups that flows name, in no order.
    pub fn groups(&self) -> impl Iterator<Item = GroupSpec> {
        self.objects.groups()
    }

    /// All meters that flows name, in no order.
    pub fn meters(&self) -> impl Iterator<Item = MeterSpec> {
        self.objects.meters()
    }

    /// Rows that were not lowered, or only in part, by table and uuid; a row at most once.
    pub fn troubles(&self) -> Vec<Trouble> {
        let mut found: BTreeMap<(Table, Uuid), String> = self.left_out.by_row();
        let mut own: Vec<(Unit, &str)> =
            self.units.iter().filter_map(|made| Some((made.unit, made.trouble()?))).collect();
        own.sort_unstable_by_key(|(unit, sentence)| (unit.table, unit.uuid, *sentence));
        own.dedup_by_key(|(unit, _)| (unit.table, unit.uuid));
        for (unit, sentence) in own {
            let all = found.entry((unit.table, unit.uuid)).or_default();
            *all = if all.is_empty() { sentence.to_owned() } else { format!("{sentence}; {all}") };
        }
        let trouble = |((table, uuid), sentence)| Trouble { table, uuid, sentence };
        found.into_iter().map(trouble).collect()
    }

    /// Takes note of what the tables refused of a change, so that it is among the troubles until they take it.
    pub fn note(&mut self, changes: &Changes, refused: Vec<Refused>) {
        self.left_out.note(changes, refused);
    }

    /// The ports inside a port.
    pub fn nested_in(&self, name: &str) -> Vec<String> {
        self.local.nested_in(name)
    }

    /// Whether this chassis has a datapath: flows that concern it are here.
    pub fn has_datapath(&self, datapath: Uuid) -> bool {
        self.local.has(datapath)
    }

    /// Takes over what changed in rows and bindings and says what changes in the tables.
    pub fn update(&mut self, delta: &Delta, bindings: &Bindings) -> Changes {
        self.follow(delta, &self.local.bindings().changes_to(bindings))
    }

    /// The same for whoever knows which bindings change: it costs what changes, however many there are.
    pub fn follow(&mut self, delta: &Delta, rebound: &Rebound) -> Changes {
        let mut stale = Stale::default();
        if self.is_empty() {
            stale.units.push(NOBODY);
        }
        self.gather_bindings(delta, rebound, &mut stale);
        self.gather_rows(delta, &mut stale);
        self.gather_datapaths(delta, &mut stale);

        if stale.refs.contains(&Ref::Options) {
            self.reader.forget_options();
        }
        let mut resized = self.forget_sets(delta, &stale);
        for name in resized.names() {
            stale.refs.remove(&Ref::Set(name.into()));
        }
        for asked in &stale.refs {
            let referring = self.units.referring(asked).iter();
            stale.units.extend(referring.filter_map(|id| self.units.get(*id)).map(|made| made.unit));
        }
        stale.tidy();
        self.datapaths.clear();
        let anew = self.resize(&delta.after, &mut resized, &stale);
        stale.units.extend(anew);
        stale.tidy();
        // Conjunctions keep their numbers, so that what is made again as it was costs nothing.
        let mut left = Left::default();
        let mut known = HashMap::new();
        let mut numbers: Vec<Numbered> = Vec::with_capacity(stale.units.len());
        for unit in &stale.units {
            let rare = self.take_back(*unit, &mut left);
            known.extend(rare.trouble.map(|sentence| ((unit.table, unit.uuid), sentence)));
            numbers.push(rare.conjunctions);
        }
        self.units.forget(left);
        let mut row = Row::default();
        for (unit, numbers) in stale.units.iter().zip(numbers) {
            self.lower(*unit, &delta.after, &mut row, numbers);
        }
        let mut changes = self.book.finish(|id| self.units.unit(id));
        changes.objects = self.objects.finish();
        changes.troubles = self.new_troubles(&stale, known);
        self.reader.tidy(self.units.len());
        changes
    }

    /// What is wrong with rows that were lowered just now and was not known; not what nobody can mend.
    fn new_troubles(&self, stale: &Stale, mut known: HashMap<(Table, Uuid), Box<str>>) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for made in stale.units.iter().filter_map(|unit| self.units.find(*unit)) {
            let (Some(sentence), row) = (made.trouble(), (made.unit.table, made.unit.uuid)) else { continue };
            let is_known = known.get(&row).is_some_and(|known| **known == *sentence);
            if !is_known && !sentence.starts_with(WITHOUT) {
                known.insert(row, sentence.into());
                troubles.push(Trouble { table: row.0, uuid: row.1, sentence: sentence.to_owned() });
            }
        }
        troubles
    }

    /// What bindings and the row of this chassis change.
    fn gather_bindings(&mut self, delta: &Delta, rebound: &Rebound, stale: &mut Stale) {
        let is_renamed = self.local.host().chassis != rebound.host.chassis;
        let is_tunnel_other = self.local.tunnel() != rebound.host.tunnel;
        let networks = self.local.host().remapped(&rebound.host);
        let remapped: Vec<String> = networks.flat_map(|name| self.local.on_network(name)).collect();
        self.local.bind(rebound);
        for name in rebound.ports.keys().chain(&remapped) {
            for name in self.local.nested_in(name).into_iter().chain([name.clone()]) {
                self.local.note(&name, &delta.after);
                self.settle_zone(&name);
                stale.refs.insert(Ref::Port(name.into()));
            }
        }
        let is_moved = self.local.find_chassis(&delta.after);
        if is_moved || is_tunnel_other {
            self.reach_anew(&delta.after, stale);
        }
        let of_gateways = |change: &Change| matches!(change.table, Table::HaChassis | Table::HaChassisGroup);
        if is_renamed || is_moved || delta.changes.iter().any(of_gateways) {
            for (_, port) in delta.after.iter::<PortBinding>() {
                if matches!(port.kind.as_str(), "l3gateway" | "chassisredirect") {
                    self.note_port(port, &delta.after);
                    stale.refs.insert(Ref::Port(port.logical_port.as_str().into()));
                }
            }
        }
    }

    fn note_port(&mut self, port: &PortBinding, store: &Store) {
        self.local.note(&port.logical_port, store);
        if parent(port).is_some() || port.kind == "localnet" {
            self.settle_zone(&port.logical_port);
        }
        // Where its gateway is may decide where a router's port leads.
        if let Some(distributed) = port.options.get("distributed-port") {
            self.local.note(distributed, store);
        }
    }

    /// Ports that are here have a zone each.
    fn settle_zone(&mut self, name: &str) {
        let local = &self.local;
        match local.bound(name).is_some() || local.is_nested_here(name) || local.is_wire(name) {
            true => self.zones.need(name.to_owned()),
            false => self.zones.release(name),
        }
    }

    /// The rows that changed, and what refers to them.
    fn gather_rows(&mut self, delta: &Delta, stale: &mut Stale) {
        let (before, after) = (&delta.before, &delta.after);
        for change in &delta.changes {
            let uuid = change.uuid;
            match change.table {
                Table::MacBinding | Table::StaticMacBinding | Table::Fdb => stale.row(change.table, uuid),
                Table::PortBinding => {
                    let rows = [before.get::<PortBinding>(uuid), after.get(uuid)];
                    for port in rows.into_iter().flatten() {
                        self.kept.ports.get_mut().remove(port.logical_port.as_str());
                    }
                    if let [Some(old), Some(new)] = rows
                        && is_same_port(old, new)
                    {
                        if !is_same_seat(old, new) {
                            self.move_seat(uuid, [old, new], after, stale);
                        }
                        continue;
                    }
                    stale.row(change.table, uuid);
                    for port in rows.into_iter().flatten() {
                        self.note_port(port, after);
                        stale.refs.insert(Ref::Port(port.logical_port.as_str().into()));
                        if let (Some(parent), Some(tag)) = (parent(port), port.tag) {
                            stale.refs.insert(Ref::Inside(parent.into(), tag));
                        }
                        if let Some(network) = network(port) {
                            stale.refs.insert(Ref::Inside(network.into(), port.tag.unwrap_or(0)));
                        }
                        // Whether they are here depends on what they are inside of.
                        for name in self.local.nested_in(&port.logical_port) {
                            self.local.note(&name, after);
                            self.settle_zone(&name);
                            stale.refs.insert(Ref::Port(name.into()));
                        }
                    }
                }
                Table::MulticastGroup => {
                    stale.row(change.table, uuid);
                    for group in [before.get::<MulticastGroup>(uuid), after.get(uuid)].into_iter().flatten() {
                        stale.refs.insert(Ref::Multicast(group.datapath, group.name.as_str().into()));
                    }
                }
                Table::AddressSet => {
                    for set in [before.get::<tables::AddressSet>(uuid), after.get(uuid)].into_iter().flatten()
                    {
                        stale.refs.insert(Ref::Set(set.name.as_str().into()));
                    }
                }
                Table::PortGroup => {
                    for group in [before.get::<PortGroup>(uuid), after.get(uuid)].into_iter().flatten() {
                        stale.refs.insert(Ref::Group(group.name.as_str().into()));
                    }
                }
                Table::Chassis | Table::Encap => self.gather_chassis(delta, change, stale),
                Table::DhcpOptions | Table::Dhcpv6Options => _ = stale.refs.insert(Ref::Options),
                Table::DatapathBinding => {
                    let rows = [before.get::<DatapathBinding>(uuid), after.get(uuid)];
                    let of =
                        |row: Option<&Arc<DatapathBinding>>| row.map(|row| (row.tunnel_key, is_switch(row)));
                    if of(rows[0]) != of(rows[1]) {
                        stale.refs.insert(Ref::Datapath(uuid));
                        stale.refs.extend(rows.into_iter().flatten().map(|row| Ref::Key(row.tunnel_key)));
                        stale.flows_of(delta, uuid);
                    }
                }
                _ => {}
            }
        }
    }

    /// Datapaths that came or went, and the logical flows that changed, which only local datapaths have.
    fn gather_datapaths(&mut self, delta: &Delta, stale: &mut Stale) {
        let (before, after) = (&delta.before, &delta.after);
        stale.refs.extend(self.local.rewired().into_iter().map(Ref::Wire));
        let settled: HashSet<Uuid> = self.local.settle().into_iter().collect();
        for datapath in settled.iter().copied() {
            stale.refs.insert(Ref::Datapath(datapath));
            stale.flows_of(delta, datapath);
            for name in zone_names(datapath) {
                match self.local.has(datapath) {
                    true => self.zones.need(name),
                    false => self.zones.release(&name),
                }
            }
        }
        // Of those that came or went all flows are looked at already, and of others that are not here none is needed.
        let stays = |datapath: &Uuid| self.local.has(*datapath) && !settled.contains(datapath);
        let keys = |datapaths: &mut dyn Iterator<Item = Uuid>| -> BTreeSet<u32> {
            let staying = datapaths.filter(stays);
            staying.flat_map(|datapath| [key(before, datapath), key(after, datapath)]).flatten().collect()
        };
        // Many flows have the same datapaths, before and after.
        let mut known: HashMap<([Owner; 2], bool), BTreeSet<u32>> = HashMap::new();
        for change in &delta.changes {
            match change.table {
                Table::LogicalFlow => {
                    let rows = [before.get::<LogicalFlow>(change.uuid), after.get(change.uuid)];
                    let owners = rows.map(|row| row.map(|row| (row.logical_dp_group, row.logical_datapath)));
                    let is_same = matches!(rows, [Some(old), Some(new)] if is_same_flow(old, new));
                    let keys = known.entry((owners, is_same)).or_insert_with(|| {
                        let of = |(row, store): (Option<&Arc<LogicalFlow>>, _)| {
                            row.map(|row| datapaths(store, row)).unwrap_or_default()
                        };
                        let (old, new) = (of((rows[0], before)), of((rows[1], after)));
                        match is_same {
                            true => keys(&mut old.symmetric_difference(&new).copied()),
                            false => keys(&mut old.union(&new).copied()),
                        }
                    });
                    keys.iter().for_each(|key| stale.flow(change.uuid, *key));
                }
                Table::LogicalDpGroup => {
                    let members = |store: &Store| {
                        let group = store.get::<LogicalDpGroup>(change.uuid);
                        group.map(|group| group.datapaths.clone()).unwrap_or_default()
                    };
                    let keys = keys(&mut members(before).symmetric_difference(&members(after)).copied());
                    if keys.is_empty() {
                        continue;
                    }
                    // Flows that name another group than before have changed themselves.
                    let named = |row: &LogicalFlow| row.logical_dp_group == Some(change.uuid);
                    for (flow, _) in after.parents_of::<LogicalFlow>(change.table, change.uuid) {
                        if before.get::<LogicalFlow>(flow).is_some_and(|row| named(row)) {
                            keys.iter().for_each(|key| stale.flow(flow, *key));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes back what a unit made; the numbers of its conjunctions.
    fn take_back(&mut self, unit: Unit, left: &mut Left) -> Rare {
        let Some((id, mut remains)) = self.units.take(unit, left) else { return Rare::default() };
        let objects = std::mem::take(&mut remains.rare.objects);
        objects.into_iter().for_each(|object| self.objects.release(object));
        for flow in remains.flows {
            self.book.unmake(flow, id, |id| self.units.unit(id));
        }
        remains.rare
    }

    /// Lowers a unit from the rows as they are now.
    fn lower<'a>(&mut self, unit: Unit, store: &'a Store, row: &mut Row<'a>, mut numbers: Numbered) {
        #[cfg(test)]
        {
            self.work.0 += 1;
        }
        let made = match unit.table {
            Table::LogicalFlow => self.logical(unit, store, row, &mut numbers),
            _ => self.physical(unit, store),
        };
        self.conjunctions.free.extend(numbers);
        let Some(Output { flows: wanted, refs, rare }) = made else { return };
        let id = self.units.enter(unit, refs, rare);
        let mut flows = SmallVec::with_capacity(wanted.len());
        for (table, priority, matcher, body) in wanted {
            let flow = self.book.make(id, table, priority, matcher, body, |id| self.units.unit(id));
            flows.extend(flow);
        }
        if let Some(made) = self.units.get_mut(id) {
            made.flows = flows;
        }
    }

    /// The table of a logical flow.
    pub(super) fn table(&self, row: &LogicalFlow) -> u8 {
        self.numbers.stages(row.pipeline).start.saturating_add(row.table_id)
    }

    fn logical<'a>(
        &mut self,
        unit: Unit,
        store: &'a Store,
        row: &mut Row<'a>,
        numbers: &mut Numbered,
    ) -> Option<Output> {
        let (row, group) = row.get(store, unit.uuid)?;
        let rows = (&self.local, &self.kept, store);
        let view = view(rows, &mut self.datapaths, (row, group), unit.datapath)?;
        let mut output = Output::default();
        let is_about_another =
            row.tags.get("in_out_port").is_some_and(|port| view.related_key(port).is_none());
        if !is_about_another {
            let mut numbered = |object: &Object| self.objects.ask(object);
            let read = self.reader.read(row, &view, &self.numbers, &mut self.book.masks, &mut numbered);
            match read {
                Ok((template, lowered, asked)) => {
                    output.rare.objects = asked;
                    let table = self.table(row);
                    let conjunctions = &mut output.rare.conjunctions;
                    let mut number = || {
                        let number =
                            if numbers.is_empty() { self.conjunctions.next() } else { numbers.remove(0) };
                        conjunctions.push(number);
                        number
                    };
                    let wanted = template.matches(&view, &mut self.book.masks, &mut number);
                    output.flows.extend(wanted.into_iter().map(|wanted| {
                        let body = wanted.body(&lowered.actions);
                        (table, row.priority, wanted.matcher, body)
                    }));
                    output.rare.trouble = missing(&lowered.missing);
                }
                Err(unread) => output.rare.trouble = Some(unread.to_string().into()),
            }
        }
        output.refs = view.into_refs();
        Some(output)
    }

    fn physical(&mut self, unit: Unit, store: &Store) -> Option<Output> {
        let base = Base { store, local: &self.local, zones: &self.zones, numbers: &self.numbers };
        let mut output = Output::default();
        let mut notes = Notes::default();
        let flows: Vec<Flow> = match unit.table {
            Table::PortBinding => {
                let port = store.get::<PortBinding>(unit.uuid)?;
                let mut flows = base.port(port, &mut notes);
                flows.extend(base.security(port, &mut notes));
                flows
            }
            Table::MulticastGroup => {
                let group = store.get::<MulticastGroup>(unit.uuid);
                match unit == beyond(unit.uuid) {
                    true => {
                        base.fan_out(group?, self.fanouts.get(&unit.uuid)?, &mut notes).into_iter().collect()
                    }
                    false => {
                        self.fanouts.remove(&unit.uuid);
                        let (flows, fanout) = base.group(group?, &mut notes).unzip();
                        self.fanouts.extend(fanout.map(|fanout| (unit.uuid, fanout)));
                        flows.unwrap_or_default()
                    }
                }
            }
            Table::MacBinding => base.learned(store.get::<MacBinding>(unit.uuid)?, &mut notes),
            Table::StaticMacBinding => base.configured(store.get::<StaticMacBinding>(unit.uuid)?, &mut notes),
            Table::Fdb => base.address(store.get::<Fdb>(unit.uuid)?, &mut notes),
            _ => base.fixed(),
        };
        output.refs = notes.refs;
        output.rare.trouble = notes.trouble;
        output.refs.sort_unstable();
        output.refs.dedup();
        output.flows.extend(flows.into_iter().map(|flow| {
            let matcher = self.book.masks.pack(&flow.matcher);
            (flow.table, flow.priority, matcher, Body::Actions(flow.actions.into()))
        }));
        Some(output)
    }
}

/// A logical flow and its group of datapaths.
pub(super) type Found<'a> = (&'a LogicalFlow, Option<&'a LogicalDpGroup>);

/// The logical flow that was looked at last: its units come one after the other.
#[derive(Default)]
pub(super) struct Row<'a> {
    last: Option<(Uuid, Found<'a>)>,
}

impl<'a> Row<'a> {
    pub fn get(&mut self, store: &'a Store, uuid: Uuid) -> Option<Found<'a>> {
        if let Some((last, found)) = self.last
            && last == uuid
        {
            return Some(found);
        }
        let row: &LogicalFlow = store.get(uuid)?;
        let group = row.logical_dp_group.and_then(|group| store.get::<LogicalDpGroup>(group));
        let found = (row, group.map(|group| &**group));
        self.last = Some((uuid, found));
        Some(found)
    }
}

/// Datapaths by key, and whether they are switches.
pub(super) type ByKey = HashMap<u32, Option<(Uuid, bool)>, foldhash::fast::FixedState>;

/// The rows as the datapath of a logical flow sees them, if that is here and has the flow.
pub(super) fn view<'a>(
    (local, kept, store): (&'a Local, &'a Kept, &'a Store),
    datapaths: &mut ByKey,
    (row, group): Found<'_>,
    key: u32,
) -> Option<View<'a>> {
    let find = || {
        let (uuid, row) = store.datapath_by_key(key)?;
        Some((uuid, is_switch(row)))
    };
    let (uuid, is_switch) = (*datapaths.entry(key).or_insert_with(find))?;
    let is_of = row.logical_datapath == Some(uuid) || group.is_some_and(|one| one.datapaths.contains(&uuid));
    if !is_of || !local.has(uuid) {
        return None;
    }
    let mut view = View::new(store, local, kept, Datapath { uuid, key });
    view.own_port = is_switch.then_some(match row.pipeline {
        Pipeline::Ingress => INPORT,
        Pipeline::Egress => OUTPORT,
    });
    Some(view)
}

fn is_switch(datapath: &DatapathBinding) -> bool {
    datapath.external_ids.contains_key("logical-switch")
}

/// Whose a logical flow is, if it is there: that of a group, and of a datapath.
type Owner = Option<(Option<Uuid>, Option<Uuid>)>;

/// Whether nothing of a logical flow changed by which flows are made, but for where.
fn is_same_flow(old: &LogicalFlow, new: &LogicalFlow) -> bool {
    let of = |flow: &LogicalFlow| (flow.pipeline, flow.table_id, flow.priority);
    of(old) == of(new) && old.matches == new.matches && old.actions == new.actions && old.tags == new.tags
}

/// Whether nothing of a port changed by which flows are made.
fn is_same_port(old: &PortBinding, new: &PortBinding) -> bool {
    let of = |port: &PortBinding| (port.datapath, port.tunnel_key, port.tag, port.ha_chassis_group);
    of(old) == of(new)
        && old.logical_port == new.logical_port
        && old.kind == new.kind
        && old.parent_port == new.parent_port
        && old.additional_chassis.is_empty() == new.additional_chassis.is_empty()
        && old.options == new.options
        && old.port_security == new.port_security
        && (old.chassis == new.chassis || old.kind != "chassisredirect")
}

/// How a sentence about actions that are not there yet begins.
const WITHOUT: &str = "does without";

/// What to say of actions that are not there yet.
fn missing(kinds: &[Kind]) -> Option<Box<str>> {
    let mut names: Vec<&str> = kinds.iter().map(|kind| kind.row().name).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| format!("{WITHOUT} {}, not there yet", names.join(", ")).into())
}
