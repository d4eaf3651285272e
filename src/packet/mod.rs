//! Packets as the pipeline sees them: wire headers, the parser, checksums, the flow key and the one field table.
//!
//! Pure and without DPDK, so that it can be fuzzed and run under Miri. The invariant: nothing here reads past the
//! bytes it was given, and a field has exactly one description, in [`field`], from which the parser, the flow
//! syntax, the masks and the printing all work.

pub mod addr;
pub mod buf;
pub mod checksum;
pub mod drop;
pub mod field;
pub mod headers;
pub mod key;
pub mod meta;
pub mod parse;
#[cfg(test)]
pub(crate) mod testgen;

pub use addr::Mac;
pub use buf::{HeapPacket, Packet};
pub use drop::DropReason;
pub use field::Field;
pub use key::{FlowKey, FlowMask};
pub use meta::{CsumState, PacketMeta, PortNo, PortRef, Said};
