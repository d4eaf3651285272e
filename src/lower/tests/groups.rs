//! Flows of groups of datapaths that grow, shrink and are given up for others.

use super::*;

const FLOWS: u8 = 20;

fn flow(group: Uuid) -> LogicalFlow {
    LogicalFlow {
        matches: "ip4".to_owned(),
        actions: "next;".to_owned(),
        logical_dp_group: Some(group),
        table_id: 5,
        ..LogicalFlow::default()
    }
}

fn group_of(members: &[u8]) -> LogicalDpGroup {
    LogicalDpGroup { datapaths: members.iter().map(|n| uuid(Table::DatapathBinding, *n)).collect() }
}

/// Four datapaths that are here, and flows of a group of three of them.
struct World {
    database: Database,
    cursor: crate::logical::rows::Cursor,
    lowering: Lowering,
    bindings: Bindings,
}

impl World {
    fn new() -> Self {
        let mut rows = beginning();
        let names = ["w0", "w1", "w2", "w3"];
        for (n, name) in (0u8..).zip(names) {
            let port = PortBinding {
                logical_port: name.to_owned(),
                datapath: uuid(Table::DatapathBinding, n),
                tunnel_key: 1,
                ..PortBinding::default()
            };
            rows.put(uuid(Table::PortBinding, 50 + n), port);
        }
        rows.put(uuid(Table::LogicalDpGroup, 8), group_of(&[0, 1, 2]));
        for n in 0..FLOWS {
            let row = LogicalFlow { priority: n.into(), ..flow(uuid(Table::LogicalDpGroup, 8)) };
            rows.put(uuid(Table::LogicalFlow, n), row);
        }
        let mut database = Database::default();
        let cursor = database.subscribe_from_nothing();
        database.commit(rows).unwrap();
        let ports =
            names.iter().zip(1..).map(|(name, number)| ((*name).to_owned(), PortNo(number))).collect();
        let bindings = Bindings { host: Host::named("me"), ports };
        let mut world = Self {
            database,
            cursor,
            lowering: Lowering::new(Numbers::default(), Zones::default()),
            bindings,
        };
        world.commit(Transaction::new());
        world
    }

    /// Commits rows, looks that all is as from nothing, and gives how many units were lowered and how many flows changed.
    fn commit(&mut self, rows: Transaction) -> (usize, usize) {
        self.database.commit(rows).unwrap();
        let before = self.lowering.work.0;
        let changes = self.lowering.update(&self.cursor.poll(&self.database), &self.bindings);
        let work = self.lowering.work.0 - before;
        let mut anew = Lowering::new(Numbers::default(), Zones::restored(self.lowering.zones().iter()));
        anew.update(&from_nothing(self.database.snapshot()), &self.bindings);
        let all = |lowering: &Lowering| canonical(renamed(lowering, all_of(lowering)).iter());
        assert_eq!(all(&self.lowering), all(&anew));
        (work, changes.len())
    }
}

#[test]
fn a_datapath_more_in_a_group_costs_the_flows_of_the_group_in_it() {
    let mut world = World::new();
    let group = uuid(Table::LogicalDpGroup, 8);
    let mut rows = Transaction::new();
    rows.put(group, group_of(&[0, 1, 2, 3]));
    assert_eq!(world.commit(rows), (FLOWS.into(), FLOWS.into()));
    let mut rows = Transaction::new();
    rows.put(group, group_of(&[0, 2, 3]));
    assert_eq!(world.commit(rows), (FLOWS.into(), FLOWS.into()));
}

#[test]
fn flows_that_name_another_group_cost_where_the_groups_differ() {
    let mut world = World::new();
    let other = uuid(Table::LogicalDpGroup, 9);
    // The others are as they were, and so are what is said of them and what their rows say besides.
    let mut rows = Transaction::new();
    rows.put(other, group_of(&[1, 2, 3]));
    for n in 0..FLOWS {
        let external_ids = pairs(&[("stage-hint", "12345678")]);
        rows.put(
            uuid(Table::LogicalFlow, n),
            LogicalFlow { priority: n.into(), external_ids, ..flow(other) },
        );
    }
    assert_eq!(world.commit(rows), (2 * usize::from(FLOWS), 2 * usize::from(FLOWS)));
    // A group of one is given up for its datapath.
    let mut rows = Transaction::new();
    let alone = LogicalFlow {
        logical_dp_group: None,
        logical_datapath: Some(uuid(Table::DatapathBinding, 1)),
        ..flow(other)
    };
    rows.put(uuid(Table::LogicalFlow, 0), alone.clone());
    assert_eq!(world.commit(rows), (2, 2));
    // What a flow does is another thing everywhere.
    let mut rows = Transaction::new();
    rows.put(uuid(Table::LogicalFlow, 0), LogicalFlow { actions: "drop;".to_owned(), ..alone });
    rows.put(
        uuid(Table::LogicalFlow, 1),
        LogicalFlow { actions: "drop;".to_owned(), priority: 1, ..flow(other) },
    );
    assert_eq!(world.commit(rows), (1 + 3, 1 + 3));
}
