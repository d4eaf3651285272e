//! What the kernel says of a worker's thread, and how late it wakes it.

use std::fs;
use std::time::Instant;

use super::counters::Counter;

/// Clock ticks a second in /proc; the same on every Linux that this runs on (USER_HZ).
const TICKS: f64 = 100.0;
/// How long CPU use is averaged over.
const WINDOW_SECONDS: f64 = 1.0;
/// Buckets of the wake histogram: bucket `n` counts wakes less than 2^n µs late.
const BUCKETS: usize = 24;

/// CPU use of a thread over the last second or so; kept by the control thread.
#[derive(Debug)]
pub struct CpuUse {
    stat: Option<String>,
    since: Instant,
    ticks: u64,
    percent: f64,
}

impl CpuUse {
    /// Of the thread with that id in this process.
    pub fn of(tid: Option<u32>) -> Self {
        let stat = tid.map(|tid| format!("/proc/self/task/{tid}/stat"));
        let ticks = stat.as_deref().and_then(ticks_of).unwrap_or(0);
        Self { stat, since: Instant::now(), ticks, percent: 0.0 }
    }

    /// Looks at the thread, if the last look is long enough ago.
    pub fn look(&mut self) {
        let elapsed = self.since.elapsed().as_secs_f64();
        if elapsed < WINDOW_SECONDS {
            return;
        }
        if let Some(ticks) = self.stat.as_deref().and_then(ticks_of) {
            self.percent = 100.0 * ticks.saturating_sub(self.ticks) as f64 / TICKS / elapsed;
            (self.ticks, self.since) = (ticks, Instant::now());
        }
    }

    /// Per cent of a core.
    pub fn percent(&self) -> f64 {
        self.percent
    }
}

/// The calling thread's id, as the kernel numbers it.
pub fn own_tid() -> Option<u32> {
    let link = fs::read_link("/proc/thread-self").ok()?;
    link.file_name()?.to_str()?.parse().ok()
}

/// User and system time of a thread so far, in ticks: fields 14 and 15 of proc_pid_stat(5), counted behind the name in
/// brackets, which may hold anything.
fn ticks_of(stat: &str) -> Option<u64> {
    let text = fs::read_to_string(stat).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// How late a worker woke from its sleeps. Written by the worker.
#[derive(Debug)]
pub struct Wakes {
    buckets: [Counter; BUCKETS],
}

impl Wakes {
    /// None yet.
    pub fn new() -> Self {
        Self { buckets: std::array::from_fn(|_| Counter::default()) }
    }

    /// Counts one that was `late_us` microseconds late.
    pub fn record(&self, late_us: u64) {
        let bucket = (u64::BITS - late_us.leading_zeros()) as usize;
        if let Some(counter) = self.buckets.get(bucket.min(BUCKETS - 1)) {
            counter.add(1);
        }
    }

    /// Microseconds that 99 of 100 wakes stayed below, to the next power of two; none if it never slept.
    pub fn p99_us(&self) -> Option<u64> {
        let counts: Vec<u64> = self.buckets.iter().map(Counter::get).collect();
        let all: u64 = counts.iter().sum();
        let mut below = 0;
        let bucket = counts.iter().position(|count| {
            below += count;
            all > 0 && below * 100 >= all * 99
        });
        bucket.map(|bucket| 1 << bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_the_bucket_that_99_of_100_stay_below() {
        let wakes = Wakes::new();
        assert_eq!(wakes.p99_us(), None);
        (0..99).for_each(|_| wakes.record(3));
        assert_eq!(wakes.p99_us(), Some(4));
        wakes.record(1000);
        assert_eq!(wakes.p99_us(), Some(4));
        wakes.record(1000);
        assert_eq!(wakes.p99_us(), Some(1024));
        (0..1000).for_each(|_| wakes.record(u64::MAX));
        assert_eq!(wakes.p99_us(), Some(1 << (BUCKETS - 1)));
    }

    #[test]
    fn a_busy_thread_uses_its_core() {
        let mut cpu = CpuUse::of(own_tid());
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < 1.1 {
            std::hint::spin_loop();
        }
        cpu.look();
        assert!(cpu.percent() > 5.0, "{cpu:?}");
    }
}
