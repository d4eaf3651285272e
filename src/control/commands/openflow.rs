//! The switch and its ports as `ovs-ofctl` prints them.

use std::fmt;

use serde::Serialize;

use super::{Outcome, done, ports_arg};
use crate::control::format::count;
use crate::control::switch::{State, Switch};
use crate::datapath::{PortStats, PortStatus};
use crate::packet::{Mac, PortNo};

#[derive(Serialize)]
struct DumpPorts(Vec<OfPortStats>);

/// Counters of a port by OpenFlow's names. What the device lost counts as dropped or as an error, as OVS has it.
#[derive(Serialize)]
struct OfPortStats {
    port_no: PortNo,
    name: String,
    rx_packets: u64,
    rx_bytes: u64,
    rx_dropped: u64,
    rx_errors: u64,
    tx_packets: u64,
    tx_bytes: u64,
    tx_dropped: u64,
    tx_errors: u64,
}

impl OfPortStats {
    fn new(port_no: PortNo, name: &str, stats: &PortStats) -> Self {
        let (switch, device) = (&stats.switch, &stats.device);
        Self {
            port_no,
            name: name.to_owned(),
            rx_packets: switch.rx_packets,
            rx_bytes: switch.rx_bytes,
            rx_dropped: device.imissed + device.rx_nombuf,
            rx_errors: device.ierrors,
            tx_packets: switch.tx_packets,
            tx_bytes: switch.tx_bytes,
            tx_dropped: switch.tx_dropped,
            tx_errors: device.oerrors,
        }
    }
}

pub fn dump_ports(switch: &Switch, args: &[String]) -> Outcome {
    let state = switch.state();
    let numbers = ports_arg(&state, args.first())?;
    let stats = numbers.into_iter().filter_map(|number| {
        let name = &state.datapath.ports().get(number)?.name;
        Some(OfPortStats::new(number, name, &state.datapath.port_stats(number)?))
    });
    done(DumpPorts(stats.collect()))
}

impl fmt::Display for DumpPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPST_PORT reply (xid=0x2): {} ports", self.0.len())?;
        self.0.iter().try_for_each(|port| {
            writeln!(
                f,
                "  port {:>2}: rx pkts={}, bytes={}, drop={}, errs={}, frame=0, over=0, crc=0",
                port.port_no.0, port.rx_packets, port.rx_bytes, port.rx_dropped, port.rx_errors
            )?;
            writeln!(
                f,
                "           tx pkts={}, bytes={}, drop={}, errs={}, coll=0",
                port.tx_packets, port.tx_bytes, port.tx_dropped, port.tx_errors
            )
        })
    }
}

/// What a port is, by OpenFlow's names.
#[derive(Serialize)]
struct OfPort {
    port_no: PortNo,
    name: String,
    hw_addr: Mac,
    config: Vec<&'static str>,
    state: Vec<&'static str>,
    /// Such as 10GB-FD; none where the device does not say.
    current: Option<String>,
    /// Mbit/s.
    speed: u32,
}

impl From<PortStatus> for OfPort {
    fn from(status: PortStatus) -> Self {
        let speed = if status.link_up && status.link_speed != u32::MAX { status.link_speed } else { 0 };
        let duplex = if status.full_duplex { "FD" } else { "HD" };
        // OpenFlow has bits for these speeds only.
        let current = match speed {
            10 | 100 => Some(format!("{speed}MB-{duplex}")),
            1000 | 10_000 | 40_000 | 100_000 => Some(format!("{}GB-{duplex}", speed / 1000)),
            1_000_000 => Some(format!("1TB-{duplex}")),
            _ => None,
        };
        Self {
            port_no: status.number,
            name: status.spec.name,
            hw_addr: status.hw_addr,
            config: if status.spec.no_flood { vec!["NO_FLOOD"] } else { Vec::new() },
            state: vec![if status.link_up { "LIVE" } else { "LINK_DOWN" }],
            current,
            speed,
        }
    }
}

/// Flags as OVS writes them; 0 for none.
fn flags(flags: &[&str]) -> String {
    if flags.is_empty() { "0".to_owned() } else { flags.join(" ") }
}

impl fmt::Display for OfPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " {}({}): addr:{}", self.port_no, self.name, self.hw_addr)?;
        writeln!(f, "     config:     {}", flags(&self.config))?;
        writeln!(f, "     state:      {}", flags(&self.state))?;
        if let Some(current) = &self.current {
            writeln!(f, "     current:    {current}")?;
        }
        writeln!(f, "     speed: {} Mbps now, 0 Mbps max", self.speed)
    }
}

fn of_ports(state: &State, numbers: Vec<PortNo>) -> Vec<OfPort> {
    numbers.into_iter().filter_map(|number| state.datapath.port_status(number)).map(OfPort::from).collect()
}

#[derive(Serialize)]
struct DumpPortsDesc(Vec<OfPort>);

pub fn dump_ports_desc(switch: &Switch, args: &[String]) -> Outcome {
    let state = switch.state();
    let numbers = ports_arg(&state, args.first())?;
    done(DumpPortsDesc(of_ports(&state, numbers)))
}

impl fmt::Display for DumpPortsDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPST_PORT_DESC reply (xid=0x2):")?;
        self.0.iter().try_for_each(|port| port.fmt(f))
    }
}

#[derive(Serialize)]
struct Features {
    name: String,
    datapath_id: String,
    n_tables: u8,
    n_buffers: u32,
    capabilities: &'static [&'static str],
    actions: &'static [&'static str],
    ports: Vec<OfPort>,
}

pub fn show(switch: &Switch, _: &[String]) -> Outcome {
    let state = switch.state();
    let ports = of_ports(&state, ports_arg(&state, None)?);
    // As OVS makes it of the bridge's address: the lowest address of its ports, 0 without a port.
    let lowest = ports.iter().map(|port| port.hw_addr.to_u64()).min().unwrap_or(0);
    done(Features {
        name: switch.name().to_owned(),
        datapath_id: format!("{lowest:016x}"),
        n_tables: 254,
        n_buffers: 0,
        capabilities: &["FLOW_STATS", "TABLE_STATS", "PORT_STATS"],
        actions: &[
            "output",
            "set_vlan_vid",
            "set_vlan_pcp",
            "strip_vlan",
            "mod_dl_src",
            "mod_dl_dst",
            "mod_nw_src",
            "mod_nw_dst",
            "mod_nw_tos",
            "mod_tp_src",
            "mod_tp_dst",
        ],
        ports,
    })
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPT_FEATURES_REPLY (xid=0x2): dpid:{}", self.datapath_id)?;
        writeln!(f, "n_tables:{}, n_buffers:{}", self.n_tables, self.n_buffers)?;
        writeln!(f, "capabilities: {}", self.capabilities.join(" "))?;
        writeln!(f, "actions: {}", self.actions.join(" "))?;
        self.ports.iter().try_for_each(|port| port.fmt(f))?;
        writeln!(f, "OFPT_GET_CONFIG_REPLY (xid=0x4): frags=normal miss_send_len=0")
    }
}

/// What adds flows up.
#[derive(Serialize)]
pub struct Aggregate {
    /// Packets.
    pub packet_count: u64,
    /// Bytes.
    pub byte_count: u64,
    /// Flows.
    pub flow_count: u64,
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "NXST_AGGREGATE reply (xid=0x4): packet_count={} byte_count={} flow_count={}",
            self.packet_count, self.byte_count, self.flow_count
        )
    }
}

/// What is counted of the tables.
#[derive(Serialize)]
pub struct TableCounts(pub Vec<TableCount>);

/// A table in use.
#[derive(Serialize)]
pub struct TableCount {
    /// Its number.
    pub table_id: u8,
    /// Flows in it.
    pub active_count: u64,
}

impl fmt::Display for TableCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "OFPST_TABLE reply (xid=0x2):")?;
        for table in &self.0 {
            writeln!(f, "  table {}:\n    active={}", table.table_id, table.active_count)?;
        }
        let flows = self.0.iter().map(|table| table.active_count).sum();
        writeln!(f, "{} in {}", count(flows, "flow"), count(self.0.len() as u64, "table"))
    }
}
