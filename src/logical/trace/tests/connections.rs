//! Connections: their states, translation and load balancing.

use super::*;

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
