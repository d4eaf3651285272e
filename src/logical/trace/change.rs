//! Changes to a packet: fields, the time to live, and what the tracer takes note of but does not do.

use super::flow_text::FlowText;
use super::machine::{At, Machine, without_semicolon};
use super::node::Kind;
use crate::logical::action::{Action, Log, Meanwhile, Release, Support};
use crate::logical::expr::Constant;
use crate::logical::names::Names;
use crate::logical::rows::Pipeline;
use crate::logical::symbol::FieldRef;
use crate::packet::addr::Ipv6Text;
use crate::packet::field::{Form, Prereq};
use crate::packet::{Field, FlowKey, Mac};

impl<'a> Machine<'a> {
    /// `field = constant`. As in a switch, a field that the packet does not have is not written.
    pub(super) fn load(&mut self, action: &Action, dst: &FieldRef, value: &Constant, at: &At<'a>) {
        if !is_register(dst) {
            self.note(at, Kind::Modify, without_semicolon(action));
        }
        let Some((field, ..)) = dst.resolve() else { return };
        if !is_there(field.info().prereq, &at.packet.key()) {
            return;
        }
        let value: u128 = match value {
            Constant::Text(name) => self.view(at).port_key(name).unwrap_or(0).into(),
            Constant::Number(number) => {
                let mask = number.mask.unwrap_or(u128::MAX);
                (at.packet.read(dst) & !mask) | (number.value & mask)
            }
        };
        at.packet.write(dst, value);
    }

    /// Says what a field is about to become, if it is one of the packet.
    pub(super) fn show_move(&mut self, dst: &FieldRef, src: &FieldRef, at: &At<'a>) {
        if !is_register(dst) {
            let value = shown_value(src, at.packet.read(src));
            self.note(at, Kind::Modify, format!("{dst} = {value}"));
        }
    }

    pub(super) fn decrement_ttl(&mut self, at: &At<'a>) {
        let is_ip = matches!(at.packet.get(Field::EthType), 0x0800 | 0x86dd);
        match at.packet.get(Field::NwTtl) {
            _ if !is_ip => self.note(at, Kind::Error, "*** TTL decrement of non-IP packet"),
            0 => self.note(at, Kind::Error, "*** TTL underflow"),
            ttl => {
                at.packet.set(Field::NwTtl, ttl - 1);
                self.note(at, Kind::Modify, "ip.ttl--")
            }
        };
    }

    /// An action that ovn-trace has nothing to say of.
    pub(super) fn pass(&mut self, action: &Action, at: &At<'a>) {
        let row = action.kind().row();
        if let (Support::NotYet(Meanwhile::WritesZero), Some(dst)) = (row.support, action.result()) {
            at.packet.write(&dst, 0);
        }
        let is_missing = match row.support {
            // The table claims what the interpreter lacks, which shall not go unseen.
            Support::Interpreted => true,
            Support::Datapath => false,
            // What ovn-trace 23.03 does not know cannot be compared with it, so it may be said.
            Support::NotYet(_) => row.since > Release::V23_03,
        };
        if is_missing {
            self.note(at, Kind::Error, format!("*** {} action not implemented", row.name));
        }
    }

    pub(super) fn put_options(&mut self, action: &Action, dst: &FieldRef, at: &At<'a>) {
        let text = without_semicolon(action);
        // What stands behind the equals sign.
        let call = text.split_once(" = ").map_or(text.as_str(), |(_, call)| call);
        self.note(at, Kind::Modify, call);
        if !is_register(dst) {
            self.note(at, Kind::Modify, format!("{dst} = 1"));
        }
        at.packet.write(dst, 1);
    }

    pub(super) fn log(&mut self, log: &Log, at: &At<'a>) {
        let name = log.name.as_deref().unwrap_or("<unnamed>");
        let direction = match at.pipeline {
            Pipeline::Ingress => "IN",
            Pipeline::Egress => "OUT",
        };
        let (verdict, severity) = (log.verdict.name(), log.severity.name());
        let packet = at.packet.key();
        let text = format!(
            "LOG: ACL name={name}, direction={direction}, verdict={verdict}, severity={severity}, packet=\"{}\"",
            FlowText(&packet)
        );
        self.note(at, Kind::Transformation, text);
    }
}

/// Whether a field is no part of the packet.
fn is_register(field: &FieldRef) -> bool {
    field.resolve().is_some_and(|(field, ..)| (Field::Reg0..=Field::Xxreg3).contains(&field))
}

/// The value of a field in its own form; that of a part of one in hexadecimal.
fn shown_value(field: &FieldRef, value: u128) -> String {
    let whole = field.resolve().filter(|(field, offset, width)| *offset == 0 && *width >= field.bits());
    match whole.map(|(field, ..)| field.info().form) {
        Some(Form::Mac) => Mac::from_u64(value as u64).to_string(),
        Some(Form::Ipv4) => std::net::Ipv4Addr::from_bits(value as u32).to_string(),
        Some(Form::Ipv6) => Ipv6Text(value).to_string(),
        Some(Form::Decimal) => value.to_string(),
        _ => format!("{value:#x}"),
    }
}

/// Whether a packet has the fields that ask for something.
fn is_there(prereq: Prereq, key: &FlowKey) -> bool {
    let eth = key.get(Field::EthType);
    let (ipv4, ipv6) = (eth == 0x0800, eth == 0x86dd);
    let transport =
        |proto| (ipv4 || ipv6) && key.get(Field::NwProto) == proto && key.get(Field::IpFrag) & 2 == 0;
    let discovery =
        |kind| ipv6 && transport(58) && key.get(Field::Icmpv6Type) == kind && key.get(Field::Icmpv6Code) == 0;
    let is_tracked = key.get(Field::CtState) & 1 << 5 != 0;
    match prereq {
        Prereq::None => true,
        Prereq::Vlan => key.get(Field::VlanTci) & 0x1000 != 0,
        Prereq::Arp => matches!(eth, 0x0806 | 0x8035),
        Prereq::Ipv4 => ipv4,
        Prereq::Ipv6 => ipv6,
        Prereq::Ip => ipv4 || ipv6,
        Prereq::Tcp => transport(6),
        Prereq::Udp => transport(17),
        Prereq::Sctp => transport(132),
        Prereq::Icmp4 => ipv4 && transport(1),
        Prereq::Icmp6 => ipv6 && transport(58),
        Prereq::Nd => discovery(135) || discovery(136),
        Prereq::NdSolicit => discovery(135),
        Prereq::NdAdvert => discovery(136),
        Prereq::Ct => (ipv4 || ipv6) && is_tracked,
        Prereq::CtIpv4 => ipv4 && is_tracked,
        Prereq::CtIpv6 => ipv6 && is_tracked,
    }
}
