//! Neighbours and Ethernet addresses, learned or configured: the tables that actions look them up in.

use std::net::IpAddr;

use super::actions::set;
use super::numbers::{DATAPATH, FLAGS, INPORT, OUTPORT, flag};
use super::physical::{Base, Flow, Notes, load};
use super::view::Ref;
use crate::action::{Action, Subfield};
use crate::logical::rows::Uuid;
use crate::logical::rows::tables::{Fdb, MacBinding, StaticMacBinding};
use crate::packet::{Field, Mac};
use crate::pipeline::Match;

const ETH_ARP: u128 = 0x0806;
const ETH_IPV6: u128 = 0x86dd;
const ICMPV6: u128 = 58;

/// A neighbour, learned or configured.
struct Neighbour<'a> {
    datapath: Uuid,
    port: &'a str,
    ip: &'a str,
    mac: &'a str,
    priority: u16,
}

fn found(bit: u16) -> Action {
    set(Subfield { field: FLAGS, start: bit, bits: 1 }, 1)
}

impl Base<'_> {
    /// The flows of a neighbour that was learned.
    pub fn learned(&self, row: &MacBinding, notes: &mut Notes) -> Vec<Flow> {
        let (port, ip, mac) = (&row.logical_port, &row.ip, &row.mac);
        self.neighbour(&Neighbour { datapath: row.datapath, port, ip, mac, priority: 100 }, notes)
    }

    /// The flows of a neighbour that is configured.
    pub fn configured(&self, row: &StaticMacBinding, notes: &mut Notes) -> Vec<Flow> {
        let (port, ip, mac) = (&row.logical_port, &row.ip, &row.mac);
        let priority = if row.override_dynamic_mac { 150 } else { 50 };
        self.neighbour(&Neighbour { datapath: row.datapath, port, ip, mac, priority }, notes)
    }

    fn neighbour(&self, neighbour: &Neighbour<'_>, notes: &mut Notes) -> Vec<Flow> {
        notes.refs.push(Ref::Datapath(neighbour.datapath));
        notes.refs.push(Ref::Port(neighbour.port.into()));
        let Some(datapath) = self.local_key(neighbour.datapath) else { return Vec::new() };
        let port = self.store.port(neighbour.port).filter(|(_, port)| port.datapath == neighbour.datapath);
        let key = match port {
            Some((_, port)) => port.tunnel_key,
            None => {
                notes
                    .say(format!("its datapath has no port \"{}\", so that it says nothing", neighbour.port));
                return Vec::new();
            }
        };
        let (Ok(ip), Ok(mac)) = (neighbour.ip.parse::<IpAddr>(), neighbour.mac.parse::<Mac>()) else {
            let Neighbour { ip, mac, .. } = neighbour;
            notes.say(format!(
                "\"{ip}\" is no address, or \"{mac}\" none of Ethernet, so that it says nothing"
            ));
            return Vec::new();
        };
        let mac: u128 = mac.to_u64().into();
        let mut get = Match::default();
        get.set(DATAPATH, datapath.into());
        match ip {
            IpAddr::V4(ip) => get.set(Field::Reg0, ip.to_bits().into()),
            IpAddr::V6(ip) => get.set(Field::Xxreg0, ip.to_bits()),
        }
        let mut look_up = get.clone();
        get.set(OUTPORT, key.into());
        look_up.set(INPORT, key.into());
        look_up.set(Field::EthSrc, mac);
        if ip.is_ipv4() {
            look_up.set(Field::EthType, ETH_ARP);
        } else {
            look_up.set(Field::EthType, ETH_IPV6);
            look_up.set(Field::NwProto, ICMPV6);
            look_up.set(Field::Icmpv6Code, 0);
        }
        let flow = |table, matcher, actions| Flow { table, priority: neighbour.priority, matcher, actions };
        let is_found = found(flag::LOOKUP_MAC);
        vec![
            flow(self.numbers.mac_binding, get, vec![load(Field::EthDst, mac), is_found.clone()]),
            flow(self.numbers.mac_lookup, look_up, vec![is_found]),
        ]
    }

    /// The flows of an Ethernet address that was learned.
    pub fn address(&self, row: &Fdb, notes: &mut Notes) -> Vec<Flow> {
        notes.refs.push(Ref::Key(row.dp_key));
        let Some((datapath, _)) = self.store.datapath_by_key(row.dp_key) else {
            notes.say(format!("there is no datapath of key {}, so that it says nothing", row.dp_key));
            return Vec::new();
        };
        notes.refs.push(Ref::Datapath(datapath));
        let Some(key) = self.local_key(datapath) else { return Vec::new() };
        let Ok(mac) = row.mac.parse::<Mac>() else {
            notes.say(format!("\"{}\" is no Ethernet address, so that it says nothing", row.mac));
            return Vec::new();
        };
        let mac: u128 = mac.to_u64().into();
        let mut get = Match::default();
        get.set(DATAPATH, key.into());
        let mut look_up = get.clone();
        get.set(Field::EthDst, mac);
        look_up.set(Field::EthSrc, mac);
        look_up.set(INPORT, row.port_key.into());
        let flow = |table, matcher, actions| Flow { table, priority: 100, matcher, actions };
        vec![
            flow(self.numbers.get_fdb, get, vec![load(OUTPORT, row.port_key)]),
            flow(self.numbers.lookup_fdb, look_up, vec![found(flag::LOOKUP_FDB)]),
        ]
    }
}
