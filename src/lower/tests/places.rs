//! Ports that are in no place where a port can be, and flows of stages that are none.

use super::*;

/// Lowers rows in which `a`, `b` and `uplink` are bound, and gives what troubles there are by the rows' numbers.
struct World {
    database: Database,
    cursor: crate::logical::rows::Cursor,
    lowering: Lowering,
    bindings: Bindings,
}

fn port(name: &str) -> PortBinding {
    PortBinding {
        logical_port: name.to_owned(),
        datapath: uuid(Table::DatapathBinding, 0),
        tunnel_key: 1,
        ..PortBinding::default()
    }
}

fn inside(name: &str, parent: &str, tag: u16, tunnel_key: u16) -> PortBinding {
    PortBinding { parent_port: Some(parent.to_owned()), tag: Some(tag), tunnel_key, ..port(name) }
}

impl World {
    fn new() -> Self {
        let mut database = Database::default();
        let cursor = database.subscribe_from_nothing();
        database.commit(beginning()).unwrap();
        let bound = ["here", "a", "b", "uplink", "uplink2", "odd"];
        let ports =
            bound.iter().zip(1..).map(|(name, number)| ((*name).to_owned(), PortNo(number))).collect();
        let bindings = Bindings { host: Host::named("me"), ports };
        Self { database, cursor, lowering: Lowering::new(Numbers::default(), Zones::default()), bindings }
    }

    /// Puts rows and takes those with the numbers, and gives what is wrong with ports and flows.
    fn put(&mut self, ports: Vec<(u8, PortBinding)>, gone: &[u8]) -> Vec<(u8, String)> {
        let mut edit = Transaction::new();
        ports.into_iter().for_each(|(n, row)| edit.put(uuid(Table::PortBinding, n), row));
        gone.iter().for_each(|n| edit.delete(Table::PortBinding, uuid(Table::PortBinding, *n)));
        self.commit(edit)
    }

    fn commit(&mut self, edit: Transaction) -> Vec<(u8, String)> {
        self.database.commit(edit).unwrap();
        let delta = self.cursor.poll(&self.database);
        self.lowering.update(&delta, &self.bindings);
        // Flows from the beginning on, whose group is not there.
        let is_own = |trouble: &Trouble| (trouble.uuid.0 >> 120) < 100;
        let troubles = self.lowering.troubles().into_iter().filter(is_own);
        troubles.map(|trouble| ((trouble.uuid.0 >> 120) as u8, trouble.sentence)).collect()
    }

    fn flows_of(&self, n: u8) -> usize {
        self.lowering
            .flows()
            .filter(|flow| flow.row == Some((Table::PortBinding, uuid(Table::PortBinding, n))))
            .count()
    }
}

fn told(n: u8, sentence: &str) -> Vec<(u8, String)> {
    vec![(n, sentence.to_owned())]
}

#[test]
fn containers_that_nothing_finds_are_named_and_have_no_flows() {
    let mut world = World::new();
    assert_eq!(world.put(vec![(1, port("a"))], &[]), []);
    assert_eq!(
        world.put(vec![(2, inside("c", "c", 5, 2))], &[]),
        told(2, "it is inside itself, so that nothing finds it; name the port of a guest as its parent")
    );
    assert_eq!(world.flows_of(2), 0);
    let absent = "it is inside \"b\", which is not there; add that port, or correct the name";
    assert_eq!(world.put(vec![(2, inside("c", "b", 5, 2))], &[]), told(2, absent));
    // It comes, is a router's, is inside another port, and is a guest's at last.
    let no_guest = "it is inside \"b\", which has a type or a parent itself; name the port of a guest";
    let patch = PortBinding { kind: "patch".to_owned(), tunnel_key: 3, ..port("b") };
    assert_eq!(world.put(vec![(3, patch)], &[]), told(2, no_guest));
    assert_eq!(world.put(vec![(3, inside("b", "a", 6, 3))], &[]), told(2, no_guest));
    assert_eq!(world.flows_of(2), 0);
    assert_eq!(world.put(vec![(3, PortBinding { tunnel_key: 3, ..port("b") })], &[]), []);
    assert!(world.flows_of(2) > 0);
    // One in the other.
    let both = [(2, inside("c", "b", 5, 2)), (3, inside("b", "c", 5, 3))];
    let troubles = world.put(both.into(), &[]);
    assert_eq!(troubles.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 3], "{troubles:?}");
    assert_eq!((world.flows_of(2), world.flows_of(3)), (0, 0));
}

#[test]
fn one_tag_inside_a_port_is_for_one() {
    let mut world = World::new();
    world.put(vec![(1, port("a")), (3, inside("d", "a", 5, 3))], &[]);
    let second = "it has tag 5 inside \"a\" as \"c\" has, to which its packets belong; give it another tag";
    assert_eq!(world.put(vec![(2, inside("c", "a", 5, 2))], &[]), told(3, second));
    let to = |world: &World| {
        let flows = world.lowering.flows().filter(|flow| flow.table == 0 && flow.priority == 150);
        flows.map(|flow| flow.cookie as u32).collect::<Vec<_>>()
    };
    assert_eq!(to(&world), [uuid(Table::PortBinding, 2).first_word()], "as it says");
    assert_eq!(world.put(Vec::new(), &[2]), []);
    assert_eq!(to(&world), [uuid(Table::PortBinding, 3).first_word()]);
    assert_eq!(world.put(vec![(2, inside("c", "a", 6, 2))], &[]), []);
}

#[test]
fn types_that_are_not_served_are_named() {
    let mut world = World::new();
    for kind in ["external", "virtual", "vtep", "remote"] {
        let odd = PortBinding { kind: kind.to_owned(), ..port("odd") };
        let sentence = format!(
            "ports of type \"{kind}\" are not served yet, so that it is not here; use one without a type"
        );
        assert_eq!(world.put(vec![(1, odd)], &[]), told(1, &sentence));
        assert_eq!(world.flows_of(1), 0);
    }
    let odd = PortBinding { kind: "swich".to_owned(), ..port("odd") };
    let sentence = "its type \"swich\" is unknown, so that it is not here; correct it, or leave it empty";
    assert_eq!(world.put(vec![(1, odd)], &[]), told(1, sentence));
    assert_eq!(world.put(vec![(1, port("odd"))], &[]), []);
    assert!(world.flows_of(1) > 0);
}

#[test]
fn of_several_ways_out_the_first_by_name_is_used_and_the_others_are_named() {
    let mut world = World::new();
    let wire = |name: &str, tunnel_key| PortBinding { kind: "localnet".to_owned(), tunnel_key, ..port(name) };
    assert_eq!(world.put(vec![(1, wire("uplink2", 1))], &[]), []);
    let second = "its datapath reaches ports of other chassis by \"uplink\", the first of several that are here; \
                  bind one of them";
    assert_eq!(world.put(vec![(2, wire("uplink", 2)), (3, wire("elsewhere", 3))], &[]), told(1, second));
    assert_eq!(world.put(Vec::new(), &[2]), []);
}

#[test]
fn entries_of_port_security_that_say_nothing_are_all_named() {
    let mut world = World::new();
    let with = |entries: &[&str]| PortBinding {
        port_security: entries.iter().map(|entry| (*entry).to_owned()).collect(),
        ..port("a")
    };
    assert_eq!(
        world.put(vec![(1, with(&["x", "say \"y\"", "02:00:00:00:00:01"]))], &[]),
        told(
            1,
            r#"port security "say \"y\"", "x" name no Ethernet address and count for nothing; begin with one"#
        )
    );
    let many: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let [(1, sentence)] = &world.put(vec![(1, with(&many))], &[])[..] else { panic!("not one") };
    assert!(sentence.starts_with("port security \"00\", \"01\","), "{sentence}");
    assert!(sentence.contains("\"07\", … name no"), "{sentence}");
}

#[test]
fn stages_that_are_the_switchs_own_tables_are_refused() {
    let mut world = World::new();
    let flow = |pipeline, table_id, actions: &str| LogicalFlow {
        matches: "1".to_owned(),
        actions: actions.to_owned(),
        logical_datapath: Some(uuid(Table::DatapathBinding, 0)),
        pipeline,
        table_id,
        ..LogicalFlow::default()
    };
    let highest = |world: &World| {
        let own = |flow: &LoweredFlow| flow.row == Some((Table::LogicalFlow, uuid(Table::LogicalFlow, 1)));
        world.lowering.flows().filter(own).map(|flow| flow.table).max()
    };
    let beyond = |table: u8, last: u8| {
        told(
            1,
            &format!(
                "its table {table} is beyond the last one of its pipeline, {last}; use an earlier table"
            ),
        )
    };
    let mut put = |flow: LogicalFlow| {
        let mut edit = Transaction::new();
        edit.put(uuid(Table::LogicalFlow, 1), flow);
        let mut troubles = world.commit(edit);
        troubles.retain(|(n, _)| *n == 1);
        (troubles, highest(&world))
    };
    for (pipeline, last, table) in [(Pipeline::Ingress, 28, 36), (Pipeline::Egress, 21, 63)] {
        assert_eq!(put(flow(pipeline, last, "drop;")), (Vec::new(), Some(table)));
        for table in last + 1..33 {
            assert_eq!(put(flow(pipeline, table, "drop;")), (beyond(table, last), None));
        }
    }
    let leads = |table: u8, last: u8| {
        let sentence = format!(
            "its actions lead to table {table}, beyond the last one of that pipeline, {last}; use an earlier table"
        );
        (told(1, &sentence), None)
    };
    assert_eq!(put(flow(Pipeline::Ingress, 28, "next;")), leads(29, 28));
    assert_eq!(put(flow(Pipeline::Egress, 21, "next;")), leads(22, 21));
    assert_eq!(put(flow(Pipeline::Ingress, 0, "next(pipeline=egress, table=22);")), leads(22, 21));
    assert_eq!(put(flow(Pipeline::Ingress, 0, "clone { next(pipeline=egress, table=30); };")), leads(30, 21));
    assert_eq!(put(flow(Pipeline::Egress, 0, "next(pipeline=ingress, table=28);")), (Vec::new(), Some(42)));
}
