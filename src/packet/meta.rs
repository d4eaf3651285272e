//! What the switch knows of a packet beside its bytes: one [`PacketMeta`] per slot of a burst.

/// An OpenFlow port number. 1 to [`PortNo::MAX`] name ports; the reserved ones above are those of OpenFlow 1.0.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct PortNo(pub u16);

impl PortNo {
    /// The greatest number that a port may have (OFPP_MAX - 1 of OpenFlow 1.0).
    pub const MAX: PortNo = PortNo(0xfeff);
    /// Back out of the port that the packet came in by.
    pub const IN_PORT: PortNo = PortNo(0xfff8);
    /// To the NORMAL pipeline.
    pub const NORMAL: PortNo = PortNo(0xfffa);
    /// To all ports that flood, but for the one it came in by.
    pub const FLOOD: PortNo = PortNo(0xfffb);
    /// To all ports but for the one it came in by.
    pub const ALL: PortNo = PortNo(0xfffc);
    /// To the controller ring.
    pub const CONTROLLER: PortNo = PortNo(0xfffd);
    /// The switch's own port.
    pub const LOCAL: PortNo = PortNo(0xfffe);
    /// No port.
    pub const NONE: PortNo = PortNo(0xffff);

    /// Whether the number may name a port of the switch.
    pub fn is_usable(self) -> bool {
        self.0 >= 1 && self <= PortNo::MAX
    }

    /// Name of a reserved number, as OVS writes it.
    pub fn reserved_name(self) -> Option<&'static str> {
        Some(match self {
            PortNo::IN_PORT => "IN_PORT",
            PortNo::NORMAL => "NORMAL",
            PortNo::FLOOD => "FLOOD",
            PortNo::ALL => "ALL",
            PortNo::CONTROLLER => "CONTROLLER",
            PortNo::LOCAL => "LOCAL",
            PortNo::NONE => "NONE",
            _ => return None,
        })
    }
}

impl std::fmt::Display for PortNo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reserved_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A port's place in the snapshot. The generation tells a slot's present port from an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PortRef {
    /// Index of the port's slot, dense from 0.
    pub slot: u16,
    /// Counts the ports that have had this slot.
    pub generation: u16,
}

/// What is known of a checksum in the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum CsumState {
    /// Nobody has looked, or the driver found it right and said nothing else.
    #[default]
    Unknown,
    /// The driver found it right.
    Good,
    /// The driver found it wrong; it is forwarded as it is.
    Bad,
    /// The sender left it to us: the field is undefined until the driver's offload or software completes it.
    Partial,
}

impl CsumState {
    /// From the lowest two bits.
    #[inline(always)]
    fn of(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Unknown,
            1 => Self::Good,
            2 => Self::Bad,
            _ => Self::Partial,
        }
    }
}

/// What a driver says of a packet on reception, in one word: most say nothing of most packets, which is 0.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Said(u32);

impl Said {
    /// Something is left on the packet that has to be cleared or completed before it is sent.
    const FLAGGED: u32 = 1;
    const L3: u32 = 8;
    const L4: u32 = 10;
    const TAG: u32 = 16;

    /// Of a packet that has to be looked at before it is sent: its checksums, and the outer tag that the driver took out of
    /// the frame, with bit 12 set; 0 if none.
    #[inline]
    pub fn new(l3_csum: CsumState, l4_csum: CsumState, stripped_vlan: u16) -> Self {
        let csums = (l3_csum as u32) << Self::L3 | (l4_csum as u32) << Self::L4;
        Self(Self::FLAGGED | csums | u32::from(stripped_vlan) << Self::TAG)
    }

    /// Whether anything was said: then the packet has to be looked at before it is sent.
    #[inline(always)]
    pub fn is_flagged(self) -> bool {
        self.0 != 0
    }

    /// IPv4 header checksum.
    #[inline(always)]
    pub fn l3_csum(self) -> CsumState {
        CsumState::of(self.0 >> Self::L3)
    }

    /// TCP, UDP, SCTP or ICMPv6 checksum.
    #[inline(always)]
    pub fn l4_csum(self) -> CsumState {
        CsumState::of(self.0 >> Self::L4)
    }

    /// The outer tag that the driver took out of the frame, with bit 12 set; 0 if none. It is put back before the parse.
    #[inline(always)]
    pub fn stripped_vlan(self) -> u16 {
        (self.0 >> Self::TAG) as u16
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?} {:#x}", self.l3_csum(), self.l4_csum(), self.stripped_vlan())
    }
}

/// One per slot of the burst.
///
/// Offsets count from the start of the frame; 0 means that the header is not there or was not parsed. They are set
/// by the parser and kept true by the actions that move headers (VLAN push and pop).
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketMeta {
    /// Bytes of the frame, without FCS.
    pub len: u32,
    /// What the driver said of it.
    pub said: Said,
    /// First byte after the Ethernet header and its VLAN tags.
    pub l3: u16,
    /// First byte of the TCP, UDP, SCTP, ICMP, ICMPv6 or IGMP header.
    pub l4: u16,
    /// First byte after the L4 header.
    pub payload: u16,
    /// End of the IP datagram as its length field says (Ethernet padding lies behind it); 0 without IP.
    pub l3_end: u16,
    /// Port the packet came in by.
    pub in_port: PortNo,
    /// That port's slot and generation.
    pub in_ref: PortRef,
    /// Frozen context to resume from; 0 for a packet fresh from a port.
    pub frozen: u32,
}

impl PacketMeta {
    /// Of a packet of which nothing is known.
    pub const NONE: PacketMeta = PacketMeta {
        len: 0,
        said: Said(0),
        l3: 0,
        l4: 0,
        payload: 0,
        l3_end: 0,
        in_port: PortNo(0),
        in_ref: PortRef { slot: 0, generation: 0 },
        frozen: 0,
    };
}
