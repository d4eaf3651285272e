//! A packet buffer that owns itself.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::sys;
use crate::packet::{CsumState, Packet, PacketMeta, Said};

/// Flags that say whose memory the buffer is. They are not ours to clear: freeing goes by them.
const ATTACHED: u64 = sys::RTE_MBUF_F_EXTERNAL | sys::RTE_MBUF_F_INDIRECT;

/// Longest L3 header that `tx_offload` can say.
pub(super) const MAX_L3_LEN: u16 = 0x1ff;

/// One `rte_mbuf` with one segment, freed when dropped.
///
/// `repr(transparent)` over the pointer, so that an array of them is what `rte_eth_rx_burst` fills.
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// SAFETY: an mbuf is owned by whoever holds the `Mbuf`; its pool may be used from any thread.
unsafe impl Send for Mbuf {}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: owned, and freed here only; whoever gives the pointer away forgets the `Mbuf`.
        unsafe { sys::mr_mbuf_free(self.0.as_ptr()) };
    }
}

impl Mbuf {
    /// Takes ownership of a buffer.
    ///
    /// # Safety
    /// `raw` is a valid mbuf that nobody else owns.
    pub(super) unsafe fn from_raw(raw: NonNull<sys::rte_mbuf>) -> Self {
        Self(raw)
    }

    /// Gives ownership away.
    pub(super) fn into_raw(self) -> *mut sys::rte_mbuf {
        ManuallyDrop::new(self).0.as_ptr()
    }

    #[inline(always)]
    fn raw(&self) -> &sys::rte_mbuf {
        // SAFETY: valid and owned for as long as `self`.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    fn raw_mut(&mut self) -> &mut sys::rte_mbuf {
        // SAFETY: valid and owned, borrowed mutably.
        unsafe { self.0.as_mut() }
    }

    #[inline(always)]
    fn data_off(&self) -> usize {
        usize::from(self.raw().data_off)
    }

    /// Asks for the first line of its bytes.
    #[inline(always)]
    pub fn prefetch_data(&self) {
        let raw = self.raw();
        crate::hint::prefetch_at(raw.buf_addr.wrapping_byte_add(usize::from(raw.data_off)));
    }

    /// Whether the packet came in one segment. Those that did not are made so by [`Mbuf::linearised`].
    #[inline(always)]
    pub fn is_linear(&self) -> bool {
        self.raw().nb_segs == 1
    }

    /// The same packet in one segment, or none if it does not fit a buffer or no buffer is left.
    #[cold]
    pub fn linearised(self) -> Option<Self> {
        self.copy_whole()
    }

    fn copy_whole(&self) -> Option<Self> {
        // SAFETY: the mbuf is valid, its pool outlives it; the shim returns a new mbuf or NULL.
        let raw = unsafe { sys::mr_mbuf_copy(self.0.as_ptr(), self.raw().pool) };
        NonNull::new(raw).map(Self)
    }

    /// What the driver said of the packet on reception. Leaves lengths and offsets to the parser.
    #[inline(always)]
    pub fn read_meta(&self, meta: &mut PacketMeta) {
        let raw = self.raw();
        meta.len = raw.pkt_len;
        meta.said = if raw.ol_flags & !HARMLESS == 0 { Said::default() } else { said(raw) };
    }

    /// Asks nothing of the driver on transmission: what it said on reception does not count any more.
    #[inline(always)]
    pub fn clear_offloads(&mut self) {
        self.raw_mut().ol_flags &= ATTACHED;
    }

    /// Asks the driver for checksums: `flags` of `RTE_MBUF_F_TX_*`, lengths of the L2 and L3 headers.
    pub(super) fn request_offloads(&mut self, flags: u64, l2_len: u16, l3_len: u16) {
        let raw = self.raw_mut();
        raw.ol_flags = (raw.ol_flags & ATTACHED) | flags;
        // tx_offload: l2_len in bits 0–6, l3_len in bits 7–15, l4_len and the rest zero.
        raw.__bindgen_anon_3.tx_offload = u64::from(l2_len & 0x7f) | (u64::from(l3_len & 0x1ff) << 7);
    }
}

/// Flags of reception that ask for nothing: a driver that sends the packet does not look at them.
const HARMLESS: u64 =
    sys::RTE_MBUF_F_RX_RSS_HASH | sys::RTE_MBUF_F_RX_IP_CKSUM_GOOD | sys::RTE_MBUF_F_RX_L4_CKSUM_GOOD;

/// What the flags of a packet say.
#[inline]
fn said(raw: &sys::rte_mbuf) -> Said {
    let flags = raw.ol_flags;
    let stripped = flags & sys::RTE_MBUF_F_RX_VLAN_STRIPPED != 0;
    Said::new(
        csum_state(flags, sys::RTE_MBUF_F_RX_IP_CKSUM_GOOD, sys::RTE_MBUF_F_RX_IP_CKSUM_BAD),
        csum_state(flags, sys::RTE_MBUF_F_RX_L4_CKSUM_GOOD, sys::RTE_MBUF_F_RX_L4_CKSUM_BAD),
        if stripped { raw.vlan_tci | 0x1000 } else { 0 },
    )
}

/// What two flags say of a checksum; both together are RTE_MBUF_F_RX_*_CKSUM_NONE: open, but the data is good.
#[inline(always)]
fn csum_state(flags: u64, good: u64, bad: u64) -> CsumState {
    const STATES: [CsumState; 4] = [CsumState::Unknown, CsumState::Bad, CsumState::Good, CsumState::Partial];
    STATES[usize::from(flags & good != 0) * 2 + usize::from(flags & bad != 0)]
}

const _: () = assert!(
    sys::RTE_MBUF_F_RX_IP_CKSUM_NONE == sys::RTE_MBUF_F_RX_IP_CKSUM_GOOD | sys::RTE_MBUF_F_RX_IP_CKSUM_BAD
        && sys::RTE_MBUF_F_RX_L4_CKSUM_NONE
            == sys::RTE_MBUF_F_RX_L4_CKSUM_GOOD | sys::RTE_MBUF_F_RX_L4_CKSUM_BAD
);

impl Packet for Mbuf {
    #[inline(always)]
    fn data(&self) -> &[u8] {
        let raw = self.raw();
        // SAFETY: data_off and data_len describe bytes inside the buffer, as DPDK and the methods below keep them.
        unsafe {
            std::slice::from_raw_parts(
                raw.buf_addr.cast::<u8>().add(self.data_off()),
                usize::from(raw.data_len),
            )
        }
    }

    #[inline(always)]
    fn data_mut(&mut self) -> &mut [u8] {
        let (offset, length) = (self.data_off(), usize::from(self.raw().data_len));
        // SAFETY: as in `data`; owned and borrowed mutably, and buffers are never shared (copies, no clones).
        unsafe { std::slice::from_raw_parts_mut(self.raw_mut().buf_addr.cast::<u8>().add(offset), length) }
    }

    #[inline]
    fn push_front(&mut self, n: usize) -> bool {
        let fits = self.data_off() >= n && usize::from(self.raw().data_len) + n <= usize::from(u16::MAX);
        if fits {
            let raw = self.raw_mut();
            raw.data_off -= n as u16;
            raw.data_len += n as u16;
            raw.pkt_len += n as u32;
        }
        fits
    }

    #[inline]
    fn pull_front(&mut self, n: usize) -> bool {
        let there = usize::from(self.raw().data_len) >= n;
        if there {
            let raw = self.raw_mut();
            raw.data_off += n as u16;
            raw.data_len -= n as u16;
            raw.pkt_len -= n as u32;
        }
        there
    }

    #[inline]
    fn push_back(&mut self, n: usize) -> bool {
        let raw = self.raw_mut();
        let end = usize::from(raw.data_off) + usize::from(raw.data_len);
        let fits = end + n <= usize::from(raw.buf_len);
        if fits {
            raw.data_len += n as u16;
            raw.pkt_len += n as u32;
        }
        fits
    }

    fn truncate(&mut self, len: usize) {
        let raw = self.raw_mut();
        if len < usize::from(raw.data_len) {
            raw.data_len = len as u16;
            raw.pkt_len = len as u32;
        }
    }

    #[inline]
    fn try_copy(&self) -> Option<Self> {
        self.copy_whole()
    }

    fn clear_offloads(&mut self) {
        Mbuf::clear_offloads(self);
    }

    fn tag_is_back(&mut self) {
        self.raw_mut().ol_flags &= !(sys::RTE_MBUF_F_RX_VLAN | sys::RTE_MBUF_F_RX_VLAN_STRIPPED);
    }
}
