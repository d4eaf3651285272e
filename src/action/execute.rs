//! Doing operations to packets.
