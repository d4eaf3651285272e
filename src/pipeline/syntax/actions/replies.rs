//! The actions by which a packet leaves the tables, and those that tell the control thread something.

use super::super::cursor::{Item, Items, Piece, Value};
use super::super::error::{Problem, SyntaxError, nearest, shorten};
use super::super::value::{number, number_u16};
use super::{MAX_CLONE_DEPTH, Parser, parens};
use crate::action::intent::{Learn, Log, Severity, Verdict};
use crate::action::reply::Reply;
use crate::action::{Action, Subfield};
use crate::packet::Field;
use crate::packet::headers::{FRAG_LATER, eth_type, ip_proto, nd};
use crate::pipeline::Match;

/// Bits of a logical port's key.
const PORT_BITS: u16 = 32;

impl Parser<'_> {
    pub(super) fn check_len(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        const EXAMPLE: &str = "check_pkt_larger(1500)->NXM_NX_REG0[0]";
        let len = number_u16(parens(item, EXAMPLE)?, "check_pkt_larger")?;
        let Some(target) = item.target else {
            let what = "\"->\" and the destination are";
            return Err(SyntaxError::missing(item.whole.end(), what, EXAMPLE));
        };
        let dst = self.destination(target)?;
        if dst.field.in_packet() {
            let sentence = "the answer of check_pkt_larger goes beside the packet; name a register";
            return Err(SyntaxError::refused(target, sentence));
        }
        Ok(Action::CheckPktLarger { len, dst })
    }

    pub(super) fn reply(&mut self, item: &Item<'_>, depth: usize) -> Result<Action, SyntaxError> {
        let (word, actions) = first(parens(item, "reply(arp,output:1)")?);
        let Some(kind) = Reply::by_name(word.text) else {
            let expected: Vec<_> = Reply::ALL.iter().map(|kind| kind.name()).collect();
            let near = nearest(word.text, expected.iter().copied());
            let problem = Problem::Unknown { what: "reply", found: shorten(word.text), near, expected };
            return Err(SyntaxError::new(word, problem));
        };
        let inside = becomes(kind, &self.state);
        Ok(Action::Become { kind, actions: self.inner(item, actions, inside, depth)?.into() })
    }

    pub(super) fn wait_neighbour(&mut self, item: &Item<'_>, depth: usize) -> Result<Action, SyntaxError> {
        let list = parens(item, "wait_neighbour(NXM_NX_REG15[],NXM_NX_REG0[],resubmit(,37))")?;
        let (port, rest) = first(list);
        let (ip, actions) = first(rest);
        let (port, ip) = (self.part(port, &[PORT_BITS])?, self.part(ip, &[32, 128])?);
        let inside = self.state.clone();
        Ok(Action::Await { port, ip, actions: self.inner(item, actions, inside, depth)?.into() })
    }

    /// Actions that go on later with a packet of which this is known.
    fn inner(
        &mut self,
        item: &Item<'_>,
        actions: Piece<'_>,
        inside: Match,
        depth: usize,
    ) -> Result<Vec<Action>, SyntaxError> {
        if depth >= MAX_CLONE_DEPTH {
            let name = item.key.text;
            let sentence = format!("{name} nests at most {MAX_CLONE_DEPTH} deep; use resubmit to go deeper");
            return Err(SyntaxError::refused(item.key, sentence));
        }
        let state = std::mem::replace(&mut self.state, inside);
        let actions = self.list(actions, depth + 1);
        self.state = state;
        actions
    }

    pub(super) fn learn_neighbour(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        const EXAMPLE: &str = "learn_neighbour(port=NXM_NX_REG14[],ip=NXM_OF_ARP_SPA[],mac=NXM_NX_ARP_SHA[])";
        let [port, ip, mac] = self.parts(item, ["port", "ip", "mac"], EXAMPLE)?;
        let (port, ip) = (self.part(port, &[PORT_BITS])?, self.part(ip, &[32, 128])?);
        Ok(Action::Learn(Learn::Neighbour { port, ip, mac: self.part(mac, &[48])? }))
    }

    pub(super) fn learn_fdb(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        const EXAMPLE: &str = "learn_fdb(port=NXM_NX_REG14[],mac=NXM_OF_ETH_SRC[])";
        let [port, mac] = self.parts(item, ["port", "mac"], EXAMPLE)?;
        Ok(Action::Learn(Learn::Fdb { port: self.part(port, &[PORT_BITS])?, mac: self.part(mac, &[48])? }))
    }

    /// The values of these keys, all of which have to be there.
    fn parts<'a, const N: usize>(
        &self,
        item: &Item<'a>,
        keys: [&'static str; N],
        example: &str,
    ) -> Result<[Piece<'a>; N], SyntaxError> {
        let mut found = [None; N];
        let mut items = Items::of(parens(item, example)?);
        while let Some(part) = items.next_item()? {
            let place = keys.iter().zip(&mut found).find(|(key, _)| **key == part.key.text);
            match place {
                Some((_, place)) => *place = Some(part.required(example)?),
                None => return Err(unknown_option(&part, &keys)),
            }
        }
        let end = item.whole.end();
        let missing = found.iter().zip(keys).find(|(found, _)| found.is_none());
        if let Some((_, key)) = missing {
            return Err(SyntaxError::missing(end, format!("{key}= is"), example));
        }
        Ok(found.map(|found| found.unwrap_or(end)))
    }

    /// A part of a field that has one of these widths.
    fn part(&self, piece: Piece<'_>, widths: &[u16]) -> Result<Subfield, SyntaxError> {
        let part = self.source(piece)?;
        if widths.contains(&part.bits) {
            return Ok(part);
        }
        let widths: Vec<_> = widths.iter().map(u16::to_string).collect();
        let sentence = format!("{} has {} bits; it takes {}", piece.text, part.bits, widths.join(" or "));
        Err(SyntaxError::refused(piece, sentence))
    }

    pub(super) fn log(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        let mut log = Log { name: "".into(), verdict: None, severity: Severity::default(), meter: None };
        let list = match item.value {
            Value::None => return Ok(Action::Log(log)),
            _ => parens(item, "log(name=\"rule\",verdict=allow,severity=info)")?,
        };
        let mut items = Items::of(list);
        while let Some(part) = items.next_item()? {
            let value = part.required("KEY=VALUE")?;
            match part.key.text {
                "name" => log.name = value.text.trim_matches('"').into(),
                "verdict" => log.verdict = Some(word(value, "verdict", Verdict::ALL, Verdict::name)?),
                "severity" => log.severity = word(value, "severity", Severity::ALL, Severity::name)?,
                "meter" => log.meter = Some(number(value, "meter", 32)? as u32),
                _ => return Err(unknown_option(&part, &["name", "verdict", "severity", "meter"])),
            }
        }
        Ok(Action::Log(log))
    }
}

/// What stands before the first comma, and what behind it.
fn first(list: Piece<'_>) -> (Piece<'_>, Piece<'_>) {
    let (first, rest) = list.split_once(",").unwrap_or((list, list.end()));
    (first.trim(), rest)
}

fn unknown_option(part: &Item<'_>, expected: &[&'static str]) -> SyntaxError {
    let near = nearest(part.key.text, expected.iter().copied());
    let (found, expected) = (shorten(part.key.text), expected.to_vec());
    SyntaxError::new(part.key, Problem::Unknown { what: "option", found, near, expected })
}

/// One of some words.
fn word<T: Copy>(
    piece: Piece<'_>,
    what: &'static str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, SyntaxError> {
    all.iter().copied().find(|one| name(*one) == piece.text).ok_or_else(|| {
        let expected: Vec<_> = all.iter().map(|one| name(*one)).collect();
        let near = nearest(piece.text, expected.iter().copied());
        SyntaxError::new(piece, Problem::Unknown { what, found: shorten(piece.text), near, expected })
    })
}

/// What is known of a reply to a packet of which something is known.
fn becomes(kind: Reply, before: &Match) -> Match {
    let mut after = Match::default();
    let mut copy = |field: Field| after.set_masked(field, before.key.get(field), before.mask.get(field));
    [Field::VlanTci, Field::VlanTpid, Field::InnerVlanTci, Field::EthType].into_iter().for_each(&mut copy);
    let mut exact = |field: Field, value: u128| after.set_masked(field, value, field.all_ones());
    let (eth, proto, icmp) = match kind {
        Reply::Arp => (Some(eth_type::ARP), None, None),
        Reply::NdNs => (Some(eth_type::IPV6), Some(ip_proto::ICMPV6), Some(nd::SOLICIT)),
        Reply::NdNa | Reply::NdNaRouter => (Some(eth_type::IPV6), Some(ip_proto::ICMPV6), Some(nd::ADVERT)),
        Reply::Icmp4 | Reply::Icmp4Error => (Some(eth_type::IPV4), Some(ip_proto::ICMP), None),
        Reply::Icmp6 | Reply::Icmp6Error => (Some(eth_type::IPV6), Some(ip_proto::ICMPV6), None),
        Reply::TcpReset => (None, Some(ip_proto::TCP), None),
        Reply::SctpAbort => (None, Some(ip_proto::SCTP), None),
        Reply::Reject => (None, None, None),
    };
    if let Some(eth) = eth {
        exact(Field::EthType, eth.into());
    }
    if let Some(proto) = proto {
        exact(Field::NwProto, proto.into());
    }
    if let Some(icmp) = icmp {
        exact(Field::Icmpv6Type, icmp.into());
        exact(Field::Icmpv6Code, 0);
    }
    after.set_masked(Field::IpFrag, 0, FRAG_LATER.into());
    after
}
