//! Ports come and go and queues change hands while packets pass.

use std::time::{Duration, Instant};

use crate::lab::{Drops, Lab, Numbered, Setup, Switch, ipv4_udp, read_pcap, wait_for, write_pcap};

#[test]
fn ports_come_and_go_while_others_forward() {
    let mut lab = Lab::new();
    let (one, two, three) = (lab.host(1), lab.host(2), lab.host(3));
    one.knows(two.ip, &two.mac);
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    let capture = lab.path("some.pcap");
    write_pcap(&capture, &[ipv4_udp(100)]);
    let stream = Numbered::start(&one, &two);
    let kinds = [
        format!("type=af_packet iface={}", three.iface),
        format!("type=vhost-user socket={} mode=server", lab.path("vm.sock")),
        format!("type=pcap tx_file={}", lab.path("out.pcap")),
        "type=null no_rx=true".to_owned(),
        "type=vdev devargs=net_null7,no-rx=1".to_owned(),
    ];
    for round in 0..4 {
        for keys in &kinds {
            switch.add_port("extra", keys);
            let ports = switch.json(&["port", "list"]);
            assert_eq!(ports.as_array().map(Vec::len), Some(3), "round {round}, {keys}: {ports}");
            switch.ok(&["port", "del", "extra"]);
        }
    }
    let ports = switch.json(&["port", "list"]);
    assert_eq!(ports.as_array().map(Vec::len), Some(2), "{ports}");
    stream.complete();
    switch.end(&Drops::none());
}

/// A port that goes while packets are on their way to it: they are dropped by name and the others are none the wiser.
#[test]
fn the_output_port_goes_under_traffic() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    one.knows(two.ip, &two.mac);
    let sink = lab.path("out.pcap");
    let setup =
        Setup::new().joined(&one.iface, &two.iface).port("p3", &format!("type=pcap tx_file={sink} number=3"));
    let switch = Switch::start(&lab, &setup);
    switch.flows(&["priority=40000,in_port=1,actions=output:2,output:3"]);
    let stream = Numbered::start(&one, &two);
    wait_for("copies go to p3", crate::lab::SOON, || {
        let stats = switch.json(&["port", "stats", "p3"]);
        stats[0]["switch"]["tx_packets"].as_u64().filter(|count| *count > 100)
    });
    switch.ok(&["port", "del", "p3"]);
    std::thread::sleep(Duration::from_millis(300));
    let seen = stream.complete();
    // The numbers in the file are without a gap up to the moment that the port went.
    let numbers: Vec<u64> = read_pcap(&sink)
        .iter()
        .filter_map(|frame| frame.get(42..50)?.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)))
        .collect();
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert!(gap.is_none() && numbers.len() > 100, "{} copies, gap {gap:?}", numbers.len());
    assert!(seen.len() > numbers.len(), "the stream went on without p3");
    switch.end(&Drops::none().maybe("port_gone").maybe("no_such_port"));
}

#[test]
fn queues_change_hands_under_traffic() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    one.knows(two.ip, &two.mac);
    let switch = Switch::start(&lab, &Setup::new().two_workers().joined(&one.iface, &two.iface));
    let stream = Numbered::start(&one, &two);
    let started = Instant::now();
    let mut moves = 0u32;
    while started.elapsed() < Duration::from_secs(3) {
        let worker = (moves % 2).to_string();
        switch.ok(&["rxq", "move", "p1:0", &worker]);
        let polling = switch.json(&["rxq", "show"]);
        let workers = polling["workers"].as_array().expect("a list of workers");
        let owners: Vec<String> = workers
            .iter()
            .filter(|one| {
                one["rxqs"].as_array().is_some_and(|rxqs| rxqs.iter().any(|rxq| rxq["name"] == "p1"))
            })
            .map(|one| one["worker"].to_string())
            .collect();
        assert_eq!(owners, [worker], "after move {moves}: {polling}");
        moves += 1;
    }
    assert!(moves >= 20, "only {moves} moves in three seconds");
    stream.complete();
    // Both have had it.
    let workers = switch.json(&["worker", "list"]);
    for worker in workers.as_array().expect("a list of workers") {
        assert!(worker["totals"]["received"].as_u64() > Some(0), "a worker received nothing: {workers}");
    }
    switch.end(&Drops::none());
}
