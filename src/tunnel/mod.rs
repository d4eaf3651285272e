//! Tunnels: Geneve (RFC 8926) and the underlay that carries it, which belongs to the switch.
//!
//! The worker asks [`Endpoint::classify`] what a frame of the uplink is: a tunnelled packet, one that the endpoint answers
//! by itself ([`answer()`]), one to be dropped by name, or none of its business. A packet that leaves gets its outer headers
//! from the template of its [`Remote`], found in the [`Underlay`] that the control thread publishes; that is built by
//! [`resolve::Resolver`], which knows routes and neighbours. [`bfd`] watches whether the peers are there.
//!
//! Pure: no clock and no port is known here, times are handed in and frames handed out. The invariants: every frame gives
//! exactly one [`Arrival`], whatever its bytes; nothing is read behind the ends that the outer headers give; what the
//! workers use neither allocates nor waits.
//!
//! IPv4 addresses of tunnels stand in IPv6 form (`::ffff:a.b.c.d`), so that one type holds both.

use std::net::Ipv6Addr;

pub mod answer;
pub mod bfd;
mod classify;
mod ecn;
mod encap;
mod endpoint;
mod frames;
pub mod geneve;
pub mod resolve;
#[cfg(test)]
mod tests;
mod underlay;

pub use answer::{Heard, LocalOutcome, answer};
pub use classify::{Arrival, Local, Received};
pub use ecn::merge_ecn;
pub use encap::{Remote, Wrapping, inner_len};
pub use endpoint::{BadEndpoint, Endpoint};
pub use underlay::Underlay;

/// TTL of outer packets where the flow names none.
pub const DEFAULT_TTL: u8 = 64;

/// What the flow key says of the tunnel of a packet that leaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TunnelOut {
    /// Address of the peer.
    pub dst: Ipv6Addr,
    /// Virtual network, 24 bits.
    pub vni: u32,
    /// OVN's option with the logical ports; 0: none is sent.
    pub option: u32,
    /// TTL of the outer packet; 0: [`DEFAULT_TTL`].
    pub ttl: u8,
    /// Type of service of the outer packet; only the DSCP counts, the ECN is that of the inner packet.
    pub tos: u8,
}
