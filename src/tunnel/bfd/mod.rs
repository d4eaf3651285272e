//! Bidirectional forwarding detection between the endpoints of tunnels (RFC 5880, asynchronous mode), as OVS runs it.
//!
//! One [`Session`] watches one peer. It has no clock: times are milliseconds that never go back. The invariant: a session is
//! up only while packets of the peer arrive that name it.

mod session;
#[cfg(test)]
mod tests;
pub mod wire;

pub use session::{Params, Session, Status};
pub use wire::{CONTROL_LEN, control, frame};

/// State of a session (RFC 5880, 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Switched off.
    AdminDown,
    /// The peer is not heard, or says so of us.
    #[default]
    Down,
    /// The peer is heard.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// As OVS prints it.
    pub const fn name(self) -> &'static str {
        match self {
            State::AdminDown => "admin_down",
            State::Down => "down",
            State::Init => "init",
            State::Up => "up",
        }
    }

    /// From the two bits of the wire.
    fn of(bits: u8) -> State {
        match bits & 3 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        }
    }
}

/// Why a session last left the state up, or never came up (RFC 5880, 4.1). All five bits of the wire can be held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Diag(pub u8);

impl Diag {
    /// Nothing to say.
    pub const NONE: Diag = Diag(0);
    /// The peer was not heard for too long.
    pub const EXPIRED: Diag = Diag(1);
    /// The peer said that it is down.
    pub const NEIGHBOUR_DOWN: Diag = Diag(3);
    /// Switched off.
    pub const ADMIN_DOWN: Diag = Diag(7);

    /// As the RFC names it.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "No Diagnostic",
            1 => "Control Detection Time Expired",
            2 => "Echo Function Failed",
            3 => "Neighbor Signaled Session Down",
            4 => "Forwarding Plane Reset",
            5 => "Path Down",
            6 => "Concatenated Path Down",
            7 => "Administratively Down",
            8 => "Reverse Concatenated Path Down",
            _ => "Reserved",
        }
    }
}

/// Why a control packet was ignored (RFC 5880, 6.8.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ignored {
    /// Not version 1.
    Version,
    /// Shorter than a control packet, or than it says itself, or it says too little.
    Length,
    /// A detection multiplier of 0.
    Multiplier,
    /// For several receivers.
    Multipoint,
    /// The sender's discriminator is 0.
    NoSender,
    /// The receiver's discriminator is not this session's.
    OtherSession,
    /// It names no receiver, though its sender is neither down nor switched off.
    NoReceiver,
    /// It is authenticated, which this session is not.
    Authenticated,
    /// The session is switched off.
    SwitchedOff,
}

impl Ignored {
    /// In counters.
    pub const fn name(self) -> &'static str {
        match self {
            Ignored::Version => "bad_version",
            Ignored::Length => "bad_length",
            Ignored::Multiplier => "zero_multiplier",
            Ignored::Multipoint => "multipoint",
            Ignored::NoSender => "zero_my_discriminator",
            Ignored::OtherSession => "bad_your_discriminator",
            Ignored::NoReceiver => "zero_your_discriminator",
            Ignored::Authenticated => "authenticated",
            Ignored::SwitchedOff => "admin_down",
        }
    }
}
