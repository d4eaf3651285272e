//! What arrives at a machine, seen by a packet socket; and capture files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use rustix::process::{Pid, Signal, kill_process};

use super::{Host, Lab, SOON, wait_for};

/// A running tcpdump.
pub struct Capture {
    child: Child,
    file: String,
}

impl Capture {
    /// Listens on a machine's eth0 to what comes in and matches the filter (`""`: everything).
    pub fn start(lab: &Lab, host: &Host, filter: &str) -> Self {
        let spawn = |words: &[&str]| host.spawn(words, Stdio::piped());
        Self::with(lab, ("eth0", &host.iface), filter, spawn)
    }

    /// Listens on an end of a wire that is no machine's, to what comes in there.
    pub fn on_wire(lab: &Lab, iface: &str, filter: &str) -> Self {
        let spawn = |words: &[&str]| {
            let mut command = Command::new("tcpdump");
            command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("run tcpdump")
        };
        Self::with(lab, (iface, iface), filter, spawn)
    }

    fn with(
        lab: &Lab,
        (iface, name): (&str, &str),
        filter: &str,
        spawn: impl FnOnce(&[&str]) -> Child,
    ) -> Self {
        let file = lab.path(&format!("capture-{name}.pcap"));
        let mut words = vec![
            "tcpdump",
            "-i",
            iface,
            "-Q",
            "in",
            "-n",
            "-s",
            "0",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-w",
            &file,
        ];
        if !filter.is_empty() {
            words.push(filter);
        }
        let mut child = spawn(&words);
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let capture = Self { child, file: file.clone() };
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            let length = said.read_line(&mut line).expect("read what tcpdump says");
            assert!(length > 0, "tcpdump ended before it listened; is it installed?");
        }
        // It says more when it ends, and nobody may make it wait.
        thread::spawn(move || drop(said.read_to_end(&mut Vec::new())));
        capture
    }

    /// Waits until so many frames are there, then ends and gives all of them.
    pub fn take(mut self, at_least: usize) -> Vec<Vec<u8>> {
        wait_for(&format!("{at_least} frame(s) in the capture"), SOON, || {
            // While it is written its last record may be half there.
            (try_read_pcap(&self.file).len() >= at_least).then_some(())
        });
        // Time for frames that should not be there.
        thread::sleep(Duration::from_millis(100));
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        self.child.wait().expect("wait for tcpdump");
        read_pcap(&self.file)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn try_read_pcap(path: &str) -> Vec<Vec<u8>> {
    let Some(mut reader) = File::open(path).ok().and_then(|file| PcapReader::new(file).ok()) else {
        return Vec::new();
    };
    std::iter::from_fn(|| reader.next_packet()?.ok().map(|packet| packet.data.into_owned())).collect()
}

/// The frames of a capture file.
pub fn read_pcap(path: &str) -> Vec<Vec<u8>> {
    let file = File::open(path).unwrap_or_else(|error| panic!("cannot open {path}: {error}"));
    let mut reader =
        PcapReader::new(file).unwrap_or_else(|error| panic!("{path} is no capture file: {error}"));
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap_or_else(|error| panic!("{path}, frame {}: {error}", frames.len()));
        frames.push(packet.data.into_owned());
    }
    frames
}

/// Writes a capture file.
pub fn write_pcap(path: &str, frames: &[Vec<u8>]) {
    let file = File::create(path).unwrap_or_else(|error| panic!("cannot create {path}: {error}"));
    let mut writer = PcapWriter::new(file).expect("begin a capture file");
    for (frame, number) in frames.iter().zip(0u32..) {
        let length = u32::try_from(frame.len()).expect("a frame is short");
        let packet = PcapPacket::new(Duration::from_micros(number.into()), length, frame);
        writer.write_packet(&packet).expect("write to a capture file");
    }
}
