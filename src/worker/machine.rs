//! What has to be known before the workers start: cores, NUMA nodes, free hugepages, how large the caches are to be.

use std::fs;

use crate::config::{Cache, Config, Hugepages};
use crate::pipeline::cache::CacheSizes;

/// Which threads go where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorePlan {
    /// One worker a core.
    pub workers: Vec<usize>,
    /// The control thread's, and those of DPDK's own threads.
    pub control: Vec<usize>,
}

/// Why the cores of the config cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// Not there, or not allowed.
    #[error(
        "core {core} of `{key}` does not exist or is not allowed to this process, which may use {allowed:?}; mend \
         the config, or the cpuset or affinity that millraced was started with"
    )]
    Missing {
        /// The core.
        core: usize,
        /// Key of the config.
        key: &'static str,
        /// What may be used.
        allowed: Vec<usize>,
    },
    /// Workers have all of them.
    #[error(
        "the workers take every core that this process may use ({0:?}), so none is left for the control thread; take \
         one out of `[workers] cores`, or name one to share in `[control] cores`"
    )]
    NoneForControl(Vec<usize>),
}

/// Gives cores to the workers and to the control side: those that the config names, else all that no worker has.
pub fn plan_cores(config: &Config, allowed: &[usize]) -> Result<CorePlan, CoreError> {
    let check = |cores: &[usize], key: &'static str| match cores.iter().find(|core| !allowed.contains(core)) {
        Some(core) => Err(CoreError::Missing { core: *core, key, allowed: allowed.to_vec() }),
        None => Ok(()),
    };
    check(&config.workers.cores, "workers.cores")?;
    check(&config.control.cores, "control.cores")?;
    let mut control = config.control.cores.clone();
    if control.is_empty() {
        control = allowed.iter().copied().filter(|core| !config.workers.cores.contains(core)).collect();
    }
    if control.is_empty() {
        return Err(CoreError::NoneForControl(allowed.to_vec()));
    }
    Ok(CorePlan { workers: config.workers.cores.clone(), control })
}

/// How large the config wants the caches of a worker.
pub fn cache_sizes(cache: &Cache) -> CacheSizes {
    CacheSizes {
        megaflows: cache.megaflows as usize,
        megaflows_per_port: cache.megaflows_per_port as usize,
        masks_per_port: cache.masks_per_port as usize,
        emc_entries: cache.emc_entries as usize,
        // At most an hour.
        max_idle_ms: cache.max_idle.as_millis() as u32,
    }
}

/// NUMA node of a core; -1 if the kernel does not say.
pub fn numa_node(core: usize) -> i32 {
    let Ok(entries) = fs::read_dir(format!("/sys/devices/system/cpu/cpu{core}")) else { return -1 };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).next().unwrap_or(-1)
}

/// Whether to start with hugepages: as asked, or where as many are free as the memory needs.
pub fn use_hugepages(asked: Hugepages, memory_mb: u32) -> bool {
    match asked {
        Hugepages::On => true,
        Hugepages::Off => false,
        Hugepages::Auto => free_hugepage_mb() >= u64::from(memory_mb),
    }
}

/// Megabytes in free hugepages of all sizes.
fn free_hugepage_mb() -> u64 {
    let Ok(sizes) = fs::read_dir("/sys/kernel/mm/hugepages") else { return 0 };
    let free = |entry: fs::DirEntry| {
        let kb: u64 =
            entry.file_name().to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let pages: u64 = fs::read_to_string(entry.path().join("free_hugepages")).ok()?.trim().parse().ok()?;
        Some(kb * pages / 1024)
    };
    sizes.flatten().filter_map(free).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(workers: &[usize], control: &[usize]) -> Config {
        let mut config = Config::default();
        config.workers.cores = workers.to_vec();
        config.control.cores = control.to_vec();
        config
    }

    #[test]
    fn the_caches_are_as_large_as_the_config_says() {
        assert_eq!(cache_sizes(&Cache::default()), CacheSizes::default());
        let cache = Cache {
            megaflows: 1,
            megaflows_per_port: 2,
            masks_per_port: 3,
            emc_entries: 4,
            max_idle: std::time::Duration::from_secs(3600),
        };
        let sizes = CacheSizes {
            megaflows: 1,
            megaflows_per_port: 2,
            masks_per_port: 3,
            emc_entries: 4,
            max_idle_ms: 3_600_000,
        };
        assert_eq!(cache_sizes(&cache), sizes);
    }

    #[test]
    fn control_gets_what_the_workers_leave() {
        let plan = plan_cores(&config(&[1, 3], &[]), &[0, 1, 2, 3]).unwrap();
        assert_eq!(plan, CorePlan { workers: vec![1, 3], control: vec![0, 2] });
        let shared = plan_cores(&config(&[0], &[0]), &[0]).unwrap();
        assert_eq!(shared.control, [0]);
    }

    #[test]
    fn a_core_that_is_not_there_is_named() {
        let error = plan_cores(&config(&[7], &[]), &[0, 1]).unwrap_err();
        assert!(error.to_string().starts_with("core 7 of `workers.cores` does not exist"), "{error}");
        assert_eq!(plan_cores(&config(&[0], &[]), &[0]), Err(CoreError::NoneForControl(vec![0])));
    }
}
