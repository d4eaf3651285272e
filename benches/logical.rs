//! Cost of reading logical flows, match and actions with their prerequisites to the normal form: those that northd
//! wrote for the networks in `tests/data/ovn`, over and over until they are 100 000; and of sets of a thousand
//! addresses against each other.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millrace::logical::action::{Context, Pipeline, parse_actions};
use millrace::logical::expr::Expr;
use millrace::logical::names::{AddressSet, FixedNames, Names, PortGroup};
use serde_json::Value;

const FLOWS: usize = 100_000;
const MEMBERS: u32 = 1000;

struct Flow {
    matcher: String,
    actions: String,
    context: Context<'static>,
}

/// Rows of a table as column and value, from a dump with one table a line.
fn rows<'d>(dump: &'d [Value], table: &str) -> impl Iterator<Item = impl Fn(&str) -> &'d Value> {
    let caption = format!("{table} table");
    let table = dump.iter().find(|one| one["caption"] == caption.as_str()).expect("the dump has every table");
    let headings: Vec<_> = table["headings"].as_array().expect("headings").iter().collect();
    table["data"].as_array().expect("data").iter().map(move |row| {
        let headings = headings.clone();
        move |column: &str| {
            let place = headings.iter().position(|heading| **heading == column).expect("a column");
            &row[place]
        }
    })
}

/// A text, or the texts of a set.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        set => set[1].as_array().expect("a set").iter().filter_map(Value::as_str).collect(),
    }
}

/// All flows of the dumps and their names; port groups have the names that matches use.
fn load() -> (FixedNames, Vec<Flow>) {
    let mut names = FixedNames::new();
    let mut flows = Vec::new();
    for scenario in ["s1-l2", "s2-l3", "s3-rich"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(scenario);
        let text = std::fs::read_to_string(folder.join("sb-dump.json")).expect("the dump is there");
        let tables = serde_json::Deserializer::from_str(&text).into_iter();
        let dump = tables.collect::<Result<Vec<Value>, _>>().expect("the dump is JSON");
        for row in rows(&dump, "Address_Set") {
            let name = row("name").as_str().expect("a name");
            names.add_address_set(AddressSet::new(name, texts(row("addresses"))));
        }
        for row in rows(&dump, "Port_Group") {
            let name = row("name").as_str().expect("a name");
            let bare = name.split_once('_').map_or(name, |(_, bare)| bare);
            names.add_port_group(PortGroup::new(bare, texts(row("ports"))));
        }
        for row in rows(&dump, "Logical_Flow") {
            let pipeline = if row("pipeline") == "ingress" { Pipeline::Ingress } else { Pipeline::Egress };
            let table = row("table_id").as_u64().and_then(|table| table.try_into().ok()).expect("a table");
            flows.push(Flow {
                matcher: row("match").as_str().expect("a match").to_owned(),
                actions: row("actions").as_str().expect("actions").to_owned(),
                context: Context::at(pipeline, table),
            });
        }
    }
    (names, flows)
}

/// Match and actions to the normal form; number of conjunctions.
fn read(flow: &Flow, names: &dyn Names) -> usize {
    let expr = Expr::parse(&flow.matcher, names).expect("northd's matches are read");
    let actions = parse_actions(&flow.actions, &flow.context).expect("northd's actions are read");
    let expr = match actions.prereqs.expr() {
        Some(prereqs) => expr.and(prereqs),
        None => expr,
    };
    black_box(&actions);
    expr.annotate().normalize().expect("northd's matches have a normal form").conjunctions.len()
}

fn northd(c: &mut Criterion) {
    let (names, flows) = load();
    let mut group = c.benchmark_group("logical_flows");
    group.throughput(Throughput::Elements(FLOWS as u64)).sample_size(10);
    group.bench_function("100k", |bencher| {
        bencher.iter(|| flows.iter().cycle().take(FLOWS).map(|flow| read(flow, &names)).sum::<usize>());
    });
    group.bench_function("100k_actions_alone", |bencher| {
        let parse =
            |flow: &Flow| parse_actions(&flow.actions, &flow.context).map_or(0, |actions| actions.list.len());
        bencher.iter(|| flows.iter().cycle().take(FLOWS).map(parse).sum::<usize>());
    });
    group.finish();
}

fn sets(c: &mut Criterion) {
    let address =
        |n: u32, net: u32| std::net::Ipv4Addr::from_bits((10 << 24) + (net << 16) + n * 7).to_string();
    let list = |net: u32| (0..MEMBERS).map(|n| address(n, net)).collect::<Vec<_>>();
    let (left, right) = (list(0), list(1));
    // Half of the members of the third are those of the first.
    let half: Vec<_> = left.iter().take(500).chain(right.iter().take(500)).cloned().collect();
    let mut names = FixedNames::new();
    for (name, list) in [("left", &left), ("right", &right), ("half", &half)] {
        names.add_address_set(AddressSet::new(name, list.iter().map(String::as_str)));
    }
    let literal = |field: &str, list: &[String]| {
        let mut text = format!("{field} == {{");
        list.iter().for_each(|address| _ = write!(text, "{address}, "));
        text + "}"
    };
    let cases = [
        ("named_by_named", "ip4.src == $left && ip4.dst == $right".to_owned()),
        ("literal_alone", literal("ip4.src", &left)),
        ("literal_by_literal", format!("{} && {}", literal("ip4.src", &left), literal("ip4.dst", &right))),
        ("same_field", "ip4.src == $left && ip4.src == $half".to_owned()),
        ("without", "ip4.src == $left && ip4.src != $half".to_owned()),
        ("named_negated", "ip4.src != $left".to_owned()),
    ];
    let mut group = c.benchmark_group("sets_of_1000");
    for (name, text) in &cases {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let expr = Expr::parse(black_box(text), &names).expect("the match is read").annotate();
                expr.normalize().expect("the match has a normal form")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, northd, sets);
criterion_main!(benches);
