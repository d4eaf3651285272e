//! The interpreter: looks packets up, table by table, and runs what the flows say.
//!
//! `next` runs a table as a subroutine on the caller's packet, so the actions behind it see what the table changed.
//! Whatever forks works on a copy. What is still to be done is a stack of [`Task`]s and not the stack of the thread,
//! so that flows which go round in a circle meet a limit with a name.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use super::flows::{Flow, Flows};
use super::node::{Hit, Kind, Lookup, NodeId, Tree};
use super::options::Options;
use super::view::{Datapath, View, shown_port, with_friendly_names};
use super::{Stop, Tracer, output};
use crate::logical::action::{self, Action};
use crate::logical::microflow::Microflow;
use crate::logical::rows::Pipeline;
use crate::logical::symbol::FieldRef;
use crate::packet::{Field, FlowKey};

/// Most tables that one trace runs within one another.
pub(super) const MAX_DEPTH: usize = 512;
/// Most tables that one trace runs.
pub(super) const MAX_LOOKUPS: usize = 32_768;
/// Most comparisons of one trace, those with the members of sets among them: some seconds.
pub(super) const MAX_WORK: u64 = 1 << 28;
/// What a flow takes beside the comparisons of its match.
const WORK_OF_A_FLOW: u64 = 8;
/// Comparisons after which it is looked whether anybody still waits.
const STRETCH: u64 = 1 << 20;

/// The register with the port that a packet came in by.
pub(super) const INPORT: Field = Field::Reg14;
/// The register with the port that it goes out by.
pub(super) const OUTPORT: Field = Field::Reg15;
/// The register with the flags.
pub(super) const FLAGS: Field = Field::Reg10;

/// A packet that actions change. A clone is the same packet, [`Packet::copy`] another one.
#[derive(Clone)]
pub(super) struct Packet(Rc<Cell<FlowKey>>);

impl Packet {
    pub fn new(key: FlowKey) -> Self {
        Self(Rc::new(Cell::new(key)))
    }

    pub fn copy(&self) -> Self {
        Self::new(self.key())
    }

    pub fn key(&self) -> FlowKey {
        self.0.get()
    }

    pub fn flow(&self) -> Microflow {
        Microflow { key: self.key() }
    }

    pub fn get(&self, field: Field) -> u128 {
        self.key().get(field)
    }

    pub fn set(&self, field: Field, value: u128) {
        let mut key = self.key();
        key.set(field, value);
        self.0.set(key);
    }

    pub fn read(&self, field: &FieldRef) -> u128 {
        self.flow().get(field)
    }

    pub fn write(&self, field: &FieldRef, value: u128) {
        let mut flow = self.flow();
        flow.set(field, value);
        self.0.set(flow.key);
    }

    /// Key of a port; the registers are wider than keys.
    pub fn port(&self, register: Field) -> u16 {
        self.get(register) as u16
    }
}

/// Where a packet is.
#[derive(Clone)]
pub(super) struct At<'a> {
    pub datapath: Datapath<'a>,
    pub packet: Packet,
    pub pipeline: Pipeline,
    pub table: u8,
    /// The node that is told what happens.
    pub under: NodeId,
    /// Number of tables around this one.
    pub depth: usize,
}

/// Actions of one list that are still to run.
struct Frame<'a> {
    actions: &'a [Action],
    /// What was pushed, with the width of each.
    stack: Vec<(u128, u16)>,
    at: At<'a>,
}

/// What is still to be done; the last comes first.
enum Task<'a> {
    /// Runs a table; before that the packet may be sent to a port.
    LookUp(At<'a>, Option<u16>),
    /// Runs actions.
    Run(Frame<'a>),
}

pub(super) struct Machine<'a> {
    pub tracer: &'a Tracer,
    pub options: &'a Options,
    pub tree: Tree,
    /// The backend that load balancers shall choose, until one has.
    pub lb_dst: Option<(IpAddr, u16)>,
    /// How many connection states were asked for.
    pub asked: usize,
    tasks: Vec<Task<'a>>,
    lookups: usize,
    /// Comparisons so far.
    work: u64,
    stop: &'a Stop,
}

/// A trace may do no more.
struct Spent;

impl<'a> Machine<'a> {
    pub fn new(tracer: &'a Tracer, options: &'a Options, tree: Tree, stop: &'a Stop) -> Self {
        let lb_dst = options.lb_dst;
        Self { tracer, options, tree, lb_dst, asked: 0, tasks: Vec::new(), lookups: 0, work: 0, stop }
    }

    /// Traces a packet from a table on, to the end.
    pub fn run(mut self, at: At<'a>) -> Tree {
        self.enter(at);
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::LookUp(at, outport) => {
                    if let Some(key) = outport {
                        at.packet.set(OUTPORT, key.into());
                    }
                    self.look_up(at);
                }
                Task::Run(frame) => self.step(frame),
            }
            if self.tree.is_full() || self.stop.is_told() {
                break;
            }
        }
        self.tree
    }

    pub fn view(&self, at: &At<'a>) -> View<'a> {
        self.tracer.view(at.datapath)
    }

    pub fn note(&mut self, at: &At<'a>, kind: Kind, text: impl Into<String>) -> NodeId {
        self.tree.append(at.under, kind, text)
    }

    /// The name of a datapath as it is shown.
    pub fn datapath_name(&self, datapath: &Datapath<'_>) -> String {
        datapath.shown(self.options.friendly_names)
    }

    /// The name of a port as it is shown: empty for none, and a word for one that has none.
    pub fn port_name(&self, at: &At<'a>, key: u16) -> String {
        match self.view(at).port(key) {
            Some(port) => shown_port(port, self.options.friendly_names).to_owned(),
            None if key == 0 => String::new(),
            None => output::UNNAMED.to_owned(),
        }
    }

    fn shown(&self, text: String) -> String {
        if self.options.friendly_names { with_friendly_names(&self.tracer.store, &text) } else { text }
    }

    /// Has a table run, before whatever else is still to be done.
    pub fn enter(&mut self, at: At<'a>) {
        self.tasks.push(Task::LookUp(at, None));
    }

    /// Has the egress pipeline run for each of several ports, on one packet.
    pub fn enter_each(&mut self, runs: impl DoubleEndedIterator<Item = (At<'a>, u16)>) {
        self.tasks.extend(runs.rev().map(|(at, outport)| Task::LookUp(at, Some(outport))));
    }

    /// Has the table behind this one run, on a packet of its own, under a node of its own.
    pub fn enter_following(&mut self, at: &At<'a>, packet: Packet, under: NodeId) {
        self.enter(At { packet, under, table: at.table.saturating_add(1), ..at.clone() });
    }

    /// Has actions run on a packet of their own, under a node of their own.
    pub fn nest(&mut self, at: &At<'a>, name: &str, packet: Packet, actions: &'a [Action]) {
        let under = self.note(at, Kind::Transformation, name);
        self.start(actions, At { packet, under, ..at.clone() });
    }

    fn start(&mut self, actions: &'a [Action], at: At<'a>) {
        if actions.is_empty() {
            self.note(&at, Kind::Action, "drop;");
        }
        self.tasks.push(Task::Run(Frame { actions, stack: Vec::new(), at }));
    }

    /// The first flow that a packet meets, unless looking for it takes too long or nobody waits.
    fn find(
        &mut self,
        table: &'a [Flow],
        packet: &Microflow,
        view: &View<'a>,
    ) -> Result<Option<&'a Flow>, Spent> {
        for flow in table {
            let before = self.work / STRETCH;
            self.work += WORK_OF_A_FLOW + flow.comparisons;
            if self.work > MAX_WORK || (self.work / STRETCH > before && self.stop.is_told()) {
                return Err(Spent);
            }
            if flow.matches.eval(packet, view) {
                return Ok(Some(flow));
            }
        }
        Ok(None)
    }

    /// Runs a table. Flows that match everything and only go on are skipped with their tables.
    fn look_up(&mut self, mut at: At<'a>) {
        self.lookups += 1;
        if at.depth >= MAX_DEPTH {
            let text = format!("*** given up {MAX_DEPTH} tables deep; the flows go round in a circle");
            self.note(&at, Kind::Error, text);
            return;
        }
        if self.lookups > MAX_LOOKUPS {
            let text = format!(
                "*** given up after {MAX_LOOKUPS} tables; the flows go round in a circle or to too many ports"
            );
            self.note(&at, Kind::Error, text);
            self.tasks.clear();
            return;
        }
        let flows = self.tracer.flows(at.datapath);
        let (packet, view) = (at.packet.flow(), self.view(&at));
        let found = loop {
            match self.find(flows.table(at.pipeline, at.table), &packet, &view) {
                Ok(Some(flow)) if flow.is_trivial => at.table = at.table.saturating_add(1),
                Ok(found) => break found,
                Err(Spent) => {
                    let text = format!(
                        "*** given up after {MAX_WORK} comparisons; the flows go round in a circle or are too many"
                    );
                    self.note(&at, Kind::Error, text);
                    self.tasks.clear();
                    return;
                }
            }
        };
        let node = self.note(&at, Kind::Table, self.headline(&at, flows, found));
        self.tree.set_lookup(
            node,
            Lookup {
                datapath: self.datapath_name(&at.datapath).into(),
                pipeline: at.pipeline,
                table: at.table,
                stage: flows.stage(at.pipeline, at.table).map(Into::into),
                flow: found.map(|flow| Hit { uuid: flow.uuid, priority: flow.row.priority }),
            },
        );
        if let Some(flow) = found {
            self.start(&flow.actions, At { under: node, depth: at.depth + 1, ..at });
        }
    }

    /// A table's number and name, and the flow that it chose.
    fn headline(&self, at: &At<'a>, flows: &Flows, found: Option<&Flow>) -> String {
        let table = at.table;
        let Some(flow) = found else {
            let stage = flows.stage(at.pipeline, table).map(|stage| format!("{stage}: ")).unwrap_or_default();
            return format!("{table:2}. {stage}no match (implicit drop)");
        };
        let ids = &flow.row.external_ids;
        let whence = match (ids.get("stage-name"), ids.get("source")) {
            (Some(stage), Some(source)) => format!("{stage} ({source}): "),
            (Some(stage), None) => format!("{stage}: "),
            (None, Some(source)) => format!("({source}): "),
            (None, None) => String::new(),
        };
        let matches = self.shown(flow.row.matches.clone());
        let (priority, uuid) = (flow.row.priority, flow.uuid.first_word());
        format!("{table:2}. {whence}{matches}, priority {priority}, uuid {uuid:08x}")
    }

    /// Runs the next action of a list.
    fn step(&mut self, mut frame: Frame<'a>) {
        let Some((action, rest)) = frame.actions.split_first() else { return };
        frame.actions = rest;
        let text = self.shown(action.to_string());
        let at = frame.at.clone();
        self.note(&at, Kind::Action, text);
        match action {
            Action::Push(field) => {
                let value = at.packet.read(field);
                frame.stack.push((value, field.width));
                self.note(&at, Kind::Modify, format!("push({field}) -> {value:#x}"));
            }
            Action::Pop(field) => {
                let text = match frame.stack.pop() {
                    Some((value, _)) => {
                        at.packet.write(field, value);
                        format!("pop({field}) <- {value:#x}")
                    }
                    None => format!("pop({field}) <- /* empty stack */"),
                };
                self.note(&at, Kind::Modify, text);
            }
            _ => {}
        }
        if !rest.is_empty() {
            self.tasks.push(Task::Run(frame));
        }
        self.execute(action, &at);
    }

    fn execute(&mut self, action: &'a Action, at: &At<'a>) {
        match action {
            Action::Output => self.output(at),
            Action::Next(next) => self.next(next, at),
            Action::Load { dst, value } => self.load(action, dst, value, at),
            Action::LoadReply { .. } => {
                self.note(at, Kind::Modify, without_semicolon(action));
            }
            Action::Move { dst, src } => {
                self.show_move(dst, src, at);
                at.packet.write(dst, at.packet.read(src));
            }
            Action::Exchange(left, right) => {
                self.show_move(left, right, at);
                self.show_move(right, left, at);
                let (one, other) = (at.packet.read(left), at.packet.read(right));
                at.packet.write(left, other);
                at.packet.write(right, one);
            }
            Action::DecTtl => self.decrement_ttl(at),

            Action::CtNext(_) => self.ct_next(at),
            Action::CtDnat(nat) => self.translate("ct_dnat", true, nat.as_ref(), at),
            Action::CtSnat(nat) => self.translate("ct_snat", false, nat.as_ref(), at),
            // The missing underscores are ovn-trace's.
            Action::CtDnatInCzone(nat) => self.translate("ct_dnatin_czone", true, nat.as_ref(), at),
            Action::CtSnatInCzone(nat) => self.translate("ct_snatin_czone", false, nat.as_ref(), at),
            Action::CtCommitNat(_) => {
                self.commit("ct_commit_nat /* assuming no un-nat entry, so no change */", at);
            }
            Action::CtCommitToZone(_) => self.commit(&without_semicolon(action), at),
            Action::CtLb(balance) => self.balance("ct_lb", balance, at),
            Action::CtLbMark(balance) => self.balance("ct_lb_mark", balance, at),
            Action::CtLbMarkLocal(balance) => self.balance("ct_lb_mark_local", balance, at),
            Action::CtClear => self.ct_clear(at),
            Action::CtSnatToVip => self.snat_to_vip(at),
            Action::Select(select) => self.select(select, at),
            Action::ChkLbHairpin(dst) => self.check_hairpin(dst, Field::CtTpDst, at),
            Action::ChkLbHairpinReply(dst) => self.check_hairpin(dst, Field::TcpDst, at),

            Action::Clone(nested) => self.nest(at, "clone", at.packet.copy(), nested),
            Action::Arp(nested) => self.arp(nested, at),
            Action::Icmp4(nested) | Action::Icmp4Error(nested) => self.icmp4(nested, at, false),
            Action::Icmp6(nested) | Action::Icmp6Error(nested) => self.icmp6(nested, at, false),
            Action::TcpReset(nested) => self.tcp_reset(nested, at, false),
            Action::SctpAbort(nested) => self.sctp_abort(nested, at, false),
            Action::Reject(nested) => self.reject(nested, at),
            Action::NdNs(nested) => self.nd_ns(nested, at),
            Action::NdNa(nested) => self.nd_na("nd_na", nested, at),
            Action::NdNaRouter(nested) => self.nd_na("nd_na_router", nested, at),

            Action::GetArp(get) | Action::GetNd(get) => self.get_binding(get, at),
            Action::LookupArp(lookup) | Action::LookupNd(lookup) => self.look_up_binding(lookup, at),
            Action::LookupArpIp(lookup) | Action::LookupNdIp(lookup) => self.look_up_address(lookup, at),
            Action::GetFdb(get) => self.get_fdb(get, at),
            Action::LookupFdb { dst, port, mac } => self.look_up_fdb(dst, port, mac, at),
            Action::CheckInPortSec(dst) => self.check_in_port_security(dst, at),
            Action::CheckOutPortSec(dst) => self.check_out_port_security(dst, at),
            Action::PutDhcpOpts(put) | Action::PutDhcpv6Opts(put) => {
                let text = "/* We assume that this packet is DHCPDISCOVER or DHCPREQUEST. */";
                self.note(at, Kind::Error, text);
                self.put_options(action, &put.dst, at);
            }
            Action::PutNdRaOpts(put) => {
                self.put_options(action, &put.dst, at);
                // The flows that answer ask for an advertisement.
                at.packet.set(Field::Icmpv6Type, 134);
                self.note(at, Kind::Modify, "icmp6.type = 134");
            }
            Action::DnsLookup(dst) => {
                at.packet.write(dst, 0);
                self.note(at, Kind::Error, "*** dns_lookup action not implemented");
            }
            Action::Log(log) => self.log(log, at),
            // Done with the stack, in `step`.
            Action::Push(_) | Action::Pop(_) => {}
            // All of them by name, so that a new action has to find its place.
            Action::CtCommit(_)
            | Action::CtCommitArgs(_)
            | Action::CtNwDst(_)
            | Action::CtIp6Dst(_)
            | Action::CtTpDst(_)
            | Action::CtProto(_)
            | Action::CtStateSave(_)
            | Action::PutArp(_)
            | Action::PutNd(_)
            | Action::ChkEvpnArp { .. }
            | Action::MacCacheUse
            | Action::PutFdb { .. }
            | Action::GetRemoteFdb(_)
            | Action::DhcpRelayReqChk(_)
            | Action::DhcpRelayRespChk(_)
            | Action::HandleDhcpv6Reply
            | Action::CheckPktLarger { .. }
            | Action::ChkLbAff(_)
            | Action::ChkEcmpNhMac(_)
            | Action::ChkEcmpNh(_)
            | Action::CommitEcmpNh { .. }
            | Action::CommitLbAff(_)
            | Action::FwdGroup(_)
            | Action::SetQueue(_)
            | Action::SetMeter { .. }
            | Action::Sample(_)
            | Action::Mirror(_)
            | Action::FloodRemote
            | Action::TriggerEvent(_)
            | Action::BindVport { .. }
            | Action::HandleSvcCheck(_)
            | Action::HandleBfdMsg
            | Action::Igmp => self.pass(action, at),
        }
    }

    /// Goes to another table, of this pipeline or of the other one.
    fn next(&mut self, next: &action::Next, at: &At<'a>) {
        let (pipeline, register) = match next.pipeline {
            action::Pipeline::Ingress => (Pipeline::Ingress, INPORT),
            action::Pipeline::Egress => (Pipeline::Egress, OUTPORT),
        };
        let mut under = at.under;
        if pipeline != at.pipeline {
            let side = if pipeline == Pipeline::Ingress { "inport" } else { "outport" };
            let (datapath, port) =
                (self.datapath_name(&at.datapath), self.port_name(at, at.packet.port(register)));
            let text = format!("{}(dp=\"{datapath}\", {side}=\"{port}\")", pipeline.name());
            under = self.note(at, Kind::Pipeline, text);
        }
        self.enter(At { pipeline, under, table: next.table, ..at.clone() });
    }
}

/// An action as text without its end.
pub(super) fn without_semicolon(action: &Action) -> String {
    let text = action.to_string();
    text.strip_suffix(';').map(str::to_owned).unwrap_or(text)
}
