//! Packet pools. A pool whose handle is dropped is given to the next port that needs one like it, or freed once the last
//! buffer has come back and every worker has passed a quiescent state since: the call that brings a buffer back counts
//! it before it is done with the pool.

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

/// A pool without a port: it waits for its last buffers, or for a port that wants one like it.
struct Orphan {
    raw: Raw,
    size: u32,
    room: u16,
    numa: i32,
    /// Whether all buffers were back at the last look.
    was_full: bool,
}

/// A pool of packet buffers.
pub struct Pool {
    raw: Option<Raw>,
    size: u32,
    room: u16,
    numa: i32,
}

impl Pool {
    /// Makes a pool of at least `count` buffers with room for frames of `frame` bytes, on a NUMA node (-1: any).
    pub fn new(count: u32, frame: u16, numa: i32) -> Result<Self, String> {
        let size = count.max(2 * CACHE).next_power_of_two() - 1;
        let room = frame.saturating_add(sys::RTE_PKTMBUF_HEADROOM as u16).next_multiple_of(64);
        if let Some(raw) = adopt(size, room, numa) {
            return Ok(Self { raw: Some(raw), size, room, numa });
        }
        let name = format!("mr_pool_{}", NEXT_NAME.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: the name is NUL-terminated and copied by DPDK.
        let raw = unsafe { sys::rte_pktmbuf_pool_create(name.as_ptr(), size, CACHE, 0, room, numa) };
        match NonNull::new(raw) {
            Some(raw) => Ok(Self { raw: Some(Raw(raw)), size, room, numa }),
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
            let (size, room, numa) = (self.size, self.room, self.numa);
            orphans.push(Orphan { raw, size, room, numa, was_full: false });
        }
    }
}

/// Takes an orphan of that shape. Buffers that are still out will come back to it as to any pool in use.
fn adopt(size: u32, room: u16, numa: i32) -> Option<Raw> {
    let mut orphans = ORPHANS.lock().ok()?;
    let fits = |orphan: &Orphan| (orphan.size, orphan.room, orphan.numa) == (size, room, numa);
    let index = orphans.iter().position(fits)?;
    Some(orphans.swap_remove(index).raw)
}

/// Looks which orphans have all their buffers back, and says whether any has.
pub fn look_at_orphans() -> bool {
    let Ok(mut orphans) = ORPHANS.lock() else { return false };
    for orphan in orphans.iter_mut() {
        // SAFETY: the pool is valid.
        orphan.was_full = unsafe { sys::mr_pool_is_full(orphan.raw.0.as_ptr()) } != 0;
    }
    orphans.iter().any(|orphan| orphan.was_full)
}

/// Frees the orphans that the last look found full, and returns how many are left. The caller has seen to it that every
/// worker has passed a quiescent state since that look.
pub fn free_orphans() -> usize {
    let Ok(mut orphans) = ORPHANS.lock() else { return 0 };
    orphans.retain(|orphan| {
        if orphan.was_full {
            // SAFETY: all buffers are back, nobody can take one without a handle, and no worker is still inside the
            // call that brought the last one back.
            unsafe { sys::rte_mempool_free(orphan.raw.0.as_ptr()) };
        }
        !orphan.was_full
    });
    orphans.len()
}
