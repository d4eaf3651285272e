//! Multicast groups: a copy to each member.
//!
//! Members that are bound here get theirs in the table of local output. Patch ports get theirs before that, in the
//! table of remote output: on the chassis where the packet came in and nowhere else. Members elsewhere get theirs by way of
//! the physical network, if the datapath has one: its port is a member too.

use super::actions::go_to;
use super::local::parent;
use super::numbers::{OUTPORT, PORT_ZONE};
use super::physical::{Base, Flow, Notes, load, outport};
use super::view::Ref;
use crate::logical::rows::tables::{MulticastGroup, PortBinding};

impl Base<'_> {
    /// The flows of a multicast group.
    pub fn group(&self, group: &MulticastGroup, notes: &mut Notes) -> Vec<Flow> {
        notes.refs.push(Ref::Datapath(group.datapath));
        let mut flows = Vec::new();
        let Some(datapath) = self.local_key(group.datapath) else { return flows };
        let (mut bound, mut patches) = (Vec::new(), Vec::new());
        for uuid in &group.ports {
            let Some(port) = self.store.get::<PortBinding>(*uuid) else { continue };
            notes.refs.push(Ref::Port(port.logical_port.as_str().into()));
            if port.datapath != group.datapath {
                notes.say(format!("its port \"{}\" is in another datapath and left out", port.logical_port));
                continue;
            }
            let copy = [load(OUTPORT, port.tunnel_key), go_to(self.numbers.check_loopback)];
            if let Some(parent) = parent(port) {
                notes.refs.push(Ref::Port(parent.into()));
            }
            let is_bound = self.local.plug(port, self.store).is_some();
            let zone = self.zones.get(&port.logical_port);
            bound.extend((zone != 0).then(|| load(PORT_ZONE, zone)));
            match port.kind.as_str() {
                "patch" => patches.extend(copy),
                "localport" if is_bound => patches.extend(copy),
                "l3gateway" if self.local.is_resident(port, self.store) => bound.extend(copy),
                "chassisredirect" | "l3gateway" | "localport" => {}
                _ if is_bound => bound.extend(copy),
                _ => {}
            }
        }
        let restore = load(OUTPORT, group.tunnel_key);
        let has_bound = !bound.is_empty();
        let mut add = |table, mut actions: Vec<_>, last: Option<_>| {
            if !actions.is_empty() {
                actions.push(restore.clone());
                actions.extend(last);
                let matcher = outport(datapath, group.tunnel_key);
                flows.push(Flow { table, priority: 100, matcher, actions });
            }
        };
        add(self.numbers.local_output, bound, None);
        let on = has_bound.then(|| go_to(self.numbers.local_output));
        add(self.numbers.remote_output, patches, on);
        flows
    }
}
