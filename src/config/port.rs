//! A port as the operator writes it: the same keys in the config file and behind `millrace port add`.

use serde::{Deserialize, Serialize};

use crate::packet::{Mac, PortNo};

/// What a port is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum PortKind {
    /// A kernel interface through a packet socket.
    #[serde(rename = "af_packet")]
    AfPacket {
        /// Its name, such as veth0.
        iface: String,
    },
    /// A virtio guest over a unix socket.
    VhostUser {
        /// Path of the socket.
        socket: String,
        /// Who creates the socket.
        mode: VhostMode,
    },
    /// Packets from a capture file, packets to a capture file.
    Pcap {
        /// File to receive from; nothing is received without one.
        rx_file: Option<String>,
        /// File to transmit to; transmitted packets are thrown away without one.
        tx_file: Option<String>,
        /// Whether the file is received again and again, from memory.
        infinite: bool,
    },
    /// Receives empty packets as fast as asked (or none) and throws away what is transmitted.
    Null {
        /// Bytes of a received packet.
        size: u16,
        /// Receives nothing.
        no_rx: bool,
    },
    /// Any virtual device of DPDK, its devargs passed on.
    Vdev {
        /// Such as `net_tap0,iface=tap0`.
        devargs: String,
    },
    /// A device on the PCI bus, its devargs passed on.
    Pci {
        /// Such as `0000:03:00.0`.
        devargs: String,
    },
    /// A port in memory, fed by `inject` only; the one kind that exists without DPDK.
    Memory,
    /// Where the tunnels to all other hosts end: flows say to which a packet goes. It has no device.
    Geneve,
}

impl PortKind {
    /// The word behind `type =`.
    pub fn type_name(&self) -> &'static str {
        match self {
            PortKind::AfPacket { .. } => "af_packet",
            PortKind::VhostUser { .. } => "vhost-user",
            PortKind::Pcap { .. } => "pcap",
            PortKind::Null { .. } => "null",
            PortKind::Vdev { .. } => "vdev",
            PortKind::Pci { .. } => "pci",
            PortKind::Memory => "memory",
            PortKind::Geneve => "geneve",
        }
    }
}

/// Who creates the socket of a vhost-user port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VhostMode {
    /// The switch listens, the guest connects.
    Server,
    /// The guest listens, the switch connects and connects again.
    Client,
}

/// A validated port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortSpec {
    /// Unique among the ports, at most 63 printable characters without blanks, commas, quotes and brackets.
    pub name: String,
    /// What it is made of.
    #[serde(flatten)]
    pub kind: PortKind,
    /// OpenFlow number asked for; else the lowest free one.
    pub number: Option<PortNo>,
    /// Receive queues.
    pub n_rxq: u16,
    /// Transmit queues; else as many as there are workers, as far as the device gives them.
    pub n_txq: Option<u16>,
    /// Receive descriptors per queue; else the driver's own default.
    pub n_rxq_desc: Option<u16>,
    /// Transmit descriptors per queue; else the driver's own default.
    pub n_txq_desc: Option<u16>,
    /// Bytes of the L3 packet that fit a frame.
    pub mtu: u16,
    /// Address to give to the device; else its own.
    pub mac: Option<Mac>,
    /// Receives frames for other addresses too.
    pub promiscuous: bool,
    /// Asks the device to spread flows over the receive queues and to deliver the hash.
    pub rss: bool,
    /// Uses the device's checksum offloads where it has them.
    pub checksum_offload: bool,
    /// Left out of `flood`.
    pub no_flood: bool,
    /// Worker of a receive queue, by index; queues without an entry are spread.
    pub rxq_affinity: Vec<(u16, u16)>,
    /// The logical port that this is, by its name; `external_ids:iface-id` of Open vSwitch.
    pub iface_id: Option<String>,
}

impl PortSpec {
    /// MTU of a port that does not say otherwise.
    pub const DEFAULT_MTU: u16 = 1500;
    /// Least and greatest MTU that a port may have.
    pub const MTU_RANGE: (u16, u16) = (68, 9702);

    /// A port of that kind with every other key at its default.
    pub fn new(name: &str, kind: PortKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            number: None,
            n_rxq: 1,
            n_txq: None,
            n_rxq_desc: None,
            n_txq_desc: None,
            mtu: Self::DEFAULT_MTU,
            mac: None,
            promiscuous: true,
            rss: true,
            checksum_offload: true,
            no_flood: false,
            rxq_affinity: Vec::new(),
            iface_id: None,
        }
    }

    /// The tunnel port. A flood leaves it out: nothing says to which host it would go.
    pub fn tunnel(name: &str) -> Self {
        Self { no_flood: true, ..Self::new(name, PortKind::Geneve) }
    }
}
