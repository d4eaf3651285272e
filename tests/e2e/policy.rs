//! A thousand flow changes a second while numbered packets pass: none is lost, none is overtaken, and none that is
//! received after a change was answered meets what was before it.

use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{Drops, Host, Lab, Numbered, Rpc, Seen, Setup, Switch};

const RATE: u64 = 1000;
const CHANGES: u64 = 5 * RATE;
/// Source port of policy 0.
const BASE: u64 = 20_000;

/// The flow that leaves the policy's number in each packet.
fn policy(number: u64) -> String {
    format!(
        "priority=40000,in_port=1,udp,tp_dst={},actions=mod_tp_src:{},output:2",
        Numbered::PORT,
        BASE + number
    )
}

/// Makes the changes at their rate and tells the stream of each that was answered.
fn change(switch: &Switch, stream: &Numbered) -> Duration {
    let mut rpc = Rpc::connect(&switch.socket);
    let started = Instant::now();
    for number in 1..=CHANGES {
        rpc.call("ofctl/mod-flows", &["--strict", &policy(number)]);
        stream.acknowledge(number);
        let due = started + Duration::from_secs(number) / u32::try_from(RATE).expect("small");
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    started.elapsed()
}

fn check(seen: &[Seen]) {
    let met = |seen: &Seen| u64::from(seen.source_port) - BASE;
    let stale = seen.iter().find(|seen| met(seen) < seen.acknowledged);
    assert!(
        stale.is_none(),
        "a packet was sent after policy {} was acknowledged and met policy {}: {stale:?}",
        stale.map_or(0, |seen| seen.acknowledged),
        stale.map_or(0, met),
    );
    let back = seen.windows(2).find(|pair| met(&pair[1]) < met(&pair[0]));
    assert!(back.is_none(), "a packet met an older policy than the one before it: {back:?}");
    let mut policies: Vec<u64> = seen.iter().map(met).collect();
    policies.dedup();
    assert!(policies.len() > 100, "the packets met {} policies only; the test shows nothing", policies.len());
}

fn start(lab: &Lab, setup: Setup, one: &Host, two: &Host) -> (Switch, Numbered) {
    one.knows(two.ip, &two.mac);
    let switch = Switch::start(lab, &setup.joined(&one.iface, &two.iface));
    switch.flows(&[&policy(0)]);
    let stream = Numbered::start(one, two);
    (switch, stream)
}

fn in_time(took: Duration) {
    let limit = Duration::from_secs(CHANGES / RATE) * 11 / 10;
    assert!(took <= limit, "{CHANGES} changes took {took:?}, more than {limit:?}");
}

#[test]
fn a_thousand_changes_a_second() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let (switch, stream) = start(&lab, Setup::new(), &one, &two);
    let took = change(&switch, &stream);
    check(&stream.complete());
    in_time(took);
    switch.end(&Drops::none());
}

/// The same while ports come and go and queues are handed over.
#[test]
fn a_thousand_changes_a_second_while_everything_else_changes_too() {
    let mut lab = Lab::new();
    let (one, two, three) = (lab.host(1), lab.host(2), lab.host(3));
    let (switch, stream) = start(&lab, Setup::new().two_workers(), &one, &two);
    let keys = format!("type=af_packet iface={}", three.iface);
    let rounds = thread::scope(|scope| {
        let changes = scope.spawn(|| change(&switch, &stream));
        let mut rounds = 0;
        while !changes.is_finished() {
            switch.add_port("extra", &keys);
            switch.ok(&["rxq", "move", "p1:0", &(rounds % 2).to_string()]);
            switch.ok(&["port", "del", "extra"]);
            rounds += 1;
        }
        changes.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        rounds
    });
    assert!(rounds >= 10, "only {rounds} rounds of port and queue changes");
    check(&stream.complete());
    switch.end(&Drops::none());
}
