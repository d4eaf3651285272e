//! The engine as the control plane knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use super::perf::since;
use super::*;
use crate::action::intent::Neighbour;
use crate::classifier::Match;
use crate::config::PortKind;
use crate::datapath::megaflow::{MegaflowAnswer, MegaflowErrand};
use crate::datapath::perf::WorkerPerf;
use crate::datapath::{Caught, Told};
use crate::packet::Mac;

impl<B: Backend> Datapath for Engine<B> {
    fn publish_tables(&mut self, tables: Tables) -> Generation {
        let current = self.publisher.current();
        let pipeline = current.pipeline.with_tables(tables);
        let state = State { pipeline, topology: current.topology.clone(), overlay: current.overlay.clone() };
        let generation = self.publisher.publish(state);
        self.reclaim();
        Generation(generation)
    }

    fn publish_underlay(&mut self, underlay: Option<Arc<Underlay>>) -> Generation {
        self.underlay = underlay;
        self.publish_overlay()
    }

    fn set_polling(&mut self, on: bool) -> Generation {
        self.polling = on;
        self.publish_topology()
    }

    fn lagging(&self, generation: Generation) -> Vec<u16> {
        self.publisher.lagging(generation.0).map(|index| index as u16).collect()
    }

    fn add_port(&mut self, spec: &PortSpec) -> Result<(PortNo, Generation), PortError> {
        let (number, slot) = self.place(spec)?;
        if let Some((_, worker)) =
            spec.rxq_affinity.iter().find(|(_, worker)| usize::from(*worker) >= self.workers.len())
        {
            return Err(PortError::NoSuchWorker(*worker));
        }
        if let Some(sentence) = conflict(spec, self.known.iter().map(|known| &known.spec)) {
            return Err(PortError::Device(sentence));
        }
        if spec.kind == PortKind::Geneve {
            return Ok(self.add_tunnel(spec, number, slot));
        }
        let device = self.backend.open(spec, self.workers.len() as u16).map_err(PortError::Device)?;
        let facts = device.facts();
        let at = self.new_place(slot);
        let mut rxqs = Vec::new();
        let mut counts = load(&self.ports, self.workers.len());
        let nodes: Vec<i32> = self.workers.iter().map(|worker| worker.setup.numa).collect();
        for queue in 0..facts.rx_queues {
            let affinity = spec.rxq_affinity.iter().find(|(q, _)| *q == queue).map(|(_, worker)| *worker);
            let owner = choose_worker(&counts, &nodes, facts.numa, affinity);
            if let Some(count) = owner.and_then(|owner| counts.get_mut(usize::from(owner))) {
                *count += 1;
            }
            device.set_rx_owner(queue, owner);
            rxqs.push(Rxq {
                queue,
                owner,
                pinned: affinity.is_some(),
                unowned_since: Generation(0),
                counters: Arc::new(CachePadded::new(RxqCounters::default())),
            });
        }
        let link_up = device.link().0;
        let slot = Arc::new(Slot {
            number,
            at,
            mtu: AtomicU16::new(spec.mtu),
            link_up: AtomicBool::new(link_up),
            device,
        });
        let base = self.cells(slot.at.slot);
        self.ports.push(OpenPort { slot, rxqs });
        self.ports.sort_by_key(|port| port.slot.number);
        self.known.push(Known { number, spec: spec.clone(), base });
        self.known.sort_by_key(|known| known.number);
        Ok((number, self.publish_topology()))
    }

    fn unpublish_port(&mut self, number: PortNo) -> Result<Generation, PortError> {
        let at = self.at(number).ok_or(PortError::NoSuchPort(number))?;
        let port = self.port(number).map_or_else(|_| Weak::new(), |port| Arc::downgrade(&port.slot));
        let slot = at.slot;
        self.tunnel.take_if(|(tunnel, _)| *tunnel == number);
        let name = self.known(number).map(|known| known.spec.name.clone()).unwrap_or_default();
        self.ports.retain(|port| port.slot.number != number);
        self.known.retain(|known| known.number != number);
        let since = self.publish_topology();
        self.closing.push(Closing { number, name, slot, since, port });
        Ok(since)
    }

    fn close_port(&mut self, number: PortNo) -> Result<(), PortError> {
        let index = self.closing.iter().position(|closing| closing.number == number);
        let index = index.ok_or(PortError::NoSuchPort(number))?;
        self.reclaim();
        let closing = self.closing.remove(index);
        if closing.port.strong_count() == 0 {
            return Ok(());
        }
        // A worker that slept may have woken to an older state a moment ago.
        let lagging = self.lagging(closing.since);
        self.closing.push(closing);
        Err(PortError::Busy(lagging))
    }

    fn unassign_rxq(&mut self, number: PortNo, queue: u16) -> Result<Generation, PortError> {
        self.rxq_mut(number, queue)?.owner = None;
        let since = self.publish_topology();
        self.rxq_mut(number, queue)?.unowned_since = since;
        Ok(since)
    }

    fn assign_rxq(&mut self, number: PortNo, queue: u16, worker: u16) -> Result<Generation, PortError> {
        if usize::from(worker) >= self.workers.len() {
            return Err(PortError::NoSuchWorker(worker));
        }
        let rxq = self.rxq_mut(number, queue)?;
        let (owner, since) = (rxq.owner, rxq.unowned_since);
        let lagging = self.lagging(since);
        if owner.is_some() || !lagging.is_empty() {
            return Err(PortError::Busy(owner.map_or(lagging, |owner| vec![owner])));
        }
        self.port(number)?.slot.device.set_rx_owner(queue, Some(worker));
        let rxq = self.rxq_mut(number, queue)?;
        (rxq.owner, rxq.pinned) = (Some(worker), true);
        Ok(self.publish_topology())
    }

    fn set_mtu(&mut self, number: PortNo, mtu: u16) -> Result<(), PortError> {
        let (least, most) = PortSpec::MTU_RANGE;
        if !(least..=most).contains(&mtu) {
            return Err(PortError::Device(format!(
                "an MTU of {mtu} is out of range; give one from {least} to {most}"
            )));
        }
        let port = self.device_port(number)?;
        port.slot.device.set_mtu(mtu).map_err(PortError::Device)?;
        port.slot.mtu.store(mtu, Ordering::Relaxed);
        if let Some(known) = self.known.iter_mut().find(|known| known.number == number) {
            known.spec.mtu = mtu;
        }
        Ok(())
    }

    fn set_iface_id(&mut self, number: PortNo, iface_id: Option<String>) -> Result<(), PortError> {
        let others = self.known.iter().filter(|known| known.number != number).map(|known| &known.spec);
        if let Some(sentence) = iface_id.as_deref().and_then(|wanted| iface_conflict(wanted, others)) {
            return Err(PortError::Device(sentence));
        }
        let known = self.known.iter_mut().find(|known| known.number == number);
        known.ok_or(PortError::NoSuchPort(number))?.spec.iface_id = iface_id;
        Ok(())
    }

    fn ports(&self) -> &Ports {
        &self.publisher.current().pipeline.ports
    }

    fn port_status(&self, number: PortNo) -> Option<PortStatus> {
        let known = self.known(number)?;
        if known.spec.kind == PortKind::Geneve {
            return Some(self.tunnel_status(known));
        }
        let port = self.port(number).ok()?;
        let facts = port.slot.device.facts();
        let (link_up, link_speed, full_duplex) = port.slot.device.link();
        Some(PortStatus {
            number,
            spec: known.spec.clone(),
            driver: facts.driver,
            hw_addr: facts.mac,
            link_up,
            link_speed,
            full_duplex,
            tx_queues: facts.tx_queues,
            tx_shared: facts.tx_shared,
            rx_descriptors: facts.rx_descriptors,
            tx_descriptors: facts.tx_descriptors,
            offloads: facts.offloads,
            numa: facts.numa,
        })
    }

    fn port_stats(&self, number: PortNo) -> Option<PortStats> {
        let cells = self.cells(self.at(number)?.slot);
        let mut switch = PortCounters::default();
        for (cell, base) in cells.into_iter().zip(&self.known(number)?.base) {
            let since_open = combine_ports(cell, *base, u64::wrapping_sub);
            switch = combine_ports(switch, since_open, u64::wrapping_add);
        }
        let (device, extended, buffers) = match self.port(number) {
            Ok(port) => {
                let device = &port.slot.device;
                (device.stats(), device.xstats(), device.buffers())
            }
            // Of type geneve.
            Err(_) => Default::default(),
        };
        Some(PortStats { switch, buffers, device, extended })
    }

    fn rxqs(&self) -> Vec<RxqStatus> {
        let status = |port: &OpenPort<B::Device>, rxq: &Rxq| RxqStatus {
            port: port.slot.number,
            name: self.known(port.slot.number).map(|known| known.spec.name.clone()).unwrap_or_default(),
            queue: rxq.queue,
            worker: rxq.owner,
            pinned: rxq.pinned,
            packets: rxq.counters.packets.get(),
            bursts: rxq.counters.bursts.get(),
        };
        self.ports.iter().flat_map(|port| port.rxqs.iter().map(move |rxq| status(port, rxq))).collect()
    }

    fn workers(&self) -> Vec<WorkerStatus> {
        let polled = load(&self.ports, self.workers.len());
        let status = |(index, worker): (usize, &Handle<_>)| WorkerStatus {
            worker: index as u16,
            core: worker.setup.core,
            numa: worker.setup.numa,
            rxqs: polled.get(index).copied().unwrap_or(0),
            loops: worker.counters.loops.get(),
            idle_loops: worker.counters.idle_loops.get(),
            busy_cycles: worker.counters.busy_cycles.get(),
            idle_cycles: worker.counters.idle_cycles.get(),
            sleeps: worker.counters.sleeps.get(),
            wake_p99_us: worker.counters.wakes.p99_us(),
            cpu_percent: worker.cpu.percent(),
            generation: self.publisher.seen(index),
            totals: worker.counters.totals(),
        };
        self.workers.iter().enumerate().map(status).collect()
    }

    fn totals(&self) -> Totals {
        let sum = |a: Totals, b: Totals| combine(&a, &b, u64::wrapping_add);
        self.workers.iter().map(|worker| worker.counters.totals()).fold(Totals::default(), sum)
    }

    fn clear_counters(&mut self) {
        for worker in &mut self.workers {
            worker.to_clear = worker.mailbox.requests.push(Request::Clear).is_err();
        }
        for index in 0..self.known.len() {
            let at = self.known.get(index).and_then(|known| self.at(known.number));
            let base = at.map(|at| self.cells(at.slot));
            if let (Some(known), Some(base)) = (self.known.get_mut(index), base) {
                known.base = base;
            }
        }
    }

    fn inject(&mut self, number: PortNo, frame: &[u8]) -> Result<(), PortError> {
        let (packet, at) = self.packet_for(number, frame)?;
        let owner = self.port(number)?.rxqs.iter().find_map(|rxq| rxq.owner).unwrap_or(0);
        self.ask(owner, Request::Inject { packet, port: number, at, table: 0 })
    }

    fn resume(&mut self, to: Continuation, number: PortNo, frame: &[u8]) -> Result<(), PortError> {
        let at = self.at(number).ok_or(PortError::NoSuchPort(number))?;
        let (packet, _) = self.packet_for(self.buffers_of(number), frame)?;
        self.ask(to.worker, Request::Resume { packet, port: number, at, frozen: to.frozen })
    }

    fn transmit(&mut self, number: PortNo, frame: &[u8]) -> Result<(), PortError> {
        let (packet, at) = self.packet_for(number, frame)?;
        self.ask(0, Request::Transmit { packet, at })
    }

    fn sync(&mut self) -> u64 {
        self.syncs += 1;
        for worker in &mut self.workers {
            // A full mailbox: asked again by `unsynced`.
            worker.asked = worker.mailbox.requests.push(Request::Sync(self.syncs)).is_ok();
        }
        self.syncs
    }

    fn unsynced(&mut self, token: u64) -> Vec<u16> {
        let latest = self.syncs;
        let mut waiting = Vec::new();
        for (number, worker) in (0..).zip(&mut self.workers) {
            if worker.to_clear {
                worker.to_clear = worker.mailbox.requests.push(Request::Clear).is_err();
            }
            if worker.counters.synced.announced() < token {
                if !worker.asked {
                    worker.asked = worker.mailbox.requests.push(Request::Sync(latest)).is_ok();
                }
                waiting.push(number);
            }
        }
        waiting
    }

    fn perf(&self) -> Vec<WorkerPerf> {
        let workers = self.workers.iter().enumerate();
        workers.map(|(index, worker)| since(&self.perf_now(index), &worker.perf_base)).collect()
    }

    fn clear_perf(&mut self, worker: Option<u16>) {
        let chosen = |index: &usize| worker.is_none_or(|worker| usize::from(worker) == *index);
        for index in (0..self.workers.len()).filter(chosen) {
            let base = self.perf_now(index);
            if let Some(worker) = self.workers.get_mut(index) {
                worker.perf_base = base;
            }
        }
    }

    fn ask_megaflows(&mut self, errand: MegaflowErrand) -> u64 {
        self.errands.ask(errand, self.workers.len())
    }

    fn megaflows(&mut self, token: u64) -> Option<MegaflowAnswer> {
        self.errands.go_on(self.workers.iter_mut().map(|worker| &mut worker.mailbox));
        self.errands.answer(token)
    }

    fn forget_megaflows(&mut self, token: u64) {
        self.errands.forget(token);
    }

    fn packet_ins(&mut self, max: usize) -> Vec<PacketIn> {
        self.take_reports();
        let count = max.min(self.packet_ins.len());
        self.packet_ins.drain(..count).collect()
    }

    fn intents(&mut self, max: usize) -> Vec<Told> {
        self.take_told(max)
    }

    fn look_for(&mut self, filter: Option<Match>) {
        Engine::look_for(self, filter);
    }

    fn caught(&mut self) -> Option<Caught> {
        Engine::caught(self)
    }

    fn neighbour_learned(&mut self, neighbour: Neighbour, mac: Mac) {
        self.tell_learned(neighbour, mac);
    }

    fn flow_stats(&self) -> &Arc<FlowStats> {
        &self.flow_stats
    }

    fn now_ms(&self) -> u64 {
        self.clock.ms(B::tsc())
    }

    fn tick(&mut self) {
        self.reclaim();
        self.take_reports();
        self.hand_on_learned();
        self.errands.go_on(self.workers.iter_mut().map(|worker| &mut worker.mailbox));
        self.go_on_looking();
        self.look_at_links();
        self.workers.iter_mut().for_each(|worker| worker.cpu.look());
        self.free_pools();
    }

    fn shutdown(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A worker that panicked was reported when it did; release builds abort.
                let _ = thread.join();
            }
        }
        self.workers.clear();
        self.ports.clear();
        self.known.clear();
        self.tunnel = None;
        self.publish_topology();
        self.reclaim();
        // No worker is left that could be inside a pool.
        if self.backend.look() {
            self.backend.free();
        }
    }
}
