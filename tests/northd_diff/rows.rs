//! Southbound rows as lines of text: two databases with the same meaning have the same lines.
//!
//! Rows are called by their names instead of their identifiers; members of sets in braces are in order; groups of next
//! hops are called after the packets that they are for, and those of static routes are numbered in the order of what they
//! do. One line is a row, a flow in however many datapaths it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace::logical::rows::schema::Rule;
use millrace::logical::rows::tables::{DatapathBinding, LogicalFlow};
use millrace::logical::rows::{AnyRow, Atom, Datum, Store, Table, Uuid, text};

/// Tables of which nothing is compared: what others write, what is shown with other rows, and what northd always writes.
const LEFT_OUT: &[Table] = &[
    Table::Chassis,
    Table::ChassisPrivate,
    Table::DhcpOptions,
    Table::Dhcpv6Options,
    Table::Encap,
    Table::HaChassis,
    Table::LogicalDpGroup,
    Table::LogicalFlow,
    Table::MeterBand,
    Table::RbacPermission,
    Table::RbacRole,
];

/// All that a database says, in order. A line may be there twice.
pub fn lines(store: &Store) -> Vec<String> {
    let mut lines = flows(store);
    for table in Table::ALL.iter().filter(|table| !LEFT_OUT.contains(table)) {
        lines.extend(
            store.rows(*table).map(|(_, row)| format!("{} {}", table.def().name, row_text(store, row))),
        );
    }
    lines.sort();
    lines
}

/// The columns of a row that are not empty.
fn row_text(store: &Store, row: &AnyRow) -> String {
    let table = row.table();
    let empty = table.empty_row();
    let mut shown = Vec::new();
    for (at, column) in table.def().columns.iter().enumerate() {
        // The real ovn-nbctl counts some lines that change nothing.
        let Some(datum) = row.get(at).filter(|_| column.name != "nb_cfg") else { continue };
        if empty.get(at).as_ref() != Some(&datum) {
            shown.push(format!("{}={}", column.name, datum_text(store, &datum, column.rule)));
        }
    }
    shown.join(" ")
}

fn datum_text(store: &Store, datum: &Datum, rule: Rule<Table>) -> String {
    let target = match rule {
        Rule::Strong(table) | Rule::StrongSome(table) | Rule::Weak(table) => Some(table),
        _ => None,
    };
    let atom = |atom: &Atom| match (atom, target) {
        (Atom::Uuid(uuid), Some(table)) => name(store, table, *uuid),
        _ => {
            let mut out = String::new();
            text::write_atom(&mut out, atom);
            without_uuids(&out)
        }
    };
    let mut parts: Vec<String> = match datum {
        Datum::Set(set) => set.iter().map(atom).collect(),
        Datum::Map(map) => map.iter().map(|(key, value)| format!("{}={}", atom(key), atom(value))).collect(),
    };
    parts.sort();
    match &parts[..] {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

/// What a row is called: by its name, or by all that it says if it has none.
fn name(store: &Store, table: Table, uuid: Uuid) -> String {
    match store.row(table, uuid) {
        Some(AnyRow::DatapathBinding(row)) => datapath_name(row),
        Some(AnyRow::PortBinding(row)) => row.logical_port.clone(),
        Some(AnyRow::Chassis(row)) => row.name.clone(),
        Some(AnyRow::HaChassisGroup(row)) => row.name.clone(),
        Some(AnyRow::Mirror(row)) => row.name.clone(),
        Some(row) => format!("({})", row_text(store, row)),
        None => "nothing".to_owned(),
    }
}

fn datapath_name(row: &DatapathBinding) -> String {
    row.external_ids.get("name").cloned().unwrap_or_default()
}

/// Identifiers are of no meaning wherever they stand.
fn without_uuids(text: &str) -> String {
    const FORM: &str = "00000000-0000-0000-0000-000000000000";
    let is_uuid = |at: usize| {
        text.get(at..at + FORM.len()).is_some_and(|part| {
            part.bytes().zip(FORM.bytes()).all(|(byte, form)| match form {
                b'-' => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
        })
    };
    let mut out = String::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        if is_uuid(at) {
            out += "UUID";
            at += FORM.len();
        } else {
            out.push(letter);
            at += letter.len_utf8();
        }
    }
    out
}

/// A flow in one datapath.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    stage: String,
    priority: u16,
    matches: String,
    actions: String,
    rest: String,
}

impl Flow {
    fn of(row: &LogicalFlow) -> Self {
        let mut rest = String::new();
        if let Some(meter) = &row.controller_meter {
            rest += &format!(" meter={}", without_uuids(meter));
        }
        if let Some(port) = row.tags.get("in_out_port") {
            rest += &format!(" port={port}");
        }
        Self {
            stage: row.external_ids.get("stage-name").cloned().unwrap_or_default(),
            priority: row.priority,
            matches: sorted(&row.matches),
            actions: without_uuids(&sorted(&row.actions)),
            rest,
        }
    }
}

fn flows(store: &Store) -> Vec<String> {
    let mut places: BTreeMap<Flow, BTreeSet<String>> = BTreeMap::new();
    for (uuid, datapath) in store.iter::<DatapathBinding>() {
        let all = store.flows_of(uuid).map(|(_, row): (Uuid, &Arc<LogicalFlow>)| Flow::of(row));
        for flow in rename_groups(rename_tables(all.collect())) {
            let (flow, place) = anywhere_beside(flow, datapath_name(datapath));
            places.entry(flow).or_default().insert(place);
        }
    }
    let line = |(flow, places): (Flow, BTreeSet<String>)| {
        let Flow { stage, priority, matches, actions, rest } = flow;
        let places: Vec<String> = places.into_iter().collect();
        format!("{stage} {priority} ({matches}) ({actions}){rest} in {}", places.join(" "))
    };
    places.into_iter().map(line).collect()
}

/// Of several routers beside a virtual port only one asks for its address, whichever that is.
fn anywhere_beside(mut flow: Flow, place: String) -> (Flow, String) {
    if flow.stage == "lr_in_arp_resolve"
        && flow.actions.starts_with("eth.dst = 00:00:00:00:00:00;")
        && let Some((_, address)) = flow.matches.split_once(" && ")
    {
        flow.matches = address.to_owned();
        return (flow, "a router".to_owned());
    }
    (flow, place)
}

/// The members of sets in braces in order.
fn sorted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        out += before;
        out.push('{');
        rest = behind;
        if let Some((inside, _)) = behind.split_once('}')
            && !inside.contains([';', '{', '='])
        {
            let members: BTreeSet<&str> = inside.split(',').map(str::trim).collect();
            let members: Vec<&str> = members.into_iter().collect();
            out += &members.join(", ");
            rest = &rest[inside.len()..];
        }
    }
    out + rest
}

const SET: &str = "reg8[0..15] = ";
const IS: &str = "reg8[0..15] == ";
const MEMBER: &str = "reg8[16..31] == ";

/// The number behind a text.
fn number_behind<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()
}

const TABLE_SET: &str = "reg7 = ";
const TABLE_IS: &str = "reg7 == ";

/// Routing tables are called after the ports that use them.
fn rename_tables(mut flows: Vec<Flow>) -> Vec<Flow> {
    let mut users: BTreeMap<String, String> = BTreeMap::new();
    flows.sort();
    for flow in flows.iter().filter(|flow| flow.stage == "lr_in_ip_routing_pre") {
        if let Some(number) = number_behind(&flow.actions, TABLE_SET).filter(|number| *number != "0") {
            *users.entry(number.to_owned()).or_default() += &flow.matches;
        }
    }
    for flow in &mut flows {
        match flow.stage.as_str() {
            "lr_in_ip_routing_pre" => flow.actions = rename(&flow.actions, TABLE_SET, &users),
            "lr_in_ip_routing" => flow.matches = rename(&flow.matches, TABLE_IS, &users),
            _ => {}
        }
    }
    flows
}

/// Groups of next hops are called after the packets that they are for.
fn rename_groups(mut flows: Vec<Flow>) -> Vec<Flow> {
    for (choosing, chosen) in
        [("lr_in_ip_routing", "lr_in_ip_routing_ecmp"), ("lr_in_policy", "lr_in_policy_ecmp")]
    {
        let mut groups: BTreeMap<String, String> = BTreeMap::new();
        for flow in flows.iter().filter(|flow| flow.stage == choosing && flow.actions.contains("select(")) {
            let number = number_behind(&flow.actions, SET).unwrap_or_default();
            groups.insert(number.to_owned(), format!("{} {}", flow.priority, flow.matches));
        }
        // Of the groups by number: what is done for their members.
        let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for flow in flows.iter().filter(|flow| flow.stage == chosen) {
            if let Some(group) = number_behind(&flow.matches, IS).filter(|group| *group != "0") {
                members.entry(group.to_owned()).or_default().push(flow.actions.clone());
            }
        }
        members.values_mut().for_each(|all| all.sort());
        for flow in &mut flows {
            if flow.stage == choosing {
                flow.actions = rename(&flow.actions, SET, &groups);
            } else if flow.stage == chosen {
                let group = number_behind(&flow.matches, IS).unwrap_or_default().to_owned();
                if chosen == "lr_in_ip_routing_ecmp"
                    && let Some(number) = number_behind(&flow.matches, MEMBER)
                    && let Some(rank) =
                        members.get(&group).and_then(|all| all.iter().position(|one| *one == flow.actions))
                {
                    let now = format!("{MEMBER}{}", rank + 1);
                    flow.matches = flow.matches.replacen(&format!("{MEMBER}{number}"), &now, 1);
                }
                flow.matches = rename(&flow.matches, IS, &groups);
            }
        }
    }
    flows
}

fn rename(text: &str, before: &str, groups: &BTreeMap<String, String>) -> String {
    match number_behind(text, before) {
        Some(number) if number != "0" => {
            let name = groups.get(number).map_or("none", |name| name);
            text.replacen(&format!("{before}{number}"), &format!("{before}<{name}>"), 1)
        }
        _ => text.to_owned(),
    }
}
