//! What chassis have learned: neighbours and the places of Ethernet addresses; and port security.
//!
//! Static neighbours are not asked, as in ovn-trace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::machine::{At, INPORT, Machine, OUTPORT};
use super::node::Kind;
use super::security::{self, Allowed};
use crate::logical::action::{GetBinding, GetFdb, LookupBinding, LookupBindingIp};
use crate::logical::symbol::FieldRef;
use crate::packet::{Field, FlowKey, Mac};

impl<'a> Machine<'a> {
    /// The Ethernet address of a neighbour.
    fn neighbour(&self, port: &FieldRef, ip: &FieldRef, at: &At<'a>) -> Option<Mac> {
        let address = at.packet.read(ip);
        let address = match ip.width {
            32 => IpAddr::V4(Ipv4Addr::from_bits(address as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(address)),
        };
        let view = self.view(at);
        let port = view.port(at.packet.read(port) as u16)?;
        let (_, row) = view.store.mac_binding(&port.logical_port, address)?;
        if row.datapath == at.datapath.uuid { row.mac.parse().ok() } else { None }
    }

    pub(super) fn get_binding(&mut self, get: &GetBinding, at: &At<'a>) {
        let found = self.neighbour(&get.port, &get.ip, at);
        let mac = found.unwrap_or_default();
        at.packet.set(Field::EthDst, mac.to_u64().into());
        let text = match found {
            Some(mac) => format!("/* MAC binding to {mac}. */"),
            None => "/* No MAC binding. */".to_owned(),
        };
        self.note(at, Kind::Action, text);
        self.note(at, Kind::Modify, format!("eth.dst = {mac}"));
    }

    pub(super) fn look_up_binding(&mut self, lookup: &LookupBinding, at: &At<'a>) {
        let mac = at.packet.read(&lookup.mac);
        let found = self.neighbour(&lookup.port, &lookup.ip, at);
        let is_known = found.is_some_and(|found| u128::from(found.to_u64()) == mac);
        // The address that is shown is the packet's destination, which need not be the one that was looked up.
        let text = match is_known {
            true => format!("/* MAC binding to {} found. */", destination(at)),
            false => "/* lookup failed - No MAC binding. */".to_owned(),
        };
        self.note(at, Kind::Action, text);
        at.packet.write(&lookup.dst, is_known.into());
    }

    pub(super) fn look_up_address(&mut self, lookup: &LookupBindingIp, at: &At<'a>) {
        let is_known = self.neighbour(&lookup.port, &lookup.ip, at).is_some();
        let text =
            if is_known { "/* MAC binding found. */" } else { "/* lookup failed - No MAC binding. */" };
        self.note(at, Kind::Action, text);
        at.packet.write(&lookup.dst, is_known.into());
    }

    pub(super) fn get_fdb(&mut self, get: &GetFdb, at: &At<'a>) {
        let mac = Mac::from_u64(at.packet.read(&get.mac) as u64);
        let port = self.view(at).learned_at(mac).unwrap_or(0);
        at.packet.write(&get.dst, port.into());
    }

    pub(super) fn look_up_fdb(&mut self, dst: &FieldRef, port: &FieldRef, mac: &FieldRef, at: &At<'a>) {
        let mac = Mac::from_u64(at.packet.read(mac) as u64);
        let port = at.packet.read(port);
        let is_known = self.view(at).learned_at(mac).is_some_and(|learned| u128::from(learned) == port);
        let text = match is_known {
            true => format!("/* MAC lookup for {} found in FDB. */", destination(at)),
            false => "/* lookup mac failed in mac learning table. */".to_owned(),
        };
        self.note(at, Kind::Action, text);
        at.packet.write(dst, is_known.into());
    }

    pub(super) fn check_in_port_security(&mut self, dst: &FieldRef, at: &At<'a>) {
        self.check_security(INPORT, security::forbids_sending, dst, at);
    }

    pub(super) fn check_out_port_security(&mut self, dst: &FieldRef, at: &At<'a>) {
        self.check_security(OUTPORT, security::forbids_receiving, dst, at);
    }

    fn check_security(
        &mut self,
        register: Field,
        forbids: fn(&[Allowed], &FlowKey) -> bool,
        dst: &FieldRef,
        at: &At<'a>,
    ) {
        let key = at.packet.port(register);
        let entries: Vec<Allowed> = match self.view(at).port(key) {
            Some(port) => port.port_security.iter().filter_map(|entry| Allowed::parse(entry)).collect(),
            None => {
                // ovn-trace gives up here.
                self.note(at, Kind::Error, format!("*** port security of unknown port {key}; none assumed"));
                Vec::new()
            }
        };
        at.packet.write(dst, forbids(&entries, &at.packet.key()).into());
    }
}

fn destination(at: &At<'_>) -> Mac {
    Mac::from_u64(at.packet.get(Field::EthDst) as u64)
}
