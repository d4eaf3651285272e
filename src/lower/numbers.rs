//! Numbers of tables, bits and registers: parameters, since they have moved in every second release of OVN. The
//! default is OVN 23.03's.

use std::ops::Range;

use crate::logical::rows::Pipeline;
use crate::packet::Field;

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// From a switch port to a logical one.
    pub physical_to_logical: u8,
    /// The first of the ingress pipeline.
    pub ingress: u8,
    /// Where `output` in the ingress pipeline leads.
    pub output_init: u8,
    /// Packets too large for a tunnel.
    pub output_large: u8,
    /// To ports of other chassis.
    pub remote_output: u8,
    /// To ports of this chassis.
    pub local_output: u8,
    /// No packet goes back where it came from, unless it may.
    pub check_loopback: u8,
    /// The first of the egress pipeline.
    pub egress: u8,
    /// The port that a packet came in by is forgotten where it may go back.
    pub save_inport: u8,
    /// From a logical port to a switch port or to the peer.
    pub logical_to_physical: u8,
    /// Ethernet addresses of neighbours.
    pub mac_binding: u8,
    /// Whether a neighbour is known.
    pub mac_lookup: u8,
    /// Ports by learned Ethernet address.
    pub get_fdb: u8,
    /// Whether an Ethernet address is learned.
    pub lookup_fdb: u8,
    /// Port security of what comes in.
    pub in_port_security: u8,
    /// The same of ARP and neighbour discovery.
    pub in_port_security_nd: u8,
    /// Port security of what goes out.
    pub out_port_security: u8,
}

impl Numbers {
    /// The tables of a pipeline: what is behind them belongs to the switch.
    pub fn stages(&self, pipeline: Pipeline) -> Range<u8> {
        match pipeline {
            Pipeline::Ingress => self.ingress..self.output_init,
            Pipeline::Egress => self.egress..self.save_inport,
        }
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            physical_to_logical: 0,
            ingress: 8,
            output_init: 37,
            output_large: 38,
            remote_output: 39,
            local_output: 40,
            check_loopback: 41,
            egress: 42,
            save_inport: 64,
            logical_to_physical: 65,
            mac_binding: 66,
            mac_lookup: 67,
            get_fdb: 71,
            lookup_fdb: 72,
            in_port_security: 73,
            in_port_security_nd: 74,
            out_port_security: 75,
        }
    }
}

/// The logical datapath.
pub const DATAPATH: Field = Field::Metadata;
/// Flags.
pub const FLAGS: Field = Field::Reg10;
/// Connection zone of destination translation.
pub const DNAT_ZONE: Field = Field::Reg11;
/// Connection zone of source translation.
pub const SNAT_ZONE: Field = Field::Reg12;
/// Connection zone of the port.
pub const PORT_ZONE: Field = Field::Reg13;
/// The port a packet came in by.
pub const INPORT: Field = Field::Reg14;
/// The port it goes out by.
pub const OUTPORT: Field = Field::Reg15;
/// The registers that belong to the logical flows and are empty when a packet enters a datapath.
pub const LOGICAL_REGISTERS: [Field; 10] = [
    Field::Reg0,
    Field::Reg1,
    Field::Reg2,
    Field::Reg3,
    Field::Reg4,
    Field::Reg5,
    Field::Reg6,
    Field::Reg7,
    Field::Reg8,
    Field::Reg9,
];

/// Bit of `reg9` in which tables 37 and 38 note that a frame is too large for a tunnel over IPv4, as northd does.
pub const TOO_LARGE_FOR_IPV4: u16 = 1;
/// The same of one over IPv6.
pub const TOO_LARGE_FOR_IPV6: u16 = 2;

/// Bits of [`FLAGS`] that flows outside the logical pipelines use.
pub mod flag {
    /// The packet may go back to the port that it came from.
    pub const LOOPBACK: u16 = 0;
    /// It came from a gateway that knows nothing of logical ports.
    pub const FROM_VTEP: u16 = 1;
    /// It came from a port that stays on this chassis.
    pub const LOCAL_ONLY: u16 = 4;
    /// It came from a port inside another.
    pub const NESTED: u16 = 5;
    /// A look-up found a neighbour.
    pub const LOOKUP_MAC: u16 = 6;
    /// A look-up found an Ethernet address.
    pub const LOOKUP_FDB: u16 = 8;
    /// It came from a port that is on every chassis.
    pub const LOCALPORT: u16 = 10;
    /// What port security says.
    pub const PORT_SECURITY: u16 = 12;
}
