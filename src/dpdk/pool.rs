//! Packet pools. A pool is freed once its handle is dropped and the last buffer has come back to it.

use std::ffi::CString;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::mbuf::Mbuf;
use super::{Errno, sys};
use crate::packet::Packet;

/// Buffers a worker keeps to itself.
pub const CACHE: u32 = 256;

static NEXT_NAME: AtomicU32 = AtomicU32::new(0);
/// Pools whose handle is gone. Touched by the control thread only.
static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());

struct Raw(NonNull<sys::rte_mempool>);

// SAFETY: a mempool may be used from any thread.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

/// A pool that waits for its last buffers.
struct Orphan {
    raw: Raw,
    /// Whether all were back at the last look. A worker may then still be inside the call that gave one back, so
    /// the pool is freed only when the next look, a tick later, finds the same.
    was_full: bool,
}

impl Orphan {
    /// Frees the pool if all of its buffers have been back for two looks; else gives it back.
    fn look(self) -> Option<Self> {
        // SAFETY: the pool is valid.
        let full = unsafe { sys::mr_pool_is_full(self.raw.0.as_ptr()) } != 0;
        if full && self.was_full {
            // SAFETY: nobody holds a buffer of it, and nobody can take one: the handle is gone.
            unsafe { sys::rte_mempool_free(self.raw.0.as_ptr()) };
            return None;
        }
        Some(Self { was_full: full, ..self })
    }
}

/// A pool of packet buffers.
pub struct Pool {
    raw: Option<Raw>,
    size: u32,
    room: u16,
}

impl Pool {
    /// Makes a pool of at least `count` buffers with room for frames of `frame` bytes, on a NUMA node (-1: any).
    pub fn new(count: u32, frame: u16, numa: i32) -> Result<Self, String> {
        let size = count.max(2 * CACHE).next_power_of_two() - 1;
        let room = frame.saturating_add(sys::RTE_PKTMBUF_HEADROOM as u16).next_multiple_of(64);
        let name = format!("mr_pool_{}", NEXT_NAME.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: the name is NUL-terminated and copied by DPDK.
        let raw = unsafe { sys::rte_pktmbuf_pool_create(name.as_ptr(), size, CACHE, 0, room, numa) };
        match NonNull::new(raw) {
            Some(raw) => Ok(Self { raw: Some(Raw(raw)), size, room }),
            None => Err(format!(
                "no memory for {size} packet buffers of {room} bytes ({} MB): {}; raise `[dpdk] memory_mb` and \
                 the hugepages, or lower `n_rxq_desc`, `n_txq_desc`, `n_rxq` or `mtu` of the port",
                (u64::from(size) * (u64::from(room) + 256)) >> 20,
                Errno::last(),
            )),
        }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.raw.as_ref().map_or(std::ptr::null_mut(), |raw| raw.0.as_ptr())
    }

    /// How many buffers it was made with.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How many are in the pool and its caches now.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool is valid; the count is a snapshot.
        unsafe { sys::rte_mempool_avail_count(self.as_ptr()) }
    }

    /// Bytes of a frame that fit a buffer.
    pub fn frame_room(&self) -> usize {
        usize::from(self.room).saturating_sub(sys::RTE_PKTMBUF_HEADROOM as usize)
    }

    /// A packet with these bytes; none if no buffer is left or they do not fit one.
    pub fn packet(&self, frame: &[u8]) -> Option<Mbuf> {
        // SAFETY: the pool is valid; the shim returns a new mbuf or NULL.
        let raw = NonNull::new(unsafe { sys::mr_mbuf_alloc(self.as_ptr()) })?;
        // SAFETY: just allocated, ours.
        let mut mbuf = unsafe { Mbuf::from_raw(raw) };
        if !mbuf.push_back(frame.len()) {
            return None;
        }
        mbuf.data_mut().copy_from_slice(frame);
        Some(mbuf)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take()
            && let Ok(mut orphans) = ORPHANS.lock()
        {
            orphans.push(Orphan { raw, was_full: false });
        }
    }
}

/// Frees the pools whose last buffer has come back since. Returns how many still wait. Ten times a second or less.
pub fn reap_orphans() -> usize {
    let Ok(mut orphans) = ORPHANS.lock() else { return 0 };
    *orphans = std::mem::take(&mut *orphans).into_iter().filter_map(Orphan::look).collect();
    orphans.len()
}
