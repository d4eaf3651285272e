//! Every interpreted action on a network of a few rows.


mod table;

use std::collections::BTreeMap;

use super::*;
use crate::logical::rows::tables::{
    Fdb, LogicalFlow, MacBinding, MulticastGroup, PortBinding, PortGroup, Row,
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
fn connection_states_are_taken_in_turn() {
    let tables = ["ct_next; ct_next; ct_next;", "next(2);", "eth.dst = eth.src;"];
    assert_eq!(
        lines(Form::Minimal, &tables, IP4, &["--ct=new", "--ct=inv"])
            .into_iter()
            .filter(|line| line.starts_with("ct_next"))
            .collect::<Vec<_>>(),
        [
            "ct_next(ct_state=new|trk) {",
            "ct_next(ct_state=inv|trk) {",
            "ct_next(ct_state=est|trk /* default (use --ct to customize) */) {"
        ]
    );
    let (mut net, sw) = Net::switch();
    net.ingress(sw, 0, "ct_next; next;");
    net.flow(sw, Pipeline::Ingress, 1, 1, "ct.est", "ct_clear; next;");
    net.flow(sw, Pipeline::Ingress, 1, 0, "1", "eth.src = 00:00:00:00:00:01;");
    net.flow(sw, Pipeline::Ingress, 2, 1, "ct.trk", "eth.src = 00:00:00:00:00:02;");
    net.flow(sw, Pipeline::Ingress, 2, 0, "1", "eth.src = 00:00:00:00:00:03;");
    assert_eq!(
        shown(&net.tracer(), Form::Minimal, IP4, &["--ct=est"]),
        "ct_next(ct_state=est|trk) {\n    eth.src = 00:00:00:00:00:03;\n};\neth.src = 00:00:00:00:00:01;\n"
    );
}

#[test]
fn translation() {
    let show = "reg0 = ip4.dst; reg1 = ip4.src; ip4.dst = reg0; ip4.src = reg1;";
    assert_eq!(
        lines(Form::Minimal, &["ct_dnat(10.0.0.9);", show], IP4, &["--ct=new"]),
        ["ct_dnat(ip4.dst=10.0.0.9) {", "ip4.dst = 0xa000009;", "ip4.src = 0xa000001;", "};"]
    );
    assert_eq!(
        lines(Form::Minimal, &["ct_snat(10.0.0.9);", show], IP4, &[])[0],
        "ct_snat(ip4.src=10.0.0.9) /* default (use --ct to customize) */ {"
    );
    assert_eq!(
        lines(Form::Minimal, &["ct_dnat;", show], IP4, &["--ct=new"])[0],
        "ct_dnat /* assuming no un-dnat entry, so no change */ {"
    );
    assert_eq!(
        lines(Form::Minimal, &["ct_snat_in_czone(fd00::9);", "ip6.dst = ip6.src;"], IP6, &["--ct=new"]),
        ["ct_snatin_czone(ip6.src=fd00::9) {", "ip6.dst = fd00::9;", "};"]
    );
    assert_eq!(
        lines(Form::Minimal, &["ct_commit_nat;", "drop;"], IP4, &["--ct=new"]),
        ["ct_commit_nat /* assuming no un-nat entry, so no change */;"]
    );
    assert_eq!(
        lines(
            Form::Minimal,
            &["ct_commit_to_zone(snat); eth.src = eth.dst;", "ct_clear; ip.ttl--;"],
            IP4,
            &[]
        ),
        [
            "ct_commit_to_zone(snat) /* default (use --ct to customize) */ {",
            "ip.ttl--;",
            "};",
            "eth.src = 02:00:00:00:00:0b;"
        ]
    );
    // It leaves a state that is known alone.
    assert_eq!(
        lines(Form::Minimal, &["ct_next;", "ct_dnat;", "drop;"], IP4, &["--ct=new", "--ct=est"])[1],
        "ct_dnat /* assuming no un-dnat entry, so no change */;"
    );
    let (mut net, sw) = Net::switch();
    net.port(sw, "gw", 9, |row| row.kind = "l3gateway".to_owned());
    net.ingress(sw, 0, "ct_snat; eth.src = eth.dst;");
    assert_eq!(shown(&net.tracer(), Form::Minimal, IP4, &[]), "eth.src = 02:00:00:00:00:0b;\n");
}

#[test]
fn load_balancing() {
    let tcp = format!("{IP4} && tcp.dst == 80");
    let lb = "ct_lb_mark(backends=10.0.0.8:8080,[fd00::8]:8080,10.0.0.9);";
    let show = "ip4.src = ip4.dst; tcp.src = tcp.dst;";
    assert_eq!(
        lines(Form::Minimal, &[lb, show], &tcp, &["--ct=new"]),
        ["ct_lb_mark {", "ip4.src = 10.0.0.8;", "tcp.src = 8080;", "};"]
    );
    assert_eq!(
        lines(Form::Minimal, &[lb, show], &tcp, &["--ct=new", "--lb-dst=10.0.0.9"]),
        ["ct_lb_mark {", "ip4.src = 10.0.0.9;", "tcp.src = 80;", "};"]
    );
    // Without backends the user's is taken, if there is one.
    assert_eq!(
        lines(Form::Minimal, &["ct_lb;", show], &tcp, &["--ct=new", "--lb-dst=10.0.0.7:7"]),
        ["ct_lb {", "ip4.src = 10.0.0.7;", "tcp.src = 7;", "};"]
    );
    assert_eq!(
        lines(Form::Minimal, &["ct_lb_mark;", "drop;"], &tcp, &[]),
        ["ct_lb_mark /* default (use --ct to customize) */;"]
    );
    assert_eq!(
        lines(Form::Minimal, &["ct_lb(backends=[fd00::8]:80);", "drop;"], &tcp, &["--ct=new"]),
        ["*** no load balancing destination (use --lb-dst);", "ct_lb;"]
    );
}

#[test]
fn hairpins() {
    let (mut net, sw) = Net::switch();
    net.put(LoadBalancer {
        vips: pairs(&[("10.0.0.2:80", "10.0.0.1:8080"), ("10.0.0.2:81", "10.0.0.1:8080")]),
        ..Default::default()
    });
    net.ingress(sw, 0, "ct_lb_mark(backends=10.0.0.1:8080);");
    net.ingress(sw, 1, "reg0[6] = chk_lb_hairpin(); reg0[12] = chk_lb_hairpin_reply(); ct_snat_to_vip;");
    let tracer = net.tracer();
    assert_eq!(
        shown(&tracer, Form::Minimal, &format!("{IP4} && tcp.dst == 80"), &["--ct=new"]),
        "ct_lb_mark {\n    reg0[6] = 1;\n    reg0[12] = 0;\n};\n"
    );
    let found = shown(&tracer, Form::Summary, &format!("{IP4} && tcp.dst == 81"), &["--ct=new"]);
    assert!(found.contains("/* nat(src=10.0.0.2) */\n"), "{found}");
    let from_elsewhere = IP4.replace("10.0.0.1", "10.0.0.5");
    assert_eq!(
        shown(&tracer, Form::Minimal, &format!("{from_elsewhere} && tcp.dst == 80"), &["--ct=new"]),
        "ct_lb_mark {\n    reg0[6] = 0;\n    reg0[12] = 0;\n};\n"
    );
}

#[test]
fn selection() {
    let tables = ["reg8[16..31] = select(4, 5);", "reg8[16..31] = reg8[0..15]; tcp.dst = reg8[16..31];"];
    let tables = [tables[0], "tcp.dst = reg8[16..31];"];
    let tcp = format!("{IP4} && tcp");
    assert_eq!(
        lines(Form::Minimal, &tables, &tcp, &["--select-id=5"]),
        ["select: reg8[16..31] = 5 {", "tcp.dst = 0x5;", "};"]
    );
    assert_eq!(
        lines(Form::Minimal, &tables, &tcp, &["--select-id=6"])[0],
        "select: reg8[16..31] = 4 /* Randomly selected. Use --select-id to specify. */ {"
    );
}

#[test]
fn packets_made_of_the_packet() {
    let tcp = format!("{IP4} && tcp.src == 1 && tcp.dst == 2");
    let addresses = "eth.dst = eth.dst; ip4.src = ip4.src; ip4.dst = ip4.dst;";
    let found = |action: &str, microflow: &str| {
        let text = format!("{action} {{ {addresses} ip.ttl = ip.ttl; output; }};");
        lines(Form::Minimal, &[&text], microflow, &[])
    };
    let untouched = ["eth.dst = 02:00:00:00:00:0b;", "ip4.src = 10.0.0.1;", "ip4.dst = 10.0.0.2;"];
    let turned = ["eth.dst = 02:00:00:00:00:0a;", "ip4.src = 10.0.0.2;", "ip4.dst = 10.0.0.1;"];
    for (action, microflow, name, fields) in [
        ("icmp4", &tcp, "icmp4", untouched),
        ("icmp4_error", &tcp, "icmp4", untouched),
        ("tcp_reset", &tcp, "tcp_reset", untouched),
        ("reject", &tcp, "tcp_reset", turned),
        ("reject", &format!("{IP4} && udp"), "icmp4", turned),
        ("reject", &format!("{IP4} && sctp"), "sctp_abort", turned),
        ("sctp_abort", &format!("{IP4} && sctp"), "sctp_abort", untouched),
    ] {
        let title = format!("{name} {{");
        let expected: Vec<&str> = [&[&title as &str], &fields[..], &["ip.ttl = 255;"]].concat();
        assert_eq!(found(action, microflow)[..5], expected, "{action}");
    }
    // What answers an error would never end.
    assert_eq!(found("reject", &format!("{IP4} && icmp4.type == 3")), [""; 0]);
    assert_eq!(found("reject", &format!("{IP4} && tcp.flags == 4")), [""; 0]);
    for (action, dst) in [("icmp6", "fd00::2"), ("icmp6_error", "fd00::2"), ("reject", "fd00::1")] {
        let text = format!("{action} {{ ip6.dst = ip6.dst; ip.ttl = ip.ttl; }};");
        let expected = ["icmp6 {", &format!("ip6.dst = {dst};") as &str, "ip.ttl = 255;", "};"];
        assert_eq!(minimal(&[&text], &format!("{IP6} && udp")), expected);
    }
}

#[test]
fn arp_and_neighbour_discovery() {
    let arp = "arp { arp.op = arp.op; arp.sha = arp.sha; arp.tha = arp.tha; arp.spa = arp.spa; arp.tpa = arp.tpa; };";
    assert_eq!(
        minimal(&[arp], IP4),
        [
            "arp {",
            "arp.op = 1;",
            "arp.sha = 02:00:00:00:00:0a;",
            "arp.tha = 00:00:00:00:00:00;",
            "arp.spa = 10.0.0.1;",
            "arp.tpa = 10.0.0.2;",
            "};"
        ]
    );
    let ns = "nd_ns { eth.dst = eth.dst; ip6.dst = ip6.dst; };";
    assert_eq!(minimal(&[ns], IP6), ["nd_ns {", "eth.dst = 33:33:ff:00:00:02;", "ip6.dst = fd00::2;", "};"]);
    let asked = format!(
        "{} && icmp6.type == 135 && icmp6.code == 0 && nd.target == fd00::9",
        IP6.replace("64", "255")
    );
    for name in ["nd_na", "nd_na_router"] {
        let na = format!("{name} {{ eth.dst = eth.dst; ip6.src = ip6.src; ip6.dst = ip6.dst; }};");
        assert_eq!(
            minimal(&[&na], &asked),
            [
                &format!("{name} {{") as &str,
                "eth.dst = 02:00:00:00:00:0a;",
                "ip6.src = fd00::9;",
                "ip6.dst = fd00::1;",
                "};"
            ]
        );
    }
}

#[test]
fn neighbours_and_addresses_that_were_learned() {
    let (mut net, sw) = Net::switch();
    for (ip, mac) in [("10.0.0.2", "02:00:00:00:00:22"), ("fd00::2", "02:00:00:00:00:66")] {
        let (ip, mac, logical_port) = (ip.to_owned(), mac.to_owned(), "a".to_owned());
        net.put(MacBinding { datapath: sw, ip, mac, logical_port, timestamp: 0 });
    }
    net.put(Fdb { dp_key: 1, mac: "02:00:00:00:00:0b".to_owned(), port_key: 2 });
    net.flow(
        sw,
        Pipeline::Ingress,
        0,
        1,
        "ip4",
        "reg0 = ip4.dst; reg1[0] = lookup_arp_ip(inport, reg0); reg1[1] = lookup_arp(inport, reg0, eth.src); \
         get_arp(inport, reg0); reg1[2] = lookup_arp(inport, reg0, eth.dst); reg0 = 1; get_arp(inport, reg0); \
         ip4.src = reg1;",
    );
    net.flow(
        sw,
        Pipeline::Ingress,
        0,
        1,
        "ip6",
        "reg1[0] = lookup_fdb(inport, eth.dst); outport = get_fdb(eth.dst); reg1[1] = lookup_fdb(outport, eth.dst); \
         reg1[2] = lookup_nd_ip(inport, ip6.src); get_nd(inport, ip6.dst); eth.src[0..7] = reg1[0..7]; \
         outport = get_fdb(eth.dst); output;",
    );
    let tracer = net.tracer();
    assert_eq!(
        shown(&tracer, Form::Minimal, IP4, &[]),
        "eth.dst = 02:00:00:00:00:22;\neth.dst = 00:00:00:00:00:00;\nip4.src = 0x5;\n"
    );
    let text = shown(&tracer, Form::Summary, IP4, &[]);
    let remarks: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("/*")).collect();
    assert_eq!(
        remarks,
        [
            "/* MAC binding found. */",
            "/* lookup failed - No MAC binding. */",
            "/* MAC binding to 02:00:00:00:00:22. */",
            "/* MAC binding to 02:00:00:00:00:22 found. */",
            "/* No MAC binding. */"
        ]
    );
    assert_eq!(
        shown(&tracer, Form::Minimal, IP6, &[]),
        "eth.dst = 02:00:00:00:00:66;\neth.src[0..7] = 0x2;\n*** output to null logical port;\n"
    );
}

#[test]
fn port_security() {
    let (mut net, sw) = Net::switch();
    net.port(sw, "d", 4, |row| row.port_security = ["02:00:00:00:00:0a 10.0.0.1".to_owned()].into());
    net.ingress(
        sw,
        0,
        r#"reg0[15] = check_in_port_sec(); outport = "d"; reg0[14] = check_out_port_sec(); next;"#,
    );
    net.flow(sw, Pipeline::Ingress, 1, 2, "reg0[15]", "eth.dst = 00:00:00:00:00:01;");
    net.flow(sw, Pipeline::Ingress, 1, 1, "reg0[14]", "eth.dst = 00:00:00:00:00:02;");
    let tracer = net.tracer();
    let found = |microflow: &str| shown(&tracer, Form::Minimal, microflow, &[]);
    let from_d = IP4.replace("\"a\"", "\"d\"");
    assert_eq!(found(&from_d), "eth.dst = 00:00:00:00:00:02;\n");
    assert_eq!(found(&from_d.replace("10.0.0.1", "10.0.0.3")), "eth.dst = 00:00:00:00:00:01;\n");
    // Port a has no security.
    assert_eq!(found(IP4), "eth.dst = 00:00:00:00:00:02;\n");
    let no_port = IP4.replace(r#"inport == "a" && "#, "");
    assert_eq!(
        found(&no_port),
        "*** port security of unknown port 0; none assumed;\neth.dst = 00:00:00:00:00:02;\n"
    );
}

#[test]
fn options_of_dhcp_dns_and_advertisements() {
    assert_eq!(
        minimal(
            &["reg0[3] = put_dhcp_opts(offerip = 10.0.0.4, lease_time = 3600); next;", "drop;"],
            &format!("{IP4} && udp")
        ),
        [
            "/* We assume that this packet is DHCPDISCOVER or DHCPREQUEST. */;",
            "put_dhcp_opts(offerip = 10.0.0.4, lease_time = 3600);"
        ]
    );
    let advertise = r#"reg0[5] = put_nd_ra_opts(addr_mode = "slaac", slla = 02:00:00:00:00:0b, prefix = fd00::/64); next;"#;
    let asked = format!("{} && icmp6.type == 133 && icmp6.code == 0", IP6.replace("64", "255"));
    assert_eq!(
        minimal(&[advertise, "drop;"], &asked),
        [
            "put_nd_ra_opts(addr_mode = \"slaac\", slla = 02:00:00:00:00:0b, prefix = fd00::/64);",
            "icmp6.type = 134;"
        ]
    );
    assert_eq!(
        minimal(&["reg0[3] = dns_lookup();"], &format!("{IP4} && udp.dst == 53")),
        ["*** dns_lookup action not implemented;"]
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

#[test]
fn circles_end() {
    assert_eq!(
        minimal(&["next(1);", "next(0);"], FROM_A),
        ["*** given up 512 tables deep; the flows go round in a circle;"]
    );
    let twice: Vec<String> = (1..18).map(|table| format!("next({table}); next({table});")).collect();
    let twice: Vec<&str> = twice.iter().map(String::as_str).collect();
    assert_eq!(
        minimal(&twice, FROM_A),
        ["*** given up after 32768 tables; the flows go round in a circle or to too many ports;"]
    );
}

#[test]
fn names() {
    let uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let mut net = Net::empty();
    let sw = net.datapath("sw", 1);
    net.port(sw, "a", 1, |_| ());
    net.port(sw, uuid, 2, |row| row.external_ids = pairs(&[("name", "vm")]));
    net.port(sw, &format!("lp-{uuid}"), 3, |_| ());
    net.put(PortGroup { name: "1_group".to_owned(), ports: [uuid.to_owned()].into() });
    net.put(crate::logical::rows::tables::AddressSet {
        name: "set".to_owned(),
        addresses: ["10.0.0.0/30".to_owned()].into(),
    });
    let matches = format!(r#"inport == @group && ip4.src == $set && is_chassis_resident("lp-{uuid}")"#);
    net.flow(sw, Pipeline::Ingress, 0, 1, &matches, &format!(r#"outport = "lp-{uuid}"; output;"#));
    net.flow(sw, Pipeline::Ingress, 0, 2, r#"is_chassis_resident("nowhere")"#, "drop;");
    net.flow(sw, Pipeline::Egress, 0, 0, "1", "output;");
    let tracer = net.tracer();
    let from_vm = IP4.replace("\"a\"", "\"vm\"");
    assert_eq!(
        shown(&tracer, Form::Summary, &from_vm, &[]),
        r#"ingress(dp="sw", inport="vm") {
    outport = "lp-f81d4f";
    output;
    egress(dp="sw", inport="vm", outport="lp-f81d4f") {
        output;
        /* output to "lp-f81d4f", type "" */;
    };
};
"#
    );
    let detailed = shown(&tracer, Form::Detailed, &from_vm, &[]);
    assert!(detailed.contains(r#"is_chassis_resident("lp-f81d4f"), priority 1"#), "{detailed}");
    let from_uuid = IP4.replace("\"a\"", "\"f81d4\"");
    let unfriendly = shown(&tracer, Form::Summary, &from_uuid, &["--no-friendly-names"]);
    assert!(
        unfriendly
            .starts_with(&format!("ingress(dp=\"0000dead-0000-0000-0000-000000000000\", inport=\"{uuid}\")"))
    );
    assert!(unfriendly.contains(&format!("outport = \"lp-{uuid}\";")), "{unfriendly}");
    let by_northbound = tracer.run(&request(Some("0000dead"), &from_vm)).unwrap();
    assert_eq!(by_northbound.nodes()[0].text, r#"ingress(dp="sw", inport="vm")"#);
}

#[test]
fn flows_that_cannot_be_read_are_reported() {
    let (mut net, sw) = Net::switch();
    net.flow(sw, Pipeline::Ingress, 0, 2, "nonsense ==", "next;");
    net.flow(sw, Pipeline::Ingress, 0, 2, "1", "nonsense;");
    net.ingress(sw, 0, OUT_B);
    let trace = run(&net.tracer().store, &request(Some("sw"), FROM_A)).unwrap();
    assert_eq!(trace.unread().len(), 2);
    let text = trace.display(&[Form::Minimal]).to_string();
    assert!(text.contains("\noutput(\"b\");\n# note: logical flow 00000006-"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&trace.json().unwrap()).unwrap();
    assert_eq!(json["notes"].as_array().unwrap().len(), 2);
    assert_eq!(json["trace"][0]["kind"], "pipeline");
}

#[test]
fn nonsense_gets_one_sentence() {
    let (net, _) = Net::switch();
    let tracer = net.tracer();
    let refused =
        |datapath: Option<&str>, microflow: &str| tracer.run(&request(datapath, microflow)).unwrap_err();
    assert!(matches!(refused(Some("nowhere"), FROM_A), TraceError::Datapath(_)));
    for microflow in ["", "(", "ip4 && ip6", "tcp.dst == 80", "inport == \"nowhere\"", "nonsense"] {
        assert!(matches!(refused(Some("sw"), microflow), TraceError::Microflow { .. }), "{microflow}");
    }
    assert_eq!(refused(None, "ip4"), TraceError::NoInport);
    assert_eq!(refused(None, r#"inport == {"a", "b"}"#), TraceError::ManyInports(2));
    assert_eq!(refused(None, r#"inport == "nowhere""#), TraceError::NoPort("nowhere".to_owned()));
    assert!(matches!(refused(None, "ip4 &&"), TraceError::Microflow { .. }));
    let empty = Tracer::new(Store::default());
    assert!(matches!(empty.run(&request(None, FROM_A)), Err(TraceError::Datapath(_))));
}
