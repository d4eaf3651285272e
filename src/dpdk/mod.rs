//! The only module that talks to DPDK: the environment ([`eal`]), packet buffers ([`mbuf`], [`pool`]) and devices
//! ([`port`]).
//!
//! The invariants. An [`mbuf::Mbuf`] owns its buffer: it is freed exactly once, by its drop or by the driver that took
//! it. A [`port::Port`] is stopped and closed by its drop, and a pool outlives every buffer taken from it. A receive
//! queue is polled by one worker at a time, a transmit queue used by one at a time: see [`port`].
//!
//! DPDK's header structs are not used, and nothing outside this folder names a symbol of the bindings.

#![allow(unsafe_code)]

pub mod eal;
mod log;
pub mod mbuf;
pub mod pool;
pub mod port;
pub(crate) mod sys;

use std::ffi::CStr;

/// What DPDK answered to a call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// From a return value of DPDK: negative errno values, or -1 with the number in `rte_errno`.
    fn from_return(value: i32) -> Self {
        if value == -1 { Self::last() } else { Self(value.abs()) }
    }

    /// `rte_errno` of this thread.
    fn last() -> Self {
        // SAFETY: reads a thread-local of DPDK; needs nothing.
        Self(unsafe { sys::mr_errno() })
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SAFETY: rte_strerror returns a NUL-terminated string in a buffer of the calling thread, good until its
        // next call on this thread; it is copied out before that.
        let text = unsafe { CStr::from_ptr(sys::rte_strerror(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

/// DPDK's version, such as "DPDK 22.11.11".
pub fn version() -> String {
    // SAFETY: returns a NUL-terminated static string.
    unsafe { CStr::from_ptr(sys::rte_version()) }.to_string_lossy().into_owned()
}

/// The time stamp counter.
#[inline(always)]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and Linux allows it to user code.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: needs nothing.
    return unsafe { sys::mr_tsc() };
}

/// Counts of [`tsc`] a second.
pub fn tsc_hz() -> u64 {
    // SAFETY: reads a number set by rte_eal_init; zero before.
    unsafe { sys::rte_get_tsc_hz() }
}
