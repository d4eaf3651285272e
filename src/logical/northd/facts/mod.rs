//! What units ask of the rows: facts that several of them share, each computed once.
//!
//! The invariant: a fact is a pure function of the rows that it asks for, and no larger than what its askers need, so that
//! a change which does not touch it concerns none of them.

pub mod addresses;
pub mod copp;
pub mod options;
pub mod router;
pub mod router_route;
pub mod router_translation;
pub mod switch;
pub mod switch_acls;
pub mod switch_peer;
pub mod switch_ports;
