//! `millraced`, the switch: the order of start-up and shutdown, and nothing else.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Parser;
use millrace::config::{self, Config};
use millrace::control;
use millrace::datapath::Datapath;
use millrace::worker::{Engine, MemoryBackend, WorkerSetup, cache_sizes};
use tracing_subscriber::EnvFilter;

/// Sleep of an idle worker where no device is polled.
const NO_DPDK_SLEEP: Duration = Duration::from_millis(1);

/// The millrace virtual switch.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// Configuration file; without one the defaults hold
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the configuration file, say whether it is right, and stop
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    check: Option<PathBuf>,
    /// Run without DPDK: the control side, and ports of type memory alone
    #[arg(long)]
    no_dpdk: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "millraced: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(file) = &options.check {
        let config = Config::load(file)?;
        control::northbound::check(&config.ovn).map_err(|error| anyhow!("{error}"))?;
        if let Some(caution) = caution(&config) {
            println!("{}: take care: {caution}", file.display());
        }
        println!(
            "{}: right; {} port(s), {} worker(s), socket {}",
            file.display(),
            config.ports.len(),
            config.workers.cores.len(),
            config.control.socket.display()
        );
        return Ok(());
    }
    let config = options.config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    start_log(&config)?;
    for core in config.shared_cores() {
        tracing::warn!("core {core} is shared by the control thread and a worker; both will be slower");
    }
    if let Some(caution) = caution(&config) {
        tracing::warn!("{caution}");
    }
    // Before EAL narrows it: the cores that this process may use.
    let cores = allowed_cores()?;
    if options.no_dpdk {
        let setups = vec![WorkerSetup { core: None, numa: -1 }; config.workers.cores.len()];
        // Nothing comes by itself here, so there is nothing to poll for without pause.
        let idle_sleep = config.workers.idle_sleep.max(NO_DPDK_SLEEP);
        let sizes = cache_sizes(&config.cache);
        let engine = Engine::start(MemoryBackend::default(), &setups, idle_sleep, sizes)?;
        return serve(&config, Box::new(engine));
    }
    with_dpdk(&config, &cores)
}

/// What the configuration may not mean as it says it.
fn caution(config: &Config) -> Option<String> {
    config.underlay.as_ref().and_then(config::Underlay::caution)
}

fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("the log filter \"{}\" cannot be read; mend `[log] filter`", config.log))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that nobody reads any more must not stop the switch.
        .log_internal_errors(false)
        .init();
    Ok(())
}

fn allowed_cores() -> anyhow::Result<Vec<usize>> {
    let cores = core_affinity::get_core_ids().context("the kernel does not say which cores may be used")?;
    Ok(cores.into_iter().map(|core| core.id).collect())
}

/// Runs the control side on this thread until it is told to stop.
fn serve(config: &Config, datapath: Box<dyn Datapath>) -> anyhow::Result<()> {
    // Its sentences are whole: printed with their sources they would say everything twice.
    control::run(config, datapath, control::terminated(), || tracing::info!("ready"))
        .map_err(|error| anyhow!("{error}"))
}

#[cfg(not(feature = "dpdk"))]
fn with_dpdk(_config: &Config, _cores: &[usize]) -> anyhow::Result<()> {
    bail!(
        "this millraced was built without DPDK; start it with --no-dpdk, or build it with the feature `dpdk`"
    )
}

#[cfg(feature = "dpdk")]
fn with_dpdk(config: &Config, cores: &[usize]) -> anyhow::Result<()> {
    use millrace::dpdk::eal::{Eal, Options as EalOptions};
    use millrace::worker::{DpdkBackend, numa_node, plan_cores, use_hugepages};

    let plan = plan_cores(config, cores)?;
    // Threads inherit this: EAL's own must never share a worker's core.
    let Some(first) = plan.control.first() else { bail!("no core is left for the control thread") };
    core_affinity::set_for_current(core_affinity::CoreId { id: *first });
    let hugepages = use_hugepages(config.dpdk.hugepages, config.dpdk.memory_mb);
    if !hugepages {
        tracing::info!("running without hugepages: {} MB of ordinary pages", config.dpdk.memory_mb);
    }
    let eal = Eal::start(&EalOptions {
        control_cores: plan.control.clone(),
        hugepages,
        memory_mb: config.dpdk.memory_mb,
        file_prefix: config.dpdk.file_prefix.clone(),
        pci: config.dpdk.pci,
        extra_args: config.dpdk.extra_args.clone(),
    })?;
    let setups: Vec<_> =
        plan.workers.iter().map(|core| WorkerSetup { core: Some(*core), numa: numa_node(*core) }).collect();
    let sizes = cache_sizes(&config.cache);
    let engine = Engine::start(DpdkBackend::default(), &setups, config.workers.idle_sleep, sizes)?;
    let result = serve(config, Box::new(engine));
    // Last: workers, ports and pools went with the engine.
    drop(eal);
    result
}
