//! The commands of the control socket: one table of names, parameters and handlers, and the way from a request to the
//! bytes of its answer.
//!
//! Every handler gives a typed answer that is both text for people ([`std::fmt::Display`], as OVS prints it where OVS
//! has the command) and JSON ([`serde::Serialize`]). Which of them the client gets:
//!
//! - ordinarily text, a JSON string that ends in a line break, as OVS answers;
//! - with `--json` as first or last parameter the JSON, still as the string that every `ovs-appctl` prints;
//! - after `set-options --format json` on the same connection, as `ovs-appctl --format json` of OVS 3.4 and later sends
//!   it, the JSON itself as the result.

mod accounting;
mod bounded;
mod chassis;
mod detrace;
mod dpctl;
mod flows;
mod general;
mod megaflow;
mod nbctl;
mod objects;
mod ofproto;
mod openflow;
mod packets;
mod perf;
mod pmd;
mod ports;
mod sbctl;
mod trace;
mod underlay;
mod upload;
mod workers;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use serde::Serialize;
use tokio::sync::watch;

use super::changes::ChangeError;
use super::chassis::NotLowered;
use super::flows::FlowRefusal;
use super::jsonrpc::{self, Id, Param, Request};
use super::logical::Waiting;
use super::northbound::NorthboundError;
use super::switch::{ERRAND, State, Switch};
use crate::config::ConfigError;
use crate::datapath::PortError;
use crate::logical::rows::Store;
use crate::packet::PortNo;

/// Most bytes of one answer.
const MAX_ANSWER: usize = 256 << 20;

/// What a client has asked of all its further answers, and what it has sent for a later request.
#[derive(Debug, Default)]
pub struct Session {
    json: bool,
    upload: Waiting,
    gone: Gone,
}

impl Session {
    /// What is to be told when the client has left.
    pub fn gone(&self) -> Gone {
        self.gone.clone()
    }
}

/// Whether a client has left, or is to be left, before it got its answer.
#[derive(Clone, Debug)]
pub struct Gone(watch::Sender<bool>);

impl Default for Gone {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gone {
    /// It has.
    pub fn tell(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it has.
    async fn told(&self) {
        // The sender is this.
        let _ = self.0.subscribe().wait_for(|gone| *gone).await;
    }
}

/// An answer in both its forms.
pub trait Answer {
    /// For people.
    fn text(&self) -> Result<String, CommandError>;
    /// For programs.
    fn json(&self) -> Result<String, CommandError>;
}

impl<T: Serialize + Display> Answer for T {
    fn text(&self) -> Result<String, CommandError> {
        bounded::text(self)
    }

    fn json(&self) -> Result<String, CommandError> {
        bounded::json(self)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("\"{0}\" is not a valid command (use \"list-commands\" to see a list of valid commands){1}")]
    Unknown(String, String),
    /// Not enough parameters.
    #[error("\"{0}\" command requires at least {1} arguments")]
    TooFew(&'static str, usize),
    /// Too many of them.
    #[error("\"{0}\" command takes at most {1} arguments")]
    TooMany(&'static str, usize),
    /// A parameter that is no string.
    #[error("\"{0}\" command has non-string argument")]
    NotAString(String),
    /// A parameter that means nothing; the sentence is complete.
    #[error("{0}")]
    Argument(String),
    /// No such port.
    #[error("there is no port \"{0}\"{1}; \"port/list\" lists the ports")]
    NoSuchPort(String, String),
    /// A port's parameters.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The packet path refuses.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The Northbound is not changed, or not wholly.
    #[error(transparent)]
    Northbound(#[from] NorthboundError),
    /// Rows did not become flows.
    #[error(transparent)]
    NotLowered(#[from] NotLowered),
    /// A flow is refused; the text shows where.
    #[error(transparent)]
    Flow(#[from] FlowRefusal),
    /// Workers that did not come back from an errand among their megaflows.
    #[error(
        "worker(s) {0:?} did not answer within {seconds} s, though the others have done what was asked; try again in a \
         moment",
        seconds = ERRAND.as_secs()
    )]
    Silent(Vec<u16>),
    /// Longer than an answer may be.
    #[error("the answer would have more than {MAX_ANSWER} bytes; ask for a part of it")]
    TooLong,
    /// Nobody waits for the answer.
    #[error("the client has left before it got its answer, or the switch stops")]
    Gone,
    /// The thread that was to find the answer broke down.
    #[error("the answer could not be made: {0}; please report this")]
    Broken(#[from] tokio::task::JoinError),
    /// The answer cannot be written as JSON.
    #[error("the answer has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

/// What a handler gives.
pub type Outcome = Result<Box<dyn Answer>, CommandError>;
impl From<ChangeError> for CommandError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Port(error) => error.into(),
            ChangeError::NotLowered(error) => error.into(),
        }
    }
}

/// What a handler gives that has to wait.
type Pending = Pin<Box<dyn Future<Output = Outcome>>>;
/// What a handler gives that has to wait and writes its answer itself.
type Rendering = Pin<Box<dyn Future<Output = Result<String, CommandError>>>>;

/// How a command is done.
#[derive(Clone, Copy)]
enum Run {
    /// At once.
    Now(fn(&Switch, &[String]) -> Outcome),
    /// On another thread, on a snapshot of the rows, since it may take long; the answer is written there too.
    Aside(fn(&Store, &[String]) -> Outcome),
    /// With waits.
    Later(fn(Rc<Switch>, Vec<String>) -> Pending),
    /// With waits, on another thread, where the answer is written too; given up when the client leaves.
    Rendered(fn(Rc<Switch>, Vec<String>, Form, Gone) -> Rendering),
    /// With waits, and with what the client has sent before.
    Continued(fn(Rc<Switch>, &mut Session, Vec<String>) -> Pending),
}

/// A command.
pub struct Command {
    name: &'static str,
    usage: &'static str,
    min: usize,
    max: usize,
    help: &'static str,
    run: Run,
}

const MANY: usize = jsonrpc::MAX_PARAMS;
/// Most words of a command each of which may be held against every row.
const WORDS: usize = 1024;

/// Every command, by name.
#[rustfmt::skip]
static COMMANDS: &[Command] = &[
    Command { name: "bfd/show", usage: "[CHASSIS]", min: 0, max: 1, run: Run::Now(underlay::bfd), help: "BFD with other chassis" },
    Command { name: "detrace", usage: "COOKIE...", min: 1, max: MANY, run: Run::Aside(detrace::detrace), help: "the rows that the flows with these cookies were made of" },
    Command { name: "dpctl/del-flows", usage: "[DP]", min: 0, max: 1, run: Run::Later(dpctl::del_flows), help: "remove all megaflows" },
    Command { name: "dpctl/dump-flows", usage: "[-m] [--names|--no-names] [DP] [filter=FLOW] [type=TYPE] [pmd=CORE]", min: 0, max: 8, run: Run::Later(dpctl::dump_flows), help: "print megaflows as Open vSwitch prints datapath flows" },
    Command { name: "dpif-netdev/pmd-perf-show", usage: "[-nh] [-pmd CORE] [DP]", min: 0, max: 4, run: Run::Now(pmd::perf_show), help: "perf/show as Open vSwitch prints it" },
    Command { name: "dpif-netdev/pmd-rxq-show", usage: "", min: 0, max: 0, run: Run::Now(workers::rxq_show), help: "same as rxq/show" },
    Command { name: "dpif-netdev/pmd-stats-clear", usage: "[-pmd CORE] [DP]", min: 0, max: 3, run: Run::Now(pmd::stats_clear), help: "same as perf/clear" },
    Command { name: "dpif-netdev/pmd-stats-show", usage: "[-pmd CORE] [DP]", min: 0, max: 3, run: Run::Now(pmd::stats_show), help: "perf/show as Open vSwitch prints it, in short" },
    Command { name: "drops", usage: "", min: 0, max: 0, run: Run::Now(accounting::drops), help: "dropped packets by reason" },
    Command { name: "exit", usage: "", min: 0, max: 0, run: Run::Now(general::exit), help: "stop the switch" },
    Command { name: "inject", usage: "PORT HEX...", min: 2, max: MANY, run: Run::Later(packets::inject), help: "hand frames to a port as if it had received them, one a parameter" },
    Command { name: "list-commands", usage: "", min: 0, max: 0, run: Run::Now(general::list_commands), help: "list the commands" },
    Command { name: "megaflow/dump", usage: "[FLOW] [--names|--no-names]", min: 0, max: 3, run: Run::Later(megaflow::dump), help: "print the megaflows that lie within a match" },
    Command { name: "megaflow/flush", usage: "[FLOW]", min: 0, max: 1, run: Run::Later(megaflow::flush), help: "remove the megaflows that lie within a match" },
    Command { name: "nbctl", usage: "[OPTION...] COMMAND [-- COMMAND]...", min: 1, max: MANY, run: Run::Rendered(nbctl::run), help: "do commands of ovn-nbctl, all or none" },
    Command { name: "nbctl/dump", usage: "", min: 0, max: 0, run: Run::Rendered(nbctl::dump), help: "the Northbound as ovsdb-client dumps it in JSON" },
    Command { name: "nbctl/load", usage: "[--part] TEXT", min: 1, max: 2, run: Run::Continued(nbctl::load), help: "put the rows of a dump in the place of all Northbound rows" },
    Command { name: "nbctl/troubles", usage: "", min: 0, max: 0, run: Run::Later(nbctl::troubles), help: "Northbound rows that are not compiled, or not wholly, and why" },
    Command { name: "ofctl/add-flow", usage: "FLOW...", min: 1, max: MANY, run: Run::Later(flows::add_flow), help: "add flows, all or none" },
    Command { name: "ofctl/add-flows", usage: "TEXT", min: 1, max: 1, run: Run::Later(flows::add_flows), help: "do what the lines of a flow file say, all or nothing" },
    Command { name: "ofctl/add-group", usage: "GROUP", min: 1, max: 1, run: Run::Later(objects::add_group), help: "add a group" },
    Command { name: "ofctl/add-meter", usage: "METER", min: 1, max: 1, run: Run::Later(objects::add_meter), help: "add a meter" },
    Command { name: "ofctl/del-flows", usage: "[--strict] [FLOW]", min: 0, max: 2, run: Run::Later(flows::del_flows), help: "delete flows" },
    Command { name: "ofctl/del-groups", usage: "[GROUP]", min: 0, max: 1, run: Run::Later(objects::del_groups), help: "delete groups and the flows that name them" },
    Command { name: "ofctl/del-meters", usage: "[METER]", min: 0, max: 1, run: Run::Later(objects::del_meters), help: "delete meters and the flows that name them" },
    Command { name: "ofctl/dump-aggregate", usage: "[FLOW]", min: 0, max: 1, run: Run::Later(flows::dump_aggregate), help: "add the counters of flows up" },
    Command { name: "ofctl/dump-flows", usage: "[FLOW] [--no-stats] [--names|--no-names]", min: 0, max: 4, run: Run::Later(flows::dump_flows), help: "print flows" },
    Command { name: "ofctl/dump-group-stats", usage: "[GROUP]", min: 0, max: 1, run: Run::Later(objects::dump_group_stats), help: "print the counters of groups and their buckets" },
    Command { name: "ofctl/dump-groups", usage: "[GROUP]", min: 0, max: 1, run: Run::Now(objects::dump_groups), help: "print groups" },
    Command { name: "ofctl/dump-meters", usage: "[METER]", min: 0, max: 1, run: Run::Now(objects::dump_meters), help: "print meters" },
    Command { name: "ofctl/dump-ports", usage: "[PORT]", min: 0, max: 1, run: Run::Now(openflow::dump_ports), help: "print the counters of ports" },
    Command { name: "ofctl/dump-ports-desc", usage: "[PORT]", min: 0, max: 1, run: Run::Now(openflow::dump_ports_desc), help: "print what ports are" },
    Command { name: "ofctl/dump-tables", usage: "", min: 0, max: 0, run: Run::Now(flows::dump_tables), help: "count the flows of every table in use" },
    Command { name: "ofctl/insert-buckets", usage: "GROUP", min: 1, max: 1, run: Run::Later(objects::insert_buckets), help: "put buckets into a group" },
    Command { name: "ofctl/meter-stats", usage: "[METER]", min: 0, max: 1, run: Run::Now(objects::meter_stats), help: "print the counters of meters and their bands" },
    Command { name: "ofctl/mod-flows", usage: "[--strict] FLOW", min: 1, max: 2, run: Run::Later(flows::mod_flows), help: "change the actions of flows" },
    Command { name: "ofctl/mod-group", usage: "[--may-create] GROUP", min: 1, max: 2, run: Run::Later(objects::mod_group), help: "put another group in the place of one" },
    Command { name: "ofctl/mod-meter", usage: "METER", min: 1, max: 1, run: Run::Later(objects::mod_meter), help: "put another meter in the place of one" },
    Command { name: "ofctl/monitor", usage: "", min: 0, max: 0, run: Run::Now(packets::monitor), help: "fetch the packets for the controller" },
    Command { name: "ofctl/remove-buckets", usage: "GROUP", min: 1, max: 1, run: Run::Later(objects::remove_buckets), help: "take buckets out of a group" },
    Command { name: "ofctl/resume", usage: "CONTINUATION PORT HEX", min: 3, max: 3, run: Run::Later(packets::resume), help: "let a packet go on that waits for the controller" },
    Command { name: "ofctl/show", usage: "", min: 0, max: 0, run: Run::Now(openflow::show), help: "print the switch and its ports as OpenFlow has them" },
    Command { name: "ofctl/trace", usage: "[--names] FLOW", min: 1, max: 2, run: Run::Rendered(ofproto::ofctl_trace), help: "the way of a packet through the flow tables" },
    Command { name: "ofproto/trace", usage: "[BRIDGE] FLOW", min: 1, max: 6, run: Run::Rendered(ofproto::ofproto_trace), help: "the same, for users of ovs-appctl" },
    Command { name: "ovs/route/show", usage: "", min: 0, max: 0, run: Run::Now(underlay::routes), help: "routes of the underlay" },
    Command { name: "perf/clear", usage: "[WORKER]", min: 0, max: 1, run: Run::Now(perf::clear), help: "measure workers from now" },
    Command { name: "perf/show", usage: "[WORKER]", min: 0, max: 1, run: Run::Now(perf::show), help: "cycles, cache hits and misses of workers and their receive queues" },
    Command { name: "port/add", usage: "NAME KEY=VALUE...", min: 2, max: 64, run: Run::Later(ports::add), help: "open a port" },
    Command { name: "port/del", usage: "NAME|NUMBER", min: 1, max: 1, run: Run::Later(ports::del), help: "close a port" },
    Command { name: "port/list", usage: "", min: 0, max: 0, run: Run::Now(ports::list), help: "list the ports" },
    Command { name: "port/set", usage: "NAME|NUMBER KEY=VALUE...", min: 2, max: 3, run: Run::Later(ports::set), help: "change what can be changed of a running port: iface_id, mtu" },
    Command { name: "port/set-mtu", usage: "NAME|NUMBER MTU", min: 2, max: 2, run: Run::Now(ports::set_mtu), help: "change the MTU of a port" },
    Command { name: "port/stats", usage: "[NAME|NUMBER]", min: 0, max: 1, run: Run::Now(ports::stats), help: "counters of ports, the device's own included" },
    Command { name: "rxq/move", usage: "PORT:QUEUE WORKER", min: 2, max: 2, run: Run::Later(workers::rxq_move), help: "hand a receive queue to another worker" },
    Command { name: "rxq/show", usage: "", min: 0, max: 0, run: Run::Now(workers::rxq_show), help: "which worker polls which receive queue" },
    Command { name: "sbctl/change", usage: "[OPTION...] COMMAND [ARG...] [-- COMMAND...]", min: 1, max: WORDS, run: Run::Later(chassis::change), help: "chassis-add, chassis-del, lsp-bind and lsp-unbind: what is on other chassis" },
    Command { name: "sbctl/find", usage: "[OPTION...] TABLE [COLUMN[:KEY]=VALUE...]", min: 1, max: WORDS, run: Run::Aside(sbctl::find), help: "print the Southbound rows that meet all conditions" },
    Command { name: "sbctl/get", usage: "[--if-exists] TABLE RECORD [COLUMN[:KEY]...]", min: 2, max: WORDS, run: Run::Aside(sbctl::get), help: "print values of a Southbound row" },
    Command { name: "sbctl/keys", usage: "", min: 0, max: 0, run: Run::Aside(sbctl::keys), help: "the tunnel keys, on which hosts have to agree, and their digest" },
    Command { name: "sbctl/lflow-list", usage: "[--uuid] [DATAPATH] [LFLOW...]", min: 0, max: WORDS, run: Run::Aside(sbctl::lflow_list), help: "print logical flows" },
    Command { name: "sbctl/list", usage: "[OPTION...] TABLE [RECORD...]", min: 1, max: WORDS, run: Run::Aside(sbctl::list), help: "print Southbound rows" },
    Command { name: "sbctl/load", usage: "[--chassis=NAME] [--part] TEXT", min: 1, max: 3, run: Run::Continued(sbctl::load), help: "put the rows of a dump in the place of all Southbound rows" },
    Command { name: "sbctl/show", usage: "", min: 0, max: 0, run: Run::Aside(sbctl::show), help: "chassis, their tunnels and their ports" },
    Command { name: "sbctl/troubles", usage: "", min: 0, max: 0, run: Run::Later(sbctl::troubles), help: "rows that cannot be executed, or not wholly, and why" },
    Command { name: "sbctl/unload", usage: "", min: 0, max: 0, run: Run::Later(sbctl::unload), help: "take out the Southbound rows that a dump brought" },
    Command { name: "show", usage: "", min: 0, max: 0, run: Run::Later(general::show), help: "the switch at a glance" },
    Command { name: "stats", usage: "[--per-worker]", min: 0, max: 1, run: Run::Now(accounting::stats), help: "the accounting of all packets" },
    Command { name: "stats/clear", usage: "", min: 0, max: 0, run: Run::Later(accounting::clear), help: "count from now; flow counters stay" },
    Command { name: "tnl/arp/show", usage: "", min: 0, max: 0, run: Run::Now(underlay::neighbours), help: "neighbours of the underlay" },
    Command { name: "tnl/neigh/show", usage: "", min: 0, max: 0, run: Run::Now(underlay::neighbours), help: "neighbours of the underlay" },
    Command { name: "trace", usage: "[--ovs] [OPTION...] [DATAPATH] MICROFLOW", min: 1, max: MANY, run: Run::Rendered(trace::trace), help: "what becomes of a packet in the logical network, as ovn-trace says it" },
    Command { name: "trace/live", usage: "[FLOW]", min: 0, max: 1, run: Run::Rendered(ofproto::live), help: "wait for the next packet that matches, and tell its way with logical names" },
    Command { name: "trace/packet", usage: "PORT HEX...", min: 2, max: MANY, run: Run::Rendered(ofproto::packets), help: "the way of frames that a port receives through the flow tables, with logical names" },
    Command { name: "underlay/show", usage: "", min: 0, max: 0, run: Run::Now(underlay::show), help: "the endpoint of tunnels, next hops and tunnels" },
    Command { name: "version", usage: "", min: 0, max: 0, run: Run::Now(general::version), help: "the version of the switch" },
    Command { name: "worker/list", usage: "", min: 0, max: 0, run: Run::Now(workers::list), help: "the workers and how busy they are" },
];

/// Does what a request asks and gives the bytes of the answer; none for a notification.
pub async fn answer(switch: &Rc<Switch>, session: &mut Session, request: Request) -> Option<Vec<u8>> {
    let Request { id, method, params } = request;
    let result = respond(switch, session, &method, params).await;
    if let Err(error) = &result {
        tracing::debug!(command = method, %error, "command refused");
    }
    if id == Id::None {
        return None;
    }
    Some(match result {
        Ok(json) => jsonrpc::success(&id, &json),
        Err(error) => jsonrpc::failure(&id, &line(error.to_string())),
    })
}

/// The result of a request, in JSON.
async fn respond(
    switch: &Rc<Switch>,
    session: &mut Session,
    method: &str,
    params: Vec<Param>,
) -> Result<String, CommandError> {
    let mut args = params
        .into_iter()
        .map(|param| match param {
            Param::Text(text) => Ok(text),
            Param::Other => Err(CommandError::NotAString(method.to_owned())),
        })
        .collect::<Result<Vec<String>, _>>()?;
    // Both are part of the protocol rather than commands: OVSDB clients probe with the one, ovs-appctl sets up with
    // the other.
    match method {
        "echo" => return Ok(serde_json::to_string(&args)?),
        "set-options" => {
            set_options(session, &args)?;
            return plain(session, "");
        }
        _ => {}
    }
    let flag = if args.first().is_some_and(|arg| arg == "--json") {
        args.remove(0);
        true
    } else {
        args.pop_if(|arg| arg == "--json").is_some()
    };
    let command = COMMANDS.iter().find(|command| command.name == method).ok_or_else(|| unknown(method))?;
    if args.len() < command.min {
        return Err(CommandError::TooFew(command.name, command.min));
    }
    if args.len() > command.max {
        return Err(CommandError::TooMany(command.name, command.max));
    }
    let form = Form { json: session.json, flag };
    let answer = match command.run {
        Run::Now(run) => run(switch, &args)?,
        Run::Aside(run) => {
            let rows = switch.state().logical.rows.snapshot().clone();
            return tokio::task::spawn_blocking(move || form.write(&*run(&rows, &args)?)).await?;
        }
        Run::Later(run) => run(Rc::clone(switch), args).await?,
        Run::Rendered(run) => return run(Rc::clone(switch), args, form, session.gone.clone()).await,
        Run::Continued(run) => run(Rc::clone(switch), session, args).await?,
    };
    form.write(&*answer)
}

/// What an answer is written as.
#[derive(Clone, Copy)]
struct Form {
    /// The connection has JSON.
    json: bool,
    /// The request asks for JSON.
    flag: bool,
}

impl Form {
    fn write(self, answer: &dyn Answer) -> Result<String, CommandError> {
        match (self.json, self.flag) {
            (true, _) => answer.json(),
            (false, true) => bounded::json(&line(answer.json()?)),
            (false, false) => bounded::json(&line(answer.text()?)),
        }
    }
}

fn set_options(session: &mut Session, args: &[String]) -> Result<(), CommandError> {
    match args {
        [option, format] if option == "--format" => match format.as_str() {
            "json" => session.json = true,
            "text" => session.json = false,
            other => {
                let sentence = format!("option format has invalid value {other}; it is text or json");
                return Err(CommandError::Argument(sentence));
            }
        },
        _ => {
            let sentence = "set-options takes \"--format text\" or \"--format json\"".to_owned();
            return Err(CommandError::Argument(sentence));
        }
    }
    Ok(())
}

/// Text in the form that a client of OVS expects which asked for JSON and gets something without a JSON form.
fn plain(session: &Session, text: &str) -> Result<String, CommandError> {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Plain<'a> {
        reply_format: &'static str,
        reply: &'a str,
    }
    Ok(if session.json {
        serde_json::to_string(&Plain { reply_format: "plain", reply: text })?
    } else {
        serde_json::to_string(text)?
    })
}

fn unknown(method: &str) -> CommandError {
    let names = COMMANDS.iter().map(|command| command.name);
    let shown: String = method.chars().take(64).collect();
    CommandError::Unknown(shown.clone(), did_you_mean(&shown, names))
}

/// "; did you mean …?" if one of the names is near.
fn did_you_mean<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = names
        .map(|name| (strsim::jaro_winkler(text, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    near.map(|(_, name)| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

/// Text of an answer as OVS sends it: not empty, it ends in a line break.
fn line(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// An answer, boxed.
fn done(answer: impl Answer + 'static) -> Outcome {
    Ok(Box::new(answer))
}

/// The port that an argument names, by name or number.
fn port_arg(state: &State, text: &str) -> Result<PortNo, CommandError> {
    state.port_number(text).ok_or_else(|| {
        let names = state.datapath.ports().iter().map(|port| &*port.name);
        CommandError::NoSuchPort(text.to_owned(), did_you_mean(text, names))
    })
}

/// The ports that an optional argument names: one, or without it all.
fn ports_arg(state: &State, arg: Option<&String>) -> Result<Vec<PortNo>, CommandError> {
    match arg {
        Some(text) => Ok(vec![port_arg(state, text)?]),
        None => Ok(state.datapath.ports().iter().map(|port| port.number).collect()),
    }
}

/// Takes flags out of the parameters and says which were there.
fn take_flags<const N: usize>(
    args: &mut Vec<String>,
    flags: [&str; N],
    command: &'static str,
    most: usize,
) -> Result<[bool; N], CommandError> {
    let found = flags.map(|flag| {
        let before = args.len();
        args.retain(|arg| arg != flag);
        args.len() < before
    });
    if let Some(unknown) = args.iter().find(|arg| arg.starts_with("--")) {
        let sentence = format!("{command} has no option \"{unknown}\"; it takes {}", flags.join(", "));
        return Err(CommandError::Argument(sentence));
    }
    if args.len() > most { Err(CommandError::TooMany(command, most)) } else { Ok(found) }
}

#[cfg(test)]
mod tests;
