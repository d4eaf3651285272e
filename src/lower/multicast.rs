//! Multicast groups: a copy to each member.
//!
//! Members that are bound here get theirs in the table of local output. Patch ports get theirs before that, in the
//! table of remote output: on the chassis where the packet came in and nowhere else. There, behind them, goes a copy to
//! every chassis that has members; but members elsewhere get theirs by way of the physical network, if the datapath has one:
//! its port is a member too.

use super::actions::go_to;
use super::local::parent;
use super::numbers::{OUTPORT, PORT_ZONE};
use super::physical::{Base, Flow, Notes, load, outport};
use super::remote::Fanout;
use super::view::Ref;
use crate::logical::rows::tables::{MulticastGroup, PortBinding};

impl Base<'_> {
    /// The flows of a multicast group's own ports, and what there is to do beyond them.
    pub fn group(&self, group: &MulticastGroup, notes: &mut Notes) -> Option<(Vec<Flow>, Fanout)> {
        notes.refs.push(Ref::Datapath(group.datapath));
        let datapath = self.local_key(group.datapath)?;
        let (mut bound, mut fanout) = (Vec::new(), Fanout::default());
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
                "patch" => fanout.patches.extend(copy),
                "localport" if is_bound => fanout.patches.extend(copy),
                "l3gateway" if self.local.is_resident(port, self.store) => bound.extend(copy),
                "chassisredirect" | "l3gateway" | "localport" => {}
                _ if is_bound => bound.extend(copy),
                _ => {}
            }
            for seat in self.seats_in(group, port) {
                *fanout.seats.entry(seat).or_default() += 1;
            }
        }
        fanout.has_bound = !bound.is_empty();
        let mut flows = Vec::new();
        if fanout.has_bound {
            bound.push(load(OUTPORT, group.tunnel_key));
            let matcher = outport(datapath, group.tunnel_key);
            flows.push(Flow { table: self.numbers.local_output, priority: 100, matcher, actions: bound });
        }
        Some((flows, fanout))
    }
}
