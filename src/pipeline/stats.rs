//! Flow counters, apart from the flows: one writer per worker and counter, summed when read.
//!
//! Every worker has its own counters, in chunks that the control side allocates when it hands out an id, so that a
//! worker never allocates and never shares a line it writes. A counter has one writer, which loads, adds and stores;
//! readers sum over the workers and may see a packet a moment before its bytes. What the control side wants counted
//! from zero it remembers as a base to subtract; it never writes to a counter that a worker may write to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crossbeam::utils::CachePadded;
use hashbrown::HashMap;

/// A flow's place among the counters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct StatsId(pub u32);

/// Counters of one chunk.
const CHUNK: usize = 1024;
/// Chunks of one worker: four million flows.
const CHUNKS: usize = 4096;

/// No id is left: so many flows are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} flows are installed, the most there may be; delete some first", CHUNK * CHUNKS)]
pub struct StatsExhausted;

/// What has been counted of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowCount {
    /// Packets that passed the flow.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them did, in the clock of whoever counted; `None` if there was none.
    pub last_used_ms: Option<u64>,
}

/// One flow's counters on one worker.
#[derive(Default)]
#[repr(align(32))]
struct Cell {
    packets: AtomicU64,
    bytes: AtomicU64,
    /// Milliseconds plus one; 0 for never.
    used: AtomicU64,
}

/// One worker's counters.
struct Bank {
    taken: AtomicBool,
    chunks: Box<[OnceLock<Box<[Cell]>>]>,
}

impl Bank {
    fn new() -> Self {
        Self { taken: AtomicBool::new(false), chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }

    #[inline]
    fn cell(&self, id: StatsId) -> Option<&Cell> {
        let id = id.0 as usize;
        self.chunks.get(id / CHUNK)?.get()?.get(id % CHUNK)
    }
}

/// What only the control side uses.
#[derive(Default)]
struct Control {
    next: u32,
    free: Vec<StatsId>,
    bases: HashMap<StatsId, (u64, u64)>,
}

/// The counters of all flows.
pub struct FlowStats {
    banks: Box<[CachePadded<Bank>]>,
    control: Mutex<Control>,
}

impl FlowStats {
    /// Counters for that many workers.
    pub fn new(workers: usize) -> Arc<Self> {
        let banks = (0..workers).map(|_| CachePadded::new(Bank::new())).collect();
        Arc::new(Self { banks, control: Mutex::default() })
    }

    /// The right to count for that worker; `None` if there is no such worker or the right is held already.
    pub fn worker(self: &Arc<Self>, worker: usize) -> Option<StatsWriter> {
        let bank = self.banks.get(worker)?;
        (!bank.taken.swap(true, Acquire)).then(|| StatsWriter { stats: Arc::clone(self), worker })
    }

    /// An unused id, all its counters zero.
    pub fn allocate(&self) -> Result<StatsId, StatsExhausted> {
        let mut control = self.control();
        if let Some(id) = control.free.pop() {
            return Ok(id);
        }
        let id = StatsId(control.next);
        if id.0 as usize >= CHUNK * CHUNKS {
            return Err(StatsExhausted);
        }
        control.next += 1;
        for bank in &self.banks {
            if let Some(chunk) = bank.chunks.get(id.0 as usize / CHUNK) {
                chunk.get_or_init(|| (0..CHUNK).map(|_| Cell::default()).collect());
            }
        }
        Ok(id)
    }

    /// Takes an id back. Only after every worker has left the last snapshot in which a flow had it.
    pub fn release(&self, id: StatsId) {
        for cell in self.banks.iter().filter_map(|bank| bank.cell(id)) {
            cell.packets.store(0, Relaxed);
            cell.bytes.store(0, Relaxed);
            cell.used.store(0, Relaxed);
        }
        let mut control = self.control();
        control.bases.remove(&id);
        control.free.push(id);
    }

    /// What has been counted since the id was allocated or cleared.
    pub fn read(&self, id: StatsId) -> FlowCount {
        let mut count = self.total(id);
        if let Some((packets, bytes)) = self.control().bases.get(&id) {
            count.packets = count.packets.saturating_sub(*packets);
            count.bytes = count.bytes.saturating_sub(*bytes);
        }
        count
    }

    /// Counts packets and bytes from zero again; the time of last use stays.
    pub fn clear(&self, id: StatsId) {
        let total = self.total(id);
        self.control().bases.insert(id, (total.packets, total.bytes));
    }

    fn total(&self, id: StatsId) -> FlowCount {
        let (mut count, mut used) = (FlowCount::default(), 0);
        for cell in self.banks.iter().filter_map(|bank| bank.cell(id)) {
            count.packets += cell.packets.load(Relaxed);
            count.bytes += cell.bytes.load(Relaxed);
            used = used.max(cell.used.load(Relaxed));
        }
        count.last_used_ms = used.checked_sub(1);
        count
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one writer of a worker's counters.
pub struct StatsWriter {
    stats: Arc<FlowStats>,
    worker: usize,
}

impl StatsWriter {
    /// Counts packets of a flow, the last of them at `now_ms`, in any order of the times. An id that was never
    /// allocated is ignored.
    #[inline]
    pub fn add(&mut self, id: StatsId, packets: u64, bytes: u64, now_ms: u64) {
        let Some(cell) = self.stats.banks.get(self.worker).and_then(|bank| bank.cell(id)) else { return };
        cell.packets.store(cell.packets.load(Relaxed).wrapping_add(packets), Relaxed);
        cell.bytes.store(cell.bytes.load(Relaxed).wrapping_add(bytes), Relaxed);
        // What a megaflow counted may come after what others counted later.
        cell.used.store(cell.used.load(Relaxed).max(now_ms.saturating_add(1)), Relaxed);
    }
}

impl Drop for StatsWriter {
    fn drop(&mut self) {
        if let Some(bank) = self.stats.banks.get(self.worker) {
            bank.taken.store(false, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_over_workers() {
        let stats = FlowStats::new(2);
        let id = stats.allocate().unwrap();
        let (mut a, mut b) = (stats.worker(0).unwrap(), stats.worker(1).unwrap());
        assert_eq!(stats.read(id), FlowCount::default());
        a.add(id, 1, 60, 7);
        b.add(id, 2, 300, 5);
        assert_eq!(stats.read(id), FlowCount { packets: 3, bytes: 360, last_used_ms: Some(7) });
        a.add(StatsId(u32::MAX), 1, 60, 7);
        a.add(StatsId(CHUNK as u32), 1, 60, 7);
    }

    #[test]
    fn what_is_counted_late_does_not_set_the_time_of_last_use_back() {
        let stats = FlowStats::new(1);
        let id = stats.allocate().unwrap();
        let mut writer = stats.worker(0).unwrap();
        writer.add(id, 1, 60, 9);
        writer.add(id, 1, 60, 4);
        assert_eq!(stats.read(id), FlowCount { packets: 2, bytes: 120, last_used_ms: Some(9) });
    }

    #[test]
    fn a_worker_has_one_writer() {
        let stats = FlowStats::new(1);
        let writer = stats.worker(0);
        assert!(writer.is_some() && stats.worker(0).is_none() && stats.worker(1).is_none());
        drop(writer);
        assert!(stats.worker(0).is_some());
    }

    #[test]
    fn cleared_counts_begin_at_zero_and_go_on() {
        let stats = FlowStats::new(1);
        let id = stats.allocate().unwrap();
        let mut writer = stats.worker(0).unwrap();
        writer.add(id, 5, 500, 0);
        stats.clear(id);
        assert_eq!(stats.read(id), FlowCount { packets: 0, bytes: 0, last_used_ms: Some(0) });
        writer.add(id, 1, 60, 9);
        assert_eq!(stats.read(id), FlowCount { packets: 1, bytes: 60, last_used_ms: Some(9) });
    }

    #[test]
    fn a_released_id_comes_back_clean_and_ids_differ_meanwhile() {
        let stats = FlowStats::new(1);
        let mut writer = stats.worker(0).unwrap();
        let ids: Vec<_> = (0..3 * CHUNK).map(|_| stats.allocate().unwrap()).collect();
        for id in &ids {
            writer.add(*id, u64::from(id.0) + 1, 1, 1);
        }
        assert!(ids.iter().all(|id| stats.read(*id).packets == u64::from(id.0) + 1));
        stats.clear(ids[1]);
        stats.release(ids[1]);
        assert_eq!(stats.allocate(), Ok(ids[1]));
        assert_eq!(stats.read(ids[1]), FlowCount::default());
    }

    #[test]
    fn concurrent_writers_lose_nothing() {
        let stats = FlowStats::new(4);
        let id = stats.allocate().unwrap();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let mut writer = stats.worker(worker).unwrap();
                scope.spawn(move || (0..10_000).for_each(|now| writer.add(id, 1, 64, now)));
            }
        });
        assert_eq!(
            stats.read(id),
            FlowCount { packets: 40_000, bytes: 2_560_000, last_used_ms: Some(9_999) }
        );
    }
}
