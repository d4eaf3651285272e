//! DPDK's log lines, passed on to `tracing` under the target `dpdk`, the last few kept to explain a failure.

use std::collections::VecDeque;
use std::ffi::c_char;
use std::sync::Mutex;

/// How many lines explain a failure.
const KEPT: usize = 8;

static RECENT: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Forgets the lines kept so far. Before a call that may fail.
pub(super) fn forget() {
    if let Ok(mut recent) = RECENT.lock() {
        recent.clear();
    }
}

/// What DPDK said since [`forget`], as the end of a sentence: empty, or ` (DPDK says: …)`.
pub(super) fn said() -> String {
    let Ok(recent) = RECENT.lock() else { return String::new() };
    if recent.is_empty() {
        return String::new();
    }
    format!(" (DPDK says: {})", recent.iter().map(String::as_str).collect::<Vec<_>>().join("; "))
}

/// What DPDK's log stream is connected to; called on whatever thread logs, outside the packet path but for drivers'
/// own complaints.
#[unsafe(no_mangle)]
extern "C" fn mr_log_sink(text: *const c_char, length: usize) {
    // SAFETY: the stream calls with `length` readable bytes, not kept beyond this call.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        tracing::debug!(target: "dpdk", "{line}");
        if let Ok(mut recent) = RECENT.lock() {
            if recent.len() == KEPT {
                recent.pop_front();
            }
            recent.push_back(line.to_owned());
        }
    }
}
