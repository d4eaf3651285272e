//! The port where tunnels begin and end. It has a number, a place and counters like any other, and no device.

use std::sync::Arc;

use super::{Backend, Engine, Generation, Known, OpenPort, PortError, PortSpec, PortStatus};
use crate::packet::{Mac, PortNo, PortRef};
use crate::worker::state::{Overlay, State};

impl<B: Backend> Engine<B> {
    /// Adds it. There is none yet.
    pub(super) fn add_tunnel(&mut self, spec: &PortSpec, number: PortNo, slot: u16) -> (PortNo, Generation) {
        let at = self.new_place(slot);
        self.tunnel = Some((number, at));
        let base = self.cells(slot);
        self.known.push(Known { number, spec: spec.clone(), base });
        self.known.sort_by_key(|known| known.number);
        (number, self.publish_topology())
    }

    /// The place of a new port in a slot.
    pub(super) fn new_place(&mut self, slot: u16) -> PortRef {
        let generation = self.generations.get_mut(usize::from(slot)).map_or(0, |generation| {
            *generation = generation.wrapping_add(1);
            *generation
        });
        PortRef { slot, generation }
    }

    /// A port that has a device.
    pub(super) fn device_port(&self, number: PortNo) -> Result<&OpenPort<B::Device>, PortError> {
        if self.tunnel.is_some_and(|(tunnel, _)| tunnel == number) {
            return Err(PortError::NoDevice(number));
        }
        self.port(number)
    }

    /// The port whose buffers packets of a port have.
    pub(super) fn buffers_of(&self, number: PortNo) -> PortNo {
        let is_tunnel = self.tunnel.is_some_and(|(tunnel, _)| tunnel == number);
        self.underlay.as_ref().filter(|_| is_tunnel).map_or(number, |underlay| underlay.uplink)
    }

    /// The underlay with the places of its ports, while there is the one that leads to it.
    pub(super) fn overlay(&self) -> Option<Overlay> {
        let underlay = self.underlay.as_ref()?;
        let uplink = self.port(underlay.uplink).ok()?.slot.at;
        Some(Overlay { underlay: Arc::clone(underlay), uplink, tunnel: self.tunnel })
    }

    /// Publishes the underlay as it is now.
    pub(super) fn publish_overlay(&mut self) -> Generation {
        let current = self.publisher.current();
        let (pipeline, topology) = (current.pipeline.clone(), current.topology.clone());
        let state = State { pipeline, topology, overlay: self.overlay() };
        let generation = self.publisher.publish(state);
        self.reclaim();
        Generation(generation)
    }

    pub(super) fn tunnel_status(&self, known: &Known) -> PortStatus {
        PortStatus {
            number: known.number,
            spec: known.spec.clone(),
            driver: "geneve".to_owned(),
            hw_addr: Mac::default(),
            link_up: self.overlay().is_some(),
            link_speed: 0,
            full_duplex: true,
            tx_queues: 0,
            tx_shared: false,
            rx_descriptors: 0,
            tx_descriptors: 0,
            offloads: Vec::new(),
            numa: -1,
        }
    }
}
