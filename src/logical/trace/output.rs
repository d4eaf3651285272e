//! `output`: from the ingress pipeline to the egress pipeline of one or many ports, and from there out or on to the
//! datapath behind a patch port.

use super::machine::{At, FLAGS, INPORT, Machine, OUTPORT, Packet};
use super::node::Kind;
use super::view::{Datapath, View, shown_port};
use crate::logical::rows::Pipeline;
use crate::logical::rows::tables::{MulticastGroup, PortBinding};
use crate::packet::Field;

/// What a port is called that no row has.
pub(super) const UNNAMED: &str = "(unnamed)";
/// Flag by which a packet may leave by the port it came in by.
const LOOPBACK: u128 = 1;
const OMITTED: &str = "/* omitting output because inport == outport && !flags.loopback */";

impl<'a> Machine<'a> {
    pub(super) fn output(&mut self, at: &At<'a>) {
        let key = at.packet.port(OUTPORT);
        if key == 0 {
            self.note(at, Kind::Error, "*** output to null logical port");
            return;
        }
        let view = self.view(at);
        let (port, group) = (view.port(key), view.group(key));
        if port.is_none() && group.is_none() {
            self.note(at, Kind::Error, format!("*** unknown port or multicast group {key}"));
        }
        match (at.pipeline, group) {
            (Pipeline::Egress, _) => self.leave(at, port, group),
            (Pipeline::Ingress, Some(group)) => self.output_to_group(at, group),
            (Pipeline::Ingress, None) => self.output_to_port(at, port),
        }
    }

    /// Out of the egress pipeline.
    fn leave(&mut self, at: &At<'a>, port: Option<&'a PortBinding>, group: Option<&MulticastGroup>) {
        let name = self.name_of(port, group);
        let kind = port.map_or("", |port| &port.kind);
        self.note(at, Kind::Output, format!("/* output to \"{name}\", type \"{kind}\" */"));
        let Some((datapath, peer)) = port.and_then(|port| peer(&self.view(at), port)) else {
            self.note(at, Kind::Modify, format!("output(\"{name}\")"));
            return;
        };
        let peer_name = shown_port(peer, self.options.friendly_names);
        let text = format!("ingress(dp=\"{}\", inport=\"{peer_name}\")", self.datapath_name(&datapath));
        let under = self.note(at, Kind::Pipeline, text);
        // Registers and connection state stay as they are; a switch would forget them here.
        let packet = at.packet.copy();
        packet.set(INPORT, peer.tunnel_key.into());
        packet.set(OUTPORT, 0);
        self.enter(At { datapath, packet, pipeline: Pipeline::Ingress, table: 0, under, depth: at.depth });
    }

    fn name_of(&self, port: Option<&'a PortBinding>, group: Option<&MulticastGroup>) -> String {
        match (port, group) {
            (Some(port), _) => shown_port(port, self.options.friendly_names).to_owned(),
            (None, Some(group)) => group.name.clone(),
            (None, None) => UNNAMED.to_owned(),
        }
    }

    fn output_to_group(&mut self, at: &At<'a>, group: &'a MulticastGroup) {
        let datapath = self.datapath_name(&at.datapath);
        let text = format!("multicast(dp=\"{datapath}\", mcgroup=\"{}\")", group.name);
        let whole = self.note(at, Kind::Pipeline, text);
        let store = &self.tracer.store;
        let rows = group.ports.iter().filter_map(|uuid| store.get::<PortBinding>(*uuid));
        let mut ports: Vec<&PortBinding> =
            rows.map(|port| &**port).filter(|port| port.datapath == at.datapath.uuid).collect();
        ports.sort_by(|a, b| a.logical_port.cmp(&b.logical_port));
        let packet = egress_copy(&at.packet);
        let mut runs = Vec::new();
        for port in ports {
            let text = self.egress_title(at, shown_port(port, self.options.friendly_names));
            let under = self.tree.append(whole, Kind::Pipeline, text);
            if is_allowed(at, port.tunnel_key) {
                self.tree.always_indent(under);
                // All ports' pipelines run on one packet, as in ovn-trace: what one changes the next one sees.
                runs.push((egress(at, packet.clone(), under), port.tunnel_key));
            } else {
                self.tree.append(under, Kind::Output, OMITTED);
            }
        }
        self.enter_each(runs.into_iter());
    }

    fn output_to_port(&mut self, at: &At<'a>, mut port: Option<&'a PortBinding>) {
        let packet = egress_copy(&at.packet);
        let friendly = self.options.friendly_names;
        if let Some(redirect) = port.filter(|port| port.kind == "chassisredirect") {
            let shown = shown_port(redirect, friendly);
            let Some(distributed) = distributed(&self.view(at), redirect) else {
                let text = format!(
                    "*** output to type \"chassisredirect\" port \"{shown}\" with no or invalid distributed port"
                );
                self.note(at, Kind::Error, text);
                return;
            };
            let text = format!(
                "/* Replacing type \"chassisredirect\" outport \"{shown}\" with distributed port \"{}\". */",
                shown_port(distributed, friendly)
            );
            self.note(at, Kind::Output, text);
            packet.set(OUTPORT, distributed.tunnel_key.into());
            port = Some(distributed);
        }
        let allowed = match port {
            Some(port) => is_allowed(at, port.tunnel_key),
            None => has_loopback(at),
        };
        if !allowed {
            self.note(at, Kind::Output, OMITTED);
            return;
        }
        let text = self.egress_title(at, &self.name_of(port, None));
        let under = self.note(at, Kind::Pipeline, text);
        self.enter(egress(at, packet, under));
    }

    fn egress_title(&self, at: &At<'a>, outport: &str) -> String {
        let datapath = self.datapath_name(&at.datapath);
        let inport = self.port_name(at, at.packet.port(INPORT));
        format!("egress(dp=\"{datapath}\", inport=\"{inport}\", outport=\"{outport}\")")
    }
}

/// A packet as it enters the egress pipeline: of its registers it keeps the ports.
fn egress_copy(packet: &Packet) -> Packet {
    let copy = packet.copy();
    for register in (0..16).filter_map(Field::reg).filter(|field| ![INPORT, OUTPORT].contains(field)) {
        copy.set(register, 0);
    }
    copy
}

fn egress<'a>(at: &At<'a>, packet: Packet, under: super::node::NodeId) -> At<'a> {
    At { packet, pipeline: Pipeline::Egress, table: 0, under, ..at.clone() }
}

fn has_loopback(at: &At<'_>) -> bool {
    at.packet.get(FLAGS) & LOOPBACK != 0
}

fn is_allowed(at: &At<'_>, outport: u16) -> bool {
    outport != at.packet.port(INPORT) || has_loopback(at)
}

/// The port at the other end, and its datapath. Gateways count as here.
fn peer<'a>(view: &View<'a>, port: &PortBinding) -> Option<(Datapath<'a>, &'a PortBinding)> {
    if !matches!(port.kind.as_str(), "patch" | "l3gateway") {
        return None;
    }
    let (_, peer) = view.store.port(port.options.get("peer")?)?;
    Some((Datapath::of(view.store, peer.datapath)?, peer))
}

/// The router port that a port stands for which ties traffic to one chassis.
fn distributed<'a>(view: &View<'a>, port: &PortBinding) -> Option<&'a PortBinding> {
    let (_, distributed) = view.store.port(port.options.get("distributed-port")?)?;
    (distributed.datapath == port.datapath).then_some(distributed)
}
