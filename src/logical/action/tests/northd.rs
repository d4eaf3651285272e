//! The actions that a real ovn-northd 23.03 wrote are read and print as they were written.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::*;

/// The actions of all logical flows in a dump, with their context.
fn actions_of(dump: &str) -> Vec<(Context<'static>, String)> {
    let tables = dump.lines().filter(|line| !line.is_empty());
    let tables = tables.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let flows = tables.into_iter().find(|table| table["caption"] == "Logical_Flow table").unwrap();
    let column = |name: &str| {
        let headings = flows["headings"].as_array().unwrap();
        headings.iter().position(|heading| heading == name).unwrap()
    };
    let (actions, pipeline, table) = (column("actions"), column("pipeline"), column("table_id"));
    let rows = flows["data"].as_array().unwrap().iter();
    rows.map(|row| {
        let pipeline = match row[pipeline].as_str().unwrap() {
            "ingress" => Pipeline::Ingress,
            _ => Pipeline::Egress,
        };
        let table = u8::try_from(row[table].as_u64().unwrap()).unwrap();
        (Context::at(pipeline, table), row[actions].as_str().unwrap().to_owned())
    })
    .collect()
}

/// The text without comments and white space outside of quotes.
fn squeezed(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").unwrap().1;
            continue;
        }
        let length = match next {
            '"' => rest[1..].find('"').unwrap() + 2,
            _ => next.len_utf8(),
        };
        if !next.is_whitespace() {
            out.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    out
}

/// Where printing says in another way what was written, and how.
const NORMALISED: &[(&str, &str)] = &[
    ("", "drop;"),
    ("select(1,2)", "select(1=100,2=100)"),
    (
        "log(name=\"db-reject\",severity=info,verdict=reject)",
        "log(name=\"db-reject\",verdict=reject,severity=info)",
    ),
];

#[test]
fn what_northd_wrote_is_read_and_printed_as_it_was() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn");
    let mut kinds = BTreeSet::new();
    for scene in ["s1-l2", "s2-l3", "s3-rich"] {
        let flows = actions_of(&std::fs::read_to_string(root.join(scene).join("sb-dump.json")).unwrap());
        assert!(flows.len() > 50, "{scene}");
        for (context, text) in flows {
            let actions =
                parse_actions(&text, &context).unwrap_or_else(|error| panic!("{}", error.render(&text)));
            let mut written = squeezed(&text);
            for (from, to) in NORMALISED {
                match *from {
                    "" if written.is_empty() => written = (*to).to_owned(),
                    "" => {}
                    from => written = written.replace(from, to),
                }
            }
            // From a table of the same pipeline the pipeline goes without saying.
            let own = format!("next(pipeline={},table=", context.pipeline.name());
            written = written.replace(&own, "next(");
            assert_eq!(squeezed(&actions.to_string()), written);
            kinds.extend(actions.list.iter().map(|action| format!("{:?}", action.kind())));
        }
    }
    assert!(kinds.len() >= 45, "{} kinds: {kinds:?}", kinds.len());
}
