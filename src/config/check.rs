//! From keys as written to a [`Config`]: what is missing, out of range, contradictory or in the wrong place is found
//! here, for the file and for `millrace port add` alike.

use std::collections::HashSet;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Fault, Misplaced, Step};
use super::raw::{RawCache, RawConfig, RawControl, RawDpdk, RawFlows, RawPort, RawWorkers};
use super::{Cache, Config, Control, Dpdk, Hugepages, PortKind, PortSpec, Workers, conflict};

mod ovn;
mod port;
mod underlay;

pub(super) use port::{iface_id, port};

/// Highest core that a machine can have, by the kernel's own limit.
const MAX_CORE: i64 = 8191;
/// Most workers.
const MAX_WORKERS: usize = 64;
/// Longest pause of an idle worker.
const MAX_IDLE_SLEEP: Duration = Duration::from_millis(100);
/// Megaflows, of all ports or of one, and entries of the exact-match cache.
const CACHED: (i64, i64) = (64, 1 << 22);
/// Masks of one port: no worker keeps more.
const MASKS: (i64, i64) = (1, 256);
/// How long a megaflow may be kept that no packet uses.
const MAX_IDLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// Longest path of a unix socket.
const MAX_SOCKET_PATH: usize = 107;
/// Megabytes that `dpdk.memory_mb` may be.
const MEMORY_MB: (i64, i64) = (32, 1 << 20);

type Checked<T> = Result<T, Misplaced>;

/// The whole file.
pub(super) fn config(raw: RawConfig, path: &Path) -> Checked<Config> {
    let default = Config::default();
    let under = |table: &str| {
        let step = Step::Key(table.to_owned());
        move |misplaced: Misplaced| misplaced.under([step.clone()])
    };
    let name = match raw.switch.unwrap_or_default().name {
        Some(name) => self::name("name", name).map_err(under("switch"))?,
        None => default.name,
    };
    let control = control(raw.control.unwrap_or_default(), default.control).map_err(under("control"))?;
    let workers = workers(raw.workers.unwrap_or_default(), default.workers).map_err(under("workers"))?;
    let cache = cache(raw.cache.unwrap_or_default(), default.cache).map_err(under("cache"))?;
    let dpdk = dpdk(raw.dpdk.unwrap_or_default(), default.dpdk).map_err(under("dpdk"))?;
    let log = match raw.log.unwrap_or_default().filter {
        Some(filter) => log_filter(filter).map_err(under("log"))?,
        None => default.log,
    };
    let mut ports = ports(raw.port.unwrap_or_default(), workers.cores.len())?;
    let (flow_file, flows) = flows(raw.flows.unwrap_or_default(), path).map_err(under("flows"))?;
    let mut underlay = match raw.underlay {
        Some(raw) => Some(underlay::underlay(raw, &ports).map_err(under("underlay"))?),
        None => None,
    };
    let ovn = ovn::ovn(raw.ovn.unwrap_or_default(), path, underlay.as_mut(), &ports).map_err(under("ovn"))?;
    let chassis = underlay::peers(raw.chassis.unwrap_or_default(), &ovn, underlay.as_ref(), &ports)?;
    if underlay.is_some() {
        underlay::tunnel_port(&mut ports)?;
    }
    Ok(Config { name, control, workers, cache, dpdk, ports, flows, flow_file, underlay, chassis, ovn, log })
}

fn control(raw: RawControl, default: Control) -> Checked<Control> {
    Ok(Control {
        socket: match raw.socket {
            Some(socket) => PathBuf::from(socket_path("socket", socket)?),
            None => default.socket,
        },
        mode: match raw.mode.as_deref() {
            Some("0600") => 0o600,
            Some("0660") => 0o660,
            Some(other) => {
                return Err(Misplaced::key("mode", none_of(other, &["0600", "0660"])));
            }
            None => default.mode,
        },
        group: match raw.group {
            Some(group) if group.is_empty() || group.contains(|c: char| c.is_whitespace() || c == ':') => {
                return Err(bad_text(
                    "group",
                    group,
                    "the name of a group; write one of those that `getent group` lists",
                ));
            }
            group => group,
        },
        cores: match raw.cores {
            Some(list) => cores(list)?,
            None => default.cores,
        },
    })
}

fn workers(raw: RawWorkers, default: Workers) -> Checked<Workers> {
    let cores = match raw.cores {
        Some(list) => cores(list)?,
        None => default.cores,
    };
    if !(1..=MAX_WORKERS).contains(&cores.len()) {
        let fault = Fault::TooManyOrFew {
            count: cores.len(),
            what: "cores",
            max: MAX_WORKERS,
            mend: "one for each worker",
        };
        return Err(Misplaced::key("cores", fault));
    }
    let idle_sleep = match raw.idle_sleep {
        Some(text) => duration(&text).filter(|pause| *pause <= MAX_IDLE_SLEEP).ok_or_else(|| {
            let wanted = "a pause; write 0, or a number with us or ms behind it, such as 50us, up to 100ms";
            bad_text("idle_sleep", text, wanted)
        })?,
        None => default.idle_sleep,
    };
    Ok(Workers { cores, idle_sleep })
}

fn cache(raw: RawCache, default: Cache) -> Checked<Cache> {
    let number = |key, given: Option<i64>, range, default: u32| match given {
        Some(value) => in_range(key, value, range).map(|value| value as u32),
        None => Ok(default),
    };
    let megaflows = number("megaflows", raw.megaflows, CACHED, default.megaflows)?;
    let most = default.megaflows_per_port.min(megaflows);
    let megaflows_per_port = number("megaflows_per_port", raw.megaflows_per_port, CACHED, most)?;
    if megaflows_per_port > megaflows {
        let (value, max) = (megaflows_per_port.into(), megaflows.into());
        let fault = Fault::MoreThan { value, bound: "megaflows", max };
        return Err(Misplaced::key("megaflows_per_port", fault));
    }
    let max_idle = match raw.max_idle {
        Some(text) => {
            duration(&text).filter(|time| (MAX_IDLE.0..=MAX_IDLE.1).contains(time)).ok_or_else(|| {
                let wanted =
                    "a time to keep what is not used; write a number with ms or s behind it, from 100ms to 3600s";
                bad_text("max_idle", text, wanted)
            })?
        }
        None => default.max_idle,
    };
    Ok(Cache {
        megaflows,
        megaflows_per_port,
        masks_per_port: number("masks_per_port", raw.masks_per_port, MASKS, default.masks_per_port)?,
        emc_entries: number("emc_entries", raw.emc_entries, CACHED, default.emc_entries)?,
        max_idle,
    })
}

fn dpdk(raw: RawDpdk, default: Dpdk) -> Checked<Dpdk> {
    let hugepages = match raw.hugepages.as_deref() {
        Some("auto") => Hugepages::Auto,
        Some("on") => Hugepages::On,
        Some("off") => Hugepages::Off,
        Some(other) => {
            return Err(Misplaced::key("hugepages", none_of(other, &["auto", "on", "off"])));
        }
        None => default.hugepages,
    };
    let memory_mb = match raw.memory_mb {
        Some(value) => in_range("memory_mb", value, MEMORY_MB)? as u32,
        None => default.memory_mb,
    };
    let file_prefix = match raw.file_prefix {
        Some(prefix) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if prefix.is_empty()
                || prefix.len() > 64
                || prefix.starts_with(['.', '-'])
                || !prefix.chars().all(plain)
            {
                return Err(bad_text(
                    "file_prefix",
                    prefix,
                    "a prefix of file names; write at most 64 letters, digits, `_`, `-` and `.`",
                ));
            }
            Some(prefix)
        }
        None => default.file_prefix,
    };
    let extra_args = raw.extra_args.unwrap_or(default.extra_args);
    for (index, argument) in extra_args.iter().enumerate() {
        let at =
            |fault| Misplaced { path: vec![Step::Key("extra_args".to_owned()), Step::Index(index)], fault };
        if let Some(key) = own_argument(argument) {
            return Err(at(Fault::OwnArgument { argument: argument.clone(), key }));
        }
        if argument.is_empty() || argument.contains('\0') {
            return Err(at(Fault::BadText {
                value: argument.escape_default().to_string(),
                wanted: "an argument; write one word of DPDK's command line".to_owned(),
            }));
        }
    }
    Ok(Dpdk { hugepages, memory_mb, file_prefix, pci: raw.pci.unwrap_or(default.pci), extra_args })
}

/// The key that stands for an argument of the EAL which the switch gives itself.
fn own_argument(argument: &str) -> Option<&'static str> {
    let word = argument.split_once('=').map_or(argument, |(word, _)| word);
    Some(match word {
        "-l" | "-c" | "--lcores" | "--main-lcore" => "control.cores",
        "-m" | "--socket-mem" => "dpdk.memory_mb",
        "--no-huge" | "--in-memory" => "dpdk.hugepages",
        "--file-prefix" => "dpdk.file_prefix",
        "--no-pci" => "dpdk.pci",
        "--vdev" | "-a" | "--allow" => "port.devargs",
        _ => return None,
    })
}

fn log_filter(filter: String) -> Checked<String> {
    match tracing_subscriber::EnvFilter::try_new(&filter) {
        Ok(_) if !filter.trim().is_empty() => Ok(filter),
        _ => Err(bad_text(
            "filter",
            filter,
            "a filter of the log; write a level, such as info, or target=level pairs with commas between",
        )),
    }
}

fn ports(raw: Vec<RawPort>, workers: usize) -> Checked<Vec<PortSpec>> {
    let mut ports: Vec<PortSpec> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let under = [Step::Key("port".to_owned()), Step::Index(index)];
        let port = port(raw)
            .and_then(|port| {
                fits_in(&port, &ports, workers)?;
                Ok(port)
            })
            .map_err(|misplaced| misplaced.under(under))?;
        ports.push(port);
    }
    Ok(ports)
}

/// Whether a port goes with those before it and with the workers.
fn fits_in(port: &PortSpec, others: &[PortSpec], workers: usize) -> Checked<()> {
    if others.iter().any(|other| other.name == port.name) {
        let fault = Fault::Twice {
            what: format!("the port name \"{}\"", port.name),
            mend: "give each port a name of its own",
        };
        return Err(Misplaced::key("name", fault));
    }
    if let Some(number) = port.number
        && others.iter().any(|other| other.number == Some(number))
    {
        let fault = Fault::Twice {
            what: format!("the port number {number}"),
            mend: "leave `number` out or choose another",
        };
        return Err(Misplaced::key("number", fault));
    }
    if port.kind == PortKind::Geneve && others.iter().any(|other| other.kind == PortKind::Geneve) {
        let what = "a port of type geneve".to_owned();
        return Err(Misplaced::key(
            "type",
            Fault::Twice { what, mend: "one carries all tunnels; remove the other" },
        ));
    }
    if let Some(what) = conflict::owned_by(&port.kind)
        && others.iter().any(|other| conflict::owned_by(&other.kind).as_ref() == Some(&what))
    {
        let key = match port.kind {
            PortKind::AfPacket { .. } => "iface",
            PortKind::VhostUser { .. } => "socket",
            PortKind::Pcap { .. } => "tx_file",
            _ => "devargs",
        };
        return Err(Misplaced::key(
            key,
            Fault::Twice { what, mend: "a device belongs to one port; name another" },
        ));
    }
    if let Some(iface_id) = &port.iface_id
        && others.iter().any(|other| other.iface_id.as_ref() == Some(iface_id))
    {
        let what = format!("the logical port {iface_id}");
        return Err(Misplaced::key(
            "iface_id",
            Fault::Twice { what, mend: "a logical port is one port here; name another" },
        ));
    }
    if let Some((_, worker)) = port.rxq_affinity.iter().find(|(_, worker)| usize::from(*worker) >= workers) {
        let fault = Fault::NoSuch {
            what: format!("worker {worker}"),
            mend: format!("`workers.cores` makes {workers}, numbered from 0"),
        };
        return Err(Misplaced::key("rxq_affinity", fault));
    }
    Ok(())
}

fn flows(raw: RawFlows, path: &Path) -> Checked<(Option<PathBuf>, Vec<String>)> {
    let file = match raw.file {
        Some(file) if file.is_empty() => {
            return Err(bad_text("file", file, "a path; write that of a file with one flow a line"));
        }
        Some(file) => Some(path.parent().unwrap_or(Path::new("")).join(file)),
        None => None,
    };
    Ok((file, raw.flows.unwrap_or_default()))
}

fn cores(list: Vec<i64>) -> Checked<Vec<usize>> {
    let mut seen = HashSet::new();
    let mut cores = Vec::with_capacity(list.len());
    for (index, core) in list.into_iter().enumerate() {
        let at = |fault| Misplaced { path: vec![Step::Key("cores".to_owned()), Step::Index(index)], fault };
        if !(0..=MAX_CORE).contains(&core) {
            return Err(at(Fault::OutOfRange { value: core, min: 0, max: MAX_CORE }));
        }
        first_time(&mut seen, core, || format!("core {core}"), "name every core once").map_err(at)?;
        cores.push(core as usize);
    }
    Ok(cores)
}

fn first_time<T: Eq + Hash>(
    seen: &mut HashSet<T>,
    item: T,
    what: impl FnOnce() -> String,
    mend: &'static str,
) -> Result<(), Fault> {
    if seen.insert(item) { Ok(()) } else { Err(Fault::Twice { what: what(), mend }) }
}

/// Zero, or a number with its unit behind it.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let micros = match text.get(digits.len()..)? {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        _ => return None,
    };
    // A sign would be read too.
    let number = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?;
    number?.checked_mul(micros).map(Duration::from_micros)
}

/// The name of a port or of the switch.
fn name(key: &'static str, name: String) -> Checked<String> {
    let allowed =
        |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '"' | '\'' | '(' | ')' | '[' | ']' | '{' | '}');
    if name.is_empty() || name.len() > 63 || !name.chars().all(allowed) {
        return Err(bad_text(
            key,
            name,
            "a name; write 1 to 63 printable ASCII characters without blanks, commas, quotes and brackets",
        ));
    }
    Ok(name)
}

/// The path of a unix socket: absolute, for the switch's own folder is nobody's business, and short enough.
fn socket_path(key: &'static str, socket: String) -> Checked<String> {
    if !socket.starts_with('/') || socket.len() > MAX_SOCKET_PATH || socket.contains([',', '\0']) {
        return Err(bad_text(
            key,
            socket,
            "the path of a socket; write one from the root, of at most 107 bytes and without commas",
        ));
    }
    Ok(socket)
}

fn in_range(key: &'static str, value: i64, (min, max): (i64, i64)) -> Checked<i64> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(Misplaced::key(key, Fault::OutOfRange { value, min, max }))
    }
}

fn none_of(value: &str, allowed: &'static [&'static str]) -> Fault {
    Fault::NoneOf { value: value.to_owned(), allowed }
}

fn bad_text(key: &str, value: String, wanted: &str) -> Misplaced {
    Misplaced::key(key, Fault::BadText { value, wanted: wanted.to_owned() })
}
