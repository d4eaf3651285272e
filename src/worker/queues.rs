//! Which worker polls which receive queue.

use std::sync::Arc;

use crossbeam::utils::CachePadded;

use super::device::Device;
use super::state::{Poll, RxqCounters, Slot, Topology};
use crate::datapath::Generation;

/// A receive queue and where it stands in its life: owned by a worker, or by none since a publication.
pub struct Rxq {
    /// Queue of the port.
    pub queue: u16,
    /// Worker that polls it.
    pub owner: Option<u16>,
    /// Whether the config or `rxq move` chose the worker.
    pub pinned: bool,
    /// Publication that took it from its last worker; no other may have it before that is visible.
    pub unowned_since: Generation,
    /// Its counters.
    pub counters: Arc<CachePadded<RxqCounters>>,
}

/// A port as the engine keeps it.
pub struct OpenPort<D> {
    /// What workers see.
    pub slot: Arc<Slot<D>>,
    /// Its receive queues.
    pub rxqs: Vec<Rxq>,
}

/// The worker for a new queue: the one that `affinity` names, else the one with the fewest queues among those on the
/// device's NUMA node, else among all. The lower number wins a tie.
pub fn choose_worker(load: &[u16], nodes: &[i32], device_node: i32, affinity: Option<u16>) -> Option<u16> {
    if let Some(worker) = affinity {
        return (usize::from(worker) < load.len()).then_some(worker);
    }
    let near = |index: &usize| device_node < 0 || nodes.get(*index).is_some_and(|node| *node == device_node);
    let least = |candidates: Vec<usize>| candidates.into_iter().min_by_key(|index| load.get(*index).copied());
    least((0..load.len()).filter(near).collect())
        .or_else(|| least((0..load.len()).collect()))
        .map(|index| index as u16)
}

/// How many queues each of `workers` polls.
pub fn load<D>(ports: &[OpenPort<D>], workers: usize) -> Vec<u16> {
    let mut load = vec![0; workers];
    for owner in ports.iter().flat_map(|port| &port.rxqs).filter_map(|rxq| rxq.owner) {
        if let Some(count) = load.get_mut(usize::from(owner)) {
            *count += 1;
        }
    }
    load
}

/// What workers see of these ports.
pub fn topology<D: Device>(ports: &[OpenPort<D>], slots: usize, workers: usize) -> Topology<D> {
    let mut by_slot: Vec<Option<Arc<Slot<D>>>> = (0..slots).map(|_| None).collect();
    let mut polls: Vec<Vec<Poll<D>>> = (0..workers).map(|_| Vec::new()).collect();
    for port in ports {
        if let Some(place) = by_slot.get_mut(usize::from(port.slot.at.slot)) {
            *place = Some(port.slot.clone());
        }
        for rxq in &port.rxqs {
            let list = rxq.owner.and_then(|owner| polls.get_mut(usize::from(owner)));
            if let Some(list) = list {
                let (slot, counters) = (port.slot.clone(), rxq.counters.clone());
                list.push(Poll { slot, queue: rxq.queue, counters });
            }
        }
    }
    Topology { slots: by_slot.into(), tunnel: None, polls: polls.into() }
}

#[cfg(test)]
mod tests {
    use super::choose_worker;

    #[test]
    fn a_queue_goes_to_the_least_loaded_worker_of_its_node() {
        assert_eq!(choose_worker(&[1, 0, 0], &[0, 0, 0], 0, None), Some(1));
        assert_eq!(choose_worker(&[1, 0, 5], &[0, 0, 1], 1, None), Some(2));
        assert_eq!(choose_worker(&[1, 0], &[0, 0], 7, None), Some(1));
        assert_eq!(choose_worker(&[0, 0], &[0, 0], -1, Some(1)), Some(1));
        assert_eq!(choose_worker(&[0, 0], &[0, 0], -1, Some(2)), None);
        assert_eq!(choose_worker(&[], &[], -1, None), None);
    }
}
