//! The flows of ports: how packets come in from a switch port, go to a logical port of this chassis, over to a peer,
//! and out to a switch port; and the flows that are there for everybody.

use super::actions::{go_to, set};
use super::local::Local;
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
    pub fn port(&self, port: &PortBinding, refs: &mut Refs) -> Vec<Flow> {
        refs.push(Ref::Port(port.logical_port.as_str().into()));
        refs.push(Ref::Datapath(port.datapath));
        let mut flows = Vec::new();
        let Some(datapath) = self.local_key(port.datapath) else { return flows };
        match port.kind.as_str() {
            "patch" | "l3gateway" => {
                if port.kind == "patch" || self.local.is_resident(port) {
                    self.hop(port, datapath, refs, &mut flows);
                }
            }
            "chassisredirect" => {
                if self.local.is_resident(port) {
                    self.gateway(port, datapath, refs, &mut flows);
                }
            }
            _ => {
                if let Some(number) = self.local.bound(&port.logical_port) {
                    self.arrive(port, datapath, number, &mut flows);
                    self.deliver(port, datapath, &mut flows);
                    let mut out = vec![Action::Output(number)];
                    if let Some(tag) = self.tag(port) {
                        let tag = Action::SetField { field: Field::DlVlan, value: tag.into(), mask: 0xfff };
                        out = vec![Action::PushVlan(0x8100), tag, Action::Output(number), Action::PopVlan];
                    }
                    flows.push(Flow {
                        table: self.numbers.logical_to_physical,
                        priority: 100,
                        matcher: outport(datapath, port.tunnel_key),
                        actions: out,
                    });
                }
            }
        }
        flows
    }

    /// The VLAN that a port of a physical network stands for.
    fn tag(&self, port: &PortBinding) -> Option<u16> {
        port.tag.filter(|tag| port.kind == "localnet" && *tag != 0)
    }

    /// From the switch port into the datapath.
    fn arrive(&self, port: &PortBinding, datapath: u32, number: PortNo, flows: &mut Vec<Flow>) {
        let mut logical = Vec::new();
        self.load_zones(port, &mut logical);
        logical.push(load(DATAPATH, datapath));
        logical.push(load(INPORT, port.tunnel_key));
        if port.kind == "localport" {
            logical.push(set(Subfield { field: FLAGS, start: flag::LOCALPORT, bits: 1 }, 1));
        }
        logical.push(go_to(self.numbers.ingress));
        let mut from = Match::default();
        from.set(Field::InPort, number.0.into());
        let flow = |matcher, actions| Flow {
            table: self.numbers.physical_to_logical,
            priority: 100,
            matcher,
            actions,
        };
        if port.kind != "localnet" {
            flows.push(flow(from, logical));
            return;
        }
        let untagged = [vec![Action::PopVlan], logical.clone()].concat();
        let mut tagged = from.clone();
        match self.tag(port) {
            Some(tag) => tagged.set_masked(Field::VlanTci, 0x1000 | u128::from(tag), 0x1fff),
            None => {
                // A tag that carries a priority alone is no VLAN.
                tagged.set_masked(Field::VlanTci, 0x1000, 0x1fff);
                from.set_masked(Field::VlanTci, 0, 0x1000);
                flows.push(flow(from, logical));
            }
        }
        flows.push(flow(tagged, untagged));
    }

    /// To the port within the datapath, and not back to where a packet came from.
    fn deliver(&self, port: &PortBinding, datapath: u32, flows: &mut Vec<Flow>) {
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

        // No port is in_port then, so that output to the one the packet came in by is output like any other.
        let mut may_return = to;
        has_bit(&mut may_return, flag::LOOPBACK, true);
        let in_port = Subfield { field: Field::InPort, start: 0, bits: 16 };
        flows.push(Flow {
            table: self.numbers.save_inport,
            priority: 100,
            matcher: may_return,
            actions: vec![
                Action::PushStack(in_port),
                load(Field::InPort, PortNo::NONE.0),
                go_to(self.numbers.logical_to_physical),
                Action::PopStack(in_port),
            ],
        });
    }

    /// Over to the peer of a patch port: a new beginning in another datapath.
    fn hop(&self, port: &PortBinding, datapath: u32, refs: &mut Refs, flows: &mut Vec<Flow>) {
        let Some(name) = port.options.get("peer") else { return };
        refs.push(Ref::Port(name.as_str().into()));
        let Some((_, peer)) = self.store.port(name) else { return };
        refs.push(Ref::Datapath(peer.datapath));
        let is_mutual = peer.kind == port.kind && peer.options.get("peer") == Some(&port.logical_port);
        let Some(key) = self.local_key(peer.datapath).filter(|_| is_mutual) else { return };
        self.deliver(port, datapath, flows);
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
    fn gateway(&self, port: &PortBinding, datapath: u32, refs: &mut Refs, flows: &mut Vec<Flow>) {
        let Some(name) = port.options.get("distributed-port") else { return };
        refs.push(Ref::Port(name.as_str().into()));
        let Some((_, distributed)) = self.store.port(name) else { return };
        if distributed.datapath != port.datapath {
            return;
        }
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
        vec![
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
        ]
    }
}
