//! What workers measured, under Open vSwitch's names and in its layout: `dpif-netdev/pmd-perf-show`,
//! `pmd-stats-show`, `pmd-stats-clear`. A worker is a "pmd thread", a miss is an "upcall", and what Open vSwitch has and
//! this switch has not (SMC, partial offload, recirculation) is zero.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::perf::{Derived, ratio};
use super::{CommandError, Outcome, done};
use crate::control::switch::{State, Switch};
use crate::datapath::perf::WorkerPerf;

/// Names of the one datapath beside the switch's own, as scripts for Open vSwitch have them.
const DATAPATHS: [&str; 2] = ["netdev@ovs-netdev", "ovs-netdev"];

/// Refuses a datapath that is not this switch.
pub fn check_datapath(switch: &Switch, name: &str) -> Result<(), CommandError> {
    if name == switch.name() || DATAPATHS.contains(&name) {
        return Ok(());
    }
    let sentence = format!(
        "there is no datapath \"{name}\"; this switch is the one there is, so leave the name out or write \"{}\"",
        switch.name()
    );
    Err(CommandError::Argument(sentence))
}

/// What was asked for.
#[derive(Default)]
struct Options {
    /// Only the worker on this core.
    core: Option<usize>,
    /// `-nh`
    without_histograms: bool,
}

fn options(switch: &Switch, args: &[String]) -> Result<Options, CommandError> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-nh" => options.without_histograms = true,
            "-pmd" => {
                let core = args.next().and_then(|core| core.parse().ok());
                options.core = Some(core.ok_or_else(|| {
                    CommandError::Argument("-pmd takes the number of a core, such as \"-pmd 1\"".to_owned())
                })?);
            }
            "-it" | "-ms" => {
                let sentence =
                    format!("there is no history of iterations; leave {arg} out, or see \"perf/show\"");
                return Err(CommandError::Argument(sentence));
            }
            name => check_datapath(switch, name)?,
        }
    }
    Ok(options)
}

/// One worker's measurements, with what Open vSwitch prints beside them.
#[derive(Serialize)]
struct Pmd {
    numa_id: i32,
    core_id: Option<usize>,
    #[serde(flatten)]
    perf: WorkerPerf,
    #[serde(flatten)]
    derived: Derived,
}

fn pmds(state: &State, core: Option<usize>) -> Vec<Pmd> {
    let workers = state.datapath.workers();
    let numa = |worker| workers.iter().find(|status| status.worker == worker).map_or(0, |found| found.numa);
    let meant = state.datapath.perf().into_iter().filter(|perf| core.is_none() || perf.core == core);
    let pmds = meant.map(|perf| Pmd {
        numa_id: numa(perf.worker).max(0),
        core_id: perf.core,
        derived: Derived::of(&perf),
        perf,
    });
    pmds.collect()
}

impl Pmd {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.core_id.map_or_else(|| "-".to_owned(), |core| core.to_string());
        writeln!(f, "pmd thread numa_id {} core_id {core}:", self.numa_id)
    }

    fn cycles(&self) -> u64 {
        self.perf.busy_cycles + self.perf.idle_cycles
    }
}

#[derive(Serialize)]
struct PmdPerf {
    pmds: Vec<Pmd>,
    #[serde(skip)]
    histograms: bool,
    #[serde(skip)]
    time: Duration,
}

pub fn perf_show(switch: &Switch, args: &[String]) -> Outcome {
    let options = options(switch, args)?;
    done(PmdPerf {
        pmds: pmds(&switch.state(), options.core),
        histograms: !options.without_histograms,
        // A clock before 1970 has no time of day worth showing.
        time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    })
}

impl fmt::Display for PmdPerf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.time.as_secs(), self.time.subsec_millis());
        for pmd in &self.pmds {
            let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
            writeln!(f, "\nTime: {hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)?;
            writeln!(f, "Measurement duration: {:.3} s\n", pmd.derived.seconds)?;
            pmd.head(f)?;
            writeln!(f)?;
            pmd.performance(f)?;
            if self.histograms {
                pmd.histogram(f)?;
            }
        }
        Ok(())
    }
}

impl Pmd {
    fn performance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pmd { perf, derived, .. } = self;
        let cache = &perf.cache;
        let busy_loops = perf.loops.saturating_sub(perf.idle_loops);
        let of_packets = |count: u64| format!("({:5.1} %)", ratio(count, cache.packets) * 100.0);
        let kpps = if derived.seconds > 0.0 { cache.packets as f64 / derived.seconds / 1000.0 } else { 0.0 };
        let mut lines = vec![
            (
                "Iterations:",
                perf.loops,
                format!("({:.2} us/it)", derived.seconds * 1e6 / perf.loops.max(1) as f64),
            ),
            ("- Used TSC cycles:", self.cycles(), "(100.0 % of total cycles)".to_owned()),
            (
                "- idle iterations:",
                perf.idle_loops,
                format!("({:5.1} % of used cycles)", ratio(perf.idle_cycles, self.cycles()) * 100.0),
            ),
            ("- busy iterations:", busy_loops, format!("({:5.1} % of used cycles)", derived.busy_percent)),
        ];
        if cache.packets == 0 {
            lines.push(("Rx packets:", 0, String::new()));
        } else {
            lines.extend([
                (
                    "Rx packets:",
                    cache.packets,
                    format!("({kpps:.0} Kpps, {:.0} cycles/pkt)", derived.cycles_per_packet),
                ),
                ("Datapath passes:", cache.packets, "(1.00 passes/pkt)".to_owned()),
                ("- PHWOL hits:", 0, of_packets(0)),
                ("- MFEX Opt hits:", 0, of_packets(0)),
                ("- Simple Match hits:", 0, of_packets(0)),
                ("- EMC hits:", cache.emc_hits, of_packets(cache.emc_hits)),
                ("- SMC hits:", 0, of_packets(0)),
                (
                    "- Megaflow hits:",
                    cache.megaflow_hits,
                    format!(
                        "({:5.1} %, {:.2} subtbl lookups/hit)",
                        derived.megaflow_hits_percent, derived.subtables_per_lookup
                    ),
                ),
                (
                    "- Upcalls:",
                    cache.misses,
                    format!(
                        "({:5.1} %, {:.1} us/upcall)",
                        derived.misses_percent, derived.microseconds_per_miss
                    ),
                ),
                ("- Lost upcalls:", derived.not_translated, of_packets(derived.not_translated)),
            ]);
        }
        for (name, count, more) in lines {
            // The numbers end in one column, whatever stands before them.
            let width = 32_usize.saturating_sub(name.len());
            writeln!(f, "{}", format!("  {name}{count:>width$}  {more}").trim_end())?;
        }
        Ok(())
    }

    /// Of Open vSwitch's histograms the one that is kept.
    fn histogram(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.perf.miss_ns.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n  Histograms\n   cycles/upcall")?;
        for (bound_ns, count) in &self.perf.miss_ns {
            let cycles = *bound_ns as f64 * self.perf.tsc_hz as f64 / 1e9;
            writeln!(f, "   {cycles:<9.0} {count}")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct PmdStats(Vec<Pmd>);

pub fn stats_show(switch: &Switch, args: &[String]) -> Outcome {
    let options = options(switch, args)?;
    done(PmdStats(pmds(&switch.state(), options.core)))
}

impl fmt::Display for PmdStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|pmd| {
            pmd.head(f)?;
            pmd.statistics(f)
        })
    }
}

impl Pmd {
    fn statistics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pmd { perf, derived, .. } = self;
        let (cache, cycles) = (&perf.cache, self.cycles());
        let passes = if cache.packets == 0 { 0.0 } else { 1.0 };
        writeln!(f, "  packets received: {}", cache.packets)?;
        writeln!(f, "  packet recirculations: 0")?;
        writeln!(f, "  avg. datapath passes per packet: {passes:.2}")?;
        writeln!(f, "  phwol hits: 0\n  mfex opt hits: 0\n  simple match hits: 0")?;
        writeln!(f, "  emc hits: {}\n  smc hits: 0", cache.emc_hits)?;
        writeln!(f, "  megaflow hits: {}", cache.megaflow_hits)?;
        writeln!(f, "  avg. subtable lookups per megaflow hit: {:.2}", derived.subtables_per_lookup)?;
        writeln!(f, "  miss with success upcall: {}", cache.misses)?;
        writeln!(f, "  miss with failed upcall: {}", derived.not_translated)?;
        if cycles == 0 {
            return Ok(());
        }
        let percent = |part| ratio(part, cycles) * 100.0;
        writeln!(f, "  idle cycles: {} ({:.2}%)", perf.idle_cycles, percent(perf.idle_cycles))?;
        writeln!(f, "  processing cycles: {} ({:.2}%)", perf.busy_cycles, percent(perf.busy_cycles))?;
        if cache.packets == 0 {
            return Ok(());
        }
        let average = |name, cycles| {
            format!(
                "  avg {name} per packet: {:.2} ({cycles}/{})",
                ratio(cycles, cache.packets),
                cache.packets
            )
        };
        writeln!(f, "{}", average("cycles", cycles))?;
        writeln!(f, "{}", average("processing cycles", perf.busy_cycles))
    }
}

#[derive(Serialize)]
struct Cleared {
    /// Workers that count from now.
    workers: Vec<u16>,
}

impl fmt::Display for Cleared {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub fn stats_clear(switch: &Switch, args: &[String]) -> Outcome {
    let options = options(switch, args)?;
    let mut state = switch.state_mut();
    let workers: Vec<u16> = pmds(&state, options.core).iter().map(|pmd| pmd.perf.worker).collect();
    workers.iter().for_each(|worker| state.datapath.clear_perf(Some(*worker)));
    done(Cleared { workers })
}
