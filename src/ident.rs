//! Identities that other code relies on being unique.

/// A worker's right to use the queues that are its own. One per number and switch: the engine makes them, each moves
/// into its thread, and devices take `&mut WorkerId` where only the owner may pass.
#[derive(Debug)]
pub struct WorkerId(u16);

impl WorkerId {
    /// The id of that number. Called once per number by whoever starts the workers of a switch.
    pub(crate) fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number, from 0.
    #[inline(always)]
    pub fn number(&self) -> u16 {
        self.0
    }
}

/// How a transmit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The driver took so many.
    Took(usize),
    /// Another worker holds the shared queue.
    Contended,
}

/// Packets of a burst. 32 was measured to beat 16 and 64 (design, "Numbers to beat").
pub const BURST: usize = 32;
