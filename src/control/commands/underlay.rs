//! The underlay and BFD, as people read them and as `ovs-appctl` prints them.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::{CommandError, Outcome, did_you_mean, done};
use crate::config::Prefix;
use crate::control::format::{columns, count};
use crate::control::switch::{State, Switch};
use crate::control::underlay::PeerView;
use crate::control::underlay::session::Watch;
use crate::logical::error::shortened;
use crate::tunnel::Endpoint;

/// The underlay.
#[derive(Serialize)]
pub struct ShownUnderlay {
    /// Name of the port of the switch.
    port: String,
    endpoint: Option<ShownEndpoint>,
    /// Why there is none, or no tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    complaint: Option<String>,
    neighbours: Vec<ShownNeighbour>,
    tunnels: Vec<ShownTunnel>,
    /// How often somebody else claimed an address of the endpoint.
    conflicts: u64,
    /// Who did last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_conflict: Option<ShownConflict>,
}

#[derive(Serialize)]
struct ShownConflict {
    ip: IpAddr,
    mac: String,
}

#[derive(Serialize)]
struct ShownEndpoint {
    mac: String,
    vlan: Option<u16>,
    mtu: u16,
    checksum: bool,
    addresses: Vec<String>,
}

#[derive(Serialize)]
struct ShownNeighbour {
    ip: IpAddr,
    mac: Option<String>,
    state: &'static str,
    age_ms: u64,
}

#[derive(Serialize)]
struct ShownTunnel {
    chassis: String,
    ip: IpAddr,
    next_hop: Option<IpAddr>,
    /// Whether the Ethernet address of the next hop is known.
    resolved: bool,
    bfd: Option<ShownBfd>,
}

#[derive(Serialize)]
struct ShownBfd {
    state: &'static str,
    diagnostic: &'static str,
    remote_state: &'static str,
    remote_diagnostic: &'static str,
    flaps: u64,
    ignored: u64,
}

impl ShownEndpoint {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            mac: endpoint.mac.to_string(),
            vlan: endpoint.vlan,
            mtu: endpoint.mtu,
            // Over IPv6 it always is sent.
            checksum: endpoint.checksum || endpoint.addresses().all(|(ip, _)| ip.is_ipv6()),
            addresses: endpoint.addresses().map(|(ip, len)| Prefix { ip, len }.to_string()).collect(),
        }
    }
}

impl ShownBfd {
    fn of(watch: &Watch) -> Self {
        let status = watch.status();
        Self {
            state: status.state.name(),
            diagnostic: status.diag.name(),
            remote_state: status.remote_state.name(),
            remote_diagnostic: status.remote_diag.name(),
            flaps: status.flaps,
            ignored: watch.ignored,
        }
    }
}

impl ShownUnderlay {
    /// What there is to show, if there is to be an underlay.
    pub fn of(state: &State) -> Option<Self> {
        let (overlay, now) = (&state.overlay, state.datapath.now_ms());
        let settings = overlay.settings()?;
        let endpoint = overlay.endpoint().map(ShownEndpoint::of);
        let absent = || format!("there is no port \"{}\"; add it with `millrace port add`", settings.port);
        let no_tunnel = "there is no port of type geneve, where tunnels end; add it with `millrace port add geneve type=geneve`";
        let complaint = match endpoint {
            None => Some(overlay.complaint().map_or_else(absent, str::to_owned)),
            Some(_) => state.datapath.ports().tunnel().is_none().then(|| no_tunnel.to_owned()),
        };
        let (conflicts, last) = overlay.conflicts();
        let neighbours = overlay.neighbours(now).into_iter().map(|row| ShownNeighbour {
            ip: row.ip,
            mac: row.mac.map(|mac| mac.to_string()),
            state: row.state.name(),
            age_ms: row.age,
        });
        let tunnels = overlay.peers().into_iter().map(|PeerView { name, remote, watch }| ShownTunnel {
            chassis: name.to_owned(),
            ip: remote.ip,
            next_hop: remote.hop,
            resolved: remote.mac.is_some(),
            bfd: watch.map(ShownBfd::of),
        });
        Some(Self {
            port: settings.port.clone(),
            endpoint,
            complaint,
            neighbours: neighbours.collect(),
            tunnels: tunnels.collect(),
            conflicts,
            last_conflict: last
                .map(|(ip, mac)| ShownConflict { ip: ip.to_canonical(), mac: mac.to_string() }),
        })
    }

    /// Whether there is no tunnel.
    pub fn is_idle(&self) -> bool {
        self.tunnels.is_empty()
    }

    /// A line for `show`.
    pub fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "underlay ")?;
        match (&self.endpoint, &self.complaint) {
            (Some(endpoint), complaint) => {
                write!(f, "{} on port {}", endpoint.addresses.join(", "), self.port)?;
                complaint.iter().try_for_each(|complaint| write!(f, "; {complaint}"))?;
            }
            (None, complaint) => write!(f, "none: {}", complaint.as_deref().unwrap_or_default())?,
        }
        let unresolved = self.tunnels.iter().filter(|tunnel| !tunnel.resolved).count();
        write!(f, "; {}", count(self.tunnels.len() as u64, "tunnel"))?;
        if unresolved > 0 {
            write!(f, ", {unresolved} without a next hop")?;
        }
        let bfd = self.tunnels.iter().filter_map(|tunnel| tunnel.bfd.as_ref());
        let (up, all) = bfd.fold((0, 0), |(up, all), bfd| (up + usize::from(bfd.state == "up"), all + 1));
        if all > 0 {
            write!(f, ", BFD up with {up} of {all}")?;
        }
        writeln!(f)
    }

    /// The tunnels, a line each.
    pub fn tunnels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_bfd = self.tunnels.iter().any(|tunnel| tunnel.bfd.is_some());
        let mut head = vec!["chassis", "address", "next hop", "state"];
        if has_bfd {
            head.extend(["bfd", "remote", "diagnostic", ">flaps"]);
        }
        let rows = self.tunnels.iter().map(|tunnel| {
            let state = match (tunnel.next_hop, tunnel.resolved) {
                (None, _) => "no route",
                (Some(_), false) => "unresolved",
                (Some(_), true) => "resolved",
            };
            let hop = tunnel.next_hop.map_or_else(|| "-".to_owned(), |hop| hop.to_string());
            let mut row = vec![tunnel.chassis.clone(), tunnel.ip.to_string(), hop, state.to_owned()];
            if has_bfd {
                row.extend(match &tunnel.bfd {
                    Some(bfd) => [bfd.state, bfd.remote_state, bfd.diagnostic]
                        .map(str::to_owned)
                        .into_iter()
                        .chain([bfd.flaps.to_string()])
                        .collect(),
                    None => vec!["-".to_owned(); 4],
                });
            }
            row
        });
        columns(f, &head, &rows.collect::<Vec<_>>())
    }
}

impl fmt::Display for ShownUnderlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        if let Some(endpoint) = &self.endpoint {
            let vlan = endpoint.vlan.map_or_else(String::new, |vlan| format!(", vlan {vlan}"));
            let has_ipv6 = endpoint.addresses.iter().any(|address| address.contains(':'));
            let checksum = match (endpoint.checksum, has_ipv6) {
                (true, _) => "with checksum",
                (false, false) => "without checksum",
                (false, true) => "with checksum over IPv6 only",
            };
            writeln!(f, "         mac {}{vlan}, mtu {}, {checksum}", endpoint.mac, endpoint.mtu)?;
        }
        if let Some(ShownConflict { ip, mac }) = &self.last_conflict {
            let times = count(self.conflicts, "time");
            writeln!(
                f,
                "         another host claimed an address of these, {times}; the last was {mac} with {ip}"
            )?;
        }
        if !self.tunnels.is_empty() {
            writeln!(f)?;
            self.tunnels(f)?;
        }
        if !self.neighbours.is_empty() {
            writeln!(f)?;
            let rows = self.neighbours.iter().map(|neighbour| {
                let mac = neighbour.mac.clone().unwrap_or_else(|| "-".to_owned());
                let age = format!("{} s", neighbour.age_ms / 1000);
                vec![neighbour.ip.to_string(), mac, neighbour.state.to_owned(), age]
            });
            columns(f, &["neighbour", "mac", "state", ">since"], &rows.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// `underlay/show`
pub fn show(switch: &Switch, _: &[String]) -> Outcome {
    done(ShownUnderlay::of(&switch.state()).ok_or_else(none)?)
}

fn none() -> CommandError {
    CommandError::Argument(
        "there is no [underlay] in the config, so there are no tunnels; add it and start again".to_owned(),
    )
}

/// Sessions as `ovs-appctl bfd/show` prints them.
#[derive(Serialize)]
struct Sessions(Vec<ShownSession>);

#[derive(Serialize)]
struct ShownSession {
    chassis: String,
    ip: IpAddr,
    #[serde(flatten)]
    bfd: ShownBfd,
    multiplier: u8,
    min_tx_ms: u128,
    min_rx_ms: u128,
    tx_interval_ms: Option<u64>,
    detection_ms: Option<u64>,
    discriminator: u32,
}

impl fmt::Display for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for session in &self.0 {
            writeln!(f, "---- {} ----", session.chassis)?;
            writeln!(f, "\tForwarding: {}", session.bfd.state == "up")?;
            writeln!(f, "\tDetect Multiplier: {}", session.multiplier)?;
            writeln!(f, "\tTX Interval: Approx {}ms", session.tx_interval_ms.unwrap_or(0))?;
            writeln!(f, "\tDetect Time: {}ms", session.detection_ms.unwrap_or(0))?;
            writeln!(f, "\tFlaps: {}\n", session.bfd.flaps)?;
            writeln!(f, "\tLocal Session State: {}", session.bfd.state)?;
            writeln!(f, "\tLocal Diagnostic: {}", session.bfd.diagnostic)?;
            writeln!(f, "\tLocal Discriminator: {:#x}", session.discriminator)?;
            writeln!(f, "\tLocal Minimum TX Interval: {}ms", session.min_tx_ms)?;
            writeln!(f, "\tLocal Minimum RX Interval: {}ms\n", session.min_rx_ms)?;
            writeln!(f, "\tRemote Session State: {}", session.bfd.remote_state)?;
            writeln!(f, "\tRemote Diagnostic: {}", session.bfd.remote_diagnostic)?;
        }
        Ok(())
    }
}

/// `bfd/show [CHASSIS]`
pub fn bfd(switch: &Switch, args: &[String]) -> Outcome {
    let state = switch.state();
    let settings = state.overlay.settings().ok_or_else(none)?;
    let Some(bfd) = settings.bfd else {
        let sentence = "there is no BFD here; set `bfd = true` in [underlay] of the config and start again";
        return Err(CommandError::Argument(sentence.to_owned()));
    };
    let peers = state.overlay.peers();
    if let Some(name) = args.first()
        && !peers.iter().any(|peer| peer.name == name)
    {
        let near = did_you_mean(name, peers.iter().map(|peer| peer.name));
        return Err(CommandError::Argument(format!(
            "no such bfd object: there is no chassis \"{}\"{near}",
            shortened(name)
        )));
    }
    let sessions = peers.iter().filter(|peer| args.first().is_none_or(|name| peer.name == name));
    let sessions = sessions.filter_map(|peer| {
        let watch = peer.watch?;
        let status = watch.status();
        Some(ShownSession {
            chassis: peer.name.to_owned(),
            ip: peer.remote.ip,
            bfd: ShownBfd::of(watch),
            multiplier: bfd.mult,
            min_tx_ms: bfd.min_tx.as_millis(),
            min_rx_ms: bfd.min_rx.as_millis(),
            tx_interval_ms: status.tx_interval,
            detection_ms: status.detection,
            discriminator: watch.discriminator(),
        })
    });
    done(Sessions(sessions.collect()))
}

/// Neighbours as `ovs-appctl tnl/neigh/show` prints them.
#[derive(Serialize)]
struct Neighbours {
    port: String,
    neighbours: Vec<ShownNeighbour>,
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<45} {:<19} Bridge", "IP", "MAC")?;
        writeln!(f, "{}", "=".repeat(74))?;
        for neighbour in &self.neighbours {
            let Some(mac) = &neighbour.mac else { continue };
            writeln!(f, "{:<45} {mac:<19} {}", neighbour.ip.to_string(), self.port)?;
        }
        Ok(())
    }
}

/// `tnl/neigh/show`, `tnl/arp/show`
pub fn neighbours(switch: &Switch, _: &[String]) -> Outcome {
    let ShownUnderlay { port, neighbours, .. } = ShownUnderlay::of(&switch.state()).ok_or_else(none)?;
    done(Neighbours { port, neighbours })
}

/// Routes as `ovs-appctl ovs/route/show` prints them.
#[derive(Serialize)]
struct Routes(Vec<ShownRoute>);

#[derive(Serialize)]
struct ShownRoute {
    to: String,
    dev: String,
    via: Option<IpAddr>,
    src: Option<IpAddr>,
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Route Table:")?;
        for ShownRoute { to, dev, via, src } in &self.0 {
            let kind = if via.is_some() { "User" } else { "Cached" };
            write!(f, "{kind}: {to} dev {dev}")?;
            via.iter().try_for_each(|via| write!(f, " GW {via}"))?;
            src.iter().try_for_each(|src| write!(f, " SRC {src}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// `ovs/route/show`
pub fn routes(switch: &Switch, _: &[String]) -> Outcome {
    let state = switch.state();
    let settings = state.overlay.settings().ok_or_else(none)?;
    let source = |ip: IpAddr| {
        let mut own = settings.addresses.iter().map(|address| address.ip);
        own.find(|own| own.is_ipv4() == ip.is_ipv4())
    };
    let dev = || settings.port.clone();
    let near = settings.addresses.iter().map(|address| ShownRoute {
        to: address.network().to_string(),
        dev: dev(),
        via: None,
        src: Some(address.ip),
    });
    let far = settings.routes.iter().map(|route| ShownRoute {
        to: route.to.to_string(),
        dev: dev(),
        via: Some(route.via),
        src: source(route.via),
    });
    done(Routes(near.chain(far).collect()))
}
