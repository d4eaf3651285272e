use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::testing::MemoryDatapath;
use super::*;
use crate::config::{Ovn, PortKind, PortSpec};
use crate::logical::rows::Uuid;

/// Limits short enough for a test.
fn short() -> Limits {
    Limits {
        message: 1 << 20,
        clients: 3,
        refused_clients: 2,
        half_message: Duration::from_millis(300),
        write: Duration::from_millis(500),
        linger: Duration::from_millis(500),
        goodbye: Duration::from_millis(200),
    }
}

/// A switch on a thread of its own, serving a socket in a directory of its own.
struct Served {
    dir: tempfile::TempDir,
    thread: Option<thread::JoinHandle<()>>,
}

impl Served {
    fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.ctl");
        let (ready, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let control = crate::config::Control { socket: path, ..Config::default().control };
                let socket = ControlSocket::bind(&control).await.unwrap();
                let (mut path, _handle) = MemoryDatapath::new(2);
                path.add_port(&PortSpec::new("p1", PortKind::Memory)).unwrap();
                ready.send(()).unwrap();
                server::serve(
                    &socket,
                    &Rc::new(Switch::new("test", Box::new(path), &Ovn::unkept())),
                    &limits,
                )
                .await;
            });
        });
        wait.recv_timeout(Duration::from_secs(10)).unwrap();
        Self { dir, thread: Some(thread) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("s.ctl")
    }

    fn connect(&self) -> UnixStream {
        connect(&self.path())
    }

    /// Waits until a client gets an answer to its request. Where too many are one is told so or hung up on.
    fn has_room(&self, request: &str) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let is_served = || {
            let mut client = self.connect();
            client.write_all(request.as_bytes()).ok()?;
            // Who only sends no more is not gone.
            client.shutdown(Shutdown::Write).ok()?;
            next_answer(&mut client).filter(|answer| answer["error"] == Value::Null)
        };
        while is_served().is_none() {
            assert!(Instant::now() < deadline, "there must be room again");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Whoever is left on the socket; the exit of a test must not hang on it.
        ask(&mut self.connect(), r#"{"id":0,"method":"exit","params":[]}"#);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        assert!(!self.path().exists());
    }
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// The next answer on the stream, if there is one.
fn next_answer(stream: &mut UnixStream) -> Option<Value> {
    serde_json::Deserializer::from_reader(stream).into_iter().next()?.ok()
}

/// The next answer on the stream.
fn answer(stream: &mut UnixStream) -> Value {
    next_answer(stream).unwrap()
}

fn ask(stream: &mut UnixStream, request: &str) -> Value {
    stream.write_all(request.as_bytes()).unwrap();
    answer(stream)
}

/// All that comes until the switch hangs up.
fn rest(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    // A reset is a way to hang up, too.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

const VERSION: &str = r#"{"id":1,"method":"version","params":[]}"#;

#[test]
fn many_requests_in_one_write_and_one_in_many() {
    let served = Served::start(short());
    let mut client = served.connect();
    client.write_all(VERSION.repeat(50).as_bytes()).unwrap();
    let mut answers = serde_json::Deserializer::from_reader(client.try_clone().unwrap()).into_iter::<Value>();
    for _ in 0..50 {
        assert_eq!(answers.next().unwrap().unwrap()["id"], 1);
    }
    for byte in VERSION.bytes() {
        client.write_all(&[byte]).unwrap();
    }
    assert_eq!(answers.next().unwrap().unwrap()["error"], Value::Null);
}

#[test]
fn bad_streams_are_refused_and_closed() {
    let served = Served::start(short());
    for (bytes, sentence) in [
        ("hello", "must be a JSON object"),
        (r#"{"id":1,"method":"version"}"#, "not a JSON-RPC 1.0 request"),
        (r#"{"a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["#, "at most 32 brackets"),
        (r#"{"id":1,"#, "half a message"),
    ] {
        let mut client = served.connect();
        client.write_all(bytes.as_bytes()).unwrap();
        let text = rest(&mut client);
        assert!(text.contains(sentence), "{bytes}: {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["result"], Value::Null);
    }
    let mut client = served.connect();
    let long = format!(r#"{{"id":1,"method":"ofctl/add-flows","params":["{}"]}}"#, "#".repeat(3 << 20));
    client.write_all(long.as_bytes()).unwrap();
    assert!(rest(&mut client).contains("at most 1048576 bytes"));
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_holds_nobody_up() {
    let served = Served::start(short());
    let mut greedy = served.connect();
    let list = r#"{"id":1,"method":"list-commands","params":["--json"]}"#;
    greedy.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    // Written from a thread: the switch stops reading once its answers are not taken.
    let writer = thread::spawn(move || {
        let failed = (0..100_000).find_map(|_| greedy.write_all(list.as_bytes()).err());
        failed.map(|error| error.kind())
    });
    let mut other = served.connect();
    for _ in 0..20 {
        let before = Instant::now();
        ask(&mut other, VERSION);
        assert!(before.elapsed() < Duration::from_secs(2));
        thread::sleep(Duration::from_millis(20));
    }
    let end = writer.join().unwrap();
    assert!(
        matches!(end, Some(io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)),
        "the client must be hung up on: {end:?}"
    );
}

#[test]
fn one_client_too_many_is_told_so() {
    let served = Served::start(short());
    let mut clients: Vec<UnixStream> = (0..3).map(|_| served.connect()).collect();
    for client in &mut clients {
        ask(client, VERSION);
    }
    let refused = ask(&mut served.connect(), VERSION);
    assert_eq!(refused["id"], 1, "with the id of its request, so that ovs-appctl prints it");
    assert!(refused["error"].as_str().unwrap().contains("3 clients are connected"));
    drop(clients);
    served.has_room(VERSION);
}

/// A dump of a switch that traces take many seconds in.
fn laborious() -> String {
    let set: Vec<String> = (0..5000).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    let sw = Uuid(1).to_string();
    let mut flows = Vec::new();
    let mut flow = |table: u8, priority: u16, matches: &str, actions: &str| {
        let uuid = Uuid(100 + flows.len() as u128).to_string();
        flows.push(json!([["uuid", uuid], actions, ["uuid", sw], matches, "ingress", priority, table]));
    };
    for table in 0..17 {
        flow(table, 1, &format!("ip4.src == {{{}}}", set.join(", ")), "drop;");
        flow(table, 0, "1", &format!("next({}); next({});", table + 1, table + 1));
    }
    let table = |name: &str, headings: Value, data: Value| {
        json!({ "caption": format!("{name} table"), "headings": headings, "data": data }).to_string()
    };
    [
        table("Datapath_Binding", json!(["_uuid", "tunnel_key"]), json!([[["uuid", sw], 1]])),
        table(
            "Port_Binding",
            json!(["_uuid", "datapath", "logical_port", "tunnel_key"]),
            json!([[["uuid", Uuid(2).to_string()], ["uuid", sw], "a", 1]]),
        ),
        table(
            "Logical_Flow",
            json!(["_uuid", "actions", "logical_datapath", "match", "pipeline", "priority", "table_id"]),
            json!(flows),
        ),
    ]
    .join("\n")
}

#[test]
fn clients_that_leave_before_their_answer_hold_nobody_up() {
    let served = Served::start(Limits { message: 16 << 20, ..short() });
    let load = json!({ "id": 1, "method": "sbctl/load", "params": [laborious()] }).to_string();
    assert_eq!(ask(&mut served.connect(), &load)["error"], Value::Null);
    let trace = |microflow: &str| json!({ "id": 1, "method": "trace", "params": [microflow] }).to_string();
    for _ in 0..12 {
        let long = trace(r#"inport == "a" && ip4.src == 9.9.9.9"#);
        served.connect().write_all(long.as_bytes()).unwrap();
    }
    // Their turns come back too.
    served.has_room(&trace(r#"inport == "a" && ip4.src == 10.0.0.1"#));
    // And the end of the switch does not wait for one.
    let mut client = served.connect();
    client.write_all(trace(r#"inport == "a" && ip4.src == 9.9.9.9"#).as_bytes()).unwrap();
    let asked = Instant::now();
    drop(served);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

/// Runs the real `ovs-appctl` with its standard output and error together.
fn appctl(path: &Path, args: &[&str]) -> (bool, String) {
    let output = Process::new("ovs-appctl").arg("-T").arg("10").arg("-t").arg(path).args(args).output();
    let output = output.expect("this test runs ovs-appctl; install the package openvswitch-common");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

#[test]
fn the_real_ovs_appctl_works() {
    let served = Served::start(Limits::default());
    let path = served.path();
    let (ok, text) = appctl(&path, &["list-commands"]);
    assert!(ok && text.starts_with("The available commands are:\n"), "{text}");
    let (ok, text) = appctl(&path, &["ofctl/add-flow", "ip,nw_dst=10.0.0.0/8,actions=output:1"]);
    assert!(ok && text.is_empty(), "{text}");
    let (ok, text) = appctl(&path, &["ofctl/dump-flows", "--no-stats"]);
    assert_eq!((ok, text.as_str()), (true, " ip,nw_dst=10.0.0.0/8 actions=output:1\n"));
    let (ok, text) = appctl(&path, &["show", "--json"]);
    assert!(ok && serde_json::from_str::<Value>(&text).unwrap()["ports"][0]["name"] == "p1", "{text}");
    let (ok, text) = appctl(&path, &["dpctl/dump-flows", "-m", "netdev@ovs-netdev", "filter=tcp"]);
    assert_eq!((ok, text.as_str()), (true, ""), "as ovs-appctl passes options on");
    let (ok, text) = appctl(&path, &["dpif-netdev/pmd-perf-show", "-nh", "-pmd", "1"]);
    assert!(ok && text.is_empty(), "{text}");
    let (ok, text) = appctl(&path, &["port/add", "x"]);
    assert!(!ok && text.starts_with("\"port/add\" command requires at least 2 arguments\n"), "{text}");
    let (ok, text) = appctl(&path, &["no-such-thing"]);
    assert!(!ok && text.contains("is not a valid command"), "{text}");
}

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.control.socket = dir.join("run/s.ctl");
    config.ovn = Ovn::unkept();
    config.ports = vec![PortSpec::new("p1", PortKind::Memory), PortSpec::new("p2", PortKind::Memory)];
    config.flows = vec!["in_port=p1,actions=p2".to_owned()];
    config
}

#[test]
fn runs_from_the_configuration_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    let file = dir.path().join("flows");
    std::fs::write(&file, "# more\ntable=1,actions=drop\n").unwrap();
    config.flow_file = Some(file);
    let (path, handle) = MemoryDatapath::new(2);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let client = RefCell::new(None);
    let socket = config.control.socket.clone();
    let ready = || {
        *client.borrow_mut() = Some(thread::spawn(move || {
            let mut client = connect(&socket);
            let tables = ask(&mut client, r#"{"id":1,"method":"ofctl/dump-aggregate","params":[]}"#);
            assert!(tables["result"].as_str().unwrap().contains("flow_count=2"));
            // Half a message, so that the switch has somebody to hang up on.
            client.write_all(b"{").unwrap();
            let asked = Instant::now();
            stop.send(()).unwrap();
            assert_eq!(rest(&mut client), "");
            asked.elapsed()
        }));
    };
    run(&config, Box::new(path), async { stopped.await.unwrap_or_default() }, ready).unwrap();
    let took = client.take().unwrap().join().unwrap();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(handle.borrow().events, ["add 1", "add 2", "tables", "shutdown"]);
    assert!(!config.control.socket.exists());
}

/// What a trace or a dump takes long for.
#[test]
fn work_in_hand_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (path, handle) = MemoryDatapath::new(1);
    let (begun, wait) = tokio::sync::oneshot::channel();
    let (end, ended) = mpsc::channel::<()>();
    let stop = async {
        tokio::task::spawn_blocking(move || {
            begun.send(()).unwrap();
            ended.recv_timeout(Duration::from_secs(20))
        });
        wait.await.unwrap();
    };
    let asked = Instant::now();
    run(&config(dir.path()), Box::new(path), stop, || ()).unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(handle.borrow().events.last().unwrap(), "shutdown");
    end.send(()).unwrap();
}

#[test]
fn what_is_wrong_with_the_configuration_is_said_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let ready = Cell::new(false);
    let start = |config: &Config| {
        let (path, handle) = MemoryDatapath::new(1);
        let refused = run(config, Box::new(path), std::future::pending(), || ready.set(true)).unwrap_err();
        assert!(!config.control.socket.exists() && !ready.get());
        assert_eq!(handle.borrow().events.last().unwrap(), "shutdown");
        refused.to_string()
    };
    let mut twice = config(dir.path());
    twice.ports.push(PortSpec::new("p1", PortKind::Memory));
    assert!(start(&twice).contains("a port named \"p1\" exists already"));
    let mut flow = config(dir.path());
    flow.flows.push("actions=outpt:1".to_owned());
    let text = start(&flow);
    assert!(text.starts_with("`flows` of the configuration: flow 2: ") && text.contains('^'), "{text}");
    let mut file = config(dir.path());
    file.flow_file = Some(dir.path().join("missing"));
    assert!(start(&file).contains("cannot read the flow file"));
    std::fs::write(dir.path().join("missing"), "actions=drop\nactions=goto_table:0\n").unwrap();
    let text = start(&file);
    assert!(text.contains("missing: line 2: "), "{text}");
}

/// What the fuzz target begins with must be understood, or it would never get past the framing.
#[test]
fn the_fuzz_corpus_is_answered() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/socket");
    let mut good = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        let read = testing::converse(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        for answer in serde_json::Deserializer::from_slice(&read).into_iter::<Value>() {
            good += u32::from(answer.unwrap()["error"].is_null());
        }
    }
    assert!(good > 20, "{good} commands of the corpus did something");
}
