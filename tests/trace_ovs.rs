//! Ways through random tables, beside those that `ofproto/trace` of a real Open vSwitch tells.
//!
//! Compared are the flow, the steps and the final flow. Megaflows are not: this switch matches less of a packet.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use millrace::config::Ovn;
use millrace::control::commands::{Session, answer};
use millrace::control::jsonrpc::{Id, Param, Request};
use millrace::control::switch::Switch;
use millrace::control::testing::MemoryDatapath;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const PORTS: u16 = 4;
const WORLDS: usize = 30;
const PACKETS: usize = 4;

/// An Open vSwitch of its own with a datapath that is none.
struct Ovs {
    folder: tempfile::TempDir,
    children: RefCell<Vec<Child>>,
}

impl Drop for Ovs {
    fn drop(&mut self) {
        for child in self.children.borrow_mut().iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Ovs {
    fn start() -> Self {
        let ovs = Self { folder: tempfile::tempdir().unwrap(), children: RefCell::default() };
        let schema = "/usr/share/openvswitch/vswitch.ovsschema";
        ovs.run("ovsdb-tool", &["create", &ovs.at("conf.db"), schema]);
        let remote = format!("--remote=punix:{}", ovs.at("db.sock"));
        let control = |name: &str| format!("--unixctl={}", ovs.at(name));
        ovs.spawn("ovsdb-server", &[&ovs.at("conf.db"), &remote, &control("db.ctl")]);
        ovs.wait("db.sock");
        ovs.vsctl(&["--no-wait", "init"]);
        let database = format!("unix:{}", ovs.at("db.sock"));
        ovs.spawn("ovs-vswitchd", &[&database, &control("vs.ctl"), "--enable-dummy", "--disable-system"]);
        ovs.wait("vs.ctl");
        let protocols = "protocols=OpenFlow10,OpenFlow13,OpenFlow15";
        ovs.vsctl(&[
            "add-br",
            "br0",
            "--",
            "set",
            "bridge",
            "br0",
            "datapath_type=dummy",
            "fail_mode=secure",
            protocols,
        ]);
        for port in 1..=PORTS {
            let (name, number) = (format!("p{port}"), format!("ofport_request={port}"));
            ovs.vsctl(&["add-port", "br0", &name, "--", "set", "interface", &name, "type=dummy", &number]);
        }
        ovs
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null());
        for name in ["RUN", "DB", "LOG", "SYSCONF"] {
            command.env(format!("OVS_{name}DIR"), self.folder.path());
        }
        command
    }

    fn spawn(&self, program: &str, words: &[&str]) {
        let mut command = self.command(program, words);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!("cannot run {program} ({error}); install the package openvswitch-switch, which this test compares with")
        });
        self.children.borrow_mut().push(child);
    }

    fn wait(&self, socket: &str) {
        let since = Instant::now();
        while !self.folder.path().join(socket).exists() {
            assert!(since.elapsed() < Duration::from_secs(30), "no {socket}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn run(&self, program: &str, words: &[&str]) -> String {
        let out = self.command(program, words).output().unwrap_or_else(|error| {
            panic!("cannot run {program} ({error}); install the package openvswitch-switch, which this test compares with")
        });
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{program} {words:?}: {errors}");
        String::from_utf8(out.stdout).unwrap()
    }

    fn vsctl(&self, words: &[&str]) {
        let database = format!("--db=unix:{}", self.at("db.sock"));
        self.run("ovs-vsctl", &[&["--timeout=30", &database], words].concat());
    }

    fn ofctl(&self, words: &[&str]) {
        self.run("ovs-ofctl", &[&["-O", "OpenFlow15"], words].concat());
    }

    fn trace(&self, flow: &str) -> String {
        self.run("ovs-appctl", &["-t", &self.at("vs.ctl"), "ofproto/trace", "br0", flow])
    }
}

/// What both say: all but the megaflow and what the datapath does.
fn common(way: &str) -> String {
    let mut kept = String::new();
    for line in way.lines().take_while(|line| !line.starts_with("Megaflow: ")) {
        writeln!(kept, "{line}").unwrap();
    }
    kept
}

fn action(table: u8) -> BoxedStrategy<String> {
    let fixed = [
        "set_field:0x1->reg0",
        "set_field:0x2/0x3->reg0",
        "set_field:0x70/0xf0->reg1",
        "set_field:0x3->reg2",
        "set_field:0x5->metadata",
        "move:NXM_NX_REG1[0..15]->NXM_NX_REG0[16..31]",
        "move:NXM_NX_REG0[]->NXM_NX_REG3[]",
        "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
        "move:NXM_OF_IP_SRC[]->NXM_NX_REG4[]",
        "push:NXM_NX_REG0[]",
        "push:NXM_OF_ETH_DST[0..15]",
        "dec_ttl",
        "set_field:02:00:00:00:00:09->eth_src",
        "set_field:10.9.9.9->ip_dst",
        "output:1",
        "output:2",
        "output:3",
        "output:4",
        "IN_PORT",
        "output:NXM_NX_REG2[]",
        "output:77",
        "group:1",
        "group:2",
        "group:3",
    ];
    let onwards = (table + 1..6, any::<bool>(), 1..=PORTS).prop_map(|(to, as_other, port)| {
        if as_other { format!("resubmit({port},{to})") } else { format!("resubmit(,{to})") }
    });
    let fixed = proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned);
    prop_oneof![3 => fixed, 2 => onwards].boxed()
}

fn actions(table: u8) -> impl Strategy<Value = String> {
    let inside = prop::collection::vec(action(table), 1..4);
    let copy = inside.prop_map(|inner| format!("clone({})", inner.join(",")));
    let one = prop_oneof![5 => action(table), 1 => copy];
    prop::collection::vec(one, 0..5)
        .prop_map(|list| if list.is_empty() { "drop".to_owned() } else { list.join(",") })
}

fn flow() -> impl Strategy<Value = String> {
    (0u8..5, 0u16..3, 0u32..3).prop_flat_map(|(table, priority, cookie)| {
        let fields =
            ["nw_ttl=1", "in_port=1", "reg0=0x1/0x1", "metadata=5", "nw_src=10.0.0.0/8", "reg1=0x70"];
        let fields = proptest::sample::subsequence(fields.to_vec(), 0..2);
        (fields, actions(table)).prop_map(move |(fields, actions)| {
            let fields: String = fields.iter().map(|field| format!(",{field}")).collect();
            format!("table={table},priority={priority},cookie={cookie},ip{fields} actions={actions}")
        })
    })
}

fn packet() -> impl Strategy<Value = String> {
    let proto = prop::sample::select(vec!["ip", "tcp,tp_src=7,tcp_flags=0x2", "udp", "icmp,icmp_type=8"]);
    (1..=PORTS, proto, 0u8..4, 10u8..12).prop_map(|(port, proto, ttl, net)| {
        format!("in_port={port},{proto},nw_ttl={ttl},nw_src={net}.0.0.1,dl_src=02:00:00:00:00:01")
    })
}

#[test]
fn random_ways_are_told_alike() {
    let ovs = Ovs::start();
    let groups = [
        "group_id=1,type=all,bucket=output:2,bucket=set_field:1->reg3,output:3",
        "group_id=2,type=indirect,bucket=resubmit(,5)",
        "group_id=3,type=indirect,bucket=output:4",
    ];
    groups.iter().for_each(|group| ovs.ofctl(&["add-group", "br0", group]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (path, _handle) = MemoryDatapath::new(1);
        let switch = Rc::new(Switch::new("br0", Box::new(path), &Ovn::unkept()));
        let mut session = Session::default();
        let mut call = async |method: &str, params: &[&str]| {
            let params = params.iter().map(|param| Param::Text((*param).to_owned())).collect();
            let request = Request { id: Id::Number(1.into()), method: method.to_owned(), params };
            let bytes = answer(&switch, &mut session, request).await.unwrap();
            let reply: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(reply["error"].is_null(), "{method}: {reply}");
            reply["result"].as_str().unwrap_or_default().to_owned()
        };
        for port in 1..=PORTS {
            call("port/add", &[&format!("p{port}"), "type=memory"]).await;
        }
        for group in groups {
            call("ofctl/add-group", &[group]).await;
        }
        let mut runner = TestRunner::deterministic();
        let mut with_steps = 0;
        for _ in 0..WORLDS {
            let mut draw = |count: usize, of: &dyn Fn(&mut TestRunner) -> String| {
                (0..count).map(|_| of(&mut runner)).collect::<Vec<_>>()
            };
            let flows = draw(25, &|runner| flow().new_tree(runner).unwrap().current());
            let packets = draw(PACKETS, &|runner| packet().new_tree(runner).unwrap().current());
            let text = flows.join("\n");
            let mut file = tempfile::NamedTempFile::new().unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            ovs.ofctl(&["del-flows", "br0"]);
            ovs.ofctl(&["add-flows", "br0", file.path().to_str().unwrap()]);
            call("ofctl/del-flows", &[]).await;
            call("ofctl/add-flows", &[&text]).await;
            for packet in &packets {
                let theirs = common(&ovs.trace(packet));
                let ours = common(&call("ofproto/trace", &["br0", packet]).await);
                let same =
                    ours.lines().zip(theirs.lines()).take_while(|(ours, theirs)| ours == theirs).count();
                assert!(
                    ours == theirs,
                    "{packet} through\n{text}\nours from line {same}:\n{ours}\ntheirs:\n{theirs}"
                );
                with_steps += usize::from(ours.lines().count() > 15);
            }
        }
        assert!(with_steps > WORLDS, "only {with_steps} ways go far");
    });
}
