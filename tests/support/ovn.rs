//! A whole switch in this process, with ports in memory, loaded with Southbound rows over its control socket.
#![allow(dead_code)] // each test binary uses its part

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use millrace::config::{Config, PortKind, PortSpec};
use millrace::control;
use millrace::packet::{Packet, PortNo};
use millrace::pipeline::cache::CacheSizes;
use millrace::worker::memory::{Wire, Wires};
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use serde_json::{Value, json};

use crate::support::memory;

/// A file of `tests/data/ovn`.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(path)
}

/// What it says.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A switch that is a chassis, in every respect. Its ports have the names of the logical ports that they are.
pub struct Chassis {
    client: UnixStream,
    wires: Wires,
    ports: Vec<String>,
    thread: Option<thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Chassis {
    /// Starts one with these ports and these rows.
    pub fn start(name: &str, ports: &[(&str, u16)], dump: &str) -> Self {
        let mut config = Config { name: name.to_owned(), ..Config::default() };
        config.ovn = millrace::config::Ovn::unkept();
        config.ports = ports
            .iter()
            .map(|(name, number)| PortSpec {
                number: Some(PortNo(*number)),
                iface_id: Some((*name).to_owned()),
                ..memory(name)
            })
            .collect();
        let mut chassis = Self::run(config);
        chassis.ask("sbctl/load", &[&format!("--chassis={name}"), dump]);
        chassis
    }

    /// Starts one of which everything stands in a configuration, but for its socket.
    pub fn run(mut config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        config.control.socket = dir.path().join("s.ctl");
        let socket = config.control.socket.clone();
        let ports = config.ports.iter().filter(|spec| spec.kind == PortKind::Memory);
        let ports = ports.map(|spec| spec.name.clone()).collect();
        let backend = MemoryBackend::default();
        let wires = backend.wires();
        let (ready, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            let setups = [WorkerSetup { core: None, numa: -1 }];
            let idle = Duration::from_micros(50);
            let engine = Engine::start(backend, &setups, idle, CacheSizes::default()).unwrap();
            control::run(&config, Box::new(engine), std::future::pending(), || ready.send(()).unwrap())
                .unwrap();
        });
        wait.recv_timeout(Duration::from_secs(20)).expect("the switch starts");
        let client = UnixStream::connect(socket).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { client, wires, ports, thread: Some(thread), _dir: dir }
    }

    /// Does a command that has to succeed.
    pub fn ask(&mut self, method: &str, params: &[&str]) -> String {
        let request = json!({ "id": 1, "method": method, "params": params });
        self.client.write_all(request.to_string().as_bytes()).unwrap();
        let mut text = Vec::new();
        let mut chunk = [0; 1 << 16];
        let answer: Value = loop {
            let length = self.client.read(&mut chunk).expect("an answer within a minute");
            assert!(length > 0, "the switch hung up on {method}");
            text.extend(&chunk[..length]);
            if let Ok(answer) = serde_json::from_slice(&text) {
                break answer;
            }
        };
        assert!(answer["error"].is_null(), "{method} {params:.200?}: {}", answer["error"]);
        answer["result"].as_str().unwrap_or_default().to_owned()
    }

    /// The accounting, once nothing is on its way but packets that wait for a neighbour. It is exact.
    pub fn stats(&mut self) -> Value {
        let stats: Value = serde_json::from_str(&self.ask("stats", &["--json"])).unwrap();
        assert_eq!(stats["imbalance"], 0, "{stats:#}");
        stats
    }

    /// Hands a frame to a port as if it had come in there, and gives what came out: ports and frames, in the order of the
    /// ports.
    pub fn inject(&mut self, port: &str, frame: &[u8]) -> Vec<(String, Vec<u8>)> {
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        let said = self.ask("inject", &[port, &hex]);
        assert!(!said.contains("not yet"), "{said}");
        self.take()
    }

    /// The far end of a port.
    pub fn wire(&self, port: &str) -> Wire {
        self.wires.of(port).unwrap()
    }

    /// What came out and was not taken.
    pub fn take(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut out = Vec::new();
        for name in &self.ports {
            let wire = self.wires.of(name).unwrap();
            out.extend(std::iter::from_fn(|| wire.take()).map(|frame| (name.clone(), frame.data().to_vec())));
        }
        out
    }
}

impl Drop for Chassis {
    fn drop(&mut self) {
        let _ = self.client.write_all(br#"{"id":0,"method":"exit","params":[]}"#);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the switch panicked");
        }
    }
}
