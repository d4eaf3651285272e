//! A switch whose networks are changed is killed again and again, and started again: what it answered for is there, wholly,
//! and of what it did not answer for nothing is there by halves. `MILLRACE_KILLS` says how often.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millrace::client::Client;

/// Networks that there are at most.
const ALIVE: usize = 4;
const PORTS: usize = 3;
/// No answer takes longer.
const SOON: Duration = Duration::from_secs(20);

/// A switch that is killed with its guard.
struct Switch {
    process: Child,
    socket: PathBuf,
    /// How long it took to answer.
    took: Duration,
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Switch {
    fn start(folder: &Path) -> Self {
        let (socket, config) = (folder.join("s.ctl"), folder.join("s.toml"));
        let text = format!(
            "[control]\nsocket = \"{}\"\n[workers]\ncores = [0]\nidle_sleep = \"50ms\"\n[ovn]\nstate = \"kept\"\n\
             system_id = \"hv1\"\n[[port]]\nname = \"p\"\ntype = \"memory\"\niface_id = \"always\"\n",
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let began = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_millraced"))
            .args(["--no-dpdk", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut switch = Self { process, socket, took: Duration::ZERO };
        while switch.try_call("version", &[]).is_none() {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(switch.process.try_wait().unwrap().is_none(), "it does not start:\n{}", log());
            assert!(began.elapsed() < SOON, "it does not answer:\n{}", log());
            thread::sleep(Duration::from_millis(2));
        }
        switch.took = began.elapsed();
        switch
    }

    fn try_call(&self, method: &str, words: &[&str]) -> Option<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Client::connect(&self.socket, SOON).ok()?.call(method, &words).ok()
    }

    fn call(&self, method: &str, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        self.try_call(method, &words).unwrap_or_else(|| panic!("{method} {words:?} is refused"))
    }

    /// The numbers of the networks, with the keys of their datapaths.
    fn networks(&self) -> BTreeMap<usize, u32> {
        let names = self.call("nbctl", "--bare --columns=name list Logical_Switch");
        let numbers = names.lines().filter_map(|name| name.strip_prefix('s')?.parse().ok());
        let key = |n: usize| {
            let key = self.call("sbctl/get", &format!("Datapath_Binding s{n} tunnel_key"));
            (n, key.trim().parse().unwrap())
        };
        numbers.map(key).collect()
    }

    /// How many transactions there were, if what is there is what whole ones lead to.
    fn transactions(&self) -> usize {
        let networks = self.networks();
        let next = networks.keys().next_back().map_or(0, |last| last + 1);
        let expected: Vec<usize> = (next.saturating_sub(ALIVE)..next).collect();
        assert_eq!(networks.keys().copied().collect::<Vec<_>>(), expected, "half a transaction");
        let count = |method, words: &str| self.call(method, words).lines().filter(|l| !l.is_empty()).count();
        let ports = expected.len() * PORTS;
        assert_eq!(count("nbctl", "--bare --columns=name list Logical_Switch_Port"), ports + 1);
        assert_eq!(count("nbctl", "--bare --columns=name find Logical_Switch_Port addresses=unknown"), ports);
        assert_eq!(count("sbctl/list", "--bare --columns=logical_port Port_Binding"), ports + 1);
        next
    }
}

/// The commands of a transaction: one more network, and one less.
fn transaction(number: usize) -> Vec<String> {
    let mut line = format!("ls-add s{number}");
    for port in 0..PORTS {
        line += &format!(
            " -- lsp-add s{number} s{number}-p{port} -- lsp-set-addresses s{number}-p{port} unknown"
        );
    }
    if let Some(old) = number.checked_sub(ALIVE) {
        line += &format!(" -- ls-del s{old}");
    }
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn what_was_answered_for_outlives_kill_9() {
    let kills: usize = std::env::var("MILLRACE_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let switch = Switch::start(folder.path());
    switch.call("nbctl", "ls-add anchor -- lsp-add anchor always");
    drop(switch);
    let mut before = BTreeMap::new();
    let mut answered = 0;
    for kill in 0..kills {
        let mut switch = Switch::start(folder.path());
        let there = switch.transactions();
        // What was asked for and not answered may be there.
        assert!(there == answered || there == answered + 1, "kill {kill}: {there}, answered {answered}");
        for (number, key) in switch.networks() {
            assert_eq!(before.get(&number).unwrap_or(&key), &key, "kill {kill}: s{number} has another key");
        }
        assert_eq!(switch.call("sbctl/get", "Port_Binding always up"), "true\n");
        before = switch.networks();
        let done = AtomicUsize::new(there);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = Client::connect(&switch.socket, SOON).unwrap();
                while client.call("nbctl", &transaction(done.load(Ordering::Relaxed))).is_ok() {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
            let began = Instant::now();
            while done.load(Ordering::Relaxed) < there + 1 + kill % 7 {
                assert!(began.elapsed() < SOON, "nothing is answered");
                thread::sleep(Duration::from_micros(100));
            }
            thread::sleep(Duration::from_micros(317 * (kill as u64 * kill as u64 % 31)));
            switch.process.kill().unwrap();
            switch.process.wait().unwrap();
        });
        answered = done.into_inner();
    }
    assert!(answered > kills, "{answered}");
}

#[test]
fn ten_thousand_ports_are_there_soon_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let switch = Switch::start(folder.path());
    for n in 0..100 {
        let mut line = format!("ls-add n{n}");
        for p in 0..100 {
            line += &format!(" -- lsp-add n{n} n{n}p{p}");
        }
        switch.call("nbctl", &line);
    }
    drop(switch);
    let switch = Switch::start(folder.path());
    println!("answered after {:?}", switch.took);
    let ports = switch.call("sbctl/list", "--bare --columns=logical_port Port_Binding");
    assert_eq!(ports.lines().filter(|line| !line.is_empty()).count(), 10_000);
}
