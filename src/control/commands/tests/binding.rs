//! Ports that are logical ports: that rows and flows are as they are after any history, and at any moment.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::chassis::rows;
use super::*;
use crate::control::bound::naive;
use crate::control::chassis;
use crate::logical::rows::tables::{Chassis, Encap, PortBinding};
use crate::logical::rows::{Row, Store, Transaction, Uuid};

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    /// A port becomes another logical port, or none.
    Set(u8, u8),
    /// A port goes, or comes with that name.
    Toggle(u8, u8),
    /// Rows are loaded, for a chassis.
    Load(u8, u8),
    /// Somebody else writes a port binding.
    Write(u8, u8),
    /// The row of the chassis changes.
    Chassis(u8),
}

const LOGICAL: [&str; 6] = ["", "vm1", "vm2", "vm9", "net1-router1", "nobody"];
const OTHER: Uuid = Uuid(77);

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1..4u8, 0..6u8).prop_map(|(port, name)| Event::Set(port, name)),
        2 => (1..4u8, 0..6u8).prop_map(|(port, name)| Event::Toggle(port, name)),
        1 => (0..3u8, 0..3u8).prop_map(|(rows, chassis)| Event::Load(rows, chassis)),
        3 => (0..2u8, 0..8u8).prop_map(|(row, what)| Event::Write(row, what)),
        1 => (0..4u8).prop_map(Event::Chassis),
    ]
}

impl Bench {
    /// Does it, be it refused or not.
    async fn happen(&mut self, event: &Event) {
        match event {
            Event::Set(port, name) => {
                let iface = format!("iface_id={}", LOGICAL[usize::from(*name)]);
                self.reply("port/set", &[&format!("q{port}"), &iface]).await;
            }
            Event::Toggle(port, name) => {
                let (port, number) = (format!("q{port}"), format!("number={}", 10 + port));
                if self.reply("port/del", &[&port]).await["error"] == Value::Null {
                    return;
                }
                let iface = format!("iface_id={}", LOGICAL[usize::from(*name)]);
                let mut args = vec![&*port, "type=memory", &*number];
                args.extend((*name > 0).then_some(&*iface));
                self.reply("port/add", &args).await;
            }
            Event::Load(dump, chassis) => {
                let text = match dump {
                    0 => rows(),
                    1 => rows().replace("vm1", "vm9"),
                    _ => rows().replace("\"vm2\"", "\"vm3\""),
                };
                let chassis = ["--chassis=hv1", "--chassis=hv7", "--chassis=hv1"][usize::from(*chassis)];
                self.ok("sbctl/load", &[chassis, &text]).await;
            }
            Event::Write(row, what) => self.write(usize::from(*row), *what).await,
            Event::Chassis(what) => {
                let changed = self.own_row().map(|(uuid, row)| match what {
                    0 => (uuid, Chassis { hostname: "host".to_owned(), ..row }),
                    1 => (uuid, Chassis { hostname: String::new(), ..row }),
                    // Another row in its place.
                    _ => (Uuid(uuid.0 ^ 1), row),
                });
                let Some((uuid, row)) = changed else { return };
                let mut transaction = Transaction::new();
                transaction.delete(Chassis::TABLE, Uuid(uuid.0 ^ 1));
                transaction.put(uuid, row);
                self.commit(transaction).await;
            }
        }
    }

    fn store(&self) -> Store {
        self.switch.state().logical.rows.snapshot().clone()
    }

    fn own_row(&self) -> Option<(Uuid, Chassis)> {
        let store = self.store();
        let (uuid, row) = store.chassis("hv1")?;
        Some((uuid, Chassis::clone(row)))
    }

    async fn commit(&mut self, transaction: Transaction) {
        self.switch.state_mut().logical.rows.commit(transaction).unwrap();
        self.switch.follow().await.unwrap();
    }

    async fn write(&mut self, row: usize, what: u8) {
        let store = self.store();
        let mut ports = store.iter::<PortBinding>().filter(|(_, row)| row.kind.is_empty());
        let Some((uuid, row)) = ports.nth(row) else { return };
        let own = store.chassis("hv1").map(|(uuid, _)| uuid);
        let mut row = PortBinding::clone(row);
        let request = |row: &mut PortBinding, name: &str| {
            row.options.insert("requested-chassis".to_owned(), name.to_owned());
        };
        match what {
            0 => (row.chassis, row.up) = (None, Some(false)),
            1 => (row.chassis, row.up) = (Some(OTHER), Some(true)),
            2 => (row.chassis, row.up) = (own, Some(false)),
            3 => request(&mut row, "hv2"),
            4 => request(&mut row, "hv1,hv2"),
            5 => request(&mut row, "host"),
            6 => (row.requested_chassis, row.up) = (own, None),
            _ => _ = row.options.remove("requested-chassis"),
        }
        let mut transaction = Transaction::new();
        let (ip, name) = ("192.0.2.2".to_owned(), "hv2".to_owned());
        let encap = Encap { chassis_name: name.clone(), ip, kind: "geneve".to_owned(), ..Encap::default() };
        transaction.put(Uuid(78), encap);
        transaction.put(OTHER, Chassis { name, encaps: [Uuid(78)].into(), ..Chassis::default() });
        transaction.put(uuid, row);
        self.commit(transaction).await;
    }

    fn is_settled(&self) -> bool {
        let state = self.switch.state();
        let logical = &state.logical;
        let followed = logical.following.as_ref().map(|following| following.bindings().clone());
        let rows = logical.rows.snapshot();
        naive::is_settled(&logical.bound, &followed.unwrap_or_default(), rows, &*state.datapath)
    }
}

#[test]
fn after_any_history_rows_say_what_a_walk_over_all_of_them_would_make_them_say() {
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    let history = proptest::collection::vec(event(), 1..24);
    let claimed = std::cell::Cell::new(0);
    runner
        .run(&history, |history| {
            bench(async |mut bench| {
                for port in 1..3 {
                    let number = format!("number={}", 10 + port);
                    bench.ok("port/add", &[&format!("q{port}"), "type=memory", &number]).await;
                }
                bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
                for (number, event) in history.iter().enumerate() {
                    bench.happen(event).await;
                    assert!(bench.is_settled(), "after {:?}", &history[..=number]);
                    let store = bench.store();
                    let up = store.iter::<PortBinding>().filter(|(_, row)| row.up == Some(true)).count();
                    claimed.set(claimed.get() + up);
                }
            });
            Ok(())
        })
        .unwrap();
    assert!(claimed.get() > 20, "the histories come to something: {}", claimed.get());
}

#[test]
fn a_port_that_is_requested_elsewhere_is_not_here() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        let flows = bench.flows();
        assert_eq!(bench.claim("vm1").await, (true, "true".to_owned()));
        let vm1 = bench.store().port("vm1").unwrap().0;
        for (wanted, here) in
            [("hv2", false), ("hv1,hv2", true), ("hv2,hv1", false), ("hv1", true), ("", true)]
        {
            let mut row = PortBinding::clone(bench.store().get(vm1).unwrap());
            row.options.insert("requested-chassis".to_owned(), wanted.to_owned());
            let mut transaction = Transaction::new();
            transaction.put(vm1, row);
            bench.commit(transaction).await;
            assert_eq!(bench.claim("vm1").await, (here, here.to_string()), "{wanted}");
            assert_eq!(bench.flows() == flows, here, "{wanted}: {} flows", bench.flows());
            let troubles = bench.ok("sbctl/troubles", &[]).await;
            let said = format!("Port_Binding {vm1}: is port 1 here, but is requested on chassis {wanted}\n");
            assert_eq!(troubles.contains(&said), !here, "{troubles}");
        }
    });
}

#[test]
fn a_chassis_that_no_row_knows_is_told_of() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("sbctl/load", &["--chassis=hv9", &rows()]).await;
        let troubles = bench.ok("sbctl/troubles", &[]).await;
        let said = "Chassis: no row has the name \"hv9\" of this chassis, so it can claim no port\n";
        assert!(troubles.starts_with(said), "{troubles}");
        assert!(bench.flows() > 100, "packets are forwarded all the same: {}", bench.flows());
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        assert!(!bench.ok("sbctl/troubles", &[]).await.contains("Chassis:"));
    });
}

#[test]
fn a_number_that_comes_back_brings_none_of_the_flows_of_the_port_before() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("port/set", &["p2", "iface_id=vm2"]).await;
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        assert!(bench.ok("ofctl/dump-flows", &["--no-names", "table=65"]).await.contains("output:2"));
        // The flows of rows wait for their turn; the port goes and another comes in its place meanwhile.
        let switch = Rc::clone(&bench.switch);
        let turn = switch.following_turn().await;
        let mut other = bench.another();
        let goes = tokio::task::spawn_local(async move { other.ok("port/del", &["p2"]).await });
        let mut other = bench.another();
        let comes = tokio::task::spawn_local(async move {
            other.ok("port/add", &["p3", "type=memory", "number=2"]).await;
            other.ok("ofctl/dump-flows", &["--no-names", "table=65"]).await
        });
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let state = bench.switch.state();
            let is_there = state.datapath.ports().get(crate::packet::PortNo(2)).is_some();
            let sends =
                state.flows.tables.iter().any(|flow| {
                    flow.actions.contains(&crate::action::Action::Output(crate::packet::PortNo(2)))
                });
            let name = state.datapath.ports().get(crate::packet::PortNo(2)).map(|port| port.name.to_string());
            assert!(!(is_there && sends && name.as_deref() == Some("p3")), "the new port gets vm2's packets");
        }
        drop(turn);
        goes.await.unwrap();
        assert!(!comes.await.unwrap().contains("output:2"));
        assert!(bench.is_settled());
    });
}

#[test]
fn a_logical_port_is_seen_with_its_flows() {
    bench(async |mut bench| {
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        let switch = Rc::clone(&bench.switch);
        let turn = switch.following_turn().await;
        let mut other = bench.another();
        let first =
            tokio::task::spawn_local(async move { other.ok("port/set", &["p1", "iface_id=vm1"]).await });
        let mut other = bench.another();
        let second = tokio::task::spawn_local(async move {
            other.ok("port/set", &["p2", "iface_id=vm2"]).await;
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        // The second has not begun: it does not see the first half done.
        let names = |bench: &Bench| {
            let state = bench.switch.state();
            [1, 2].map(|number| {
                state.datapath.port_status(crate::packet::PortNo(number)).unwrap().spec.iface_id
            })
        };
        assert_eq!(names(&bench), [Some("vm1".to_owned()), None]);
        drop(turn);
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(names(&bench), [Some("vm1".to_owned()), Some("vm2".to_owned())]);
        assert!(bench.is_settled());
    });
}

#[test]
fn a_command_says_that_rows_did_not_become_flows_and_the_next_begins_anew() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.switch.state_mut().logical.lower = |_, _, _| panic!("a fault that the test wants");
        let refused = bench.refused("sbctl/load", &["--chassis=hv1", &rows()]).await;
        assert!(refused.starts_with("it is done, but rows could not be made flows"), "{refused}");
        assert_eq!(bench.claim("vm1").await, (false, "false".to_owned()), "nothing is up that has no flows");
        bench.switch.state_mut().logical.lower = chassis::lower;
        bench.ok("port/set", &["p2", "iface_id=vm2"]).await;
        assert_eq!(bench.claim("vm1").await, (true, "true".to_owned()));
        assert!(bench.is_settled());
        let text = bench.ok("ofctl/dump-flows", &["--no-stats"]).await;
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        assert_eq!(bench.ok("ofctl/dump-flows", &["--no-stats"]).await, text);
    });
}

#[test]
fn troubles_are_those_of_all_rows_that_were_loaded_before() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        // Long enough in the making to be asked meanwhile.
        bench.switch.state_mut().logical.lower = |following, delta, rebound| {
            std::thread::sleep(Duration::from_millis(100));
            chassis::lower(following, delta, rebound)
        };
        let broken = rows().replace("\"next;\"", "\"nonsense;\"");
        assert_ne!(broken, rows());
        let mut other = bench.another();
        let load = tokio::task::spawn_local(async move {
            other.ok("sbctl/load", &["--chassis=hv1", &broken]).await;
        });
        while bench.switch.state().logical.following.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let troubles = bench.ok("sbctl/troubles", &[]).await;
        assert!(troubles.lines().count() > 10, "{troubles}");
        load.await.unwrap();
    });
}
