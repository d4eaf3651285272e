//! Hints to the processor and the kernel about memory. They change nothing but how long things take.

#![allow(unsafe_code)]

/// What the kernel backs with one large page.
const HUGE: usize = 2 << 20;

/// Asks for the cache line that a value begins in.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    prefetch_at(std::ptr::from_ref(value));
}

/// The same for a place that may be no value at all.
#[inline(always)]
pub fn prefetch_at<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction never faults and reads nothing that the program sees, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// Room for values that are used at random places: behind many megabytes of it are large pages, so that a table costs few
/// TLB entries. Not touched yet.
pub fn room<T>(count: usize) -> Vec<T> {
    let mut room = Vec::with_capacity(count);
    huge_pages(room.spare_capacity_mut());
    room
}

/// A table of defaults in such memory.
pub fn table<T: Clone + Default>(count: usize) -> Box<[T]> {
    let mut table = room(count);
    table.resize(count, T::default());
    table.into()
}

/// Asks the kernel for large pages behind memory that was not touched yet. What does not fill a large page stays as it is.
fn huge_pages<T>(memory: &mut [T]) {
    let start = memory.as_ptr().addr().next_multiple_of(HUGE);
    let end = memory.as_ptr_range().end.addr() & !(HUGE - 1);
    if cfg!(miri) || start >= end {
        return;
    }
    let first = memory.as_mut_ptr().with_addr(start).cast();
    // SAFETY: whole pages within memory that the caller lends; the advice leaves what they hold as it is. A kernel that
    // refuses it changes nothing.
    let _ = unsafe { libc::madvise(first, end - start, libc::MADV_HUGEPAGE) };
}
