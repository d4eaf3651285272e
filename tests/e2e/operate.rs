//! What an operator relies on: OVS's tool works, threads stay where they belong, idle costs little, stop is stop.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::lab::{Drops, Lab, SOON, Setup, Switch, ipv4_udp, run, wait_for, write_pcap};

#[test]
fn ovs_appctl_works() {
    let lab = Lab::new();
    let switch = Switch::start(&lab, &Setup::new().port("p1", "type=null no_rx=true number=1"));
    let appctl = |words: &[&str]| {
        let reply = run(Command::new("ovs-appctl").args(["-t", &switch.socket]).args(words), SOON);
        assert_eq!(reply.status, Some(0), "ovs-appctl {words:?}:\n{}{}", reply.out, reply.err);
        reply.out
    };
    let commands = appctl(&["list-commands"]);
    for command in ["ofctl/add-flow", "port/add", "drops", "version"] {
        assert!(commands.contains(command), "list-commands does not name {command}:\n{commands}");
    }
    assert!(appctl(&["version"]).contains(env!("CARGO_PKG_VERSION")));
    appctl(&["ofctl/add-flow", "table=3,priority=7,in_port=1,ip,actions=dec_ttl,in_port"]);
    let flows = appctl(&["ofctl/dump-flows"]);
    let line = flows.lines().find(|line| line.contains("table=3")).expect("the flow is dumped");
    assert!(line.ends_with("priority=7,ip,in_port=1 actions=dec_ttl,IN_PORT"), "as OVS prints it: {line}");
    let refused = run(Command::new("ovs-appctl").args(["-t", &switch.socket, "no/such"]), SOON);
    assert!(
        refused.status != Some(0) && refused.err.contains("is not a valid command"),
        "an unknown command: {refused:?}"
    );
    switch.end(&Drops::none());
}

/// A thread of a process: its number, its name, and the cores that it may run on.
fn threads(pid: u32) -> Vec<(String, String, String)> {
    let field = |status: &str, name: &str| {
        status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned())).unwrap_or_default()
    };
    fs::read_dir(format!("/proc/{pid}/task"))
        .expect("list the threads of millraced")
        .filter_map(|task| {
            let task = task.ok()?;
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let number = task.file_name().into_string().ok()?;
            Some((number, field(&status, "Name:"), field(&status, "Cpus_allowed_list:")))
        })
        .collect()
}

/// Whether a list such as 0-3,7 has this core.
fn has_core(list: &str, core: usize) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<usize>().expect("a core");
        (number(first)..=number(last)).contains(&core)
    })
}

/// The control thread, and all that DPDK starts by itself (interrupts, vhost events, …), leave the worker alone.
#[test]
fn only_the_worker_runs_on_its_core() {
    let mut lab = Lab::new();
    let host = lab.host(1);
    let setup = Setup::new()
        .port("p1", &format!("type=af_packet iface={}", host.iface))
        .port("vm", &format!("type=vhost-user socket={}", lab.path("vm.sock")));
    let switch = Switch::start(&lab, &setup);
    // A port of run time starts threads too.
    switch.add_port("vm2", &format!("type=vhost-user socket={} mode=client", lab.path("vm2.sock")));
    let threads = threads(switch.pid());
    let on_core_1: Vec<_> = threads.iter().filter(|(_, _, cores)| has_core(cores, 1)).collect();
    assert!(threads.len() >= 3, "the main thread, a worker, and DPDK's own were expected: {threads:?}");
    assert!(
        on_core_1.len() == 1 && on_core_1[0].2 == "1",
        "threads that may run on the worker's core: {threads:?}"
    );
    switch.end(&Drops::none());
}

#[test]
fn an_idle_worker_that_may_sleep_a_millisecond_uses_at_most_two_percent() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let switch = Switch::start(&lab, &Setup::new().idle_sleep("1ms").joined(&one.iface, &two.iface));
    one.pings(two.ip, 5, 56);
    thread::sleep(Duration::from_millis(200));
    let all = threads(switch.pid());
    let (worker, name, _) = all.iter().find(|(_, _, cores)| cores == "1").expect("a worker on core 1");
    // Nanoseconds on a core: exact, where the ticks of stat are samples.
    let file = format!("/proc/{}/task/{worker}/schedstat", switch.pid());
    let used = || {
        let text = fs::read_to_string(&file).expect("read the worker's schedstat");
        Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).expect("nanoseconds"))
    };
    // The least of several: what else the machine does makes each wake dearer.
    let span = Duration::from_secs(1);
    let shares = (0..5).map(|_| {
        let before = used();
        thread::sleep(span);
        (used() - before).as_secs_f64() / span.as_secs_f64() * 100.0
    });
    let share = shares.fold(f64::INFINITY, f64::min);
    eprintln!("idle worker {name} with idle_sleep 1ms: {share:.2} % of a core");
    // Each wake costs more in a build without optimization.
    let most = if cfg!(debug_assertions) { 3.0 } else { 2.0 };
    assert!(share <= most, "an idle worker used {share:.2} % of its core");
    // It still wakes.
    one.pings(two.ip, 5, 56);
    switch.end(&Drops::none());
}

/// `Switch::end` looks at time and leftovers; here with every kind of port and with packets coming in.
#[test]
fn sigterm_under_load_leaves_nothing_behind() {
    let mut lab = Lab::new();
    let host = lab.host(1);
    let (source, sock) = (lab.path("in.pcap"), lab.path("vm.sock"));
    write_pcap(&source, &[ipv4_udp(64), ipv4_udp(500)]);
    let flags = || fs::read_to_string(format!("/sys/class/net/{}/flags", host.iface)).expect("read flags");
    let before = flags();
    let setup = Setup::new()
        .hugepages("auto")
        .port("p1", &format!("type=af_packet iface={} number=1", host.iface))
        .port("vm", &format!("type=vhost-user socket={sock} number=2"))
        .port("file", &format!("type=pcap rx_file={source} tx_file={} number=3", lab.path("out.pcap")))
        .port("null", "type=null no_rx=true number=4")
        .flow("in_port=3,actions=output:4")
        .flow("priority=0,actions=drop");
    let switch = Switch::start(&lab, &setup);
    switch.add_port("endless", &format!("type=pcap rx_file={source} infinite=true number=9"));
    switch.flows(&["in_port=9,actions=output:4"]);
    wait_for("packets flow", SOON, || (switch.packets("in_port=9") > 10_000).then_some(()));
    switch.ok(&["port", "del", "endless"]);
    // Two frames of the first file, which are read before there is a flow, and those of the endless one likewise.
    switch.end(&Drops::none().maybe("explicit").maybe("no_match"));
    assert!(!std::path::Path::new(&sock).exists(), "{sock} is left behind");
    assert_eq!(flags(), before, "flags of the interface (promiscuous among them) after and before");
}

/// The same without taking the endless port away first: what is under way at the end has no settled moment to check,
/// but the switch has to stop all the same.
#[test]
fn exit_by_command_with_a_port_that_never_rests() {
    let lab = Lab::new();
    let source = lab.path("in.pcap");
    write_pcap(&source, &[ipv4_udp(64)]);
    let setup = Setup::new()
        .port("in", &format!("type=pcap rx_file={source} infinite=true number=1"))
        .port("out", "type=null no_rx=true number=2")
        .flow("in_port=1,actions=output:2");
    let switch = Switch::start(&lab, &setup);
    wait_for("packets flow", SOON, || (switch.packets("in_port=1") > 10_000).then_some(()));
    switch.end_by_command();
}

/// The run-time files that a prefix asks for are there while the switch is, and no longer.
#[test]
fn a_file_prefix_leaves_no_files() {
    let lab = Lab::new();
    let switch = Switch::start(&lab, &Setup::new().file_prefix().port("p1", "type=null no_rx=true"));
    switch.end(&Drops::none());
}

/// The accounting counts injected frames, and `--clear` counts from then on.
#[test]
fn counters_and_drops_by_name() {
    let lab = Lab::new();
    let setup = Setup::new()
        .port("p1", "type=null no_rx=true number=1")
        .port("p2", "type=null no_rx=true number=2")
        .flow("dl_type=0x88b5,actions=drop")
        .flow("in_port=1,ip,actions=output:2")
        .flow("in_port=2,ip,actions=output:2")
        .flow("in_port=2,arp,actions=output:77");
    let switch = Switch::start(&lab, &setup);
    let hex = |frame: &[u8]| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let inject = |port: &str, frame: &[u8]| drop(switch.ok(&["inject", port, &hex(frame)]));
    inject("p1", &ipv4_udp(10));
    inject("p1", &crate::lab::eth(0x88b5, &[0; 46]));
    inject("p1", &crate::lab::eth(0x0806, &[0; 46]));
    inject("p2", &ipv4_udp(10));
    inject("2", &crate::lab::eth(0x0806, &[0; 46]));
    let drops = Drops::none()
        .exactly("explicit", 1)
        .exactly("no_match", 1)
        .exactly("to_in_port", 1)
        .exactly("no_such_port", 1);
    switch.settle(&drops);
    let stats = switch.json(&["stats"]);
    assert_eq!((&stats["injected"], &stats["transmitted"]), (&5.into(), &1.into()), "{stats}");
    let table = switch.ok(&["drops"]);
    for name in ["explicit", "no_match", "to_in_port", "no_such_port"] {
        assert!(table.contains(name), "`millrace drops` does not name {name}:\n{table}");
    }
    switch.ok(&["stats", "--clear"]);
    switch.end(&Drops::none());
}

/// What the controller is shown waits with all that the flows had written, and goes on where it left the tables.
#[test]
fn a_ping_waits_until_the_controller_lets_it_go_on() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    one.knows(two.ip, &two.mac);
    two.knows(one.ip, &one.mac);
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    switch.flows(&[
        "priority=50000,in_port=1,icmp,actions=load:7->NXM_NX_REG0[],controller(pause),resubmit(,1)",
        "table=1,reg0=7,actions=output:2",
    ]);
    thread::scope(|scope| {
        let ping = scope.spawn(|| one.ok(&["ping", "-c", "1", "-W", "15", &two.ip.to_string()]));
        let (continuation, frame) = wait_for("the packet is shown to the controller", SOON, || {
            let shown = switch.json(&["ofctl", "monitor"]);
            let packet = shown["packets"].as_array()?.first()?.clone();
            Some((packet["continuation"].as_str()?.to_owned(), packet["data"].as_str()?.to_owned()))
        });
        assert!(!ping.is_finished(), "it waits");
        switch.ok(&["ofctl", "resume", &continuation, "1", &frame]);
        assert!(ping.join().expect("the ping").contains(" 0% packet loss"));
    });
    switch.end(&Drops::none());
}
