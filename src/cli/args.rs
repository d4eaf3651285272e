//! The words that `millrace` takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::frames::Source;
use super::nbctl::NbctlArguments;
use super::sbctl::SbctlArguments;

/// Talks to a running millraced.
#[derive(Debug, Parser)]
#[command(
    name = "millrace",
    version,
    after_help = "Exit codes: 0 done; 1 the switch, or `ovn` a line, refused; 2 wrong use; 3 the switch cannot be \
                  reached; 4 it did not answer in time; 5 the answer could not be written."
)]
pub(super) struct Arguments {
    /// Socket of the switch [default: $MILLRACE_SOCKET, else /run/millrace/millraced.ctl]
    #[arg(short, long, global = true, value_name = "SOCKET")]
    pub target: Option<PathBuf>,

    /// Answer as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// Seconds to wait for an answer
    #[arg(short = 'T', long, global = true, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout: Duration,

    #[command(subcommand)]
    pub command: Command,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.001..=86400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "write a number of seconds from 0.001 to 86400".to_owned())
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The switch, its ports and who polls them
    Show,
    /// Ports: add, set, del, list, stats, set-mtu
    #[command(subcommand)]
    Port(PortCommand),
    /// Workers: list
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Receive queues: show, move
    #[command(subcommand)]
    Rxq(RxqCommand),
    /// What workers measure of their work: show, clear
    #[command(subcommand)]
    Perf(PerfCommand),
    /// The way to other hosts: show
    #[command(subcommand)]
    Underlay(UnderlayCommand),
    /// BFD with other chassis: show
    #[command(subcommand)]
    Bfd(BfdCommand),
    /// Megaflows, the cached results of the flow tables: dump, flush
    #[command(subcommand)]
    Megaflow(MegaflowCommand),
    /// Flow tables, in the words of ovs-ofctl but without a bridge
    #[command(subcommand)]
    Ofctl(OfctlCommand),
    /// Logical networks, in the words of ovn-nbctl
    #[command(disable_help_flag = true)]
    Nbctl(NbctlArguments),
    /// Rows of logical networks, in the words of ovn-sbctl
    Sbctl(SbctlArguments),
    /// What becomes of a packet in the logical network, in the words of ovn-trace
    Trace(TraceArguments),
    /// The logical flows and other rows behind the cookies of flows, in the words of ovn-detrace
    Detrace {
        /// Such as 0x1f0c7de2; left out: text from standard input, with what its cookies stand for behind each line
        #[arg(value_name = "COOKIE")]
        cookies: Vec<String>,
    },
    /// Dropped packets, by reason
    Drops,
    /// What came in, what went out and what became of the rest
    Stats {
        /// Count from now on
        #[arg(long)]
        clear: bool,
    },
    /// Hand frames to the switch as if a port had received them
    Inject {
        /// Name or number of the port
        port: String,
        /// Hexadecimal digits of a frame (blanks and colons allowed), or a capture file (pcap or pcapng)
        #[arg(required = true, value_name = "HEX|PCAP")]
        frames: Vec<String>,
        /// How many times
        #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
        count: u64,
    },
    /// OVN's language: read lines from standard input and print each in its canonical form
    Ovn(OvnCommand),
    /// Versions of this command and of the switch
    Version,
    /// Methods that the switch knows
    ListCommands,
    /// Call any method of the switch
    Raw {
        /// Such as ofctl/dump-flows
        method: String,
        /// Its parameters
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        params: Vec<String>,
    },
    /// Stop the switch
    Exit,
}

#[derive(Debug, Subcommand)]
pub(super) enum UnderlayCommand {
    /// The endpoint of tunnels, next hops and tunnels
    Show,
    /// Routes, as `ovs-appctl ovs/route/show` prints them
    Routes,
    /// Neighbours, as `ovs-appctl tnl/neigh/show` prints them
    Neighbours,
}

#[derive(Debug, Subcommand)]
pub(super) enum BfdCommand {
    /// Sessions, as `ovs-appctl bfd/show` prints them
    Show {
        /// One chassis; left out: all
        chassis: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct OvnCommand {
    #[command(flatten)]
    pub names: OvnNames,

    #[command(subcommand)]
    pub what: OvnWhat,
}

/// What the names in a match stand for.
#[derive(Debug, Args)]
pub(super) struct OvnNames {
    /// An address set, $NAME in a match
    #[arg(long, global = true, value_name = "NAME=ADDRESS,…")]
    pub address_set: Vec<String>,

    /// A port group, @NAME in a match
    #[arg(long, global = true, value_name = "NAME=PORT,…")]
    pub port_group: Vec<String>,

    /// A port and its key
    #[arg(long, global = true, value_name = "NAME=KEY")]
    pub port: Vec<String>,

    /// A port that is_chassis_resident() holds for [default: all]
    #[arg(long, global = true, value_name = "NAME")]
    pub resident: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum OvnWhat {
    /// The tokens
    Lex,
    /// Matches as they were read
    ParseExpr,
    /// Matches over whole fields, with all prerequisites
    AnnotateExpr,
    /// Matches as a choice of conjunctions
    NormalizeExpr,
    /// Whether matches hold for a packet
    EvaluateExpr {
        /// The packet, such as 'inport == "lp1" && ip4.src == 10.0.0.1 && icmp4.type == 8'
        microflow: String,
    },
    /// Actions, and the match that they imply
    ParseActions {
        /// Actions of the egress pipeline
        #[arg(long)]
        egress: bool,
        /// The table they stand in
        #[arg(long, default_value = "10")]
        table: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PortCommand {
    /// Add a port
    Add {
        /// Its name
        name: String,
        /// The keys of `[[port]]` in the config file, such as type=af_packet iface=veth0 n_rxq=2
        #[arg(required = true, value_name = "KEY=VALUE")]
        keys: Vec<String>,
        /// The logical port that it is, such as vm1; the same as iface_id=NAME
        #[arg(long, value_name = "NAME")]
        iface_id: Option<String>,
    },
    /// Change what can be changed of a running port
    Set {
        /// Name or number
        port: String,
        /// iface_id=NAME, the logical port that it is (nothing behind the `=`: none); mtu=BYTES
        #[arg(required_unless_present = "iface_id", value_name = "KEY=VALUE")]
        keys: Vec<String>,
        /// The same as iface_id=NAME
        #[arg(long, value_name = "NAME")]
        iface_id: Option<String>,
    },
    /// Remove a port
    Del {
        /// Name or number
        port: String,
    },
    /// All ports
    List,
    /// Counters, the driver's extended ones included
    Stats {
        /// Name or number; left out: all ports
        port: Option<String>,
    },
    /// Change the MTU of a running port
    SetMtu {
        /// Name or number
        port: String,
        /// Bytes of the L3 packet that fit a frame
        mtu: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum WorkerCommand {
    /// Core, queues, load and counters of each worker
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum RxqCommand {
    /// Which worker polls which queue
    Show,
    /// Give a receive queue to another worker
    Move {
        /// Such as p1:0
        #[arg(value_name = "PORT:QUEUE")]
        queue: String,
        /// Number of the worker
        worker: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PerfCommand {
    /// Cycles per packet, hits of each cache, misses and their time, per worker and receive queue
    Show {
        /// Number of the worker; left out: all
        worker: Option<u16>,
    },
    /// Measure from now on
    Clear {
        /// Number of the worker; left out: all
        worker: Option<u16>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum MegaflowCommand {
    /// Megaflows with their counters, the most used first
    Dump {
        /// Names of ports in place of numbers
        #[arg(long)]
        names: bool,
        /// Those that lie within this match, such as "in_port=p1,ip"; left out: all
        #[arg(value_name = "FLOW")]
        flow: Vec<String>,
    },
    /// Remove megaflows; the next packet of each makes it anew
    Flush {
        /// Those that lie within this match; left out: all
        #[arg(value_name = "FLOW")]
        flow: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum OfctlCommand {
    /// Add flows, all of them or none
    AddFlow {
        /// Such as "priority=10,in_port=1,actions=output:2"
        #[arg(required = true, value_name = "FLOW")]
        flows: Vec<String>,
    },
    /// Add the flows of a file, all of them or none
    AddFlows {
        /// File with one flow a line; - reads standard input
        #[arg(required = true, value_name = "FILE")]
        file: Vec<String>,
    },
    /// Change the actions of flows
    ModFlows {
        #[command(flatten)]
        strict: Strict,
        /// Match and new actions
        #[arg(required = true, value_name = "FLOW")]
        flow: Vec<String>,
    },
    /// Remove flows
    DelFlows {
        #[command(flatten)]
        strict: Strict,
        /// Which; left out: all
        #[arg(value_name = "FLOW")]
        flow: Vec<String>,
    },
    /// Flows with their counters
    DumpFlows {
        /// Leave counters and times out
        #[arg(long)]
        no_stats: bool,
        /// Names of ports in place of numbers, and the logical flow behind each flow
        #[arg(long)]
        names: bool,
        /// Which; left out: all
        #[arg(value_name = "FLOW")]
        flow: Vec<String>,
    },
    /// Packets, bytes and number of flows, summed up
    DumpAggregate {
        /// Which; left out: all
        #[arg(value_name = "FLOW")]
        flow: Vec<String>,
    },
    /// Add a group
    AddGroup {
        /// Such as "group_id=1,type=select,bucket=output:1,bucket=output:2"
        #[arg(required = true, value_name = "GROUP")]
        group: Vec<String>,
    },
    /// Put another group in the place of one
    ModGroup {
        /// Add it if it is not there
        #[arg(long)]
        may_create: bool,
        /// As for add-group
        #[arg(required = true, value_name = "GROUP")]
        group: Vec<String>,
    },
    /// Put buckets into a group
    InsertBuckets {
        /// Such as "group_id=1,command_bucket_id=last,bucket=output:3"
        #[arg(required = true, value_name = "GROUP")]
        group: Vec<String>,
    },
    /// Take buckets out of a group
    RemoveBuckets {
        /// Such as "group_id=1,command_bucket_id=0"
        #[arg(required = true, value_name = "GROUP")]
        group: Vec<String>,
    },
    /// Remove groups, and the flows that name them
    DelGroups(WhichGroup),
    /// Groups with their buckets
    DumpGroups(WhichGroup),
    /// Packets and bytes of groups and their buckets
    DumpGroupStats(WhichGroup),
    /// Add a meter
    AddMeter {
        /// Such as "meter=1,kbps,burst,bands=type=drop,rate=1000,burst_size=100"
        #[arg(required = true, value_name = "METER")]
        meter: Vec<String>,
    },
    /// Put another meter in the place of one
    ModMeter {
        /// As for add-meter
        #[arg(required = true, value_name = "METER")]
        meter: Vec<String>,
    },
    /// Remove meters, and the flows that name them
    #[command(alias = "del-meter")]
    DelMeters(WhichMeter),
    /// Meters with their bands
    #[command(alias = "dump-meter")]
    DumpMeters(WhichMeter),
    /// Packets and bytes of meters and their bands
    MeterStats(WhichMeter),
    /// Tables with their number of flows
    DumpTables(NoBridge),
    /// Counters of ports
    DumpPorts {
        /// Name or number; left out: all
        port: Vec<String>,
    },
    /// Names, addresses and links of ports
    DumpPortsDesc(NoBridge),
    /// The way of a packet through the tables, as ovs-appctl ofproto/trace tells it
    Trace {
        /// Names of ports in place of numbers, and the logical flow behind each flow
        #[arg(long)]
        names: bool,
        /// What the packet looks like, such as "in_port=1,ip,nw_dst=10.0.0.1,nw_ttl=64"; other fields are zero
        #[arg(required = true, value_name = "FLOW")]
        flow: Vec<String>,
    },
    /// The switch as OpenFlow sees it
    Show(NoBridge),
    /// Let a packet go on that waits behind `controller(pause)`
    Resume {
        /// As `monitor` shows it
        continuation: String,
        /// Port that the packet came in by
        port: String,
        /// Hexadecimal digits of the packet, as it is to go on
        #[arg(value_name = "HEX")]
        frame: String,
    },
    /// Packets that flows have sent to the controller since they were last asked for
    Monitor {
        /// Go on until interrupted
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        bridge: NoBridge,
    },
}

/// `--strict`
#[derive(Debug, Args)]
pub(super) struct Strict {
    /// Only a flow with this very match and priority
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub(super) struct WhichGroup {
    /// Such as group_id=1; left out: all
    #[arg(value_name = "GROUP")]
    pub(super) group: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct WhichMeter {
    /// Such as meter=1; left out: all
    #[arg(value_name = "METER")]
    pub(super) meter: Vec<String>,
}

/// What a user of ovs-ofctl puts before everything else.
#[derive(Debug, Args)]
pub(super) struct NoBridge {
    #[arg(hide = true)]
    pub bridge: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "millrace trace [OPTIONS] [DATAPATH] MICROFLOW\n       millrace trace --packet HEX --in-port PORT\n       \
                      millrace trace --pcap FILE --in-port PORT\n       millrace trace --live FILTER"
)]
pub(super) struct TraceArguments {
    /// Every table, with the flow that it chose (the default)
    #[arg(long)]
    detailed: bool,
    /// Pipelines and actions
    #[arg(long)]
    summary: bool,
    /// What is seen from outside
    #[arg(long)]
    minimal: bool,
    /// All three forms
    #[arg(long)]
    all: bool,
    /// State of a connection, once for each time that one is asked for, such as --ct=new --ct=est,rpl; behind the last
    /// it is est
    #[arg(long, value_name = "STATE[,STATE]...")]
    ct: Vec<String>,
    /// The backend that load balancers choose
    #[arg(long, value_name = "IP[:PORT]")]
    lb_dst: Option<String>,
    /// The number that select chooses
    #[arg(long, value_name = "NUMBER")]
    select_id: Option<String>,
    /// Below each logical flow the flows of the tables that it became
    #[arg(long)]
    ovs: bool,
    /// Trace a frame, as hexadecimal digits, through the tables of the switch
    #[arg(long, value_name = "HEX", requires = "in_port", conflicts_with_all = ["words", "pcap"])]
    packet: Option<String>,
    /// Trace the frames of a capture file through the tables of the switch
    #[arg(long, value_name = "FILE", requires = "in_port", conflicts_with = "words")]
    pcap: Option<PathBuf>,
    /// Wait for the next packet that the switch receives and that matches, such as "in_port=p1,ip" or "" for any, and trace
    /// it through the tables
    #[arg(long, value_name = "FILTER", conflicts_with_all = ["words", "packet", "pcap", "in_port"])]
    pub live: Option<String>,
    /// Name or number of the port that such frames come in by
    #[arg(long, value_name = "PORT")]
    in_port: Option<String>,
    /// Replace and shorten names that are UUIDs (the default)
    #[arg(long, overrides_with = "no_friendly_names")]
    friendly_names: bool,
    /// Show names as they are
    #[arg(long)]
    no_friendly_names: bool,
    /// Name or UUID of a logical switch or router, left out that of the inport; then a packet, such as
    /// 'inport == "vm1" && eth.src == 02:00:00:00:00:01 && ip4.dst == 10.0.0.2 && ip.ttl == 64'
    #[arg(required_unless_present_any = ["packet", "pcap", "live"], value_name = "[DATAPATH] MICROFLOW")]
    words: Vec<String>,
}

impl TraceArguments {
    /// The port and the frames of it that are to be traced, if there are any.
    pub fn frames(&self) -> Option<(&str, Source)> {
        let source = match (&self.packet, &self.pcap) {
            (Some(packet), _) => Source::Frame(packet.clone()),
            (None, Some(file)) => Source::File(file.clone()),
            (None, None) => return None,
        };
        Some((self.in_port.as_deref().unwrap_or_default(), source))
    }

    /// The words that the switch takes.
    pub fn into_words(self) -> Vec<String> {
        let flags = [
            ("--detailed", self.detailed),
            ("--summary", self.summary),
            ("--minimal", self.minimal),
            ("--all", self.all),
            ("--ovs", self.ovs),
            ("--no-friendly-names", self.no_friendly_names && !self.friendly_names),
        ];
        let flags = flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned());
        let states = self.ct.into_iter().map(|state| format!("--ct={state}"));
        let backend = self.lb_dst.map(|backend| format!("--lb-dst={backend}"));
        let number = self.select_id.map(|number| format!("--select-id={number}"));
        flags.chain(states).chain(backend).chain(number).chain(self.words).collect()
    }
}
