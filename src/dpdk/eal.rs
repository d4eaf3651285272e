//! DPDK's environment: started once per process on the main thread, and the registration of worker threads.

use std::ffi::{CStr, CString, OsStr};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Errno, log, sys};

/// What the environment is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cores of the main thread and of DPDK's own threads. The calling thread must already be narrowed to them.
    pub control_cores: Vec<usize>,
    /// Whether to use hugepages.
    pub hugepages: bool,
    /// Megabytes to reserve.
    pub memory_mb: u32,
    /// Shares memory with other DPDK processes (dpdk-proc-info, dpdk-pdump) under this prefix; else nothing is
    /// left in the file system.
    pub file_prefix: Option<String>,
    /// Whether to look for devices on the PCI bus.
    pub pci: bool,
    /// Further arguments.
    pub extra_args: Vec<String>,
}

/// Why the environment could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// It runs already.
    #[error("DPDK was started already in this process")]
    Twice,
    /// An argument has a NUL byte in it.
    #[error("the DPDK argument {0:?} contains a NUL byte; mend `[dpdk] extra_args`")]
    Nul(String),
    /// DPDK refused.
    #[error("DPDK did not start: {errno}{said}; mend `[dpdk]` in the config (arguments were: {arguments})")]
    Init {
        /// Its number.
        errno: Errno,
        /// What it logged.
        said: String,
        /// What it was given.
        arguments: String,
    },
    /// Not enough hugepages.
    #[error(
        "DPDK could not reserve {0} MB in hugepages{1}; reserve more with `echo N > /proc/sys/vm/nr_hugepages`, \
         lower `[dpdk] memory_mb`, or set `[dpdk] hugepages = \"off\"`"
    )]
    Hugepages(u32, String),
}

/// Set while an [`Eal`] lives, and for good once it was dropped: DPDK cannot start twice.
static STARTED: AtomicBool = AtomicBool::new(false);

/// The running environment. Dropped last, on the thread that made it: packet pools, ports and worker registrations
/// must be gone by then.
pub struct Eal {
    /// Folder of run-time files, if there is one of our own.
    run_time: Option<PathBuf>,
    not_send: PhantomData<*mut ()>,
}

impl Eal {
    /// Starts the environment on the calling thread.
    pub fn start(options: &Options) -> Result<Self, EalError> {
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(EalError::Twice);
        }
        // SAFETY: sets a callback stream and log levels; allowed before rte_eal_init. The pattern is a C literal.
        unsafe {
            sys::mr_log_to_rust();
            sys::rte_log_set_level_pattern(c"*".as_ptr(), 6);
        }
        log::forget();
        let arguments = options.arguments();
        let strings = arguments
            .iter()
            .map(|argument| CString::new(argument.as_str()).map_err(|_| EalError::Nul(argument.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        // rte_eal_init may permute the pointers and keeps none of the strings.
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr().cast_mut()).collect();
        // SAFETY: argc strings follow, all alive during the call; DPDK does not write to them.
        let parsed = unsafe { sys::rte_eal_init(pointers.len() as i32, pointers.as_mut_ptr()) };
        if parsed < 0 {
            let errno = Errno::from_return(parsed);
            let said = log::said();
            if options.hugepages && (errno.0 == libc::ENOMEM || said.contains("hugepage")) {
                return Err(EalError::Hugepages(options.memory_mb, said));
            }
            return Err(EalError::Init { errno, said, arguments: arguments[1..].join(" ") });
        }
        log::forget();
        let run_time = options.file_prefix.as_ref().map(|_| {
            // SAFETY: after rte_eal_init; returns a NUL-terminated string that DPDK keeps.
            let folder = unsafe { CStr::from_ptr(sys::rte_eal_get_runtime_dir()) };
            PathBuf::from(OsStr::from_bytes(folder.to_bytes()))
        });
        Ok(Self { run_time, not_send: PhantomData })
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        // SAFETY: on the thread that started it (not Send); the owner has dropped ports, pools and workers before.
        unsafe { sys::rte_eal_cleanup() };
        // DPDK leaves an empty shell of files; what cannot be removed is in nobody's way.
        if let Some(folder) = &self.run_time {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Options {
    fn arguments(&self) -> Vec<String> {
        let cores = self.control_cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let mut arguments = vec![
            "millraced".to_owned(),
            format!("--lcores=0@({cores})"),
            "--no-telemetry".to_owned(),
            "-m".to_owned(),
            self.memory_mb.to_string(),
        ];
        match &self.file_prefix {
            Some(prefix) => arguments.push(format!("--file-prefix={prefix}")),
            // Both leave nothing in the file system; the first is refused with ordinary pages.
            None if self.hugepages => arguments.push("--in-memory".to_owned()),
            None => arguments.push("--no-shconf".to_owned()),
        }
        if !self.hugepages {
            arguments.push("--no-huge".to_owned());
        }
        if self.pci {
            // Devices are opened one by one, as ports; without this EAL would take every one that is bound for DPDK,
            // those of other processes too. The address is the host bridge's, which no driver wants.
            arguments.push("--allow=0000:00:00.0".to_owned());
        } else {
            arguments.push("--no-pci".to_owned());
        }
        arguments.extend(self.extra_args.iter().cloned());
        arguments
    }
}

/// This thread as DPDK knows it, so that packet pools give it a cache. Without one a packet costs three times as much.
pub struct RegisteredThread {
    not_send: PhantomData<*mut ()>,
}

impl RegisteredThread {
    /// Registers the calling thread. None if DPDK has no place left for it, or it is registered already.
    pub fn register() -> Option<Self> {
        // SAFETY: called on a thread of ours that is not an lcore; undone by the drop, on the same thread (not Send).
        (unsafe { sys::rte_thread_register() } == 0).then_some(Self { not_send: PhantomData })
    }
}

impl Drop for RegisteredThread {
    fn drop(&mut self) {
        // SAFETY: on the registered thread itself. Its caches are emptied first, else their packets would be lost
        // to the pools.
        unsafe {
            sys::mr_flush_caches();
            sys::rte_thread_unregister();
        }
    }
}
