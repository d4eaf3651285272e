//! The tracer: what becomes of a packet in the logical network, step by step, as ovn-trace says it.
//!
//! [`Tracer`] reads the flows of a snapshot of rows, each datapath once and when it is first met. A trace is a tree of
//! [`Node`]s made by the interpreter (`machine`, and by topic `output`, `change`, `reply`, `conntrack`, `learned`,
//! `security`), printed in three forms (`format`) and as JSON (`json`). `view` says what names stand for, `options`
//! reads ovn-trace's command line, `flow_text` writes a packet as Open vSwitch does.
//!
//! The invariant: the text is ovn-trace 23.03's to the letter, its simplifications included, for it is what people
//! compare; `docs/trace.md` lists them beside what a switch does. Where that tool gives up, this one goes on and says
//! so.

mod change;
mod conntrack;
mod flow_text;
mod flows;
mod format;
mod json;
mod learned;
mod machine;
mod node;
mod options;
mod output;
mod reply;
mod security;
#[cfg(test)]
mod tests;
mod view;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{SyntaxError, shortened};
use super::expr::{Expr, parse_microflow};
use super::rows::tables::{DatapathBinding, LoadBalancer};
use super::rows::{NoDatapath, NoRows, Pipeline, Store, Uuid};
use crate::packet::FlowKey;
use flows::Flows;
use machine::{At, INPORT, Machine, Packet};
use node::Tree;
use view::{Datapath, Found, View, shown_port};

pub use flow_text::FlowText;
pub use flows::Unread;
pub use format::Form;
pub use node::{Hit, Kind, Lookup, Node};
pub use options::{BadRequest, Options, Request};

/// Most flows that a trace names because they cannot be read.
const MAX_NOTES: usize = 20;

/// Why there is no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// Nothing is there.
    #[error(transparent)]
    Empty(#[from] NoRows),
    /// The datapath is not there.
    #[error(transparent)]
    Datapath(#[from] NoDatapath),
    /// The microflow is none; the text shows where.
    #[error("{}", error.render(text))]
    Microflow {
        /// The microflow.
        text: String,
        /// What is wrong with it.
        error: SyntaxError,
    },
    /// Neither datapath nor port is said.
    #[error("the microflow names no inport, so its datapath is unknown; name one of the two")]
    NoInport,
    /// The datapath is said and the port is not.
    #[error("the microflow names no inport, and packets come in by one; add inport == \"…\"")]
    NoIngress,
    /// More than one port is said.
    #[error("the microflow names {0} ports as inport; name one, or the datapath")]
    ManyInports(usize),
    /// What is said is no port.
    #[error("\"{0}\" is a multicast group, and packets come in by a port; name a port as inport")]
    Group(String),
    /// The port is not there.
    #[error("there is no port \"{}\"; `sbctl list Port_Binding` shows those that are there", shortened(.0))]
    NoPort(String),
}

/// Tells a trace on another thread that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nobody waits.
    pub fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Traces through one snapshot of rows, and remembers the flows it has read.
pub struct Tracer {
    store: Store,
    flows: HashMap<Uuid, OnceCell<Flows>>,
    found: Found,
    vips: OnceCell<Vec<(IpAddr, u16)>>,
}

/// What became of a packet.
#[derive(Clone, Debug)]
pub struct Trace {
    packet: FlowKey,
    tree: Tree,
    unread: Vec<Unread>,
}

/// Traces a packet through rows of which no other trace is wanted.
pub fn run(store: &Store, request: &Request) -> Result<Trace, TraceError> {
    Tracer::new(store.clone()).run(request)
}

impl Tracer {
    /// A tracer through these rows.
    pub fn new(store: Store) -> Self {
        let flows = store.iter::<DatapathBinding>().map(|(uuid, _)| (uuid, OnceCell::new())).collect();
        Self { store, flows, found: Found::default(), vips: OnceCell::new() }
    }

    /// Traces a packet that is described in OVN's language.
    pub fn run(&self, request: &Request) -> Result<Trace, TraceError> {
        self.run_until(request, &Stop::default())
    }

    /// The same; gives up soon after it is told to stop.
    pub fn run_until(&self, request: &Request, stop: &Stop) -> Result<Trace, TraceError> {
        let Request { datapath, microflow, options, .. } = request;
        if self.store.is_empty() {
            return Err(NoRows.into());
        }
        let datapath = match datapath {
            Some(name) => self.datapath(name)?,
            None => self.datapath_of_port(microflow)?,
        };
        let view = View { by_user: true, ..self.view(datapath) };
        let flow = parse_microflow(microflow, &view).map_err(|error| bad_microflow(microflow, error))?;
        let packet = Packet::new(flow.key);
        if packet.port(INPORT) == 0 {
            return Err(TraceError::NoIngress);
        }
        let inport = view.port(packet.port(INPORT));
        if let (None, Some(group)) = (inport, view.group(packet.port(INPORT))) {
            return Err(TraceError::Group(group.name.clone()));
        }
        let inport = inport.map_or(output::UNNAMED, |port| shown_port(port, options.friendly_names));
        let title =
            format!("ingress(dp=\"{}\", inport=\"{inport}\")", datapath.shown(options.friendly_names));
        let (tree, under) = Tree::new(Kind::Pipeline, title);
        let at = At { datapath, packet, pipeline: Pipeline::Ingress, table: 0, under, depth: 0 };
        let tree = Machine::new(self, options, tree, stop).run(at);
        Ok(Trace { packet: flow.key, tree, unread: self.unread() })
    }

    fn datapath(&self, name: &str) -> Result<Datapath<'_>, TraceError> {
        match self.store.datapath(name) {
            Ok((uuid, row)) => Ok(Datapath { uuid, row }),
            Err(error) => Datapath::by_northbound(&self.store, name).ok_or(error.into()),
        }
    }

    /// The datapath of the port that a microflow names.
    fn datapath_of_port(&self, microflow: &str) -> Result<Datapath<'_>, TraceError> {
        // Which of the datapaths names are seen from makes no difference to the name of the port.
        let any = self.store.iter::<DatapathBinding>().next();
        let (uuid, row) = any.ok_or_else(|| NoDatapath::Unknown(String::new()))?;
        let view = self.view(Datapath { uuid, row });
        let expr = Expr::parse(microflow, &view).map_err(|error| bad_microflow(microflow, error))?;
        let ports = expr.inports();
        let name = match ports.len() {
            1 => ports.first().ok_or(TraceError::NoInport)?,
            0 => return Err(TraceError::NoInport),
            many => return Err(TraceError::ManyInports(many)),
        };
        let port = self.store.port(name).and_then(|(_, port)| Datapath::of(&self.store, port.datapath));
        port.ok_or_else(|| TraceError::NoPort((*name).to_owned()))
    }

    fn view<'s>(&'s self, datapath: Datapath<'s>) -> View<'s> {
        View { store: &self.store, found: &self.found, datapath, by_user: false }
    }

    /// The flows of a datapath, read when they are first asked for.
    fn flows(&self, datapath: Datapath<'_>) -> &Flows {
        static NONE: std::sync::LazyLock<Flows> = std::sync::LazyLock::new(Flows::default);
        match self.flows.get(&datapath.uuid) {
            Some(flows) => flows.get_or_init(|| Flows::read(&self.view(datapath))),
            None => &NONE,
        }
    }

    /// The virtual addresses of all load balancers, with their ports.
    fn vips(&self) -> &[(IpAddr, u16)] {
        self.vips.get_or_init(|| {
            let keys = self.store.iter::<LoadBalancer>().flat_map(|(_, row)| row.vips.keys());
            keys.filter_map(|key| options::endpoint(key)).collect()
        })
    }

    /// Flows of the datapaths read so far whose texts are wrong.
    fn unread(&self) -> Vec<Unread> {
        let read = self.flows.values().filter_map(OnceCell::get);
        let mut unread: Vec<Unread> = read.flat_map(|flows| flows.unread.iter().cloned()).collect();
        unread.sort_by_key(|flow| flow.uuid);
        unread.dedup_by_key(|flow| flow.uuid);
        unread
    }
}

fn bad_microflow(text: &str, error: SyntaxError) -> TraceError {
    TraceError::Microflow { text: text.to_owned(), error }
}

impl Trace {
    /// All that happened, in no particular order; the tables among it say which flow they chose.
    pub fn nodes(&self) -> &[Node] {
        self.tree.nodes()
    }

    /// Puts lines below the flows that were chosen, as `--ovs` does with flows of the tables.
    pub fn interleave(&mut self, lines: impl FnMut(&Hit) -> Vec<String>) {
        self.tree.interleave(lines);
    }

    /// Flows that could not take part, of the datapaths that were met.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// What is to be said of such flows: a sentence each of the first ones, and how many there are beside.
    fn notes(&self) -> impl Iterator<Item = String> + '_ {
        let more = self.unread.len().saturating_sub(MAX_NOTES);
        let flows = if more == 1 { "flow" } else { "flows" };
        let rest = (more > 0).then(|| format!("and {more} more {flows} that cannot be read"));
        self.unread.iter().take(MAX_NOTES).map(Unread::to_string).chain(rest)
    }

    /// The packet as Open vSwitch writes it, then the forms that are wanted, under headlines if they are several.
    pub fn display<'t>(&'t self, forms: &'t [Form]) -> impl Display + 't {
        Shown { trace: self, forms }
    }
}

struct Shown<'t> {
    trace: &'t Trace,
    forms: &'t [Form],
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", FlowText(&self.trace.packet))?;
        for form in self.forms {
            if self.forms.len() > 1 {
                writeln!(f, "# {} trace.", form.title())?;
            }
            format::write(f, &self.trace.tree, *form)?;
        }
        // A remark of ours; ovn-trace says such things in its log.
        self.trace.notes().try_for_each(|note| writeln!(f, "# note: {note}"))
    }
}
