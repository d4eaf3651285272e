//! From the words of the command line to a method and its parameters.

use std::fs::File;
use std::io::Read;

use super::Failure;
use super::args::{
    MegaflowCommand, NoBridge, OfctlCommand, PerfCommand, PortCommand, RxqCommand, Strict, TraceArguments,
};
use super::frames::{self, Source};
use crate::client::MAX_REQUEST;

/// Most frames that are traced at a time.
const MAX_FRAMES: usize = 64;

/// A method with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Method.
    pub method: String,
    /// Parameters.
    pub params: Vec<String>,
}

impl Request {
    /// A method without parameters.
    pub fn bare(method: &str) -> Self {
        Self::with(method, Vec::new())
    }

    /// A method with parameters.
    pub fn with(method: &str, params: Vec<String>) -> Self {
        Self { method: method.to_owned(), params }
    }
}

/// Words that are a match by themselves.
const PROTOCOLS: [&str; 14] = [
    "ip", "ipv6", "icmp", "icmp6", "tcp", "tcp6", "udp", "udp6", "sctp", "sctp6", "arp", "rarp", "mpls",
    "mplsm",
];

pub(super) fn port(command: PortCommand) -> Result<Request, Failure> {
    Ok(match command {
        PortCommand::Add { name, keys, iface_id } => {
            port_keys("port/add", name, keys, iface_id, "add p1 type=af_packet iface=veth0")?
        }
        PortCommand::Set { port, keys, iface_id } => {
            port_keys("port/set", port, keys, iface_id, "set p1 iface_id=vm1")?
        }
        PortCommand::Del { port } => Request::with("port/del", vec![port]),
        PortCommand::List => Request::bare("port/list"),
        PortCommand::Stats { port } => Request::with("port/stats", port.into_iter().collect()),
        PortCommand::SetMtu { port, mtu } => Request::with("port/set-mtu", vec![port, mtu.to_string()]),
    })
}

fn port_keys(
    method: &str,
    port: String,
    mut keys: Vec<String>,
    iface_id: Option<String>,
    example: &str,
) -> Result<Request, Failure> {
    if let Some(key) = keys.iter().find(|key| !key.contains('=')) {
        let sentence = format!("\"{key}\" is not KEY=VALUE; write such as `millrace port {example}`");
        return Err(Failure::Usage(sentence));
    }
    keys.extend(iface_id.map(|name| format!("iface_id={name}")));
    Ok(Request::with(method, [port].into_iter().chain(keys).collect()))
}

pub(super) fn rxq(command: RxqCommand) -> Result<Request, Failure> {
    Ok(match command {
        RxqCommand::Show => Request::bare("rxq/show"),
        RxqCommand::Move { queue, worker } => {
            let is_queue = |(port, number): (&str, &str)| !port.is_empty() && number.parse::<u16>().is_ok();
            if !queue.rsplit_once(':').is_some_and(is_queue) {
                return Err(Failure::Usage(format!(
                    "\"{queue}\" is not PORT:QUEUE; write such as p1:0, as `millrace rxq show` does"
                )));
            }
            Request::with("rxq/move", vec![queue, worker.to_string()])
        }
    })
}

pub(super) fn perf(command: PerfCommand) -> Request {
    let (method, worker) = match command {
        PerfCommand::Show { worker } => ("perf/show", worker),
        PerfCommand::Clear { worker } => ("perf/clear", worker),
    };
    Request::with(method, worker.iter().map(u16::to_string).collect())
}

pub(super) fn megaflow(command: MegaflowCommand) -> Result<Request, Failure> {
    match command {
        MegaflowCommand::Dump { names, flow } => {
            let options = names.then(|| "--names".to_owned());
            flows("megaflow/dump", options.into_iter().collect(), flow)
        }
        MegaflowCommand::Flush { flow } => flows("megaflow/flush", Vec::new(), flow),
    }
}

pub(super) fn ofctl(command: OfctlCommand, input: &mut dyn Read) -> Result<Request, Failure> {
    Ok(match command {
        OfctlCommand::AddFlow { flows } => {
            if let Some(word) = flows.iter().find(|flow| !flow.contains('=')) {
                return Err(not_a_flow(word));
            }
            Request::with("ofctl/add-flow", flows)
        }
        OfctlCommand::AddFlows { file } => {
            let [file] = file.as_slice() else {
                return Err(file.first().map_or_else(|| not_a_flow(""), |word| not_a_flow(word)));
            };
            Request::with("ofctl/add-flows", vec![text_of(file, input)?])
        }
        OfctlCommand::ModFlows { strict, flow } => flows("ofctl/mod-flows", strict.words(), flow)?,
        OfctlCommand::DelFlows { strict, flow } => flows("ofctl/del-flows", strict.words(), flow)?,
        OfctlCommand::DumpFlows { no_stats, names, flow } => {
            let options = [("--no-stats", no_stats), ("--names", names)];
            let options = options.into_iter().filter(|(_, given)| *given).map(|(word, _)| word.to_owned());
            flows("ofctl/dump-flows", options.collect(), flow)?
        }
        OfctlCommand::DumpAggregate { flow } => flows("ofctl/dump-aggregate", Vec::new(), flow)?,
        OfctlCommand::AddGroup { group } => object("ofctl/add-group", Vec::new(), group)?,
        OfctlCommand::ModGroup { may_create, group } => {
            let options = may_create.then(|| "--may-create".to_owned());
            object("ofctl/mod-group", options.into_iter().collect(), group)?
        }
        OfctlCommand::InsertBuckets { group } => object("ofctl/insert-buckets", Vec::new(), group)?,
        OfctlCommand::RemoveBuckets { group } => object("ofctl/remove-buckets", Vec::new(), group)?,
        OfctlCommand::DelGroups(which) => object("ofctl/del-groups", Vec::new(), which.group)?,
        OfctlCommand::DumpGroups(which) => object("ofctl/dump-groups", Vec::new(), which.group)?,
        OfctlCommand::DumpGroupStats(which) => object("ofctl/dump-group-stats", Vec::new(), which.group)?,
        OfctlCommand::AddMeter { meter } => object("ofctl/add-meter", Vec::new(), meter)?,
        OfctlCommand::ModMeter { meter } => object("ofctl/mod-meter", Vec::new(), meter)?,
        OfctlCommand::DelMeters(which) => object("ofctl/del-meters", Vec::new(), which.meter)?,
        OfctlCommand::DumpMeters(which) => object("ofctl/dump-meters", Vec::new(), which.meter)?,
        OfctlCommand::MeterStats(which) => object("ofctl/meter-stats", Vec::new(), which.meter)?,
        OfctlCommand::DumpTables(bridge) => bridge.refuse(Request::bare("ofctl/dump-tables"))?,
        OfctlCommand::DumpPorts { port } => match port.as_slice() {
            [bridge, _, ..] => return Err(no_bridge(bridge)),
            _ => Request::with("ofctl/dump-ports", port),
        },
        OfctlCommand::DumpPortsDesc(bridge) => bridge.refuse(Request::bare("ofctl/dump-ports-desc"))?,
        OfctlCommand::Trace { names, flow } => {
            let options = names.then(|| "--names".to_owned());
            flows("ofctl/trace", options.into_iter().collect(), flow)?
        }
        OfctlCommand::Show(bridge) => bridge.refuse(Request::bare("ofctl/show"))?,
        OfctlCommand::Resume { continuation, port, frame } => {
            Request::with("ofctl/resume", vec![continuation, port, frame])
        }
        OfctlCommand::Monitor { bridge, .. } => bridge.refuse(Request::bare("ofctl/monitor"))?,
    })
}

/// Checked before it is sent, so that what is wrong with the words is wrong use.
pub(super) fn trace(arguments: TraceArguments) -> Result<Request, Failure> {
    if let Some(filter) = arguments.live {
        return Ok(Request::with("trace/live", vec![filter]));
    }
    if let Some((port, source)) = arguments.frames() {
        let mut params = vec![port.to_owned()];
        match source {
            Source::Frame(digits) => params.push(digits),
            Source::File(path) => frames::read_capture(&path, |frame| {
                if params.len() > MAX_FRAMES {
                    return Err(Failure::Usage(format!(
                        "{} has more than {MAX_FRAMES} frames, the most that are traced at a time; cut it",
                        path.display()
                    )));
                }
                params.push(frames::hex(frame.data));
                Ok(())
            })?,
        }
        return Ok(Request::with("trace/packet", params));
    }
    let words = arguments.into_words();
    let checked = crate::logical::trace::Request::parse(&words);
    checked.map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(Request::with("trace", words))
}

/// A method that takes options and at most one flow.
fn flows(method: &str, options: Vec<String>, flow: Vec<String>) -> Result<Request, Failure> {
    if let Some(word) = flow.iter().find(|word| !looks_like_a_flow(word)) {
        return Err(not_a_flow(word));
    }
    if flow.len() > 1 {
        return Err(Failure::Usage(format!(
            "{} flows are given and one is taken; put quotes around it if it has blanks",
            flow.len()
        )));
    }
    Ok(Request::with(method, options.into_iter().chain(flow).collect()))
}

/// A method that takes options and at most one group or meter.
fn object(method: &str, options: Vec<String>, words: Vec<String>) -> Result<Request, Failure> {
    let is_number = |word: &String| !word.is_empty() && word.bytes().all(|digit| digit.is_ascii_digit());
    let is_object = |word: &String| word.contains('=') || word == "all" || is_number(word);
    match words.iter().find(|word| !is_object(word)) {
        Some(word) => Err(no_bridge(word)),
        None if words.len() > 1 => Err(Failure::Usage(format!(
            "{} are given and one is taken; put quotes around it if it has blanks",
            words.len()
        ))),
        None => Ok(Request::with(method, options.into_iter().chain(words).collect())),
    }
}

fn looks_like_a_flow(word: &str) -> bool {
    word.is_empty() || word.contains(['=', ',', ' ']) || PROTOCOLS.contains(&word)
}

fn not_a_flow(word: &str) -> Failure {
    Failure::Usage(format!(
        "\"{word}\" is not a flow; if it is meant as a bridge, leave it out: millrace is one switch and takes no \
         bridge argument"
    ))
}

fn no_bridge(word: &str) -> Failure {
    Failure::Usage(format!("leave \"{word}\" out: millrace is one switch and takes no bridge argument"))
}

impl Strict {
    fn words(&self) -> Vec<String> {
        self.strict.then(|| "--strict".to_owned()).into_iter().collect()
    }
}

impl NoBridge {
    fn refuse(&self, request: Request) -> Result<Request, Failure> {
        self.bridge.first().map_or(Ok(request), |word| Err(no_bridge(word)))
    }
}

/// The text of a file of flows, or of standard input, no longer than a request.
fn text_of(file: &str, input: &mut dyn Read) -> Result<String, Failure> {
    let mend = "split it, and know that each part is a change of its own";
    read_text(file, input, "a file of flows", MAX_REQUEST, mend)
}

/// The text of a file, or of standard input, no longer than it may be; `what` it is and how to `mend` its length.
pub(super) fn read_text(
    file: &str,
    input: &mut dyn Read,
    what: &str,
    most: usize,
    mend: &str,
) -> Result<String, Failure> {
    let (from, name): (&mut dyn Read, _) = if file == "-" {
        (input, "standard input")
    } else {
        let open = File::open(file).map_err(|error| {
            Failure::Usage(format!("cannot open {file}: {error}; give the path of {what}"))
        })?;
        (&mut { open }, file)
    };
    let mut text = Vec::new();
    from.take(most as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| Failure::Usage(format!("cannot read {name}: {error}; give {what}")))?;
    if text.len() > most {
        return Err(Failure::Usage(format!(
            "{name} has more than {most} bytes, the most that one change may have; {mend}"
        )));
    }
    utf8(text, 1)
        .map_err(|place| Failure::Usage(format!("{name} is not a text in UTF-8 at {place}; give {what}")))
}

/// Bytes as text, or the place of the first that is none; the first line has that number.
pub(super) fn utf8(bytes: Vec<u8>, first_line: usize) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or_default();
        let line = first_line + before.iter().filter(|byte| **byte == b'\n').count();
        let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        format!("line {line}, byte {}", column + 1)
    })
}
