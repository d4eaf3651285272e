//! A database that is too simple to be wrong: all rows in one map, and every question answered by looking at each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::schema::Rule;
use super::tables::{
    Chassis, DatapathBinding, Encap, Fdb, HaChassis, HaChassisGroup, IpMulticast, LogicalDpGroup,
    LogicalFlow, MacBinding, Meter, MeterBand, MulticastGroup, Pairs, PortBinding, RbacPermission, RbacRole,
    SbGlobal,
};
use super::{AnyRow, Atom, Datum, Pipeline, Row, Store, Table, Uuid};

/// All rows.
pub type Rows = BTreeMap<(Table, Uuid), AnyRow>;
/// A row as it is to be, or that it is to go.
pub type Op = (Table, Uuid, Option<AnyRow>);

/// The rows of a store.
pub fn rows_of(store: &Store) -> Rows {
    let all = Table::ALL
        .iter()
        .flat_map(|table| store.rows(*table).map(|(uuid, row)| ((*table, uuid), row.clone())));
    all.collect()
}

/// The identifiers that a row names, with their tables: the strong ones, or the weak ones.
fn named(row: &AnyRow, strong: bool) -> Vec<(usize, Table, Uuid)> {
    let mut out = Vec::new();
    for (at, column) in row.table().def().columns.iter().enumerate() {
        let target = match column.rule {
            Rule::Strong(target) | Rule::StrongSome(target) if strong => target,
            Rule::Weak(target) if !strong => target,
            _ => continue,
        };
        let datum = row.get(at).unwrap();
        let atoms: Vec<&Atom> = datum.keys().chain(datum.values()).collect();
        out.extend(atoms.into_iter().filter_map(|atom| match atom {
            Atom::Uuid(uuid) => Some((at, target, *uuid)),
            _ => None,
        }));
    }
    out
}

/// The rows after a transaction, none if it is to be refused.
pub fn apply(rows: &Rows, ops: &[Op]) -> Option<Rows> {
    let mut next = rows.clone();
    for (table, uuid, row) in ops {
        match row {
            Some(row) => next.insert((*table, *uuid), row.clone()),
            None => next.remove(&(*table, *uuid)),
        };
    }
    loop {
        let needed: BTreeSet<(Table, Uuid)> =
            next.values().flat_map(|row| named(row, true)).map(|(_, table, uuid)| (table, uuid)).collect();
        let before = next.len();
        next.retain(|name, _| name.0.def().root || needed.contains(name));
        if next.len() == before {
            break;
        }
    }
    let names: BTreeSet<(Table, Uuid)> = next.keys().copied().collect();
    for row in next.values_mut() {
        for (at, table, uuid) in named(row, false) {
            if !names.contains(&(table, uuid)) {
                let gone = Atom::Uuid(uuid);
                let datum = match row.get(at).unwrap() {
                    Datum::Set(set) => Datum::Set(set.into_iter().filter(|atom| *atom != gone).collect()),
                    Datum::Map(map) => {
                        Datum::Map(map.into_iter().filter(|(_, atom)| *atom != gone).collect())
                    }
                };
                row.set(at, datum).ok()?;
            }
        }
    }
    for ((table, uuid), row) in &next {
        let def = table.def();
        for (at, column) in def.columns.iter().enumerate() {
            let datum = row.get(at).unwrap();
            let keeps = match column.rule {
                Rule::Range(least, most) => datum.keys().all(|atom| match atom {
                    Atom::Integer(number) => *number >= least && *number <= most,
                    _ => false,
                }),
                Rule::Words(words) => datum.keys().all(|atom| match atom {
                    Atom::Text(word) => words.contains(&word.as_str()),
                    _ => false,
                }),
                Rule::StrongSome(_) => !datum.is_empty(),
                _ => true,
            };
            if !keeps {
                return None;
            }
        }
        if named(row, true).iter().any(|(_, table, uuid)| !names.contains(&(*table, *uuid))) {
            return None;
        }
        for ((other_table, other_uuid), other) in &next {
            let same = |columns: &&[&str]| {
                columns.iter().all(|name| {
                    let at = table.column(name).unwrap();
                    row.get(at) == other.get(at)
                })
            };
            if table == other_table && uuid != other_uuid && def.unique.iter().any(same) {
                return None;
            }
        }
        if next.keys().filter(|name| name.0 == *table).count() > def.max_rows {
            return None;
        }
    }
    Some(next)
}

/// One of few identifiers, so that rows meet.
pub fn uuid() -> impl Strategy<Value = Uuid> {
    (1..4u128).prop_map(|number| Uuid(number << 96 | 0x1234))
}

fn uuids() -> impl Strategy<Value = BTreeSet<Uuid>> {
    btree_set(uuid(), 0..3)
}

/// No name, more often than not.
fn maybe() -> impl Strategy<Value = Option<Uuid>> {
    prop_oneof![2 => Just(None), 1 => uuid().prop_map(Some)]
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::btree_map(prop::sample::select(vec!["name".to_owned(), "x".to_owned()]), word(), 0..2)
}

fn any_row<T: Row>(row: T) -> AnyRow {
    Arc::new(row).into_any()
}

fn flow() -> impl Strategy<Value = LogicalFlow> {
    let owner = prop_oneof![
        3 => uuid().prop_map(|uuid| (Some(uuid), None)),
        1 => uuid().prop_map(|uuid| (None, Some(uuid))),
        1 => Just((None, None)),
    ];
    let pipeline = prop::sample::select(vec![Pipeline::Ingress, Pipeline::Egress]);
    // One table is out of range.
    (owner, pipeline, prop_oneof![20 => 0..3u8, 1 => Just(33)], 0..3u16, word(), pairs()).prop_map(
        |((logical_datapath, logical_dp_group), pipeline, table_id, priority, matches, external_ids)| {
            LogicalFlow {
                logical_datapath,
                logical_dp_group,
                pipeline,
                table_id,
                priority,
                matches,
                external_ids,
                ..LogicalFlow::default()
            }
        },
    )
}

/// A row of one of the tables in which something can go wrong.
pub fn row() -> impl Strategy<Value = AnyRow> {
    prop_oneof![
        (1..4u32, pairs(), uuids()).prop_map(|(tunnel_key, external_ids, load_balancers)| any_row(
            DatapathBinding { tunnel_key, external_ids, load_balancers }
        )),
        flow().prop_map(any_row),
        uuids().prop_map(|datapaths| any_row(LogicalDpGroup { datapaths })),
        (uuid(), 0..4u16, word(), maybe(), maybe(), maybe(), uuids()).prop_map(
            |(datapath, tunnel_key, logical_port, chassis, encap, ha_chassis_group, additional_chassis)| {
                any_row(PortBinding {
                    datapath,
                    tunnel_key,
                    logical_port,
                    chassis,
                    encap,
                    ha_chassis_group,
                    additional_chassis,
                    ..PortBinding::default()
                })
            }
        ),
        (uuid(), word(), uuids(), 32_768..32_770u16).prop_map(|(datapath, name, ports, tunnel_key)| any_row(
            MulticastGroup { datapath, name, ports, tunnel_key }
        )),
        (word(), uuids()).prop_map(|(name, encaps)| any_row(Chassis { name, encaps, ..Chassis::default() })),
        (word(), prop::sample::select(vec!["geneve", "vxlan", "carrier pigeon"]))
            .prop_map(|(ip, kind)| any_row(Encap { ip, kind: kind.to_owned(), ..Encap::default() })),
        maybe().prop_map(|chassis| any_row(HaChassis { chassis, ..HaChassis::default() })),
        (word(), uuids()).prop_map(|(name, ha_chassis)| any_row(HaChassisGroup {
            name,
            ha_chassis,
            ..HaChassisGroup::default()
        })),
        uuid().prop_map(|datapath| any_row(IpMulticast { datapath, ..IpMulticast::default() })),
        (uuid(), word(), prop::sample::select(vec!["10.0.0.1", "fd00::1", "fd00:0::1", "x"])).prop_map(
            |(datapath, logical_port, ip)| any_row(MacBinding {
                datapath,
                logical_port,
                ip: ip.to_owned(),
                ..MacBinding::default()
            })
        ),
        (1..3u32, prop::sample::select(vec!["02:00:00:00:00:0a", "02:00:00:00:00:0A", "x"]), 1..3u32)
            .prop_map(|(dp_key, mac, port_key)| any_row(Fdb { dp_key, mac: mac.to_owned(), port_key })),
        (word(), uuids()).prop_map(|(name, bands)| any_row(Meter { name, bands, unit: "kbps".to_owned() })),
        (1..3u32).prop_map(|rate| any_row(MeterBand { action: "drop".to_owned(), burst_size: 0, rate })),
        (word(), prop::collection::btree_map(word(), uuid(), 0..3))
            .prop_map(|(name, permissions)| any_row(RbacRole { name, permissions })),
        word().prop_map(|table| any_row(RbacPermission { table, ..RbacPermission::default() })),
        (0..3i64).prop_map(|nb_cfg| any_row(SbGlobal { nb_cfg, ..SbGlobal::default() })),
    ]
}

/// One change.
fn op() -> impl Strategy<Value = Op> {
    let delete = (row(), uuid()).prop_map(|(row, uuid)| (row.table(), uuid, None));
    let put = (row(), uuid()).prop_map(|(row, uuid)| (row.table(), uuid, Some(row)));
    prop_oneof![1 => delete, 3 => put]
}

/// A transaction that puts most things in place, and then some that change them.
pub fn history() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let datapath = |number: u32| {
        let row = DatapathBinding { tunnel_key: 100 + number, ..DatapathBinding::default() };
        (Table::DatapathBinding, Uuid(u128::from(number) << 96 | 0x1234), Some(any_row(row)))
    };
    let first = vec(op(), 0..4).prop_map(move |mut ops| {
        ops.splice(0..0, (1..4).map(datapath));
        ops
    });
    (first, vec(vec(op(), 1..5), 0..14)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}
