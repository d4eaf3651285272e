//! A switch that is changed and changed back takes no more memory the hundredth time than it took after some: what is in
//! use of the heap is counted over the whole process, which does nothing else.
//!
//! Each round says something new (another address, another name), so that what is kept of what was said, by what was said,
//! shows.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use millrace::config::Config;
use millrace::control::commands::{self, Session};
use millrace::control::elsewhere::Elsewhere;
use millrace::control::jsonrpc::{Id, Param, Request};
use millrace::control::switch::Switch;
use millrace::control::underlay::{self, Overlay};
use millrace::worker::{Engine, MemoryBackend, WorkerSetup, cache_sizes};
use tokio::task::LocalSet;

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONFIG: &str = r#"
[workers]
cores = [0]
[cache]
megaflows = 1024
megaflows_per_port = 1024
emc_entries = 1024
[ovn]
system_id = "hv1"
encap_ip = "192.168.50.100"
state = ""
[underlay]
port = "uplink"
addresses = ["192.168.50.100/24"]
[[chassis]]
name = "hv2"
encap_ip = "192.168.50.101"
ports = ["vm2"]
[[port]]
name = "uplink"
type = "memory"
"#;

struct Bench {
    switch: Rc<Switch>,
    session: Session,
}

impl Bench {
    async fn start() -> Self {
        let config = Config::from_toml(CONFIG, "config").unwrap();
        let setups = [WorkerSetup { core: None, numa: -1 }];
        let sizes = cache_sizes(&config.cache);
        let engine =
            Engine::start(MemoryBackend::default(), &setups, Duration::from_micros(50), sizes).unwrap();
        let switch = Rc::new(Switch::new("br0", Box::new(engine), &config.ovn));
        {
            let mut state = switch.state_mut();
            state.logical.bound.say_elsewhere(Elsewhere::of(&config.chassis));
            state.overlay = Overlay::new(&config);
        }
        switch.start_northbound(&config.ovn).await.unwrap();
        tokio::task::spawn_local(underlay::look_after(Rc::clone(&switch)));
        let mut bench = Self { switch, session: Session::default() };
        bench.run("port/add uplink type=memory").await;
        bench.run("port/add geneve type=geneve").await;
        bench.run("nbctl ls-add s1 -- ls-add s2 -- lr-add r").await;
        for n in 1..3 {
            bench
                .run(&format!(
                    "nbctl lrp-add r r-s{n} 40:44:00:00:00:0{n} 192.168.{n}.1/24 fd00:{n}::1/64 -- lsp-add s{n} s{n}-r \
                     -- lsp-set-type s{n}-r router -- lsp-set-addresses s{n}-r router \
                     -- lsp-set-options s{n}-r router-port=r-s{n} -- lsp-add s{n} vm{n} \
                     -- lsp-set-addresses vm{n} 40:44:00:00:01:0{n}"
                ))
                .await;
        }
        bench.run("port/add vm1 type=memory iface_id=vm1").await;
        bench
    }

    async fn run(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace().map(|word| word.replace('+', " "));
        let method = words.next().unwrap();
        let params = words.map(Param::Text).collect();
        let request = Request { id: Id::Number(1.into()), method, params };
        let answer = commands::answer(&self.switch, &mut self.session, request).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["error"].is_null(), "{line}: {}", answer["error"]);
    }

    /// What is done now and then.
    fn look_after(&self) {
        let mut state = self.switch.state_mut();
        state.datapath.tick();
        state.expire_flows();
        state.drain_packet_ins();
    }

    /// Bytes in use when nothing is under way: what workers had to leave first is gone.
    async fn in_use(&self) -> usize {
        for _ in 0..3 {
            self.switch.in_step().await;
            self.look_after();
        }
        IN_USE.load(Relaxed)
    }
}

/// What is changed, the commands that change it and take that back, and in which rounds. `N` is the number of the round,
/// `M` and `B` that in the forms of addresses; a few come again and again: `C` and `P`.
const KINDS: &[(&str, usize, &[&str])] = &[
    (
        "an address",
        1,
        &["nbctl lsp-set-addresses vm1 40:44:M", "nbctl lsp-set-addresses vm1 40:44:00:00:01:01"],
    ),
    (
        "an address of a few",
        1,
        &["nbctl lsp-set-addresses vm1 40:45:00:00:00:P", "nbctl lsp-set-addresses vm1 40:44:00:00:01:01"],
    ),
    ("a route", 1, &["nbctl lr-route-add r 10.B.0/24 192.168.2.C", "nbctl lr-route-del r 10.B.0/24"]),
    ("a binding", 1, &["sbctl/change lsp-unbind vm2", "sbctl/change lsp-bind vm2 hv2"]),
    (
        "a chassis",
        1,
        &[
            "sbctl/change chassis-add ghostN geneve 192.168.60.C -- lsp-unbind vm2 -- lsp-bind vm2 ghostN",
            "sbctl/change lsp-unbind vm2 -- lsp-bind vm2 hv2 -- chassis-del ghostN",
        ],
    ),
    (
        "a neighbour",
        1,
        &[
            "nbctl static-mac-binding-add r-s1 192.168.1.C 40:44:M",
            "nbctl static-mac-binding-del r-s1 192.168.1.C",
        ],
    ),
    (
        "a logical port",
        1,
        &["nbctl lsp-add s1 extraN -- lsp-set-addresses extraN unknown", "nbctl lsp-del extraN"],
    ),
    ("a port", 1, &["port/add pN type=memory", "port/del pN"]),
    ("a bound port", 10, &["port/del vm1", "port/add vm1 type=memory iface_id=vm1"]),
    (
        "a network",
        5,
        &[
            "nbctl ls-add netN -- lsp-add netN netN-p -- lsp-set-addresses netN-p unknown",
            "port/add netN type=memory iface_id=netN-p",
            "port/del netN",
            "nbctl ls-del netN",
        ],
    ),
    ("a rule", 1, &["nbctl acl-add s1 to-lport N ip4.src==10.B.C drop", "nbctl acl-del s1"]),
    (
        "a set of addresses",
        1,
        &[
            "nbctl create address_set name=asN addresses=10.B.C -- acl-add s1 to-lport 9 ip4.src==$asN drop",
            "nbctl add address_set asN addresses 10.B.1",
            "nbctl acl-del s1 -- destroy address_set asN",
        ],
    ),
    (
        "a flow",
        1,
        &["ofctl/add-flow table=1,priority=5,udp,nw_src=10.B.C+actions=drop", "ofctl/del-flows table=1"],
    ),
    ("nothing", 1, &["sbctl/show", "nbctl show"]),
];

fn line(form: &str, round: usize) -> String {
    let [a, b, c, d] = (round as u32).to_be_bytes();
    form.replace('N', &round.to_string())
        .replace('M', &format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
        .replace('B', &format!("{c}.{d}"))
        .replace('C', &(2 + round % 100).to_string())
        .replace('P', &format!("{:02x}", round % 5))
}

/// Rounds until all is as full as it gets, and rounds that are looked at, in halves.
const WARM_UP: usize = 30;
const HALF: usize = 40;
/// Bytes that the second half may have in use beyond the first, each at its most: what is forgotten from time to time. A
/// round that keeps the names of the rows that it changes takes as much in ten.
const MOST: usize = 64 << 10;

#[test]
fn changes_that_are_taken_back_leave_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut bench = Bench::start().await;
        let mut most = [0, 0, 0];
        let mut grown = vec![0; KINDS.len()];
        for round in 1..=WARM_UP + 2 * HALF {
            for ((_, every, forms), grown) in KINDS.iter().zip(&mut grown) {
                if round % every != 0 {
                    continue;
                }
                let before = bench.in_use().await;
                for form in *forms {
                    bench.run(&line(form, round)).await;
                }
                if round > WARM_UP {
                    *grown += bench.in_use().await as isize - before as isize;
                }
            }
            let half = round.saturating_sub(WARM_UP + 1) / HALF + usize::from(round > WARM_UP);
            most[half] = bench.in_use().await.max(most[half]);
        }
        let by_kind: Vec<_> = KINDS.iter().zip(&grown).map(|((name, ..), bytes)| (name, bytes)).collect();
        println!("{most:?}, by kind {by_kind:?}");
        assert!(
            most[2] < most[1] + MOST,
            "bytes in use at most: {most:?}; what each change left: {by_kind:?}"
        );
    });
}
