//! A running switch: its config, its process, what is asked of it, and how it has to end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::process::{Reply, run, wait_for};
use super::{Lab, SOON};

const HUGEPAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// What a config file will say.
#[derive(Clone)]
pub struct Setup {
    cores: String,
    control_cores: Option<String>,
    idle_sleep: &'static str,
    hugepages: &'static str,
    memory_mb: u32,
    file_prefix: bool,
    /// Keys of `[ovn]`.
    ovn: Vec<(&'static str, String)>,
    /// Other tables of the file, as they stand there.
    tables: Vec<String>,
    ports: Vec<(String, String)>,
    flows: Vec<String>,
}

impl Setup {
    /// One worker on core 1, ordinary pages, no ports.
    pub fn new() -> Self {
        Self {
            cores: "[1]".to_owned(),
            control_cores: None,
            idle_sleep: "50us",
            hugepages: "off",
            memory_mb: 256,
            file_prefix: false,
            ovn: vec![("state", String::new())],
            tables: Vec::new(),
            ports: Vec::new(),
            flows: Vec::new(),
        }
    }

    /// A table of the file, such as `[underlay]`, with its keys as they stand there.
    pub fn table(mut self, text: String) -> Self {
        self.tables.push(text);
        self
    }

    /// A port; the keys are written as for `millrace port add`.
    pub fn port(mut self, name: &str, keys: &str) -> Self {
        self.ports.push((name.to_owned(), keys.to_owned()));
        self
    }

    /// A flow.
    pub fn flow(mut self, flow: &str) -> Self {
        self.flows.push(flow.to_owned());
        self
    }

    /// Ports 1 and 2 on these interfaces, joined.
    pub fn joined(self, one: &str, two: &str) -> Self {
        self.port("p1", &format!("type=af_packet iface={one} number=1"))
            .port("p2", &format!("type=af_packet iface={two} number=2"))
            .flow("in_port=1,actions=output:2")
            .flow("in_port=2,actions=output:1")
    }

    /// Workers on these cores.
    pub fn cores(mut self, cores: &[usize]) -> Self {
        self.cores = format!("{cores:?}");
        self
    }

    /// A worker on one of the first two cores and the control thread on the other, for two switches on a small machine.
    pub fn on_core(mut self, core: usize) -> Self {
        self.control_cores = Some(format!("[{}]", 1 - core));
        self.cores(&[core])
    }

    /// Workers on the first two cores, and the control thread beside one of them: a test machine may have no third.
    pub fn two_workers(mut self) -> Self {
        self.control_cores = Some("[0]".to_owned());
        self.cores(&[0, 1])
    }

    /// How long an idle worker sleeps.
    pub fn idle_sleep(mut self, text: &'static str) -> Self {
        self.idle_sleep = text;
        self
    }

    /// on, off or auto.
    pub fn hugepages(mut self, text: &'static str) -> Self {
        self.hugepages = text;
        self
    }

    /// Megabytes.
    pub fn memory_mb(mut self, megabytes: u32) -> Self {
        self.memory_mb = megabytes;
        self
    }

    /// A key of `[ovn]`; without this, logical networks are not kept.
    pub fn ovn(mut self, key: &'static str, value: &str) -> Self {
        self.ovn.retain(|(other, _)| *other != key);
        self.ovn.push((key, value.to_owned()));
        self
    }

    /// With run-time files under a prefix of its own, for other DPDK processes to find.
    pub fn file_prefix(mut self) -> Self {
        self.file_prefix = true;
        self
    }

    fn toml(&self, socket: &str, prefix: &str) -> String {
        let mut text = "[ovn]\n".to_owned();
        for (key, value) in &self.ovn {
            writeln!(text, "{key} = {value:?}").expect("write to memory");
        }
        writeln!(text, "[control]\nsocket = \"{socket}\"").expect("write to memory");
        if let Some(cores) = &self.control_cores {
            writeln!(text, "cores = {cores}").expect("write to memory");
        }
        let Self { cores, idle_sleep, hugepages, memory_mb, .. } = self;
        writeln!(
            text,
            "[workers]\ncores = {cores}\nidle_sleep = \"{idle_sleep}\"\n[dpdk]\nhugepages = \"{hugepages}\"\n\
             memory_mb = {memory_mb}\npci = false"
        )
        .expect("write to memory");
        if self.file_prefix {
            writeln!(text, "file_prefix = \"{prefix}\"").expect("write to memory");
        }
        writeln!(text, "[log]\nfilter = \"debug\"").expect("write to memory");
        for (name, keys) in &self.ports {
            writeln!(text, "[[port]]\nname = \"{name}\"").expect("write to memory");
            for (key, value) in keys.split(' ').map(|pair| pair.split_once('=').expect("KEY=VALUE")) {
                let bare = value == "true" || value == "false" || value.parse::<u32>().is_ok();
                let quote = if bare { "" } else { "\"" };
                writeln!(text, "{key} = {quote}{value}{quote}").expect("write to memory");
            }
        }
        self.tables.iter().for_each(|table| text.push_str(table));
        writeln!(text, "[flows]\nflows = {:?}", self.flows).expect("write to memory");
        text
    }
}

/// The drops that a test expects. Any other is a failure.
#[derive(Default)]
pub struct Drops {
    exactly: BTreeMap<&'static str, u64>,
    maybe: Vec<&'static str>,
}

impl Drops {
    /// None at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// So many under this name.
    pub fn exactly(mut self, name: &'static str, count: u64) -> Self {
        self.exactly.insert(name, count);
        self
    }

    /// Any number under this name.
    pub fn maybe(mut self, name: &'static str) -> Self {
        self.maybe.push(name);
        self
    }

    fn check(&self, found: &BTreeMap<String, u64>) -> Result<(), String> {
        let wanted = self.exactly.iter().map(|(name, count)| ((*name).to_owned(), *count));
        let counted = found.iter().filter(|(name, _)| !self.maybe.contains(&name.as_str()));
        let counted: BTreeMap<String, u64> = counted.map(|(name, count)| (name.clone(), *count)).collect();
        let wanted: BTreeMap<String, u64> = wanted.collect();
        if counted == wanted { Ok(()) } else { Err(format!("drops are {found:?}, expected were {wanted:?}")) }
    }
}

/// Where DPDK leaves traces: its run-time folders, its hugepage files, hugepages taken.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    files: Vec<String>,
    used_hugepages: u64,
}

impl Traces {
    /// Those of this laboratory (its names begin with `lab`) and of a switch without a prefix; other DPDK processes of
    /// the machine come and go as they like. Those of guests aside, which take theirs away when they are dropped.
    fn now(lab: &str, guests: &str) -> Self {
        let names = |folder| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .filter_map(move |entry| Some(format!("{folder}/{}", entry.file_name().into_string().ok()?)))
        };
        let mut files: Vec<String> = names("/run/dpdk").chain(names("/dev/hugepages")).collect();
        files.retain(|path| (path.contains(lab) && !path.contains(guests)) || path.ends_with("/rte"));
        files.sort();
        // Used and not free, so that somebody may reserve more meanwhile.
        let pages = |file| fs::read_to_string(format!("{HUGEPAGES}/{file}")).ok()?.trim().parse::<u64>().ok();
        let free = pages("free_hugepages").unwrap_or(0);
        Self { files, used_hugepages: pages("nr_hugepages").unwrap_or(0).saturating_sub(free) }
    }
}

/// A process that is ended with its guard.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running switch.
pub struct Switch {
    process: Process,
    /// Its control socket.
    pub socket: String,
    prefix: String,
    log: String,
    /// What the names of this laboratory begin with.
    lab: String,
    /// What the names of guests' traces begin with.
    guests: String,
    before: Traces,
    ended: bool,
}

impl Switch {
    /// Starts one and waits until it answers.
    pub fn start(lab: &Lab, setup: &Setup) -> Self {
        let mut switch = Self::spawn(lab, setup, None);
        let started = Instant::now();
        while switch.millrace(&["version"]).status != Some(0) {
            if let Some(status) = switch.process.0.try_wait().expect("ask after millraced") {
                panic!("millraced ended at once, {status}");
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "millraced does not answer on {}",
                switch.socket
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        switch
    }

    /// Starts one that has to refuse, and gives its status and all it said. On the socket of another if one is given.
    pub fn refuses(lab: &Lab, setup: &Setup, other: Option<&Switch>) -> (i32, String) {
        let mut switch = Self::spawn(lab, setup, other.map(|other| other.socket.as_str()));
        switch.ended = true;
        let status = wait_for("millraced ends with an error", Duration::from_secs(20), || {
            switch.process.0.try_wait().expect("ask after millraced")
        });
        let said = switch.log();
        switch.nothing_left(other.is_some());
        (status.code().unwrap_or_else(|| panic!("millraced was ended by a signal, {status}:\n{said}")), said)
    }

    fn spawn(lab: &Lab, setup: &Setup, socket: Option<&str>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (prefix, log) = (lab.name(&format!("s{number}")), lab.path(&format!("switch{number}.log")));
        let socket = socket.map_or_else(|| lab.path(&format!("switch{number}.ctl")), str::to_owned);
        let config = lab.path(&format!("switch{number}.toml"));
        fs::write(&config, setup.toml(&socket, &prefix)).expect("write the config");
        let guests = lab.name("g");
        let lab_name = lab.name("");
        let before = Traces::now(&lab_name, &guests);
        let out = File::create(&log).expect("make the log");
        let child = Command::new(env!("CARGO_BIN_EXE_millraced"))
            .args(["--config", &config])
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle of the log"))
            .stderr(out)
            .spawn()
            .expect("run millraced");
        Self { process: Process(child), socket, prefix, log, lab: lab_name, guests, before, ended: false }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `millrace` with these words.
    pub fn millrace(&self, words: &[&str]) -> Reply {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        run(command.args(["-t", &self.socket]).args(words), Duration::from_secs(40))
    }

    /// `millrace` with these words, which has to succeed; what it printed.
    pub fn ok(&self, words: &[&str]) -> String {
        let reply = self.millrace(words);
        assert_eq!(reply.status, Some(0), "millrace {words:?} failed:\n{}{}", reply.out, reply.err);
        reply.out
    }

    /// `millrace` with these words and `--json`.
    pub fn json(&self, words: &[&str]) -> Value {
        let text = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("millrace {words:?} --json: {error}:\n{text}"))
    }

    /// `millrace` with these words, which has to be refused; what it said.
    pub fn refusal(&self, words: &[&str]) -> String {
        let reply = self.millrace(words);
        // By the switch, or by the command before it came to that.
        let refused = matches!(reply.status, Some(1 | 2));
        assert!(
            refused,
            "millrace {words:?} was not refused but ended with {:?}:\n{}{}",
            reply.status, reply.out, reply.err
        );
        reply.err
    }

    /// Adds flows, all at once.
    pub fn flows(&self, flows: &[&str]) {
        self.ok(&[&["ofctl", "add-flow"], flows].concat());
    }

    /// Adds a port; the keys are written as in [`Setup::port`].
    pub fn add_port(&self, name: &str, keys: &str) {
        let keys: Vec<&str> = keys.split(' ').collect();
        self.ok(&[&["port", "add", name], keys.as_slice()].concat());
    }

    /// Waits until a port's link is up.
    pub fn wait_for_link(&self, port: &str) {
        wait_for(&format!("the link of {port} is up"), SOON, || {
            let ports = self.json(&["port", "list"]);
            let up = ports.as_array()?.iter().any(|one| one["name"] == port && one["link_up"] == true);
            up.then_some(())
        });
    }

    /// n_packets of the flows that match.
    pub fn packets(&self, flow: &str) -> u64 {
        let dump = self.ok(&["ofctl", "dump-flows", flow]);
        let counts = dump.split(", ").filter_map(|part| part.strip_prefix("n_packets="));
        counts.map(|count| count.parse::<u64>().expect("a number of packets")).sum()
    }

    /// Waits until nothing is on its way, then holds the accounting to what is expected.
    pub fn settle(&self, expected: &Drops) {
        let mut before = Value::Null;
        let mut verdict = String::new();
        let started = Instant::now();
        loop {
            let now = self.json(&["stats"]);
            let drops = now["drops"].as_object().expect("stats --json has drops");
            let drops =
                drops.iter().map(|(name, count)| (name.clone(), count.as_u64().expect("a count"))).collect();
            if now == before && now["in_flight"] == 0 {
                verdict = match (now["imbalance"].as_i64(), expected.check(&drops)) {
                    (Some(0), Ok(())) => return,
                    (Some(0), Err(sentence)) => sentence,
                    (imbalance, _) => format!("the accounting is off by {imbalance:?}"),
                };
            }
            assert!(started.elapsed() < SOON, "not settled: {verdict}\n{now:#}");
            before = now;
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How every test ends: the accounting is exact, the drops are the expected ones, SIGTERM stops the switch within a
    /// second, and nothing of it is left.
    pub fn end(mut self, expected: &Drops) {
        self.settle(expected);
        kill_process(Pid::from_child(&self.process.0), Signal::TERM).expect("send SIGTERM");
        self.gone();
    }

    /// How a test ends whose packets never rest.
    pub fn end_by_command(mut self) {
        self.ok(&["exit"]);
        self.gone();
    }

    /// Ends it without asking it.
    pub fn kill(mut self) {
        self.process.0.kill().expect("send SIGKILL");
        self.process.0.wait().expect("wait for millraced");
        // A successor on the same socket would take it over.
        let _ = fs::remove_file(&self.socket);
        self.ended = true;
    }

    fn gone(&mut self) {
        let started = Instant::now();
        let status =
            wait_for("millraced stops", SOON, || self.process.0.try_wait().expect("ask after millraced"));
        let took = started.elapsed();
        assert!(status.success(), "millraced stopped with {status}");
        assert!(took < Duration::from_secs(1), "millraced took {took:?} to stop");
        self.nothing_left(false);
        self.ended = true;
    }

    /// Socket, run-time files and hugepages are as they were before it.
    fn nothing_left(&self, socket_is_anothers: bool) {
        assert!(socket_is_anothers || !Path::new(&self.socket).exists(), "{} is left behind", self.socket);
        assert_eq!(
            Traces::now(&self.lab, &self.guests),
            self.before,
            "DPDK's run-time files and hugepages in use after and before"
        );
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- log of millraced, pid {} ----\n{}----", self.pid(), self.log());
        } else {
            assert!(self.ended, "this test does not end its switch by Switch::end");
        }
        let _ = fs::remove_dir_all(format!("/run/dpdk/{}", self.prefix));
    }
}
