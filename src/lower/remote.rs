//! Ports of other chassis: what comes from them by the tunnel, and what goes to them.
//!
//! A multicast group has two units. The first has its own ports and counts the members of every chassis ([`Fanout`]);
//! the second makes of that the flow by which copies leave. So a port that moves between chassis costs a count for each
//! of its groups, and another flow only where a chassis has its first member or has lost its last.
//!
//! The invariant: the counts are those that [`Base::group`] finds in the rows as they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::actions::go_to;
use super::book::Unit;
use super::engine::{Lowering, Stale};
use super::numbers::{
    DATAPATH, FLAGS, INPORT, LOGICAL_REGISTERS, OUTPORT, PORT_ZONE, TOO_LARGE_FOR_IPV4, TOO_LARGE_FOR_IPV6,
    flag,
};
use super::physical::{Base, Flow, Notes, load, outport};
use super::units::NOBODY;
use super::view::Ref;
use super::{Families, Tunnel};
use crate::action::reply::Reply;
use crate::action::{Action, Subfield};
use crate::logical::rows::tables::{Chassis, DatapathBinding, Encap, MulticastGroup, PortBinding};
use crate::logical::rows::{Change, Delta, Store, Table, Uuid};
use crate::packet::headers::{ETH_LEN, VLAN_LEN, eth_type};
use crate::packet::{Field, PortNo};
use crate::pipeline::Match;

/// Bytes of the headers of UDP and of Geneve, and of Geneve's one option.
const GENEVE: u16 = 8 + 8 + 8;
/// Bytes of an IPv4 and of an IPv6 header.
const IP: [u16; 2] = [20, 40];
/// Bits of a VNI.
const VNI: u128 = 0xff_ffff;
/// Ports that other chassis have in a way of their own, which is not known here.
const FOREIGN: [&str; 2] = ["remote", "vtep"];

/// What of a multicast group goes beyond the ports of this chassis.
#[derive(Default)]
pub(super) struct Fanout {
    /// What is done on the chassis that a packet came in by and on no other.
    pub patches: Vec<Action>,
    /// Whether it has ports that are bound here.
    pub has_bound: bool,
    /// Number of members by their chassis.
    pub seats: HashMap<Uuid, usize>,
}

/// Those of all groups that are needed here, by their rows.
pub(super) type Fanouts = HashMap<Uuid, Fanout>;

/// The unit of what leaves by a multicast group. Next to that of its own ports, and behind it.
pub(super) fn beyond(group: Uuid) -> Unit {
    Unit { uuid: group, table: Table::MulticastGroup, datapath: 1 }
}

/// Where packets to a chassis go: to the one of its Geneve endpoints that is asked for, if it has that, else to the
/// first, IPv4 before IPv6; of those that can be reached by their version of IP, if there are any.
pub fn endpoint(chassis: &Chassis, asked: Option<Uuid>, store: &Store, families: Families) -> Option<IpAddr> {
    let asked = asked.filter(|asked| chassis.encaps.contains(asked)).and_then(|asked| address(asked, store));
    let all: Vec<IpAddr> = asked.into_iter().chain(endpoints(chassis, store)).collect();
    all.iter().find(|ip| families.reach(**ip)).or(all.first()).copied()
}

/// All Geneve endpoints of a chassis: what comes from it comes from one of these.
pub fn endpoints(chassis: &Chassis, store: &Store) -> BTreeSet<IpAddr> {
    chassis.encaps.iter().filter_map(|encap| address(*encap, store)).collect()
}

fn address(encap: Uuid, store: &Store) -> Option<IpAddr> {
    let encap = store.get::<Encap>(encap)?;
    if encap.kind == "geneve" { encap.ip.parse().ok() } else { None }
}

/// The chassis that a port is on, each once.
fn seats(port: &PortBinding) -> impl Iterator<Item = Uuid> {
    let others = port.additional_chassis.iter().copied().filter(|other| port.chassis != Some(*other));
    port.chassis.into_iter().chain(others)
}

/// Whether a port is where it was.
pub(super) fn is_same_seat(old: &PortBinding, new: &PortBinding) -> bool {
    let of = |port: &PortBinding| (port.chassis, port.encap);
    of(old) == of(new)
        && old.additional_chassis == new.additional_chassis
        && old.additional_encap == new.additional_encap
}

/// Where a flow says that a frame is too large, by the underlay's version of IP.
fn too_large(is_ipv6: bool) -> Subfield {
    let start = if is_ipv6 { TOO_LARGE_FOR_IPV6 } else { TOO_LARGE_FOR_IPV4 };
    Subfield { field: Field::Reg9, start, bits: 1 }
}

/// Most bytes of a frame inside a tunnel.
fn most(mtu: u16, is_ipv6: bool) -> u16 {
    mtu.saturating_sub(IP[usize::from(is_ipv6)] + GENEVE)
}

/// Says in the tunnel's headers where in the logical network a packet is.
fn encapsulate(datapath: u32, key: u16) -> [Action; 3] {
    let part = |field, start, bits| Subfield { field, start, bits };
    [
        Action::SetField { field: Field::TunId, value: datapath.into(), mask: VNI },
        load(Field::TunMetadata0, key),
        Action::Move { src: part(INPORT, 0, 15), dst: part(Field::TunMetadata0, 16, 15) },
    ]
}

/// Sends what is encapsulated. An IPv4 address counts before one of IPv6, and a packet may have come with one.
fn send(to: IpAddr, port: PortNo, out: &mut Vec<Action>) {
    match to {
        IpAddr::V4(to) => out.push(load(Field::TunDst, to.to_bits())),
        IpAddr::V6(to) => out.extend([load(Field::TunDst, 0u8), load(Field::TunIpv6Dst, to.to_bits())]),
    }
    out.push(Action::Output(port));
}

impl Lowering {
    /// The tunnel is another one, or this chassis is.
    pub(super) fn reach_anew(&self, store: &Store, stale: &mut Stale) {
        stale.units.push(NOBODY);
        store.iter::<PortBinding>().for_each(|(uuid, _)| stale.row(Table::PortBinding, uuid));
        stale.units.extend(self.fanouts.keys().map(|group| beyond(*group)));
    }

    /// A port is on another chassis, and else the same.
    pub(super) fn move_seat(
        &mut self,
        uuid: Uuid,
        [old, new]: [&PortBinding; 2],
        store: &Store,
        stale: &mut Stale,
    ) {
        let is_single = old.additional_chassis.is_empty() && new.additional_chassis.is_empty();
        if is_single && self.local.plug(new, store).is_some() {
            return;
        }
        stale.row(Table::PortBinding, uuid);
        let base = Base { store, local: &self.local, zones: &self.zones, numbers: &self.numbers };
        for (group, row) in store.mentions_of::<MulticastGroup>(Table::PortBinding, uuid) {
            // One that is lowered anew counts anew.
            let Some(fanout) = self.fanouts.get_mut(&group) else { continue };
            let before = fanout.seats.len();
            let mut is_other = false;
            for seat in base.seats_in(row, old) {
                if let Some(count) = fanout.seats.get_mut(&seat) {
                    *count = count.saturating_sub(1);
                }
            }
            for seat in base.seats_in(row, new) {
                *fanout.seats.entry(seat).or_default() += 1;
            }
            is_other |= fanout.seats.len() != before;
            fanout.seats.retain(|_, count| {
                is_other |= *count == 0;
                *count > 0
            });
            stale.units.extend(is_other.then(|| beyond(group)));
        }
    }

    /// A row of a chassis or of an endpoint changed.
    pub(super) fn gather_chassis(&self, delta: &Delta, change: &Change, stale: &mut Stale) {
        let uuid = change.uuid;
        let mut chassis = BTreeSet::new();
        if change.table == Table::Chassis {
            let of =
                |store: &Store| store.get::<Chassis>(uuid).map(|row| (row.name.clone(), row.encaps.clone()));
            chassis.extend((of(&delta.before) != of(&delta.after)).then_some(uuid));
        } else {
            for store in [&delta.before, &delta.after] {
                chassis.extend(store.parents_of::<Chassis>(Table::Encap, uuid).map(|(uuid, _)| uuid));
            }
        }
        for chassis in chassis {
            // A port that is on it no more has changed itself.
            let ports = delta.after.mentions_of::<PortBinding>(Table::Chassis, chassis);
            ports.for_each(|(uuid, _)| stale.row(Table::PortBinding, uuid));
            let groups = self.fanouts.iter().filter(|(_, fanout)| fanout.seats.contains_key(&chassis));
            stale.units.extend(groups.map(|(group, _)| beyond(*group)));
        }
    }

    /// The keys of the datapaths that are needed here, in order: the VNIs of what may arrive.
    pub fn vnis(&self, store: &Store) -> Vec<u32> {
        let rows = self.local.datapaths().filter_map(|datapath| store.get::<DatapathBinding>(datapath));
        let mut keys: Vec<u32> = rows.map(|row| row.tunnel_key).collect();
        keys.sort_unstable();
        keys
    }
}

impl Base<'_> {
    /// Members of a multicast group that a port is, by chassis: none if it has copies here.
    pub fn seats_in<'p>(
        &self,
        group: &MulticastGroup,
        port: &'p PortBinding,
    ) -> impl Iterator<Item = Uuid> + use<'p> {
        let is_no_guest = match port.kind.as_str() {
            "patch" | "localport" => true,
            "l3gateway" | "chassisredirect" => self.local.is_resident(port, self.store),
            kind => FOREIGN.contains(&kind) || self.local.plug(port, self.store).is_some(),
        };
        let is_guest = !is_no_guest && port.datapath == group.datapath;
        seats(port).filter(move |_| is_guest)
    }

    /// The address of a chassis, if it is another one.
    fn address_of(&self, seat: Uuid, encaps: impl IntoIterator<Item = Uuid>) -> Option<Result<IpAddr, &str>> {
        let families = self.local.tunnel().map(|tunnel| tunnel.families).unwrap_or_default();
        if self.local.chassis() == Some(seat) {
            return None;
        }
        let chassis = self.store.get::<Chassis>(seat)?;
        let asked = encaps.into_iter().find(|encap| chassis.encaps.contains(encap));
        Some(endpoint(chassis, asked, self.store, families).ok_or(&chassis.name))
    }

    /// Over to the other chassis that have a port.
    pub fn over(&self, port: &PortBinding, datapath: u32, notes: &mut Notes, flows: &mut Vec<Flow>) {
        let Some(tunnel) = self.local.tunnel() else { return };
        if FOREIGN.contains(&port.kind.as_str()) {
            return;
        }
        let mut sent = Vec::new();
        let mut is_ipv6 = false;
        for seat in seats(port) {
            match self.address_of(seat, port.encap.into_iter().chain(port.additional_encap.iter().copied())) {
                None => {}
                Some(Ok(to)) => {
                    is_ipv6 |= to.is_ipv6();
                    send(to, tunnel.port, &mut sent);
                }
                Some(Err(name)) => notes.say(format!(
                    "it is on chassis \"{name}\", which has no Geneve endpoint, so that nothing passes; add its encap"
                )),
            }
        }
        if sent.is_empty() {
            return;
        }
        let matcher = outport(datapath, port.tunnel_key);
        if let Some(mtu) = tunnel.mtu {
            let check = Action::CheckPktLarger { len: most(mtu, is_ipv6), dst: too_large(is_ipv6) };
            let actions = vec![check, go_to(self.numbers.output_large)];
            let table = self.numbers.output_init;
            flows.push(Flow { table, priority: 100, matcher: matcher.clone(), actions });
        }
        let mut actions: Vec<Action> = encapsulate(datapath, port.tunnel_key).into();
        actions.append(&mut sent);
        actions.push(go_to(self.numbers.local_output));
        flows.push(Flow { table: self.numbers.remote_output, priority: 100, matcher, actions });
    }

    /// Copies of what goes to a multicast group: for patch ports, and for every chassis with members. Where the
    /// datapath has a physical network, members elsewhere get theirs by its port.
    pub fn fan_out(&self, group: &MulticastGroup, fanout: &Fanout, notes: &mut Notes) -> Option<Flow> {
        let datapath = self.local_key(group.datapath)?;
        notes.refs.push(Ref::Wire(group.datapath));
        let mut actions = fanout.patches.clone();
        if !actions.is_empty() {
            actions.push(load(OUTPORT, group.tunnel_key));
        }
        let has_wire = self.local.wire(group.datapath).is_some();
        if let Some(tunnel) = self.local.tunnel().filter(|_| !has_wire) {
            // That a chassis has no endpoint is said of its ports.
            let by_name = fanout.seats.keys().filter_map(|seat| {
                let to = self.address_of(*seat, None)?.ok()?;
                Some((self.store.get::<Chassis>(*seat)?.name.as_str(), to))
            });
            let by_name: BTreeMap<&str, IpAddr> = by_name.collect();
            if !by_name.is_empty() {
                actions.extend(encapsulate(datapath, group.tunnel_key));
                by_name.into_values().for_each(|to| send(to, tunnel.port, &mut actions));
            }
        }
        if actions.is_empty() {
            return None;
        }
        actions.extend(fanout.has_bound.then(|| go_to(self.numbers.local_output)));
        let matcher = outport(datapath, group.tunnel_key);
        Some(Flow { table: self.numbers.remote_output, priority: 100, matcher, actions })
    }

    /// The flows of the tunnel that no row asks for.
    pub fn tunnelled(&self, flows: &mut Vec<Flow>) {
        let Some(Tunnel { port, mtu, .. }) = self.local.tunnel() else { return };
        let part = |field, start, bits| Subfield { field, start, bits };
        let moved = |src, dst| Action::Move { src, dst };
        let mut matcher = Match::default();
        matcher.set(Field::InPort, port.0.into());
        // Where it is to go was found where it came from.
        let actions = vec![
            moved(part(Field::TunId, 0, 24), part(DATAPATH, 0, 24)),
            moved(part(Field::TunMetadata0, 16, 15), part(INPORT, 0, 15)),
            moved(part(Field::TunMetadata0, 0, 16), part(OUTPORT, 0, 16)),
            go_to(self.numbers.local_output),
        ];
        flows.push(Flow { table: self.numbers.physical_to_logical, priority: 100, matcher, actions });
        let Some(mtu) = mtu else { return };
        for is_ipv6 in [false, true] {
            self.answer_large(most(mtu, is_ipv6), too_large(is_ipv6), flows);
        }
        // Only what goes to other chassis comes here, and may be what is allowed to return.
        let actions = vec![go_to(self.numbers.remote_output)];
        let matcher = Match::default();
        flows.push(Flow { table: self.numbers.output_large, priority: 20, matcher, actions });
    }

    /// Answers to IP packets that are too large, in the name of whom they were for.
    fn answer_large(&self, most: u16, flagged: Subfield, flows: &mut Vec<Flow>) {
        let kinds = [
            (eth_type::IPV4, Reply::Icmp4Error, [Field::NwSrc, Field::NwDst], (3u8, 4u8)),
            (eth_type::IPV6, Reply::Icmp6Error, [Field::Ipv6Src, Field::Ipv6Dst], (2, 0)),
        ];
        for (kind, reply, addresses, (icmp_type, icmp_code)) in kinds {
            // Of what has a VLAN less fits.
            for (priority, tag) in [(100, 0), (110, VLAN_LEN)] {
                let mut matcher = Match::default();
                matcher.set_masked(flagged.field, flagged.mask(), flagged.mask());
                matcher.set(Field::EthType, kind.into());
                if tag > 0 {
                    matcher.set_masked(Field::VlanTci, 0x1000, 0x1000);
                }
                let mut actions = vec![Action::CtClear, load(PORT_ZONE, 0u8)];
                actions.extend(exchange([Field::EthSrc, Field::EthDst]));
                actions.extend(exchange(addresses));
                let [in_type, in_code] = match kind {
                    eth_type::IPV6 => [Field::Icmpv6Type, Field::Icmpv6Code],
                    _ => [Field::IcmpType, Field::IcmpCode],
                };
                actions.extend([load(in_type, icmp_type), load(in_code, icmp_code)]);
                let next = usize::from(most).saturating_sub(ETH_LEN + tag);
                actions.push(Action::SetMtu(next as u32));
                let (from, to) = (Subfield::whole(OUTPORT), Subfield::whole(INPORT));
                actions.extend([Action::Move { src: from, dst: to }, load(OUTPORT, 0u8)]);
                actions.push(load(FLAGS, 1u8 << flag::LOOPBACK));
                actions.extend(LOGICAL_REGISTERS.map(|register| load(register, 0u8)));
                actions.push(go_to(self.numbers.ingress));
                let actions = vec![Action::Become { kind: reply, actions: actions.into() }];
                flows.push(Flow { table: self.numbers.output_large, priority, matcher, actions });
            }
        }
    }
}

/// Puts two fields in each other's place.
fn exchange([one, other]: [Field; 2]) -> [Action; 4] {
    let (one, other) = (Subfield::whole(one), Subfield::whole(other));
    [Action::PushStack(other), Action::PushStack(one), Action::PopStack(other), Action::PopStack(one)]
}
