//! Meters: bands of rate and burst; a packet that exceeds one is dropped.
//!
//! A meter is shared by all workers and measures with atomics alone: every band has one word, the time at which its
//! bucket of tokens will be full again. The object lives as long as the meter is not changed, whatever is published
//! meanwhile, so that its tokens and counters survive.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam::utils::CachePadded;
use rpds::RedBlackTreeMapSync;

use crate::pipeline::flow::Moment;

/// Greatest number of a meter.
pub const MAX_METER: u32 = 262_144;
/// Most bands of a meter.
pub const MAX_BANDS: usize = 8;

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousands of bits a second.
    Kbps,
    /// Packets a second.
    Pktps,
}

/// A band as it is asked for; exceeding it drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BandSpec {
    /// Rate, at least 1.
    pub rate: u32,
    /// What may come at once, in thousands of bits or in packets; 0 stands for what comes in a second.
    pub burst: u32,
}

/// A meter as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterSpec {
    /// Its number, from 1.
    pub id: u32,
    /// What the rates count.
    pub unit: Unit,
    /// `burst`, kept for printing: bursts are what they are with it or without.
    pub burst: bool,
    /// `stats`, kept for printing: it is always counted.
    pub stats: bool,
    /// The bands, at least one.
    pub bands: Vec<BandSpec>,
}

/// Packets and bytes.
#[derive(Debug, Default)]
pub struct MeterCount {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl MeterCount {
    #[inline]
    fn add(&self, bytes: u64) {
        self.packets.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Packets and bytes.
    pub fn read(&self) -> (u64, u64) {
        (self.packets.load(Relaxed), self.bytes.load(Relaxed))
    }
}

/// Times are milliseconds with so many bits behind the point.
const FRACTION: u32 = 24;

/// Rate and tokens of a band.
#[derive(Debug, Default)]
struct Band {
    /// Bits a millisecond, or packets a second.
    rate: u64,
    /// How far ahead of now the bucket may be full again: the burst.
    ahead: u64,
    /// When the bucket will be full again.
    full: AtomicU64,
    dropped: MeterCount,
}

impl Band {
    fn new(spec: &BandSpec) -> Self {
        let rate = u64::from(spec.rate.max(1));
        let burst = if spec.burst == 0 { rate } else { u64::from(spec.burst) };
        // A thousand bits at so many bits a millisecond take as long as a packet at so many packets a second.
        let ahead = ((u128::from(burst) * 1000) << FRACTION) / u128::from(rate);
        Self { rate, ahead: u64::try_from(ahead).unwrap_or(u64::MAX), ..Self::default() }
    }

    /// Takes tokens worth `thousandths` of the rate's unit in a second. False where there are too few.
    #[inline]
    fn take(&self, thousandths: u64, now: u64) -> bool {
        let cost = ((thousandths << FRACTION) / self.rate).max(1);
        let limit = now.saturating_add(self.ahead);
        let mut full = self.full.load(Relaxed);
        loop {
            let next = full.max(now).saturating_add(cost);
            if next > limit {
                return false;
            }
            match self.full.compare_exchange_weak(full, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(other) => full = other,
            }
        }
    }
}

/// A meter. Its limits do not change.
#[derive(Debug)]
pub struct Meter {
    /// What was asked for.
    pub spec: MeterSpec,
    /// When it was added.
    pub created: Moment,
    bands: CachePadded<Vec<Band>>,
    seen: CachePadded<MeterCount>,
}

impl Meter {
    /// One whose buckets are full.
    pub fn new(spec: MeterSpec, created: Moment) -> Self {
        let bands = spec.bands.iter().map(Band::new).collect();
        Self { bands: CachePadded::new(bands), seen: CachePadded::default(), spec, created }
    }

    /// Counts a packet and takes its tokens from every band that has them. False if some band has not.
    #[inline]
    pub fn admit(&self, bytes: usize, now_ms: u64) -> bool {
        let bytes = bytes as u64;
        self.seen.add(bytes);
        let thousandths = match self.spec.unit {
            Unit::Kbps => bytes * 8,
            Unit::Pktps => 1000,
        };
        let now = now_ms << FRACTION;
        let mut admitted = true;
        for band in self.bands.iter() {
            if !band.take(thousandths, now) {
                band.dropped.add(bytes);
                admitted = false;
            }
        }
        admitted
    }

    /// What came in.
    pub fn seen(&self) -> &MeterCount {
        &self.seen
    }

    /// What exceeded each band.
    pub fn dropped(&self) -> impl Iterator<Item = &MeterCount> {
        self.bands.iter().map(|band| &band.dropped)
    }
}

/// The meters, by number. A clone shares everything with its origin.
#[derive(Clone, Default)]
pub struct Meters {
    by_id: RedBlackTreeMapSync<u32, Arc<Meter>>,
}

impl Meters {
    /// The meter of that number.
    #[inline]
    pub fn get(&self, id: u32) -> Option<&Arc<Meter>> {
        self.by_id.get(&id)
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.by_id.values()
    }

    pub(super) fn set(&mut self, id: u32, meter: Option<Arc<Meter>>) {
        match meter {
            Some(meter) => self.by_id.insert_mut(id, meter),
            None => drop(self.by_id.remove_mut(&id)),
        }
    }
}
