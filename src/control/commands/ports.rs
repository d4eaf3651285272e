//! Ports: added, removed, listed.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::{CommandError, Outcome, Pending, done, port_arg, ports_arg};
use crate::config::{PortKind, PortSpec};
use crate::control::changes;
use crate::control::format::{columns, link};
use crate::control::switch::{Published, State, Switch};
use crate::datapath::{PortStats, PortStatus};
use crate::packet::PortNo;

#[derive(Serialize)]
struct Added {
    number: PortNo,
    #[serde(flatten)]
    published: Published,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.number)?;
        if self.published.not_yet_visible_on.is_empty() { Ok(()) } else { write!(f, "; {}", self.published) }
    }
}

pub fn add(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [name, pairs @ ..] = &args[..] else { return Err(CommandError::TooFew("port/add", 2)) };
        let pairs = pairs.iter().map(|pair| {
            pair.split_once('=').ok_or_else(|| {
                let sentence =
                    format!("\"{pair}\" is not KEY=VALUE; write the keys of a port as in type=af_packet");
                CommandError::Argument(sentence)
            })
        });
        let spec = PortSpec::from_pairs(name, pairs.collect::<Result<Vec<_>, _>>()?)?;
        let (number, published) = changes::add_port(&switch, &spec).await?;
        done(Added { number, published })
    })
}

pub fn del(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [port] = &args[..] else { return Err(CommandError::TooFew("port/del", 1)) };
        let number = port_arg(&switch.state(), port)?;
        done(changes::del_port(&switch, number).await?)
    })
}

#[derive(Serialize)]
struct Ports(Vec<PortStatus>);

pub fn list(switch: &Switch, _: &[String]) -> Outcome {
    let state = switch.state();
    let ports = state.datapath.ports().iter();
    done(Ports(ports.filter_map(|port| state.datapath.port_status(port.number)).collect()))
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no ports");
        }
        let rows: Vec<Vec<String>> = self
            .0
            .iter()
            .map(|status| {
                vec![
                    status.number.to_string(),
                    status.spec.name.clone(),
                    status.spec.kind.type_name().to_owned(),
                    link(status.link_up, status.link_speed, status.full_duplex),
                    status.hw_addr.to_string(),
                    status.spec.mtu.to_string(),
                    status.spec.n_rxq.to_string(),
                    status.tx_queues.to_string(),
                    status.driver.clone(),
                    status.spec.iface_id.clone().unwrap_or_default(),
                ]
            })
            .collect();
        let head =
            [">port", "name", "type", "link", "address", ">mtu", ">rxqs", ">txqs", "driver", "iface-id"];
        columns(f, &head, &rows)
    }
}

/// What was changed of a port.
#[derive(Serialize)]
struct Set {
    number: PortNo,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    /// The logical port, null for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    iface_id: Option<Option<String>>,
    /// Of the flows that another logical port brings.
    #[serde(flatten)]
    published: Option<Published>,
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.published.iter().try_for_each(|published| published.fmt(f))
    }
}

impl Set {
    fn apply(&self, state: &mut State) -> Result<(), CommandError> {
        let number = self.number;
        // First what the device may refuse, so that a refusal leaves the flows as they are.
        if let Some(mtu) = self.mtu {
            let changed = state.datapath.port_status(number).map(|port| PortSpec { mtu, ..port.spec });
            let is_tunnel = changed.as_ref().is_some_and(|spec| spec.kind == PortKind::Geneve);
            let refusal = changed.filter(|_| !is_tunnel).and_then(|spec| state.overlay.refusal(&spec));
            if let Some(sentence) = refusal {
                return Err(CommandError::Argument(sentence));
            }
            state.datapath.set_mtu(number, mtu)?;
            tracing::info!(%number, mtu, "MTU changed");
        }
        if let Some(iface_id) = &self.iface_id {
            let status = state.datapath.port_status(number);
            if iface_id.is_some() && status.is_some_and(|port| port.spec.kind == PortKind::Geneve) {
                let sentence = "a port of type geneve is where tunnels end, and no logical port; name the port that is it";
                return Err(CommandError::Argument(sentence.to_owned()));
            }
            state.datapath.set_iface_id(number, iface_id.clone())?;
            state.logical.bound.set(number, iface_id.clone());
            tracing::info!(%number, ?iface_id, "logical port changed");
        }
        Ok(())
    }

    /// What is asked for by KEY=VALUE.
    fn read(number: PortNo, pairs: &[String]) -> Result<Self, CommandError> {
        let mut set = Self { number, mtu: None, iface_id: None, published: None };
        for pair in pairs {
            match pair.split_once('=') {
                Some(("mtu", mtu)) => set.mtu = Some(read_mtu(mtu)?),
                Some(("iface_id", "")) => set.iface_id = Some(None),
                Some(("iface_id", name)) => set.iface_id = Some(Some(PortSpec::read_iface_id(name)?)),
                _ => {
                    let sentence = format!(
                        "\"{pair}\" cannot be set on a running port; set iface_id=NAME or mtu=BYTES, or remove the \
                         port and add it again"
                    );
                    return Err(CommandError::Argument(sentence));
                }
            }
        }
        Ok(set)
    }
}

fn read_mtu(text: &str) -> Result<u16, CommandError> {
    text.parse().ok().filter(|mtu| *mtu > 0).ok_or_else(|| {
        CommandError::Argument(format!(
            "\"{text}\" is no MTU; write the bytes of the longest packet, such as 1500"
        ))
    })
}

pub fn set_mtu(switch: &Switch, args: &[String]) -> Outcome {
    let [port, mtu] = args else { return Err(CommandError::TooFew("port/set-mtu", 2)) };
    let mut state = switch.state_mut();
    let number = port_arg(&state, port)?;
    let set = Set { mtu: Some(read_mtu(mtu)?), ..Set::read(number, &[])? };
    set.apply(&mut state)?;
    done(set)
}

pub fn set(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [port, pairs @ ..] = &args[..] else { return Err(CommandError::TooFew("port/set", 2)) };
        // So that no other command sees a port that is a logical port already, and the flows not yet.
        let _turn = switch.turn().await;
        let mut set = {
            let mut state = switch.state_mut();
            let set = Set::read(port_arg(&state, port)?, pairs)?;
            set.apply(&mut state)?;
            set
        };
        if set.iface_id.is_some() {
            set.published = Some(switch.follow().await?);
        }
        done(set)
    })
}

#[derive(Serialize)]
struct AllStats(Vec<NamedStats>);

#[derive(Serialize)]
struct NamedStats {
    number: PortNo,
    name: String,
    #[serde(flatten)]
    stats: PortStats,
}

pub fn stats(switch: &Switch, args: &[String]) -> Outcome {
    let state = switch.state();
    let numbers = ports_arg(&state, args.first())?;
    let stats = numbers.into_iter().filter_map(|number| {
        let name = state.datapath.ports().get(number)?.name.to_string();
        Some(NamedStats { number, name, stats: state.datapath.port_stats(number)? })
    });
    done(AllStats(stats.collect()))
}

impl fmt::Display for AllStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no ports");
        }
        for NamedStats { number, name, stats } in &self.0 {
            let (switch, device) = (&stats.switch, &stats.device);
            writeln!(f, "port {number} {name}")?;
            let own = [
                ("rx packets", switch.rx_packets),
                ("rx bytes", switch.rx_bytes),
                ("injected", switch.injected),
                ("tx packets", switch.tx_packets),
                ("tx bytes", switch.tx_bytes),
                ("tx dropped", switch.tx_dropped),
                ("device rx packets", device.ipackets),
                ("device rx bytes", device.ibytes),
                ("device rx missed, no descriptor free", device.imissed),
                ("device rx missed, no buffer free", device.rx_nombuf),
                ("device rx errors", device.ierrors),
                ("device tx packets", device.opackets),
                ("device tx bytes", device.obytes),
                ("device tx errors", device.oerrors),
            ];
            let buffers = stats.buffers.into_iter().flat_map(|buffers| {
                [("packet buffers", buffers.size.into()), ("packet buffers free", buffers.free.into())]
            });
            let own = own.into_iter().chain(buffers).map(|(name, count)| (name.to_owned(), count));
            let extended = stats.extended.iter().map(|(name, count)| (format!("driver {name}"), *count));
            let rows: Vec<Vec<String>> = own
                .chain(extended)
                .map(|(name, count)| vec![format!("  {name}"), count.to_string()])
                .collect();
            columns(f, &["", ">"], &rows)?;
        }
        Ok(())
    }
}
