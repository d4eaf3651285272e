//! A network of a few rows, and on it the forms, the tables, changes of packets and output; the rest by topic beside.

mod bounds;
mod connections;
mod inputs;
mod packets;
mod table;

use std::collections::BTreeMap;

use super::*;
use crate::logical::rows::tables::{
    DhcpOptions, Dhcpv6Options, Fdb, LogicalFlow, MacBinding, MulticastGroup, PortBinding, PortGroup, Row,
};
use crate::logical::rows::{Database, Transaction};

const FROM_A: &str = r#"inport == "a" && eth.src == 02:00:00:00:00:0a && eth.dst == 02:00:00:00:00:0b"#;
const IP4: &str = r#"inport == "a" && eth.src == 02:00:00:00:00:0a && eth.dst == 02:00:00:00:00:0b
    && ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && ip.ttl == 64"#;
const IP6: &str = r#"inport == "a" && eth.src == 02:00:00:00:00:0a && eth.dst == 02:00:00:00:00:0b
    && ip6.src == fd00::1 && ip6.dst == fd00::2 && ip.ttl == 64"#;

/// Rows in the making.
struct Net {
    rows: Transaction,
    last: u128,
}

impl Net {
    /// Nothing.
    fn empty() -> Self {
        Self { rows: Transaction::new(), last: 0 }
    }

    /// A switch `sw` with the ports `a`, `b` and `c`, whose egress pipeline lets everything out.
    fn switch() -> (Self, Uuid) {
        let mut net = Self::empty();
        let sw = net.datapath("sw", 1);
        for (key, name) in (1..).zip(["a", "b", "c"]) {
            net.port(sw, name, key, |_| ());
        }
        net.flow(sw, Pipeline::Egress, 0, 0, "1", "output;");
        (net, sw)
    }

    fn put<T: Row>(&mut self, row: T) -> Uuid {
        self.last += 1 << 96;
        self.rows.put(Uuid(self.last), row);
        Uuid(self.last)
    }

    fn datapath(&mut self, name: &str, tunnel_key: u32) -> Uuid {
        let external_ids =
            pairs(&[("name", name), ("logical-switch", "0000dead-0000-0000-0000-000000000000")]);
        self.put(DatapathBinding { external_ids, tunnel_key, ..Default::default() })
    }

    fn port(
        &mut self,
        datapath: Uuid,
        name: &str,
        tunnel_key: u16,
        change: impl FnOnce(&mut PortBinding),
    ) -> Uuid {
        let mut row =
            PortBinding { datapath, logical_port: name.to_owned(), tunnel_key, ..Default::default() };
        change(&mut row);
        self.put(row)
    }

    fn flow(
        &mut self,
        datapath: Uuid,
        pipeline: Pipeline,
        table_id: u8,
        priority: u16,
        matches: &str,
        actions: &str,
    ) {
        let (matches, actions) = (matches.to_owned(), actions.to_owned());
        let logical_datapath = Some(datapath);
        self.put(LogicalFlow {
            logical_datapath,
            pipeline,
            table_id,
            priority,
            matches,
            actions,
            ..Default::default()
        });
    }

    fn ingress(&mut self, datapath: Uuid, table: u8, actions: &str) {
        self.flow(datapath, Pipeline::Ingress, table, 0, "1", actions);
    }

    fn tracer(self) -> Tracer {
        let mut database = Database::default();
        database.commit(self.rows).unwrap();
        Tracer::new(database.snapshot().clone())
    }
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn request(datapath: Option<&str>, microflow: &str) -> Request {
    let (datapath, microflow) = (datapath.map(str::to_owned), microflow.to_owned());
    Request { datapath, microflow, ..Request::default() }
}

/// One form without the line of the packet.
fn shown(tracer: &Tracer, form: Form, microflow: &str, options: &[&str]) -> String {
    let words: Vec<&str> = [options, &["sw", microflow]].concat();
    let request = Request::parse(&words).unwrap();
    let trace = tracer.run(&request).unwrap();
    assert_eq!(trace.unread(), []);
    trace.display(&[form]).to_string().split_once('\n').unwrap().1.to_owned()
}

/// The lines of one form, without blanks in front, of what the switch does that has these ingress tables.
fn lines(form: Form, tables: &[&str], microflow: &str, options: &[&str]) -> Vec<String> {
    let (mut net, sw) = Net::switch();
    for (table, actions) in (0..).zip(tables) {
        net.ingress(sw, table, actions);
    }
    let text = shown(&net.tracer(), form, microflow, options);
    text.lines().map(|line| line.trim_start().to_owned()).collect()
}

fn minimal(tables: &[&str], microflow: &str) -> Vec<String> {
    lines(Form::Minimal, tables, microflow, &[])
}

fn summary(tables: &[&str], microflow: &str) -> Vec<String> {
    lines(Form::Summary, tables, microflow, &[])
}

const OUT_B: &str = r#"outport = "b"; output;"#;

#[test]
fn the_three_forms() {
    let (mut net, sw) = Net::switch();
    net.flow(sw, Pipeline::Ingress, 0, 10, r#"inport == "a""#, "reg0[3] = 1; next;");
    net.ingress(sw, 1, "next;");
    net.flow(
        sw,
        Pipeline::Ingress,
        2,
        5,
        "eth.dst == 02:00:00:00:00:0b",
        r#"outport = "b"; output; eth.src = eth.dst;"#,
    );
    let tracer = net.tracer();
    assert_eq!(
        shown(&tracer, Form::Detailed, FROM_A, &[]),
        r#"
ingress(dp="sw", inport="a")
----------------------------
 0. inport == "a", priority 10, uuid 00000006
    reg0[3] = 1;
    next;
 2. eth.dst == 02:00:00:00:00:0b, priority 5, uuid 00000008
    outport = "b";
    output;

    egress(dp="sw", inport="a", outport="b")
    ----------------------------------------
         0. 1, priority 0, uuid 00000005
            output;
            /* output to "b", type "" */
    eth.src = eth.dst;
"#
    );
    assert_eq!(
        shown(&tracer, Form::Summary, FROM_A, &[]),
        r#"ingress(dp="sw", inport="a") {
    reg0[3] = 1;
    next;
    outport = "b";
    output;
    egress(dp="sw", inport="a", outport="b") {
        output;
        /* output to "b", type "" */;
    };
    eth.src = eth.dst;
};
"#
    );
    assert_eq!(shown(&tracer, Form::Minimal, FROM_A, &[]), "output(\"b\");\neth.src = 02:00:00:00:00:0b;\n");
}

#[test]
fn the_highest_priority_wins_and_no_match_drops() {
    let (mut net, sw) = Net::switch();
    net.flow(sw, Pipeline::Ingress, 0, 1, "1", "eth.src = 00:00:00:00:00:01;");
    net.flow(sw, Pipeline::Ingress, 0, 3, "ip4", "eth.src = 00:00:00:00:00:03;");
    net.flow(sw, Pipeline::Ingress, 0, 2, "1", "eth.src = 00:00:00:00:00:02;");
    let tracer = net.tracer();
    assert_eq!(shown(&tracer, Form::Minimal, FROM_A, &[]), "eth.src = 00:00:00:00:00:02;\n");
    assert_eq!(shown(&tracer, Form::Minimal, IP4, &[]), "eth.src = 00:00:00:00:00:03;\n");
    let (net, _) = Net::switch();
    let text = shown(&net.tracer(), Form::Detailed, FROM_A, &[]);
    assert!(text.ends_with(" 0. no match (implicit drop)\n"), "{text}");
    assert_eq!(summary(&["drop;"], FROM_A)[1], "drop;");
}

#[test]
fn what_actions_presuppose_is_part_of_the_match() {
    assert_eq!(minimal(&["ip.ttl--;"], FROM_A), [""; 0]);
    assert_eq!(minimal(&["ip.ttl--;"], IP4), ["ip.ttl--;"]);
    assert_eq!(minimal(&["ip.ttl--;"], &IP4.replace("64", "0")), ["*** TTL underflow;"]);
}

#[test]
fn next_runs_a_table_on_the_callers_packet() {
    let tables = ["next; eth.src = eth.dst;", "eth.dst = 00:00:00:00:00:09;"];
    assert_eq!(minimal(&tables, FROM_A), ["eth.dst = 00:00:00:00:00:09;", "eth.src = 00:00:00:00:00:09;"]);
    let tables = ["clone { eth.dst = 00:00:00:00:00:09; }; eth.src = eth.dst;"];
    assert_eq!(
        minimal(&tables, FROM_A),
        ["clone {", "eth.dst = 00:00:00:00:00:09;", "};", "eth.src = 02:00:00:00:00:0b;"]
    );
    let tables =
        [r#"outport = "b"; next(pipeline=egress, table=0); next(2);"#, "", "eth.src = 00:00:00:00:00:01;"];
    let found = summary(&tables, FROM_A);
    assert_eq!(
        found,
        [
            "ingress(dp=\"sw\", inport=\"a\") {",
            "outport = \"b\";",
            "egress(dp=\"sw\", outport=\"b\") {",
            "output;",
            "/* output to \"b\", type \"\" */;",
            "};",
            "eth.src = 00:00:00:00:00:01;",
            "};"
        ]
    );
}

#[test]
fn loads_moves_and_exchanges() {
    let tables = [
        "reg1 = 10.0.0.7; reg1[0..7] = 9; ip4.dst = reg1; ip4.src <-> ip4.dst; ip.ttl = 3; ip4.src = ip4.dst; \
         eth.dst[0..7] = 5; eth.src = eth.dst; tcp.dst = 7;",
    ];
    assert_eq!(
        minimal(&tables, &format!("{IP4} && tcp")),
        [
            "ip4.dst = 0xa000009;",
            "ip4.src = 10.0.0.9;",
            "ip4.dst = 10.0.0.1;",
            "ip.ttl = 3;",
            "ip4.src = 10.0.0.1;",
            "eth.dst[0..7] = 5;",
            "eth.src = 02:00:00:00:00:05;",
            "tcp.dst = 7;"
        ]
    );
    // An unknown port is none.
    assert_eq!(minimal(&["outport = \"nowhere\"; output;"], FROM_A), ["*** output to null logical port;"]);
    assert_eq!(minimal(&["icmp4.frag_mtu = 1500;"], &format!("{IP4} && icmp4")), ["icmp4.frag_mtu = 1500;"]);
}

#[test]
fn a_field_that_the_packet_lacks_is_not_written() {
    let tables = ["icmp4 { tcp.dst = 7; icmp4.type = 11; }; "];
    // The reply is one of ICMP; what it lacks is told but not written.
    let (mut net, sw) = Net::switch();
    net.ingress(sw, 0, r#"icmp4 { tcp.dst = 7; next(1); };"#);
    net.flow(sw, Pipeline::Ingress, 1, 0, "icmp4.code == 1", OUT_B);
    assert_eq!(
        shown(&net.tracer(), Form::Minimal, &format!("{IP4} && udp"), &[]),
        "icmp4 {\n    tcp.dst = 7;\n    output(\"b\");\n};\n"
    );
    assert_eq!(
        minimal(&tables, &format!("{IP4} && udp")),
        ["icmp4 {", "tcp.dst = 7;", "icmp4.type = 11;", "};"]
    );
}

#[test]
fn the_stack_belongs_to_a_list_of_actions() {
    let tables =
        ["reg0 = 5; push(reg0); push(eth.src); pop(eth.dst); next; pop(reg1); pop(reg2);", "pop(reg3);"];
    assert_eq!(
        minimal(&tables, FROM_A),
        [
            "push(reg0) -> 0x5;",
            "push(eth.src) -> 0x2000000000a;",
            "pop(eth.dst) <- 0x2000000000a;",
            "pop(reg3) <- /* empty stack */;",
            "pop(reg1) <- 0x5;",
            "pop(reg2) <- /* empty stack */;"
        ]
    );
}

#[test]
fn output_goes_to_ports_that_are_there() {
    assert_eq!(minimal(&[OUT_B], FROM_A), ["output(\"b\");"]);
    let back = r#"outport = "a"; output;"#;
    assert_eq!(
        summary(&[back], FROM_A)[3],
        "/* omitting output because inport == outport && !flags.loopback */;"
    );
    assert_eq!(minimal(&[&format!("flags.loopback = 1; {back}")], FROM_A), ["output(\"a\");"]);
    assert_eq!(minimal(&["output;"], FROM_A), ["*** output to null logical port;"]);
    let unknown = r#"outport = get_fdb(eth.dst); output;"#;
    let (mut net, sw) = Net::switch();
    net.ingress(sw, 0, unknown);
    net.put(Fdb { dp_key: 1, mac: "02:00:00:00:00:0b".to_owned(), port_key: 77 });
    assert_eq!(shown(&net.tracer(), Form::Minimal, FROM_A, &[]), "*** unknown port or multicast group 77;\n");
}

#[test]
fn flags_and_registers_are_cleared_entering_egress_and_kept_across_patch_ports() {
    let mut net = Net::empty();
    let (sw, other) = (net.datapath("sw", 1), net.datapath("other", 2));
    net.port(sw, "a", 1, |_| ());
    for (datapath, name, peer) in [(sw, "to-other", "to-sw"), (other, "to-sw", "to-other")] {
        net.port(datapath, name, 2, |row| {
            row.kind = "patch".to_owned();
            row.options = pairs(&[("peer", peer)]);
        });
    }
    net.ingress(sw, 0, r#"reg5 = 1; flags.loopback = 1; outport = "to-other"; output;"#);
    net.flow(sw, Pipeline::Egress, 0, 1, "reg5 == 0 && flags == 0", "reg6 = 6; output;");
    net.flow(
        other,
        Pipeline::Ingress,
        0,
        1,
        r#"reg6 == 6 && inport == "to-sw" && outport == """#,
        "eth.src = eth.dst;",
    );
    let found = shown(&net.tracer(), Form::Summary, FROM_A, &[]);
    assert!(found.contains("/* output to \"to-other\", type \"patch\" */;\n"), "{found}");
    assert!(found.contains("ingress(dp=\"other\", inport=\"to-sw\") {\n"), "{found}");
    assert!(found.contains("eth.src = eth.dst;\n"), "{found}");
}

#[test]
fn a_group_gets_a_copy_for_each_port_by_name() {
    let mut net = Net::empty();
    let sw = net.datapath("sw", 1);
    let ports =
        ["c", "a", "b"].into_iter().zip(1..).map(|(name, key)| net.port(sw, name, key, |_| ())).collect();
    net.put(MulticastGroup { datapath: sw, name: "_MC_flood".to_owned(), tunnel_key: 32768, ports });
    net.ingress(sw, 0, r#"outport = "_MC_flood"; output;"#);
    // What the pipeline of one port changes the next one's sees, as in ovn-trace.
    net.flow(sw, Pipeline::Egress, 0, 1, "reg0 == 0", "reg0 = 1; output;");
    net.flow(sw, Pipeline::Egress, 0, 0, "1", "ip.ttl = 9; output;");
    let tracer = net.tracer();
    assert_eq!(shown(&tracer, Form::Minimal, IP4, &[]), "output(\"b\");\nip.ttl = 9;\noutput(\"c\");\n");
    let detailed = shown(&tracer, Form::Detailed, IP4, &[]);
    assert!(detailed.contains("\nmulticast(dp=\"sw\", mcgroup=\"_MC_flood\")\n"), "{detailed}");
    let omitted = "            /* omitting output because inport == outport && !flags.loopback */\n";
    assert!(detailed.contains(omitted), "{detailed}");
}

#[test]
fn a_redirect_port_becomes_the_distributed_one() {
    let (mut net, sw) = Net::switch();
    let redirect = |to: &'static str| {
        move |row: &mut PortBinding| {
            row.kind = "chassisredirect".to_owned();
            row.options = pairs(&[("distributed-port", to)]);
        }
    };
    net.port(sw, "cr-b", 10, redirect("b"));
    net.port(sw, "cr-x", 11, redirect("x"));
    net.flow(sw, Pipeline::Ingress, 0, 1, "eth.src == 2", r#"outport = "cr-x"; output;"#);
    net.ingress(sw, 0, r#"outport = "cr-b"; output;"#);
    let tracer = net.tracer();
    let found = shown(&tracer, Form::Summary, FROM_A, &[]);
    let replaced =
        "/* Replacing type \"chassisredirect\" outport \"cr-b\" with distributed port \"b\". */;\n";
    assert!(found.contains(replaced), "{found}");
    assert_eq!(shown(&tracer, Form::Minimal, FROM_A, &[]), "output(\"b\");\n");
    assert_eq!(
        shown(&tracer, Form::Minimal, r#"inport == "a" && eth.src == 2"#, &[]),
        "*** output to type \"chassisredirect\" port \"cr-x\" with no or invalid distributed port;\n"
    );
}

#[test]
fn logs_and_actions_that_show_nothing() {
    assert_eq!(
        minimal(&[r#"log(name="x", verdict=drop, severity=alert); set_queue(3);"#], FROM_A),
        ["LOG: ACL name=x, direction=IN, verdict=drop, severity=alert, packet=\"reg14=0x1,vlan_tci=0x0000,\
             dl_src=02:00:00:00:00:0a,dl_dst=02:00:00:00:00:0b,dl_type=0x0000\";"]
    );
    let silent = "ct_commit { ct_mark = 1; }; reg9[1] = check_pkt_larger(1500); put_arp(inport, reg0, eth.src); ct_clear;";
    assert_eq!(minimal(&[silent], IP4), [""; 0]);
    assert_eq!(summary(&[silent], IP4).len(), 6);
    // What came after 23.03 says that it is not there; a bit that it yields is 0.
    let later = "reg0 = 7; reg0 = ct_nw_dst(); ip4.src = reg0;";
    assert_eq!(minimal(&[later], IP4), ["*** ct_nw_dst action not implemented;", "ip4.src = 0x0;"]);
}
