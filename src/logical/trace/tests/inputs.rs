//! Names, flows that cannot be read, and requests that mean nothing.

use super::*;

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
    let (mut net, sw) = Net::switch();
    let name = "_MC_flood".to_owned();
    net.put(MulticastGroup { datapath: sw, name: name.clone(), tunnel_key: 32768, ports: [].into() });
    let tracer = net.tracer();
    let refused =
        |datapath: Option<&str>, microflow: &str| tracer.run(&request(datapath, microflow)).unwrap_err();
    assert!(matches!(refused(Some("nowhere"), FROM_A), TraceError::Datapath(_)));
    for microflow in ["", "(", "ip4 && ip6", "tcp.dst == 80", "inport == \"nowhere\"", "nonsense"] {
        assert!(matches!(refused(Some("sw"), microflow), TraceError::Microflow { .. }), "{microflow}");
    }
    assert_eq!(refused(None, "ip4"), TraceError::NoInport);
    assert_eq!(refused(Some("sw"), "ip4"), TraceError::NoIngress);
    assert_eq!(refused(Some("sw"), r#"inport == "_MC_flood""#), TraceError::Group(name));
    assert_eq!(refused(None, r#"inport == {"a", "b"}"#), TraceError::ManyInports(2));
    assert_eq!(refused(None, r#"inport == "nowhere""#), TraceError::NoPort("nowhere".to_owned()));
    assert!(matches!(refused(None, "ip4 &&"), TraceError::Microflow { .. }));
    let empty = Tracer::new(Store::default());
    for datapath in [None, Some("sw")] {
        assert_eq!(empty.run(&request(datapath, FROM_A)).unwrap_err(), TraceError::Empty(NoRows));
    }
}
