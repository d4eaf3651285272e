//! The underlay: next hops of the other chassis, what they say of themselves, and BFD with them.
//!
//! The invariants:
//! - What workers have is what [`Resolver`] last built. Peers and virtual networks are those of the rows that packets
//!   meet: [`State::reach`] comes between flows and the answer that these are in force.
//! - The endpoint is there as long as the port of the configuration is, and goes and comes with it.
//! - Nothing here waits: what is to be sent and cannot be is lost, as on any wire, and sent again by its own timer.
//!
//! `session` is BFD with one peer, `sparing` what keeps the log short.

pub mod session;
mod sparing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::switch::{State, Switch};
use crate::action::intent::{Intent, Neighbour};
use crate::config::{self, Mapping, PortKind, PortSpec};
use crate::datapath::{Datapath, Generation, PortStatus, Told};
use crate::logical::rows::Store;
use crate::logical::rows::tables::{Chassis, DatapathBinding};
use crate::lower::{Families, Host, Tunnel, endpoint, endpoints};
use crate::packet::{Mac, PortNo, PortRef};
use crate::tunnel::resolve::{RemoteRow, Resolver, Route, Row, Spec};
use crate::tunnel::{Endpoint, Underlay};
use session::Watch;
use sparing::Sparing;

/// How often something is done.
const LOOK: Duration = Duration::from_millis(10);
/// Milliseconds between two looks at the link of the endpoint's port.
const LINK: u64 = 1000;

/// See the module.
#[derive(Default)]
pub struct Overlay {
    settings: Option<config::Underlay>,
    mappings: Vec<Mapping>,
    running: Option<Running>,
    /// Why it is not running, as it was last said.
    complaint: Option<String>,
}

/// The endpoint while its port is there.
struct Running {
    uplink: (PortNo, PortRef),
    resolver: Resolver,
    /// What workers have.
    published: Arc<Underlay>,
    /// Ethernet addresses of the next hops in that.
    hops: BTreeMap<Ipv6Addr, Mac>,
    /// What the log says of them.
    told: BTreeMap<Ipv6Addr, ToldHop>,
    peers: BTreeMap<String, Peer>,
    /// Their names by what they may come from.
    names: HashMap<Ipv6Addr, String>,
    watches: BTreeMap<String, Watch>,
    /// Whether the link of the port was up when it was last looked at, and when that was.
    is_up: bool,
    looked_at_link: u64,
}

/// What the log says of a next hop.
struct ToldHop {
    mac: Option<Mac>,
    lines: Sparing,
}

/// Another chassis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where packets to it go.
    pub ip: Ipv6Addr,
    /// What it may come from, that among them.
    pub all: BTreeSet<Ipv6Addr>,
}

/// What there is to show of a peer.
pub struct PeerView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address and the way there.
    pub remote: RemoteRow,
    /// BFD with it, if there is.
    pub watch: Option<&'a Watch>,
}

/// An address as tunnels have it.
fn to_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Looks after the underlay as long as the switch runs.
pub async fn look_after(switch: Rc<Switch>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        switch.state_mut().tick_underlay();
    }
}

impl Overlay {
    /// As configured; not running yet.
    pub fn new(config: &config::Config) -> Self {
        let (settings, mappings) = (config.underlay.clone(), config.ovn.bridge_mappings.clone());
        Self { settings, mappings, ..Self::default() }
    }

    /// Whether there is to be one.
    pub fn is_configured(&self) -> bool {
        self.settings.is_some()
    }

    /// What it was configured to be.
    pub fn settings(&self) -> Option<&config::Underlay> {
        self.settings.as_ref()
    }

    /// The sentence that refuses a port which would be that of the underlay and cannot be.
    pub fn refusal(&self, port: &PortSpec) -> Option<String> {
        let settings = self.settings.as_ref().filter(|settings| settings.port == port.name)?;
        let config::Underlay { mtu, .. } = settings;
        if port.kind == PortKind::Geneve {
            return Some(format!(
                "port \"{}\" of [underlay] leads to the other hosts, and one of type geneve has no wire; choose another \
                 type or another name",
                port.name
            ));
        }
        (port.mtu < *mtu).then(|| {
            format!(
                "the underlay sends packets of up to {mtu} bytes by port \"{}\"; lower `underlay.mtu` in the config and \
                 restart, or give an MTU that is no less",
                port.name
            )
        })
    }

    /// What the lowering needs to know of this host.
    pub fn host(&self, chassis: &str, datapath: &dyn Datapath) -> Host {
        let ports = datapath.ports();
        let mtu = self.settings.as_ref().map(|settings| settings.mtu);
        let mapped =
            |mapping: &Mapping| Some((mapping.network.clone(), ports.by_name(&mapping.port)?.number));
        Host {
            chassis: chassis.to_owned(),
            tunnel: ports.tunnel().map(|port| Tunnel { port, mtu, families: self.families() }),
            mappings: self.mappings.iter().filter_map(mapped).collect(),
        }
    }

    /// How other chassis can be reached.
    fn families(&self) -> Families {
        let addresses =
            |settings: &config::Underlay| settings.addresses.iter().map(|address| address.ip).collect();
        let addresses: Option<Vec<IpAddr>> = self.settings.as_ref().map(addresses);
        addresses.map_or_else(Families::default, Families::of)
    }

    /// The endpoint, if it is running.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.running.as_ref().map(|running| &running.resolver.spec().endpoint)
    }

    /// Why it is not running.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// The neighbours.
    pub fn neighbours(&self, now: u64) -> Vec<Row> {
        self.running.iter().flat_map(|running| running.resolver.show(now)).collect()
    }

    /// How often it was told that somebody else claims an address of the endpoint, and which address who claimed last.
    pub fn conflicts(&self) -> (u64, Option<(Ipv6Addr, Mac)>) {
        self.running.as_ref().map_or((0, None), |running| running.resolver.conflicts())
    }

    /// The other chassis, by name.
    pub fn peers(&self) -> Vec<PeerView<'_>> {
        let Some(running) = &self.running else { return Vec::new() };
        let rows: BTreeMap<Ipv6Addr, RemoteRow> =
            running.resolver.show_remotes().into_iter().map(|row| (to_v6(row.ip), row)).collect();
        let peers = running.peers.iter().map(|(name, peer)| {
            let nowhere = || RemoteRow { ip: peer.ip.to_canonical(), hop: None, mac: None };
            let remote = rows.get(&peer.ip).cloned().unwrap_or_else(nowhere);
            PeerView { name, remote, watch: running.watches.get(name) }
        });
        peers.collect()
    }

    /// Begins, ends or begins anew as the port comes and goes. True if it began.
    fn attach(&mut self, datapath: &mut dyn Datapath, generation: &mut Generation) -> bool {
        let Some(settings) = &self.settings else { return false };
        let found = datapath.ports().by_name(&settings.port).map(|port| (port.number, port.at));
        if self.running.as_ref().map(|running| running.uplink) == found {
            return false;
        }
        if self.running.take().is_some() {
            *generation = datapath.publish_underlay(None);
            tracing::warn!(port = %settings.port, "the underlay is gone: its port is");
        }
        let Some(uplink) = found else { return false };
        let Some(status) = datapath.port_status(uplink.0) else { return false };
        match resolver(settings, &status) {
            Ok(mut resolver) => {
                let endpoint = resolver.spec().endpoint.clone();
                tracing::info!(port = %settings.port, mac = %endpoint.mac, mtu = endpoint.mtu, "the underlay is there");
                let nothing = || Underlay::new(uplink.0, endpoint, [], None);
                let published = Arc::new(resolver.build().unwrap_or_else(nothing));
                *generation = datapath.publish_underlay(Some(Arc::clone(&published)));
                self.complaint = None;
                self.running = Some(Running {
                    uplink,
                    resolver,
                    published,
                    hops: BTreeMap::new(),
                    told: BTreeMap::new(),
                    peers: BTreeMap::new(),
                    names: HashMap::new(),
                    watches: BTreeMap::new(),
                    is_up: true,
                    looked_at_link: 0,
                });
                true
            }
            Err(complaint) => {
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::error!("there is no underlay: {complaint}");
                }
                self.complaint = Some(complaint);
                false
            }
        }
    }
}

/// The resolver of a configured underlay on a port.
fn resolver(settings: &config::Underlay, port: &PortStatus) -> Result<Resolver, String> {
    let (uplink, mac) = (port.number, settings.mac.unwrap_or(port.hw_addr));
    if port.spec.mtu < settings.mtu {
        return Err(format!(
            "packets of the underlay have up to {mtu} bytes, and port \"{}\" has an MTU of {}; remove it and add it with \
             `mtu={mtu}`, or lower `underlay.mtu` in the config and restart",
            port.spec.name,
            port.spec.mtu,
            mtu = settings.mtu
        ));
    }
    let addresses: Vec<(IpAddr, u8)> =
        settings.addresses.iter().map(|address| (address.ip, address.len)).collect();
    let endpoint = Endpoint::new(mac, settings.vlan, &addresses, settings.mtu, settings.checksum);
    let endpoint = endpoint.map_err(|bad| bad.to_string())?;
    let routes = settings.routes.iter();
    let routes =
        routes.map(|route| Route { prefix: route.to.ip, len: route.to.len, via: route.via }).collect();
    let mut resolver = Resolver::new(Spec { uplink, endpoint, routes }).map_err(|bad| bad.to_string())?;
    resolver.set_bfd(settings.bfd.is_some());
    Ok(resolver)
}

/// The chassis of the rows but this one, with their Geneve endpoints.
fn peers(store: &Store, own: &str, families: Families) -> BTreeMap<String, Peer> {
    let others = store.iter::<Chassis>().filter(|(_, chassis)| chassis.name != own);
    let peer = |chassis: &Chassis| {
        let ip = to_v6(endpoint(chassis, None, store, families)?);
        Some(Peer { ip, all: endpoints(chassis, store).into_iter().map(to_v6).collect() })
    };
    others.filter_map(|(_, chassis)| Some((chassis.name.clone(), peer(chassis)?))).collect()
}

impl Running {
    /// The peers and virtual networks from now on.
    fn reach(
        &mut self,
        peers: BTreeMap<String, Peer>,
        vnis: Option<Vec<u32>>,
        bfd: Option<config::Bfd>,
        now: u64,
    ) {
        if peers != self.peers {
            for (name, peer) in &peers {
                let before = self.peers.get(name).map(|before| before.ip);
                if before != Some(peer.ip) {
                    tracing::info!(chassis = %name, ip = %peer.ip.to_canonical(), "chassis is reached by this address");
                }
            }
            for name in self.peers.keys().filter(|name| !peers.contains_key(*name)) {
                tracing::info!(chassis = %name, "chassis is gone");
            }
            self.watches.retain(|name, _| peers.contains_key(name));
            if let Some(bfd) = bfd {
                for name in peers.keys() {
                    let taken: Vec<u32> = self.watches.values().map(|watch| watch.discriminator()).collect();
                    self.watches.entry(name.clone()).or_insert_with(|| Watch::new(bfd, &taken, now));
                }
            }
            let names = peers.iter().flat_map(|(name, peer)| peer.all.iter().map(move |ip| (*ip, name)));
            self.names.clear();
            // Of several that say they have an address the first by name has it.
            names.for_each(|(ip, name)| _ = self.names.entry(ip).or_insert_with(|| name.clone()));
            self.peers = peers;
        }
        self.resolver.set_remotes(self.peers.values().flat_map(|peer| peer.all.iter().copied()), now);
        self.resolver.set_vnis(vnis);
    }

    /// Reaches these peers too, until it is said again which there are.
    fn reach_also(&mut self, coming: &BTreeMap<String, Peer>, now: u64) {
        let all = self.peers.values().chain(coming.values()).flat_map(|peer| peer.all.iter().copied());
        self.resolver.set_remotes(all.collect::<BTreeSet<_>>(), now);
    }

    /// Announces the endpoint when the link of its port comes back.
    fn look_at_link(&mut self, datapath: &dyn Datapath, now: u64) {
        if now < self.looked_at_link + LINK {
            return;
        }
        self.looked_at_link = now;
        let is_up = datapath.port_status(self.uplink.0).is_some_and(|status| status.link_up);
        if is_up && !self.is_up {
            self.resolver.announce(now);
        }
        self.is_up = is_up;
    }

    /// Publishes what the resolver has built, if that is something new.
    fn publish(&mut self, datapath: &mut dyn Datapath, now: u64) -> Option<Generation> {
        let built = Arc::new(self.resolver.build()?);
        let neighbours = self.resolver.show(now);
        let hops: BTreeMap<Ipv6Addr, Mac> =
            neighbours.iter().filter_map(|row| Some((to_v6(row.ip), row.mac?))).collect();
        for (hop, mac) in &hops {
            if self.hops.get(hop) != Some(mac) {
                // Just before the publication that knows it, so that no packet waits for it in vain.
                datapath.neighbour_learned(Neighbour::of_underlay(*hop), *mac);
            }
        }
        self.hops = hops;
        let asked: BTreeSet<Ipv6Addr> = neighbours.iter().map(|row| to_v6(row.ip)).collect();
        self.told.retain(|hop, told| asked.contains(hop) || told.mac.is_some());
        for hop in asked {
            self.told.entry(hop).or_insert_with(|| ToldHop { mac: None, lines: Sparing::new(now) });
        }
        self.published = Arc::clone(&built);
        Some(datapath.publish_underlay(Some(built)))
    }

    /// Tells of next hops that were found and lost. Where somebody changes one without end some changes are passed over,
    /// but not the last.
    fn tell_of_hops(&mut self, now: u64) {
        for (hop, told) in &mut self.told {
            let mac = self.hops.get(hop).copied();
            if mac == told.mac || !told.lines.take(now) {
                continue;
            }
            told.mac = mac;
            let ip = hop.to_canonical();
            match mac {
                Some(mac) => tracing::info!(%ip, %mac, "neighbour of the underlay found"),
                None => tracing::info!(%ip, "neighbour of the underlay lost"),
            }
        }
    }

    fn tick(&mut self, datapath: &mut dyn Datapath, now: u64) {
        let mut frames = self.resolver.tick(now);
        for (name, watch) in &mut self.watches {
            let Some(peer) = self.peers.get(name) else { continue };
            match watch.tick(name, peer.ip, &self.published, now) {
                session::Due::Nothing => {}
                session::Due::Frame(frame) => frames.push(frame),
                session::Due::Unresolved(hop) => self.resolver.wanted(hop, now),
            }
        }
        for frame in frames {
            if let Err(error) = datapath.transmit(self.uplink.0, &frame) {
                tracing::debug!(%error, "a frame of the underlay was not sent");
            }
        }
    }

    /// Takes in what a worker told.
    fn take(&mut self, told: &Told, now: u64) {
        match told.intent {
            Intent::Heard(heard) => {
                self.resolver.heard(&heard, now);
            }
            Intent::Claimed(ip, mac) => {
                if self.resolver.claimed(ip, mac, now) {
                    tracing::warn!(ip = %ip.to_canonical(), %mac, "another host claims an address of the underlay");
                }
            }
            Intent::Resolve(hop) => self.resolver.wanted(hop, now),
            Intent::Bfd(from) => {
                if let Some(name) = self.names.get(&from)
                    && let Some(watch) = self.watches.get_mut(name)
                {
                    watch.received(name, &told.data, now);
                }
            }
            Intent::Neighbour(..) | Intent::Fdb { .. } | Intent::Log { .. } => {}
        }
    }
}

impl State {
    /// What the lowering needs to know of this host.
    pub fn host(&self) -> Host {
        self.overlay.host(self.logical.chassis.as_deref().unwrap_or_default(), &*self.datapath)
    }

    /// Sees to it that workers reach the chassis of the rows that have been followed, and know their networks. When that
    /// was published.
    pub fn reach(&mut self) -> Generation {
        let mut generation = Generation::default();
        let now = self.datapath.now_ms();
        self.overlay.attach(&mut *self.datapath, &mut generation);
        let bfd = self.overlay.settings.as_ref().and_then(|settings| settings.bfd);
        let families = self.overlay.families();
        if let (Some(running), Some(following)) = (&mut self.overlay.running, &self.logical.following) {
            let rows = following.rows();
            let has_networks = rows.iter::<DatapathBinding>().next().is_some();
            let vnis = has_networks.then(|| following.vnis());
            running.reach(peers(rows, &following.bindings().host.chassis, families), vnis, bfd, now);
            generation = running.publish(&mut *self.datapath, now).unwrap_or(generation);
        }
        generation
    }

    /// Reaches the chassis of rows that are about to be followed, beside those of rows that were, so that no flow comes
    /// before its peer.
    pub fn reach_ahead(&mut self) {
        let now = self.datapath.now_ms();
        let own = self.logical.chassis.clone().unwrap_or_default();
        let families = self.overlay.families();
        if let Some(running) = &mut self.overlay.running {
            running.reach_also(&peers(self.logical.rows.snapshot(), &own, families), now);
            running.publish(&mut *self.datapath, now);
        }
    }

    /// What has to be done now and then.
    pub fn tick_underlay(&mut self) {
        if !self.overlay.is_configured() {
            return;
        }
        let mut generation = Generation::default();
        if self.overlay.attach(&mut *self.datapath, &mut generation) {
            self.reach();
        }
        self.fetch_told();
        let now = self.datapath.now_ms();
        if let Some(running) = &mut self.overlay.running {
            running.look_at_link(&*self.datapath, now);
            running.tick(&mut *self.datapath, now);
            running.publish(&mut *self.datapath, now);
            running.tell_of_hops(now);
        }
    }

    /// Fetches what workers tell: what concerns the underlay is taken in, the rest waits for its turn.
    pub fn fetch_told(&mut self) {
        let now = self.datapath.now_ms();
        for told in self.datapath.intents(super::told::STRETCH) {
            match (&told.intent, &mut self.overlay.running) {
                (Intent::Neighbour(..) | Intent::Fdb { .. } | Intent::Log { .. }, _) => self.told.push(told),
                (_, None) => {}
                (_, Some(running)) => running.take(&told, now),
            }
        }
    }
}
