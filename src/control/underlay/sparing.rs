//! Lines of the log that somebody on the wire can cause again and again: some at once, then one in a while.

/// Lines that may be written at once.
const AT_ONCE: u64 = 10;
/// Milliseconds after which there may be one more.
const EVERY: u64 = 10_000;

/// What may be written of one thing.
#[derive(Clone, Copy, Debug)]
pub struct Sparing {
    left: u64,
    /// When the last one was added.
    since: u64,
}

impl Sparing {
    /// Nothing is written yet.
    pub fn new(now: u64) -> Self {
        Self { left: AT_ONCE, since: now }
    }

    /// Whether a line may be written now; then it counts.
    pub fn take(&mut self, now: u64) -> bool {
        let more = now.saturating_sub(self.since) / EVERY;
        self.left = AT_ONCE.min(self.left + more);
        self.since += more * EVERY;
        let may = self.left > 0;
        self.left -= u64::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_written_at_once_and_then_one_in_a_while() {
        let mut sparing = Sparing::new(5);
        let mut written = |from, to| (from..to).filter(|now| sparing.take(*now)).count();
        assert_eq!(written(5, 1_000), 10);
        assert_eq!(written(1_000, 10_005), 0);
        assert_eq!(written(10_005, 110_005), 10);
        // After silence there is room again, and no more than at first.
        assert_eq!(written(1_000_010, 1_001_000), 10);
    }
}
