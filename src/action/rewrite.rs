//! Rewriting fields in packets.
