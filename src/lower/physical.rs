//! The flows of ports: how packets come in from a switch port, go to a logical port of this chassis, over to a peer,
//! by way of a physical network to a port of another chassis, and out to a switch port; and the flows that are there for
//! everybody. `remote` has the ways by tunnels.

use super::actions::{go_to, set};
use super::local::{Local, Plug, Unplugged, network, parent, socket};
use super::numbers::{
    DATAPATH, DNAT_ZONE, FLAGS, INPORT, LOGICAL_REGISTERS, Numbers, OUTPORT, PORT_ZONE, SNAT_ZONE, flag,
};
use super::view::{Ref, Refs};
use super::zones::Zones;
use crate::action::{Action, Subfield};
use crate::logical::rows::tables::{DatapathBinding, PortBinding};
use crate::logical::rows::{Store, Uuid};
use crate::packet::{Field, PortNo};
use crate::pipeline::Match;

/// A flow of a row that is no logical flow.
pub(super) struct Flow {
    pub table: u8,
    pub priority: u16,
    pub matcher: Match,
    pub actions: Vec<Action>,
}

/// What is noted of a row while it is lowered.
#[derive(Default)]
pub(super) struct Notes {
    /// What it refers to.
    pub refs: Refs,
    /// The first thing that is wrong with it.
    pub trouble: Option<Box<str>>,
}

impl Notes {
    /// Something is wrong with the row.
    pub fn say(&mut self, sentence: String) {
        self.trouble.get_or_insert(sentence.into());
    }
}

/// What rows are lowered by.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub store: &'a Store,
    pub local: &'a Local,
    pub zones: &'a Zones,
    pub numbers: &'a Numbers,
}

/// Zone names of a datapath: destination translation, source translation.
pub(super) fn zone_names(datapath: Uuid) -> [String; 2] {
    [format!("{datapath}_dnat"), format!("{datapath}_snat")]
}

/// Writes a whole field.
pub(super) fn load(field: Field, value: impl Into<u128>) -> Action {
    set(Subfield::whole(field), value.into())
}

fn has_bit(matcher: &mut Match, bit: u16, value: bool) {
    matcher.set_masked(FLAGS, u128::from(value) << bit, 1 << bit);
}

/// A match of packets on their way to a port or group.
pub(super) fn outport(datapath: u32, key: u16) -> Match {
    let mut matcher = Match::default();
    matcher.set(DATAPATH, datapath.into());
    matcher.set(OUTPORT, key.into());
    matcher
}

impl Base<'_> {
    /// The key of a datapath if it is needed here.
    pub fn local_key(&self, datapath: Uuid) -> Option<u32> {
        if !self.local.has(datapath) {
            return None;
        }
        Some(self.store.get::<DatapathBinding>(datapath)?.tunnel_key)
    }

    /// Loads the zones of a port: its own if it is bound here, those of its datapath.
    fn load_zones(&self, port: &PortBinding, out: &mut Vec<Action>) {
        let [dnat, snat] = zone_names(port.datapath);
        let zones = [(PORT_ZONE, port.logical_port.as_str()), (DNAT_ZONE, &dnat), (SNAT_ZONE, &snat)];
        for (field, name) in zones {
            let zone = self.zones.get(name);
            if zone != 0 {
                out.push(load(field, zone));
            }
        }
    }

    /// The flows of a port.
    pub fn port(&self, port: &PortBinding, notes: &mut Notes) -> Vec<Flow> {
        notes.refs.push(Ref::Port(port.logical_port.as_str().into()));
        notes.refs.push(Ref::Datapath(port.datapath));
        let mut flows = Vec::new();
        self.place(port, notes);
        let Some(datapath) = self.local_key(port.datapath) else { return flows };
        match port.kind.as_str() {
            "patch" => self.hop(port, datapath, notes, &mut flows),
            "l3gateway" if self.local.is_resident(port, self.store) => {
                self.hop(port, datapath, notes, &mut flows)
            }
            "chassisredirect" if self.local.is_resident(port, self.store) => {
                self.gateway(port, datapath, notes, &mut flows)
            }
            _ => self.plugged(port, datapath, notes, &mut flows),
        }
        flows
    }

    /// Says what is wrong with where a port is to be.
    fn place(&self, port: &PortBinding, notes: &mut Notes) {
        if let Some(parent) = parent(port) {
            notes.refs.push(Ref::Port(parent.into()));
        }
        match socket(port, self.store) {
            Err(unplugged) if unplugged.is_of_parent() => notes.say(unplugged.to_string()),
            Err(Unplugged::Leading(_)) => {}
            Err(unplugged) if self.local.has(port.datapath) => notes.say(unplugged.to_string()),
            Ok((parent, Some(tag))) if parent != port.logical_port => {
                notes.refs.push(Ref::Inside(parent.into(), tag));
                let first = self.local.tagged(parent, tag, self.store).map(|(_, first)| first);
                if let Some(first) = first.filter(|first| first.logical_port != port.logical_port) {
                    let first = &first.logical_port;
                    notes.say(format!(
                        "it has tag {tag} inside \"{parent}\" as \"{first}\" has, to which its packets belong; \
                         give it another tag"
                    ));
                }
            }
            Ok(_) if self.local.has(port.datapath) && self.local.plug(port, self.store).is_none() => {
                if let Some(network) = network(port) {
                    notes.say(format!(
                        "its network \"{network}\" is mapped to no port of this switch, so that it is not here; map it \
                         by bridge_mappings"
                    ));
                }
            }
            Ok(_) if port.kind == "localnet" && self.local.plug(port, self.store).is_some() => {
                notes.refs.push(Ref::Wire(port.datapath));
                self.share(port, notes);
                let first = self.local.wire(port.datapath);
                if let Some(first) = first.filter(|first| *first != port.logical_port) {
                    notes.say(format!(
                        "its datapath reaches ports of other chassis by \"{first}\", the first of several that are \
                         here; bind one of them"
                    ));
                }
            }
            _ => {}
        }
    }

    /// Says what is wrong with where a port of a physical network is: what arrives is for the one with the lowest uuid.
    fn share(&self, port: &PortBinding, notes: &mut Notes) {
        let Some(network) = network(port).filter(|_| self.local.bound(&port.logical_port).is_none()) else {
            return;
        };
        let tag = port.tag.unwrap_or(0);
        notes.refs.push(Ref::Inside(network.into(), tag));
        if !self.local.has(port.datapath) {
            return;
        }
        let mut first: Option<(Uuid, &PortBinding)> = None;
        for (uuid, other) in self.local.in_vlan(network, tag, self.store) {
            notes.refs.extend([Ref::Datapath(other.datapath), Ref::Port(other.logical_port.as_str().into())]);
            let is_here = self.local.has(other.datapath) && self.local.bound(&other.logical_port).is_none();
            if is_here && first.is_none_or(|(lowest, _)| uuid < lowest) {
                first = Some((uuid, other));
            }
        }
        if let Some((_, first)) = first.filter(|(_, first)| first.logical_port != port.logical_port) {
            let first = &first.logical_port;
            notes.say(format!(
                "it has the VLAN that \"{first}\" has in network \"{network}\", to which arrivals belong; give it another tag"
            ));
        }
    }

    /// A port that is here, or may be reached by the physical network of its datapath.
    fn plugged(&self, port: &PortBinding, datapath: u32, notes: &mut Notes, flows: &mut Vec<Flow>) {
        let parent = parent(port);
        if socket(port, self.store).is_err_and(|unplugged| unplugged.is_of_parent()) {
            return;
        }
        let plug = self.local.plug(port, self.store);
        let mut wire = None;
        if plug.is_none_or(|plug| plug.tag.is_some()) {
            notes.refs.push(Ref::Wire(port.datapath));
            let name = self.local.wire(port.datapath);
            notes.refs.extend(name.map(|name| Ref::Port(name.into())));
            wire = name.and_then(|name| self.store.port(name)).map(|(_, wire)| &**wire);
        }
        let Some(plug) = plug else {
            if let Some(wire) = wire.filter(|_| port.additional_chassis.is_empty()) {
                flows.push(Flow {
                    table: self.numbers.local_output,
                    priority: 100,
                    matcher: outport(datapath, port.tunnel_key),
                    actions: vec![load(OUTPORT, wire.tunnel_key), go_to(self.numbers.local_output)],
                });
            } else {
                self.over(port, datapath, notes, flows);
            }
            return;
        };
        // For a while it may be on others too.
        if !port.additional_chassis.is_empty() {
            self.over(port, datapath, notes, flows);
        }
        let parent = parent.and_then(|name| self.store.port(name)).map(|(_, parent)| &**parent);
        self.arrive(port, datapath, plug, flows);
        self.deliver(port, datapath, parent, flows);
        let out = Action::Output(plug.number);
        let actions = match plug.tag {
            None => vec![out],
            Some(tag) => {
                // What a VLAN of this datapath looks like is said by the port of its physical network.
                let is_service = |wire: &PortBinding| {
                    wire.options.get("ethtype").is_some_and(|name| name.eq_ignore_ascii_case("802.11ad"))
                };
                let ethertype = if wire.is_some_and(is_service) { 0x88a8 } else { 0x8100 };
                let tag = Action::SetField { field: Field::DlVlan, value: tag.into(), mask: 0xfff };
                vec![Action::PushVlan(ethertype), tag, out, Action::PopVlan]
            }
        };
        let matcher = outport(datapath, port.tunnel_key);
        flows.push(Flow { table: self.numbers.logical_to_physical, priority: 100, matcher, actions });
    }

    /// From the switch port into the datapath.
    fn arrive(&self, port: &PortBinding, datapath: u32, plug: Plug, flows: &mut Vec<Flow>) {
        let mut logical = Vec::new();
        self.load_zones(port, &mut logical);
        logical.push(load(DATAPATH, datapath));
        logical.push(load(INPORT, port.tunnel_key));
        if port.kind == "localport" {
            logical.push(set(Subfield { field: FLAGS, start: flag::LOCALPORT, bits: 1 }, 1));
            let mut from = Match::default();
            from.set(DATAPATH, datapath.into());
            from.set(INPORT, port.tunnel_key.into());
            let actions = vec![go_to(self.numbers.local_output)];
            flows.push(Flow { table: self.numbers.remote_output, priority: 150, matcher: from, actions });
        }
        logical.push(go_to(self.numbers.ingress));
        let is_wire = matches!(port.kind.as_str(), "localnet" | "l2gateway");
        let mut from = Match::default();
        from.set(Field::InPort, plug.number.0.into());
        let mut flow = |priority, matcher, actions| {
            let table = self.numbers.physical_to_logical;
            flows.push(Flow { table, priority, matcher, actions });
        };
        let mut before = Vec::new();
        if parent(port).is_some() {
            before.push(set(Subfield { field: FLAGS, start: flag::NESTED, bits: 1 }, 1));
        }
        let mut tagged = from.clone();
        let passes =
            plug.tag.is_none() && port.options.get("vlan-passthru").is_some_and(|text| text == "true");
        if (plug.tag.is_some() || is_wire) && !passes {
            // Without a VLAN of its own: a tag that carries a priority alone is no VLAN.
            let tag = plug.tag.unwrap_or(0);
            tagged.set_masked(Field::VlanTci, 0x1000 | u128::from(tag), 0x1fff);
            before.push(Action::PopVlan);
        }
        let priority = if plug.tag.is_some() { 150 } else { 100 };
        flow(priority, tagged, [before, logical.clone()].concat());
        if plug.tag.is_none() && is_wire {
            from.set_masked(Field::VlanTci, 0, 0x1000);
            flow(100, from, logical);
        }
    }

    /// To the port within the datapath, and not back to where a packet came from.
    fn deliver(
        &self,
        port: &PortBinding,
        datapath: u32,
        parent: Option<&PortBinding>,
        flows: &mut Vec<Flow>,
    ) {
        let to = outport(datapath, port.tunnel_key);
        let mut actions = Vec::new();
        self.load_zones(port, &mut actions);
        actions.push(go_to(self.numbers.check_loopback));
        flows.push(Flow { table: self.numbers.local_output, priority: 100, matcher: to.clone(), actions });

        let mut back = to.clone();
        has_bit(&mut back, flag::LOOPBACK, false);
        back.set(INPORT, port.tunnel_key.into());
        flows.push(Flow {
            table: self.numbers.check_loopback,
            priority: 100,
            matcher: back,
            actions: Vec::new(),
        });
        if port.kind == "localnet" {
            // What belongs to this chassis alone stays off the wire.
            for bit in [flag::LOCAL_ONLY, flag::LOCALPORT] {
                let mut kept = to.clone();
                has_bit(&mut kept, bit, true);
                flows.push(Flow {
                    table: self.numbers.check_loopback,
                    priority: 160,
                    matcher: kept,
                    actions: Vec::new(),
                });
            }
        }

        // No port is in_port then, so that output to the one the packet came in by is output like any other. Ports
        // inside one are all at the same switch port, and so is that one.
        let mut may_return = to;
        if parent.is_none() {
            has_bit(&mut may_return, flag::LOOPBACK, true);
        }
        let outer = parent.map(|parent| {
            let mut outer = outport(datapath, parent.tunnel_key);
            has_bit(&mut outer, flag::NESTED, true);
            outer
        });
        let in_port = Subfield { field: Field::InPort, start: 0, bits: 16 };
        flows.extend([Some(may_return), outer].into_iter().flatten().map(|matcher| Flow {
            table: self.numbers.save_inport,
            priority: 100,
            matcher,
            actions: vec![
                Action::PushStack(in_port),
                load(Field::InPort, PortNo::NONE.0),
                go_to(self.numbers.logical_to_physical),
                Action::PopStack(in_port),
            ],
        }));
    }

    /// Over to the peer of a patch port: a new beginning in another datapath.
    fn hop(&self, port: &PortBinding, datapath: u32, notes: &mut Notes, flows: &mut Vec<Flow>) {
        let Some(name) = port.options.get("peer") else { return };
        notes.refs.push(Ref::Port(name.as_str().into()));
        let Some((_, peer)) = self.store.port(name) else {
            return notes.say(format!("its peer \"{name}\" is not there, so that nothing passes"));
        };
        notes.refs.push(Ref::Datapath(peer.datapath));
        if peer.kind != port.kind || peer.options.get("peer") != Some(&port.logical_port) {
            return notes
                .say(format!("its peer \"{name}\" has another peer or type, so that nothing passes"));
        }
        let Some(key) = self.local_key(peer.datapath) else { return };
        self.deliver(port, datapath, None, flows);
        let zones = [DNAT_ZONE, SNAT_ZONE, PORT_ZONE];
        let mut over = vec![Action::CtClear];
        over.extend(zones.map(|zone| load(zone, 0u8)));
        self.load_zones(peer, &mut over);
        over.extend([load(DATAPATH, key), load(INPORT, peer.tunnel_key)]);
        over.extend([load(FLAGS, 0u8), load(OUTPORT, 0u8)]);
        over.extend(LOGICAL_REGISTERS.map(|register| load(register, 0u8)));
        over.push(go_to(self.numbers.ingress));
        flows.push(Flow {
            table: self.numbers.logical_to_physical,
            priority: 100,
            matcher: outport(datapath, port.tunnel_key),
            actions: vec![Action::Clone(over.into())],
        });
    }

    /// To the router's port for which this chassis is the gateway.
    fn gateway(&self, port: &PortBinding, datapath: u32, notes: &mut Notes, flows: &mut Vec<Flow>) {
        let Some(name) = port.options.get("distributed-port") else { return };
        notes.refs.push(Ref::Port(name.as_str().into()));
        let distributed = self.store.port(name).filter(|(_, other)| other.datapath == port.datapath);
        let Some((_, distributed)) = distributed else {
            return notes.say(format!("its router has no port \"{name}\", so that nothing passes"));
        };
        let mut actions = vec![load(OUTPORT, distributed.tunnel_key)];
        self.load_zones(distributed, &mut actions);
        actions.push(go_to(self.numbers.check_loopback));
        let matcher = outport(datapath, port.tunnel_key);
        flows.push(Flow { table: self.numbers.local_output, priority: 100, matcher, actions });
    }

    /// The flows that no row asks for.
    pub fn fixed(&self) -> Vec<Flow> {
        let numbers = self.numbers;
        let any = |table, actions| Flow { table, priority: 0, matcher: Match::default(), actions };
        let flagged = |table, priority, value: u128, mask: u128, to| {
            let mut matcher = Match::default();
            matcher.set_masked(FLAGS, value, mask);
            Flow { table, priority, matcher, actions: vec![go_to(to)] }
        };
        let (loopback, vtep) = (1 << flag::LOOPBACK, 1 << flag::FROM_VTEP);
        let mut empty: Vec<Action> = LOGICAL_REGISTERS.iter().map(|register| load(*register, 0u8)).collect();
        empty.push(go_to(numbers.egress));
        let mut flows = vec![
            any(numbers.physical_to_logical, Vec::new()),
            any(numbers.output_init, vec![go_to(numbers.remote_output)]),
            flagged(numbers.output_large, 10, loopback, loopback, numbers.local_output),
            any(numbers.output_large, vec![go_to(numbers.remote_output)]),
            flagged(
                numbers.remote_output,
                150,
                1 << flag::LOCAL_ONLY,
                1 << flag::LOCAL_ONLY,
                numbers.local_output,
            ),
            flagged(numbers.remote_output, 150, vtep, vtep | loopback, numbers.local_output),
            any(numbers.remote_output, vec![go_to(numbers.local_output)]),
            any(numbers.local_output, Vec::new()),
            any(numbers.check_loopback, empty),
            any(numbers.save_inport, vec![go_to(numbers.logical_to_physical)]),
            any(numbers.logical_to_physical, Vec::new()),
        ];
        self.tunnelled(&mut flows);
        flows
    }
}
