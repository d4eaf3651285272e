//! The bytes of a packet: what actions need of a buffer, and the implementation on the heap.

/// An owned packet buffer with room in front and behind, freed when dropped.
///
/// `dpdk::Mbuf` is the one of the fast path; [`HeapPacket`] serves tests, Miri, fuzzing and `--no-dpdk`.
pub trait Packet: Sized + Send + 'static {
    /// The frame.
    fn data(&self) -> &[u8];
    /// The frame, to be rewritten.
    fn data_mut(&mut self) -> &mut [u8];
    /// Grows the frame by `n` bytes in front and says whether there was room. The new bytes are undefined.
    #[must_use]
    fn push_front(&mut self, n: usize) -> bool;
    /// Cuts `n` bytes off the front and says whether there were as many.
    #[must_use]
    fn pull_front(&mut self, n: usize) -> bool;
    /// Grows the frame by `n` bytes behind and says whether there was room. The new bytes are undefined.
    #[must_use]
    fn push_back(&mut self, n: usize) -> bool;
    /// Cuts the frame to `len` bytes, if it is longer.
    fn truncate(&mut self, len: usize);
    /// A copy in a buffer of its own, or none if no buffer is left.
    fn try_copy(&self) -> Option<Self>;
    /// What the driver said of the packet on reception does not count any more: the bytes are new.
    fn clear_offloads(&mut self);
    /// The tag that the driver took out on reception is in the bytes again; what else it said still counts.
    fn tag_is_back(&mut self);
}

/// A packet in a `Vec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapPacket {
    bytes: Vec<u8>,
    start: usize,
    /// A tag beside the bytes, as a device leaves it that takes tags out, with bit 12 set; 0 if none.
    stripped: u16,
    /// Whether the sender left the L4 checksum open.
    is_open: bool,
}

impl HeapPacket {
    /// Room in front of a new packet, that of DPDK's default.
    pub const HEADROOM: usize = 128;

    /// A packet with these bytes.
    pub fn new(frame: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(Self::HEADROOM + frame.len());
        bytes.resize(Self::HEADROOM, 0);
        bytes.extend_from_slice(frame);
        Self { bytes, start: Self::HEADROOM, stripped: 0, is_open: false }
    }

    /// The packet with a tag that a device took out of it.
    #[must_use]
    pub fn with_stripped(mut self, tci: u16) -> Self {
        self.stripped = tci | 0x1000;
        self
    }

    /// The packet with its L4 checksum left open by the sender, as a guest leaves it.
    #[must_use]
    pub fn with_open_checksum(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// The tag beside the bytes, with bit 12 set; 0 if none.
    pub fn stripped(&self) -> u16 {
        self.stripped
    }

    /// Whether the L4 checksum is left open.
    pub fn has_open_checksum(&self) -> bool {
        self.is_open
    }
}

impl Packet for HeapPacket {
    fn data(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn data_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }

    fn push_front(&mut self, n: usize) -> bool {
        let room = self.start >= n;
        if room {
            self.start -= n;
        }
        room
    }

    fn pull_front(&mut self, n: usize) -> bool {
        let there = self.data().len() >= n;
        if there {
            self.start += n;
        }
        there
    }

    fn push_back(&mut self, n: usize) -> bool {
        self.bytes.resize(self.bytes.len() + n, 0);
        true
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start + len);
    }

    fn try_copy(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn clear_offloads(&mut self) {
        (self.stripped, self.is_open) = (0, false);
    }

    fn tag_is_back(&mut self) {
        self.stripped = 0;
    }
}
