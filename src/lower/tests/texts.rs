//! What is kept of texts that were read.

use super::*;

#[test]
fn texts_that_no_row_has_any_more_are_forgotten() {
    const ROWS: u8 = 4;
    let mut database = Database::default();
    database.commit(beginning()).unwrap();
    let mut cursor = database.subscribe_from_nothing();
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    let ports = BTreeMap::from([("here".to_owned(), PortNo(1))]);
    let bindings = Bindings { host: Host::named("me"), ports };
    let mut most = 0;
    for step in 0..3000u32 {
        let mut rows = Transaction::new();
        for n in 0..ROWS {
            // Each text stands in two rows, and so is kept.
            let number = 2 * step + u32::from(n / 2);
            let row = LogicalFlow {
                matches: format!("tcp.dst == {}", number % 60_000),
                actions: format!("reg0 = {number}; next;"),
                logical_datapath: Some(uuid(Table::DatapathBinding, 0)),
                priority: n.into(),
                ..LogicalFlow::default()
            };
            rows.put(uuid(Table::LogicalFlow, n), row);
        }
        database.commit(rows).unwrap();
        lowering.update(&cursor.poll(&database), &bindings);
        most = lowering.reader.kept().max(most);
    }
    assert!((100..3000).contains(&most), "{most}");
}
