//! The switch as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::underlay::ShownUnderlay;
use super::{COMMANDS, Outcome, Pending, done};
use crate::control::chassis::Extent;
use crate::control::format::{columns, count, duration, link};
use crate::control::switch::{State, Switch};
use crate::datapath::{PortCounters, PortStatus, Totals};
use crate::logical::nb::Table;
use crate::logical::rows::sbctl::Keys;

#[derive(Serialize)]
struct CommandList(Vec<ListedCommand>);

#[derive(Serialize)]
struct ListedCommand {
    name: &'static str,
    usage: &'static str,
    help: &'static str,
}

impl fmt::Display for CommandList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The available commands are:")?;
        self.0.iter().try_for_each(|command| {
            let line = format!("  {:<25} {}", command.name, command.usage);
            writeln!(f, "{}", line.trim_end())
        })
    }
}

pub fn list_commands(_: &Switch, _: &[String]) -> Outcome {
    done(CommandList(
        COMMANDS.iter().map(|c| ListedCommand { name: c.name, usage: c.usage, help: c.help }).collect(),
    ))
}

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    dpdk: bool,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dpdk = if self.dpdk { "" } else { " (built without DPDK)" };
        write!(f, "{} {}{dpdk}", self.name, self.version)
    }
}

pub fn version(_: &Switch, _: &[String]) -> Outcome {
    done(Version { name: "millraced", version: env!("CARGO_PKG_VERSION"), dpdk: cfg!(feature = "dpdk") })
}

#[derive(Serialize)]
struct Stopping {
    stopping: bool,
}

impl fmt::Display for Stopping {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub fn exit(switch: &Switch, _: &[String]) -> Outcome {
    tracing::info!("stopping, as a client of the control socket asks");
    switch.stop();
    done(Stopping { stopping: true })
}

#[derive(Serialize)]
struct Show {
    name: String,
    version: &'static str,
    uptime_seconds: u64,
    workers: Vec<ShownWorker>,
    ports: Vec<ShownPort>,
    /// Flows by table.
    flows: BTreeMap<u8, u64>,
    /// What this switch is of logical networks; none where there are no rows.
    logical: Option<Networks>,
    /// The way to other hosts; none where none is configured.
    underlay: Option<ShownUnderlay>,
    totals: Totals,
    imbalance: i64,
    #[serde(skip)]
    uptime: String,
}

/// Rows in trouble that are named.
const MAX_NAMED: usize = 4;

/// What a switch is of logical networks.
#[derive(Serialize)]
struct Networks {
    /// The name of the chassis.
    chassis: Option<String>,
    /// Whether the rows know a chassis of that name.
    known: bool,
    /// What the rows are compiled of; none if they are loaded from a dump.
    northbound: Option<Northbound>,
    /// Southbound rows.
    rows: usize,
    /// Ports of the switch that are logical ports.
    bound: usize,
    /// Flows that rows became.
    flows: usize,
    /// Digest of the tunnel keys; none without keys.
    keys: Option<String>,
    /// Southbound rows that take no part, or not wholly.
    troubles: usize,
    /// Of those, such as use what this release does not have.
    not_yet: usize,
    /// The first of the others, which somebody can mend.
    #[serde(skip)]
    named: Vec<String>,
}

/// What rows are compiled of.
#[derive(Serialize)]
struct Northbound {
    switches: usize,
    routers: usize,
    /// Rows that are not compiled, or not wholly.
    troubles: usize,
}

impl Northbound {
    fn of(state: &State) -> Option<Self> {
        let northbound = &state.logical.northbound;
        let rows = northbound.rows().snapshot();
        let (switches, routers) = (rows.len(Table::LogicalSwitch), rows.len(Table::LogicalRouter));
        let troubles = northbound.troubles(state.logical.rows.snapshot()).len();
        (!state.logical.is_loaded).then_some(Self { switches, routers, troubles })
    }
}

impl Networks {
    fn of(state: &State, keys: Option<String>) -> Option<Self> {
        let logical = &state.logical;
        let (_, rows) = logical.size();
        let Extent { flows, bound, troubles } = state.extent();
        let chassis = logical.chassis.clone();
        let known = chassis.as_ref().is_some_and(|name| logical.rows.snapshot().chassis(name).is_some());
        let of_rows: Vec<_> = troubles.iter().filter(|trouble| trouble.is_of_row()).collect();
        let named = of_rows.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        let (not_yet, troubles) = (troubles.len() - of_rows.len(), troubles.len());
        let northbound = Northbound::of(state);
        let networks =
            Self { chassis, known, northbound, rows, bound, flows, keys, troubles, not_yet, named };
        (rows > 0).then_some(networks)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "logical  ")?;
        match &self.chassis {
            Some(name) if self.known => write!(f, "chassis {name}")?,
            Some(name) => write!(f, "chassis {name}, which no row knows")?,
            None => write!(f, "no chassis")?,
        }
        let counted = |number: usize, thing| count(number as u64, thing);
        match &self.northbound {
            Some(Northbound { switches: 1, routers, .. }) => {
                write!(f, ": 1 switch, {}", counted(*routers, "router"))
            }
            Some(Northbound { switches, routers, .. }) => {
                write!(f, ": {switches} switches, {}", counted(*routers, "router"))
            }
            None => write!(f, ": {} loaded", counted(self.rows, "row")),
        }?;
        writeln!(f, ", {} bound, {}", counted(self.bound, "port"), counted(self.flows, "flow"))?;
        if let Some(digest) = &self.keys {
            writeln!(f, "         keys {}", Keys::shortened(digest))?;
        }
        if let Some(Northbound { troubles, .. }) = &self.northbound
            && *troubles > 0
        {
            let rows = counted(*troubles, "row");
            writeln!(f, "         {rows} not compiled, or not wholly; `millrace nbctl troubles` says why")?;
        }
        let to_mend = self.troubles - self.not_yet;
        if to_mend > 0 {
            let rows = counted(to_mend, "row");
            writeln!(
                f,
                "         {rows} cannot be executed, or not wholly; `millrace sbctl troubles` says why"
            )?;
        }
        for row in &self.named {
            writeln!(f, "         {row}")?;
        }
        if self.not_yet > 0 {
            let rows = counted(self.not_yet, "row");
            writeln!(
                f,
                "         {rows} for what is not there yet; `millrace sbctl troubles` lists them too"
            )?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct ShownWorker {
    worker: u16,
    core: Option<usize>,
    rxqs: u16,
}

#[derive(Serialize)]
struct ShownPort {
    #[serde(flatten)]
    status: PortStatus,
    counters: PortCounters,
    /// Packets that the device lost on its own.
    device_lost: u64,
}

pub fn show(switch: Rc<Switch>, _: Vec<String>) -> Pending {
    Box::pin(async move {
        let rows = switch.state().logical.rows.snapshot().clone();
        // Of many ports it takes a while.
        let keys = tokio::task::spawn_blocking(move || Keys::of(&rows)).await?;
        shown(&switch, (!keys.is_empty()).then(|| keys.digest().to_owned()))
    })
}

fn shown(switch: &Switch, keys: Option<String>) -> Outcome {
    let state = switch.state();
    let path = &state.datapath;
    let ports = path.ports().iter().filter_map(|port| {
        let status = path.port_status(port.number)?;
        let stats = path.port_stats(port.number)?;
        let device = stats.device;
        Some(ShownPort {
            status,
            counters: stats.switch,
            device_lost: device.imissed + device.rx_nombuf + device.oerrors,
        })
    });
    let totals = path.totals();
    done(Show {
        name: switch.name().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: switch.uptime().as_secs(),
        workers: path
            .workers()
            .iter()
            .map(|status| ShownWorker { worker: status.worker, core: status.core, rxqs: status.rxqs })
            .collect(),
        ports: ports.collect(),
        flows: super::flows::counts(&state.flows.tables),
        logical: Networks::of(&state, keys),
        underlay: ShownUnderlay::of(&state),
        imbalance: totals.imbalance(),
        totals,
        uptime: duration(switch.uptime()),
    })
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  millrace {}, up {}", self.name, self.version, self.uptime)?;
        write!(f, "workers  ")?;
        for (worker, first) in self.workers.iter().zip((0..).map(|index| index == 0)) {
            let comma = if first { "" } else { ", " };
            write!(f, "{comma}{}", worker.worker)?;
            if let Some(core) = worker.core {
                write!(f, " on core {core}")?;
            }
            write!(f, " with {}", count(worker.rxqs.into(), "queue"))?;
        }
        writeln!(f, "{}", if self.workers.is_empty() { "none" } else { "" })?;
        let flows: u64 = self.flows.values().sum();
        writeln!(f, "flows    {} in {}", count(flows, "flow"), count(self.flows.len() as u64, "table"))?;
        if let Some(logical) = &self.logical {
            write!(f, "{logical}")?;
        }
        if let Some(underlay) = &self.underlay {
            underlay.headline(f)?;
            if !underlay.is_idle() {
                writeln!(f)?;
                underlay.tunnels(f)?;
            }
        }
        writeln!(f)?;

        if self.ports.is_empty() {
            writeln!(f, "no ports; add one with port/add")?;
        } else {
            let rows: Vec<Vec<String>> = self.ports.iter().map(ShownPort::row).collect();
            let head = [
                ">port",
                "name",
                "type",
                "link",
                ">rx packets",
                ">rx bytes",
                ">tx packets",
                ">tx bytes",
                ">dropped",
                ">device lost",
            ];
            columns(f, &head, &rows)?;
        }
        writeln!(f)?;
        super::accounting::identity(f, &self.totals)?;
        if !self.totals.drops.is_empty() {
            let drops: Vec<String> = self
                .totals
                .drops
                .iter()
                .map(|(reason, count)| format!("{} {count}", reason.name()))
                .collect();
            writeln!(f, "drops    {}", drops.join(", "))?;
        }
        Ok(())
    }
}

impl ShownPort {
    fn row(&self) -> Vec<String> {
        let (status, counters) = (&self.status, &self.counters);
        vec![
            status.number.to_string(),
            status.spec.name.clone(),
            status.spec.kind.type_name().to_owned(),
            link(status.link_up, status.link_speed, status.full_duplex),
            counters.rx_packets.to_string(),
            counters.rx_bytes.to_string(),
            counters.tx_packets.to_string(),
            counters.tx_bytes.to_string(),
            counters.tx_dropped.to_string(),
            self.device_lost.to_string(),
        ]
    }
}
