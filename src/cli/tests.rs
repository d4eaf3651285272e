mod detrace;
mod ovn;

use std::io::Cursor;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use pcap_file::{DataLink, Endianness};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A switch that answers every request of one connection by a function, and remembers what it was asked.
struct Switch {
    folder: TempDir,
    asked: Arc<Mutex<Vec<Value>>>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// `answer` gives result or error from the method and how many requests came before.
    fn start(answer: impl Fn(&str, usize) -> Result<String, String> + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s.ctl")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remember = Arc::clone(&asked);
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let requests =
                serde_json::Deserializer::from_reader(stream.try_clone().unwrap()).into_iter::<Value>();
            for (index, request) in requests.enumerate() {
                let request = request.unwrap();
                let reply = match answer(request["method"].as_str().unwrap(), index) {
                    Ok(result) => json!({ "id": request["id"], "result": result, "error": null }),
                    Err(error) => json!({ "id": request["id"], "result": null, "error": error }),
                };
                remember.lock().unwrap().push(json!([request["method"], request["params"]]));
                if stream.write_all(reply.to_string().as_bytes()).is_err() {
                    // The command waits no longer.
                    break;
                }
            }
        });
        Self { folder, asked, thread: Some(thread) }
    }

    fn socket(&self) -> OsString {
        self.folder.path().join("s.ctl").into()
    }

    /// A file beside the socket.
    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    fn run(&self, words: &[&str]) -> (u8, String, String) {
        run_with(words, Some(self.socket()), "")
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // Lets a switch that nobody called end too.
        let _ = UnixStream::connect(self.socket());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// Exit code, standard output and standard error.
fn run_with(words: &[&str], socket: Option<OsString>, input: &str) -> (u8, String, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut input = Cursor::new(input.to_owned());
    let words = ["millrace"].iter().chain(words).map(OsString::from);
    let code =
        run(words, socket, &mut Streams { input: &mut input, output: &mut output, errors: &mut errors });
    (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

#[rstest]
#[case(&["show"], json!(["show", []]))]
#[case(&["port", "add", "p1", "type=null", "size=64"], json!(["port/add", ["p1", "type=null", "size=64"]]))]
#[case(&["port", "add", "p1", "type=null", "--iface-id", "vm 1"], json!(["port/add", ["p1", "type=null", "iface_id=vm 1"]]))]
#[case(&["port", "set", "p1", "iface_id=vm1", "mtu=9000"], json!(["port/set", ["p1", "iface_id=vm1", "mtu=9000"]]))]
#[case(&["port", "set", "p1", "--iface-id=vm1"], json!(["port/set", ["p1", "iface_id=vm1"]]))]
#[case(&["port", "del", "p1"], json!(["port/del", ["p1"]]))]
#[case(&["port", "list"], json!(["port/list", []]))]
#[case(&["port", "stats"], json!(["port/stats", []]))]
#[case(&["port", "stats", "p1"], json!(["port/stats", ["p1"]]))]
#[case(&["port", "set-mtu", "p1", "9000"], json!(["port/set-mtu", ["p1", "9000"]]))]
#[case(&["worker", "list"], json!(["worker/list", []]))]
#[case(&["rxq", "show"], json!(["rxq/show", []]))]
#[case(&["rxq", "move", "0000:03:00.0:1", "2"], json!(["rxq/move", ["0000:03:00.0:1", "2"]]))]
#[case(&["perf", "show"], json!(["perf/show", []]))]
#[case(&["perf", "show", "1"], json!(["perf/show", ["1"]]))]
#[case(&["perf", "clear"], json!(["perf/clear", []]))]
#[case(&["perf", "clear", "0"], json!(["perf/clear", ["0"]]))]
#[case(&["megaflow", "dump"], json!(["megaflow/dump", []]))]
#[case(&["megaflow", "dump", "in_port=1,ip", "--names"], json!(["megaflow/dump", ["--names", "in_port=1,ip"]]))]
#[case(&["megaflow", "flush"], json!(["megaflow/flush", []]))]
#[case(&["megaflow", "flush", "tcp"], json!(["megaflow/flush", ["tcp"]]))]
#[case(&["ofctl", "add-flow", "ip,actions=drop", "actions=1"], json!(["ofctl/add-flow", ["ip,actions=drop", "actions=1"]]))]
#[case(&["ofctl", "mod-flows", "actions=drop"], json!(["ofctl/mod-flows", ["actions=drop"]]))]
#[case(&["ofctl", "mod-flows", "--strict", "actions=drop"], json!(["ofctl/mod-flows", ["--strict", "actions=drop"]]))]
#[case(&["ofctl", "del-flows"], json!(["ofctl/del-flows", []]))]
#[case(&["ofctl", "del-flows", "--strict", "tcp"], json!(["ofctl/del-flows", ["--strict", "tcp"]]))]
#[case(&["ofctl", "dump-flows"], json!(["ofctl/dump-flows", []]))]
#[case(
    &["ofctl", "dump-flows", "table=1", "--names", "--no-stats"],
    json!(["ofctl/dump-flows", ["--no-stats", "--names", "table=1"]])
)]
#[case(&["ofctl", "dump-aggregate", "table=1"], json!(["ofctl/dump-aggregate", ["table=1"]]))]
#[case(&["ofctl", "add-group", "group_id=1,type=all"], json!(["ofctl/add-group", ["group_id=1,type=all"]]))]
#[case(
    &["ofctl", "mod-group", "--may-create", "group_id=1,type=all"],
    json!(["ofctl/mod-group", ["--may-create", "group_id=1,type=all"]])
)]
#[case(&["ofctl", "insert-buckets", "group_id=1,bucket=drop"], json!(["ofctl/insert-buckets", ["group_id=1,bucket=drop"]]))]
#[case(&["ofctl", "remove-buckets", "group_id=1"], json!(["ofctl/remove-buckets", ["group_id=1"]]))]
#[case(&["ofctl", "del-groups"], json!(["ofctl/del-groups", []]))]
#[case(&["ofctl", "dump-groups", "1"], json!(["ofctl/dump-groups", ["1"]]))]
#[case(&["ofctl", "dump-group-stats", "group_id=1"], json!(["ofctl/dump-group-stats", ["group_id=1"]]))]
#[case(&["ofctl", "add-meter", "meter=1,kbps"], json!(["ofctl/add-meter", ["meter=1,kbps"]]))]
#[case(&["ofctl", "mod-meter", "meter=1,kbps"], json!(["ofctl/mod-meter", ["meter=1,kbps"]]))]
#[case(&["ofctl", "del-meter", "meter=1"], json!(["ofctl/del-meters", ["meter=1"]]))]
#[case(&["ofctl", "dump-meters"], json!(["ofctl/dump-meters", []]))]
#[case(&["ofctl", "meter-stats", "all"], json!(["ofctl/meter-stats", ["all"]]))]
#[case(&["ofctl", "dump-tables"], json!(["ofctl/dump-tables", []]))]
#[case(&["ofctl", "dump-ports"], json!(["ofctl/dump-ports", []]))]
#[case(&["ofctl", "dump-ports", "p1"], json!(["ofctl/dump-ports", ["p1"]]))]
#[case(&["ofctl", "dump-ports-desc"], json!(["ofctl/dump-ports-desc", []]))]
#[case(&["ofctl", "show"], json!(["ofctl/show", []]))]
#[case(&["ofctl", "resume", "0.1024", "p1", "0001"], json!(["ofctl/resume", ["0.1024", "p1", "0001"]]))]
#[case(&["ofctl", "monitor"], json!(["ofctl/monitor", []]))]
#[case(&["sbctl", "show"], json!(["sbctl/show", []]))]
#[case(&["sbctl", "--bare", "-f", "csv", "show"], json!(["sbctl/show", []]))]
#[case(&["sbctl", "lflow-list"], json!(["sbctl/lflow-list", []]))]
#[case(&["sbctl", "keys"], json!(["sbctl/keys", []]))]
#[case(&["underlay", "show"], json!(["underlay/show", []]))]
#[case(&["underlay", "routes"], json!(["ovs/route/show", []]))]
#[case(&["underlay", "neighbours"], json!(["tnl/neigh/show", []]))]
#[case(&["bfd", "show"], json!(["bfd/show", []]))]
#[case(&["bfd", "show", "hv2"], json!(["bfd/show", ["hv2"]]))]
#[case(
    &["sbctl", "--may-exist", "chassis-add", "hv2", "geneve", "10.0.0.2"],
    json!(["sbctl/change", ["--may-exist", "chassis-add", "hv2", "geneve", "10.0.0.2"]])
)]
#[case(
    &["sbctl", "lsp-unbind", "p", "--", "--may-exist", "lsp-bind", "p", "hv2"],
    json!(["sbctl/change", ["lsp-unbind", "p", "--", "--may-exist", "lsp-bind", "p", "hv2"]])
)]
#[case(&["sbctl", "--uuid", "dump-flows", "r1", "0xabc"], json!(["sbctl/lflow-list", ["--uuid", "r1", "0xabc"]]))]
#[case(&["sbctl", "list", "Chassis", "hv1", "hv2"], json!(["sbctl/list", ["Chassis", "hv1", "hv2"]]))]
#[case(
    &["sbctl", "--bare", "--columns=_uuid", "find", "Datapath_Binding", "external_ids:name=r1"],
    json!(["sbctl/find", ["--bare", "--columns=_uuid", "Datapath_Binding", "external_ids:name=r1"]])
)]
#[case(
    &["sbctl", "--bare", "--format=csv", "list", "dns"],
    json!(["sbctl/list", ["--bare", "--format=csv", "dns"]])
)]
#[case(
    &["sbctl", "list", "dns", "-f", "table", "--data=json", "--no-headings"],
    json!(["sbctl/list", ["--format=table", "--data=json", "--no-headings", "dns"]])
)]
#[case(
    &["sbctl", "--if-exists", "get", "Port_Binding", "p", "mac", "options:x"],
    json!(["sbctl/get", ["--if-exists", "Port_Binding", "p", "mac", "options:x"]])
)]
#[case(&["trace", "ip4"], json!(["trace", ["ip4"]]))]
#[case(&["trace", "--ovs", "ip4"], json!(["trace", ["--ovs", "ip4"]]))]
#[case(&["trace", "--packet", "00ff", "--in-port=p1"], json!(["trace/packet", ["p1", "00ff"]]))]
#[case(&["trace", "--live", "in_port=p1,ip"], json!(["trace/live", ["in_port=p1,ip"]]))]
#[case(&["detrace", "0x1", "2f"], json!(["detrace", ["0x1", "2f"]]))]
#[case(&["ofctl", "trace", "in_port=1,ip"], json!(["ofctl/trace", ["in_port=1,ip"]]))]
#[case(&["ofctl", "trace", "in_port=1", "--names"], json!(["ofctl/trace", ["--names", "in_port=1"]]))]
#[case(
    &["trace", "sw", "--ct", "new", "ip4", "--ct=est", "--lb-dst", "10.0.0.1:80", "--select-id=2", "--all"],
    json!(["trace", ["--all", "--ct=new", "--ct=est", "--lb-dst=10.0.0.1:80", "--select-id=2", "sw", "ip4"]])
)]
#[case(&["trace", "sw", "ip4", "--no-friendly-names"], json!(["trace", ["--no-friendly-names", "sw", "ip4"]]))]
#[case(&["drops"], json!(["drops", []]))]
#[case(&["stats"], json!(["stats", []]))]
#[case(&["stats", "--clear"], json!(["stats/clear", []]))]
#[case(&["inject", "p1", "00:11 AA", "bbcc"], json!(["inject", ["p1", "0011aa", "bbcc"]]))]
#[case(&["list-commands"], json!(["list-commands", []]))]
#[case(&["raw", "a/b", "--strict", "x"], json!(["a/b", ["--strict", "x"]]))]
#[case(&["exit"], json!(["exit", []]))]
fn asks_and_prints(#[case] words: &[&str], #[case] request: Value) {
    let switch = Switch::start(|_, _| Ok("line one\nline two".to_owned()));
    assert_eq!(switch.run(words), (0, "line one\nline two\n".to_owned(), String::new()));
    assert_eq!(switch.asked(), std::slice::from_ref(&request));

    let switch = Switch::start(|_, _| Ok("{}".to_owned()));
    let with_json: Vec<_> = ["--json"].iter().chain(words).copied().collect();
    assert_eq!(switch.run(&with_json), (0, "{}\n".to_owned(), String::new()));
    let mut params = request[1].as_array().unwrap().clone();
    params.insert(0, json!("--json"));
    assert_eq!(switch.asked(), [json!([request[0], params])]);
}

#[test]
fn sends_a_file_of_flows_as_one_text() {
    for from_file in [true, false] {
        let switch = Switch::start(|_, _| Ok(String::new()));
        let text = "# two\nip,actions=1\narp,actions=2\n";
        let file = switch.file("x.flows", text.as_bytes());
        let file = if from_file { file.as_str() } else { "-" };
        let answer = run_with(&["ofctl", "add-flows", file], Some(switch.socket()), text);
        assert_eq!(answer, (0, String::new(), String::new()));
        assert_eq!(switch.asked(), [json!(["ofctl/add-flows", [text]])]);
    }
}

#[rstest]
#[case(&["ofctl", "add-flow", "br0", "actions=drop"], "br0")]
#[case(&["ofctl", "add-flow", "br0"], "br0")]
#[case(&["ofctl", "add-flows", "br0", "x.flows"], "br0")]
#[case(&["ofctl", "mod-flows", "br0", "actions=drop"], "br0")]
#[case(&["ofctl", "del-flows", "br0"], "br0")]
#[case(&["ofctl", "del-flows", "br0", "tcp"], "br0")]
#[case(&["ofctl", "dump-flows", "br-int"], "br-int")]
#[case(&["ofctl", "dump-aggregate", "br0", "table=1"], "br0")]
#[case(&["megaflow", "dump", "br0"], "br0")]
#[case(&["megaflow", "flush", "br0"], "br0")]
fn takes_no_bridge_before_a_flow(#[case] words: &[&str], #[case] bridge: &str) {
    let sentence = format!(
        "\"{bridge}\" is not a flow; if it is meant as a bridge, leave it out: millrace is one switch and takes no \
         bridge argument\n"
    );
    assert_eq!(run_with(words, None, ""), (2, String::new(), sentence));
}

#[rstest]
#[case(&["ofctl", "show", "br0"])]
#[case(&["ofctl", "dump-tables", "br0"])]
#[case(&["ofctl", "dump-ports", "br0", "p1"])]
#[case(&["ofctl", "dump-ports-desc", "br0"])]
#[case(&["ofctl", "dump-groups", "br0"])]
#[case(&["ofctl", "add-meter", "br0", "meter=1,kbps"])]
#[case(&["ofctl", "monitor", "br0"])]
#[case(&["ofctl", "monitor", "br0", "--follow"])]
fn takes_no_bridge_by_itself(#[case] words: &[&str]) {
    let sentence = "leave \"br0\" out: millrace is one switch and takes no bridge argument\n";
    assert_eq!(run_with(words, None, ""), (2, String::new(), sentence.to_owned()));
}

#[rstest]
#[case(
    &["ofctl", "dump-flows", "table=1,", "ip"],
    "2 flows are given and one is taken; put quotes around it if it has blanks"
)]
#[case(
    &["megaflow", "flush", "ip", "tcp"],
    "2 flows are given and one is taken; put quotes around it if it has blanks"
)]
#[case(
    &["port", "add", "p1", "memory"],
    "\"memory\" is not KEY=VALUE; write such as `millrace port add p1 type=af_packet iface=veth0`"
)]
#[case(&["rxq", "move", "p1", "0"], "\"p1\" is not PORT:QUEUE; write such as p1:0, as `millrace rxq show` does")]
#[case(
    &["inject", "p1", "0g"],
    "'g' in \"0g\" is not a hexadecimal digit, and there is no file of that name; write a frame such as \
     ffffffffffff0200000000010806… or name a capture file"
)]
#[case(&["inject", "p1", "012"], "\"012\" has 3 hexadecimal digits; write two for every byte of the frame")]
#[case(&["inject", "p1", ""], "\"\" has 0 hexadecimal digits; write two for every byte of the frame")]
#[case(&["trace", "sw", "ip4", "--select-id", "x"], "\"x\" is no number that select may choose; write one from 1 to 65535")]
#[case(
    &["ofctl", "add-flows", "/nonexistent/x.flows"],
    "cannot open /nonexistent/x.flows: No such file or directory (os error 2); give the path of a file of flows"
)]
fn wrong_use(#[case] words: &[&str], #[case] sentence: &str) {
    assert_eq!(run_with(words, None, ""), (2, String::new(), format!("{sentence}\n")));
}

#[rstest]
#[case(&[], "Usage: millrace")]
#[case(&["frobnicate"], "unrecognized subcommand 'frobnicate'")]
#[case(&["-T", "0", "show"], "write a number of seconds from 0.001 to 86400")]
#[case(&["-T", "nan", "show"], "write a number of seconds from 0.001 to 86400")]
#[case(&["inject", "p1"], "<HEX|PCAP>...")]
#[case(&["ofctl", "trace", "br-int", "ip"], "\"br-int\" is not a flow")]
#[case(&["trace"], "<[DATAPATH] MICROFLOW>")]
#[case(&["trace", "--packet", "00ff"], "--in-port <PORT>")]
#[case(&["trace", "--packet", "00ff", "--in-port=p1", "ip4"], "cannot be used with")]
#[case(&["inject", "p1", "00", "--count", "0"], "invalid value '0' for '--count <COUNT>'")]
fn wrong_words(#[case] words: &[&str], #[case] part: &str) {
    let (code, output, errors) = run_with(words, None, "");
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(errors.contains(part), "{errors}");
}

#[test]
fn help_is_no_error() {
    let (code, output, errors) = run_with(&["--help"], None, "");
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(output.contains("Exit codes: 0 done"), "{output}");
}

#[test]
fn a_refusal_is_printed_as_it_is() {
    let said = "ip,actions=outptu:1\n           ^^^^^^ no such action; did you mean output?";
    let switch = Switch::start(move |_, _| Err(said.to_owned()));
    let answer = switch.run(&["ofctl", "add-flow", "ip,actions=outptu:1"]);
    assert_eq!(answer, (1, String::new(), format!("{said}\n")));
}

#[test]
fn nobody_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ctl");
    let (code, output, errors) = run_with(&["version"], Some(path.clone().into()), "");
    assert_eq!((code, output), (3, format!("millrace {}\n", env!("CARGO_PKG_VERSION"))));
    assert!(errors.starts_with(&format!("cannot reach millraced at {}: there", path.display())), "{errors}");
}

#[test]
fn the_command_line_names_the_socket_before_the_environment() {
    let switch = Switch::start(|_, _| Ok("yes".to_owned()));
    let socket = switch.socket().into_string().unwrap();
    let elsewhere = Some(OsString::from("/nonexistent/s.ctl"));
    assert_eq!(run_with(&["show", "-t", &socket], elsewhere, "").0, 0);
}

#[test]
fn no_answer_in_time() {
    let switch = Switch::start(|_, _| {
        thread::sleep(Duration::from_millis(500));
        Ok(String::new())
    });
    let (code, _, errors) = switch.run(&["-T", "0.1", "show"]);
    assert_eq!(code, 4, "{errors}");
}

#[test]
fn versions_of_both() {
    let own = env!("CARGO_PKG_VERSION");
    let switch = Switch::start(|_, _| Ok("millraced 9.9".to_owned()));
    assert_eq!(switch.run(&["version"]).1, format!("millrace {own}\nmillraced 9.9\n"));
    let switch = Switch::start(|_, _| Ok(r#"{"version":"9.9"}"#.to_owned()));
    let answer: Value = serde_json::from_str(&switch.run(&["version", "--json"]).1).unwrap();
    assert_eq!(answer, json!({ "client": own, "server": { "version": "9.9" } }));
}

#[test]
fn follows_until_the_switch_ends() {
    let switch = Switch::start(|_, index| match index {
        0 => Ok("one\n".to_owned()),
        1 => Ok(String::new()),
        2 => Ok("two\n".to_owned()),
        _ => Err("shutting down".to_owned()),
    });
    let answer = switch.run(&["ofctl", "monitor", "--follow"]);
    assert_eq!(answer, (1, "one\ntwo\n".to_owned(), "shutting down\n".to_owned()));
}

/// An output that ends as a pipe does, or as a full disk does.
struct Ended(io::ErrorKind);

impl Write for Ended {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[rstest]
#[case(io::ErrorKind::BrokenPipe, 0, "")]
#[case(
    io::ErrorKind::StorageFull,
    5,
    "cannot write the answer: no storage space; look where the output goes\n"
)]
fn an_output_that_ends(#[case] kind: io::ErrorKind, #[case] code: u8, #[case] sentence: &str) {
    let switch = Switch::start(|_, _| Ok("x".repeat(100_000)));
    let mut errors = Vec::new();
    let mut streams = Streams { input: &mut io::empty(), output: &mut Ended(kind), errors: &mut errors };
    let words = ["millrace", "show"].map(OsString::from);
    assert_eq!(run(words, Some(switch.socket()), &mut streams), code);
    assert_eq!(String::from_utf8(errors).unwrap(), sentence);
}

fn pcap_of(frames: &[Vec<u8>], link: DataLink) -> Vec<u8> {
    let header = PcapHeader { datalink: link, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    for frame in frames {
        writer.write_packet(&PcapPacket::new(Duration::ZERO, frame.len() as u32, frame)).unwrap();
    }
    writer.into_writer()
}

fn pcapng_of(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), Endianness::Big).unwrap();
    writer
        .write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options: Vec::new(),
        })
        .unwrap();
    for frame in frames {
        writer
            .write_pcapng_block(EnhancedPacketBlock {
                interface_id: 0,
                timestamp: Duration::ZERO,
                original_len: frame.len() as u32 + 1,
                data: frame.into(),
                options: Vec::new(),
            })
            .unwrap();
    }
    writer.into_inner()
}

/// Frames that differ, of `length` bytes.
fn numbered(count: u16, length: usize) -> Vec<Vec<u8>> {
    let frame =
        |number: u16| number.to_be_bytes().into_iter().chain(std::iter::repeat(0xee)).take(length).collect();
    (0..count).map(frame).collect()
}

/// The frames that a switch was given by `inject p1`, and the numbers of frames in its messages.
fn injected(asked: &[Value]) -> (Vec<String>, Vec<usize>) {
    let mut frames = Vec::new();
    let mut sizes = Vec::new();
    for request in asked {
        assert_eq!(request[0], "inject");
        let params: Vec<String> = serde_json::from_value(request[1].clone()).unwrap();
        assert_eq!(params[0], "p1");
        sizes.push(params.len() - 1);
        frames.extend_from_slice(&params[1..]);
    }
    (frames, sizes)
}

fn as_hex(frames: &[Vec<u8>]) -> Vec<String> {
    frames.iter().map(|frame| frame.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
}

#[rstest]
#[case::pcap("in.pcap", false)]
#[case::pcapng("in.pcapng", true)]
#[case::pcapng_by_content("in", true)]
fn injects_a_capture(#[case] name: &str, #[case] next_generation: bool) {
    let frames = numbered(75, 60);
    let switch = Switch::start(|_, _| Ok("well".to_owned()));
    let content = if next_generation { pcapng_of(&frames) } else { pcap_of(&frames, DataLink::ETHERNET) };
    let file = switch.file(name, &content);
    let (code, output, errors) = switch.run(&["inject", "p1", &file, "--count", "2"]);
    assert_eq!((code, output.as_str()), (0, "150 frames injected at p1, in 5 messages\n"));
    let note = "note: 150 frame(s) were cut short when they were captured, and injected so\n";
    assert_eq!(errors, if next_generation { note } else { "" });
    let (given, sizes) = injected(&switch.asked());
    assert_eq!(given, as_hex(&[frames.clone(), frames].concat()));
    assert_eq!(sizes, [32, 32, 32, 32, 22]);
}

#[test]
fn messages_are_bounded_by_bytes_too() {
    let frames = numbered(20, 60_000);
    let switch = Switch::start(|_, _| Ok(String::new()));
    let file = switch.file("in.pcap", &pcap_of(&frames, DataLink::ETHERNET));
    assert_eq!(switch.run(&["inject", "p1", &file]).0, 0);
    let (given, sizes) = injected(&switch.asked());
    assert_eq!(given, as_hex(&frames));
    assert_eq!(sizes, [8, 8, 4]);
}

#[test]
fn every_answer_is_a_line_of_json() {
    let switch = Switch::start(|_, index| Ok(format!("{{\"n\":{index}}}")));
    let (code, output, _) = switch.run(&["--json", "inject", "p1", "00", "--count", "70"]);
    assert_eq!((code, output.as_str()), (0, "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n"));
}

#[test]
fn a_refusal_in_the_middle_says_how_far_it_came() {
    let switch =
        Switch::start(|_, index| if index < 2 { Ok(String::new()) } else { Err("ring full".to_owned()) });
    let answer = switch.run(&["inject", "p1", "00", "--count", "100"]);
    assert_eq!(answer, (1, String::new(), "ring full\n(64 frames were injected before)\n".to_owned()));
}

#[rstest]
#[case(b"".to_vec(), "it is no capture file")]
#[case(b"not a capture file at all".to_vec(), "it is no capture file")]
#[case(pcap_of(&numbered(1, 60), DataLink::RAW), "it holds RAW and not Ethernet frames")]
#[case(
    {
        let mut cut = pcap_of(&numbered(2, 60), DataLink::ETHERNET);
        cut.truncate(cut.len() - 1);
        cut
    },
    "frame 2 is incomplete (unexpected end of file)"
)]
fn refuses_a_file_that_is_no_capture(#[case] content: Vec<u8>, #[case] cause: &str) {
    let switch = Switch::start(|_, _| Ok(String::new()));
    let file = switch.file("in.pcap", &content);
    let sentence = format!("cannot read {file}: {cause}; give a capture file, pcap or pcapng\n");
    assert_eq!(switch.run(&["inject", "p1", &file]), (2, String::new(), sentence));
    assert_eq!(switch.asked(), Vec::<Value>::new());
}

#[test]
fn refuses_a_capture_without_frames() {
    let switch = Switch::start(|_, _| Ok(String::new()));
    let file = switch.file("in.pcap", &pcap_of(&[], DataLink::ETHERNET));
    let sentence = format!("{file} holds no frame; give one that does\n");
    assert_eq!(switch.run(&["inject", "p1", &file]), (2, String::new(), sentence));
}

#[test]
fn the_words_are_well_formed() {
    use clap::CommandFactory;
    Arguments::command().debug_assert();
}

#[test]
fn a_dump_is_sent_in_parts_and_answered_once() {
    let part = 2 << 20;
    // A character that would be cut in two.
    let text = format!("{}ö{}", "x".repeat(part - 1), "y".repeat(part));
    let switch = Switch::start(|_, before| Ok(if before == 2 { "3 rows" } else { "" }.to_owned()));
    let file = switch.file("sb.json", text.as_bytes());
    let answer = switch.run(&["sbctl", "load", &file, "--chassis", "hv1"]);
    assert_eq!(answer, (0, "3 rows\n".to_owned(), String::new()));
    let asked = switch.asked();
    let params: Vec<&Value> = asked.iter().map(|request| &request[1]).collect();
    let [one, two, last] = params[..] else { panic!("{} requests", params.len()) };
    assert_eq!(
        (one.as_array().unwrap().len(), &one[0], &two[0], &last[0]),
        (2, &json!("--part"), &json!("--part"), &json!("--chassis=hv1"))
    );
    let sent: String = params.iter().map(|params| params[1].as_str().unwrap()).collect();
    assert!(sent == text, "every byte once and in order");

    let switch = Switch::start(|_, _| Err("nothing is loaded: so\n".to_owned()));
    let answer = run_with(&["sbctl", "load", "-"], Some(switch.socket()), "{}");
    assert_eq!(answer, (1, String::new(), "nothing is loaded: so\n".to_owned()));
    assert_eq!(switch.asked(), [json!(["sbctl/load", ["{}"]])]);
}

#[test]
fn a_dump_that_is_none_is_named() {
    let switch = Switch::start(|_, _| Ok(String::new()));
    let (code, _, errors) = switch.run(&["sbctl", "load", "/nowhere/sb.json"]);
    assert_eq!(code, 2);
    assert!(
        errors.starts_with("cannot open /nowhere/sb.json: ")
            && errors.ends_with("; give the path of a dump as `ovsdb-client --format=json dump` writes it\n"),
        "{errors}"
    );
    let file = switch.file("sb.json", b"{}\n\xc3\xb6 \xff");
    let (code, _, errors) = switch.run(&["sbctl", "load", &file]);
    assert_eq!(code, 2);
    assert!(errors.contains("is not a text in UTF-8 at line 2, byte 4; give a dump"), "{errors}");
}

/// Keys with their digest.
fn keys(lines: &str) -> String {
    let digest = crate::logical::sha256::sha256(lines.as_bytes());
    format!("# tunnel keys, sha256 {digest}\n{lines}")
}

#[test]
fn keys_of_two_hosts_are_compared() {
    let here = keys("datapath n 1\nport n a 1\nport n b 2\n");
    // A switch answers one client.
    let another = || {
        let answer = here.clone();
        Switch::start(move |_, _| Ok(answer.clone()))
    };
    let switch = another();
    let same = switch.file("same", here.as_bytes());
    let short = &here["# tunnel keys, sha256 ".len()..][..12];
    assert_eq!(
        switch.run(&["sbctl", "compare", &same]),
        (0, format!("all 3 keys are equal: {short}\n"), String::new())
    );
    assert_eq!(switch.asked(), [json!(["sbctl/keys", []])]);
    let other = keys("datapath n 2\nport n a 1\nport n c 2\n");
    let told = "datapath n: key 1 here, key 2 there\nport n b: key 2 here, none there\n\
                port n c: none here, key 2 there\n";
    let count = "keys that differ: 3; the hosts do not understand each other's packets until they are given the same networks\n";
    let compared = run_with(&["sbctl", "compare", "-"], Some(another().socket()), &other);
    assert_eq!(compared, (1, told.to_owned(), count.to_owned()));
    let (code, output, _) = run_with(&["--json", "sbctl", "compare", "-"], Some(another().socket()), &other);
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &output["keys"]), (1, &json!(3)));
    assert_eq!(output["differences"][0], json!({ "name": "datapath n", "here": [1], "there": [2] }));
    let cut = switch.file("cut", &here.as_bytes()[..here.len() - 11]);
    let sentence = format!(
        "{cut}: its lines do not have the digest of its first line, so it was cut or changed; print it anew\n"
    );
    assert_eq!(switch.run(&["sbctl", "compare", &cut]), (2, String::new(), sentence));
}

#[rstest]
#[case(&["--columns=x", "show"], "show has no option --columns; leave it out")]
#[case(&["--if-exists", "find", "dns"], "find has no option --if-exists; leave it out")]
#[case(&["--uuid", "list", "dns"], "list has no option --uuid; leave it out")]
#[case(&["--columns=x", "get", "dns", "x"], "get has no option --columns; leave it out")]
#[case(&["--columns=x", "load", "sb.json"], "load has no option --columns; leave it out")]
#[case(&["--uuid", "compare", "keys"], "compare has no option --uuid; leave it out")]
#[case(&["--if-exists", "lsp-bind", "p", "c"], "lsp-bind has no option --if-exists; leave it out")]
#[case(&["--may-exist", "chassis-del", "c"], "chassis-del has no option --may-exist; leave it out")]
fn options_of_other_commands_are_refused(#[case] words: &[&str], #[case] sentence: &str) {
    let words: Vec<_> = ["sbctl"].iter().chain(words).copied().collect();
    assert_eq!(run_with(&words, None, ""), (2, String::new(), format!("{sentence}\n")));
}
