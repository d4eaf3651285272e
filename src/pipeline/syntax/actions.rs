//! The actions of a flow.

mod replies;

use super::cursor::{Item, Items, Piece, Value};
use super::error::{Problem, SyntaxError, nearest, shorten};
use super::matcher::{VLAN_PRESENT, field_by_name, is_met, needs};
use super::value::{
    field_value, known_port, masked_u64, number, number_u16, port, subfield, table, too_large,
};
use super::{Match, PortNames, objects};
use crate::action::{Action, ModKind, Subfield};
use crate::packet::field::Prereq;
use crate::packet::{Field, PortNo};

/// Most actions in one flow, those inside `clone` counted.
pub const MAX_ACTIONS: usize = 1024;
/// Most `clone` inside each other.
pub const MAX_CLONE_DEPTH: usize = 16;

/// What is known of the flow that the actions are for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActionContext<'m> {
    /// Its match, which decides what the actions may write; without one that is not checked.
    pub matcher: Option<&'m Match>,
    /// Its table, which `goto_table` must go beyond; without one that is not checked.
    pub table: Option<u8>,
}

/// Actions by name, for "did you mean".
const NAMES: &[&str] = &[
    "output",
    "in_port",
    "all",
    "flood",
    "drop",
    "controller",
    "resubmit",
    "goto_table",
    "write_metadata",
    "set_field",
    "load",
    "move",
    "mod_vlan_vid",
    "mod_vlan_pcp",
    "set_vlan_vid",
    "set_vlan_pcp",
    "mod_dl_src",
    "mod_dl_dst",
    "mod_nw_src",
    "mod_nw_dst",
    "mod_nw_tos",
    "mod_nw_ecn",
    "mod_nw_ttl",
    "mod_tp_src",
    "mod_tp_dst",
    "set_tunnel",
    "push_vlan",
    "pop_vlan",
    "strip_vlan",
    "push",
    "pop",
    "dec_ttl",
    "clone",
    "conjunction",
    "group",
    "meter",
    "apply_actions",
    "ct_clear",
    "check_pkt_larger",
    "reply",
    "learn_neighbour",
    "learn_fdb",
    "log",
    "wait_neighbour",
];

/// Actions of Open vSwitch that this switch does not have.
const NOT_YET: &[&str] = &[
    "learn",
    "ct",
    "nat",
    "set_queue",
    "pop_queue",
    "enqueue",
    "bundle",
    "bundle_load",
    "multipath",
    "note",
    "sample",
    "fin_timeout",
    "exit",
    "normal",
    "table",
    "write_actions",
    "clear_actions",
    "delete_field",
    "encap",
    "decap",
    "dec_nsh_ttl",
    "push_mpls",
    "pop_mpls",
    "set_mpls_label",
    "set_mpls_tc",
    "set_mpls_ttl",
    "dec_mpls_ttl",
    "set_tunnel64",
    "debug_recirc",
    "debug_slow",
    "unroll_xlate",
];

/// Reads a list of actions; an empty one and `drop` give no action.
pub fn parse_actions(
    text: &str,
    ports: &dyn PortNames,
    context: ActionContext<'_>,
) -> Result<Vec<Action>, SyntaxError> {
    if text.len() > super::MAX_TEXT {
        return Err(super::flow::text_too_long(text));
    }
    parse(Piece::all(text), ports, context)
}

/// As [`parse_actions`], on a part of a flow.
pub(super) fn parse(
    list: Piece<'_>,
    ports: &dyn PortNames,
    context: ActionContext<'_>,
) -> Result<Vec<Action>, SyntaxError> {
    let mut parser = Parser {
        ports,
        table: context.table,
        state: context.matcher.cloned().unwrap_or_default(),
        checks: context.matcher.is_some(),
        count: 0,
    };
    parser.list(list, 0)
}

/// OpenFlow's instructions come in this order, with the actions first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Action,
    WriteMetadata,
    GotoTable,
}

impl Rank {
    fn of(action: &Action) -> Self {
        match action {
            Action::WriteMetadata { .. } => Rank::WriteMetadata,
            Action::GotoTable(_) => Rank::GotoTable,
            _ => Rank::Action,
        }
    }
}

struct Parser<'p> {
    ports: &'p dyn PortNames,
    table: Option<u8>,
    /// What the packet is known to have at this point: the match, and what actions did to its VLAN tag.
    state: Match,
    checks: bool,
    count: usize,
}

impl Parser<'_> {
    fn list(&mut self, list: Piece<'_>, depth: usize) -> Result<Vec<Action>, SyntaxError> {
        let mut actions = Vec::new();
        let mut items = Items::of(list);
        let mut rank = Rank::Action;
        let mut drop: Option<Piece<'_>> = None;
        let mut seen = 0;
        while let Some(item) = items.next_item()? {
            let is_drop = item.key.text.eq_ignore_ascii_case("drop");
            seen += 1;
            if seen > 1 && (is_drop || drop.is_some()) {
                let sentence = "\"drop\" stands alone; leave out it or the other actions";
                return Err(SyntaxError::refused(item.whole, sentence));
            }
            if is_drop {
                item.no_value()?;
                drop = Some(item.key);
                continue;
            }
            let new = self.action(&item, depth)?;
            objects::check_conjunction(&actions, &new, &item, depth)?;
            if let Some(action) = new.iter().find(|action| Rank::of(action) != Rank::Action)
                && depth > 0
            {
                let name = if Rank::of(action) == Rank::GotoTable { "goto_table" } else { "write_metadata" };
                let sentence = format!("{name} must stand outside of clone; move it to the end of the flow");
                return Err(SyntaxError::refused(item.whole, sentence));
            }
            if let Some(first) = new.first().map(Rank::of) {
                if first < rank || (first == rank && rank != Rank::Action) {
                    let sentence = "write_metadata and goto_table end the list, once each and in this order; \
                                    move this before them";
                    return Err(SyntaxError::refused(item.whole, sentence));
                }
                rank = new.last().map_or(first, Rank::of);
            }
            actions.extend(new);
        }
        Ok(actions)
    }

    /// The actions that one item stands for: one, but for `apply_actions`.
    fn action(&mut self, item: &Item<'_>, depth: usize) -> Result<Vec<Action>, SyntaxError> {
        self.count += 1;
        if self.count > MAX_ACTIONS {
            let sentence = format!("a flow has at most {MAX_ACTIONS} actions; split it with resubmit");
            return Err(SyntaxError::refused(item.key, sentence));
        }
        let name = item.key.text.to_ascii_lowercase();
        let one = match name.as_str() {
            "apply_actions" => return self.list(parens(item, "apply_actions(output:1)")?, depth),
            "clone" => self.clone_of(item, depth)?,
            "ct_clear" => {
                item.no_value()?;
                Action::CtClear
            }
            "check_pkt_larger" => self.check_len(item)?,
            "reply" => self.reply(item, depth)?,
            "learn_neighbour" => self.learn_neighbour(item)?,
            "learn_fdb" => self.learn_fdb(item)?,
            "log" => self.log(item)?,
            "wait_neighbour" => self.wait_neighbour(item, depth)?,
            "output" => self.output(item)?,
            "controller" => self.controller(item)?,
            "resubmit" => self.resubmit(item)?,
            "goto_table" => self.goto_table(item)?,
            "write_metadata" => {
                let (value, mask) =
                    masked_u64(item.required("write_metadata:VALUE/MASK")?, "write_metadata")?;
                let mask = mask.unwrap_or(u64::MAX);
                Action::WriteMetadata { value: value & mask, mask }
            }
            "set_mtu" => Action::SetMtu(number(item.required("set_mtu:BYTES")?, "set_mtu", 32)? as u32),
            "set_field" => self.set_field(item)?,
            "set_tunnel" => {
                let value = number(item.required("set_tunnel:ID")?, "set_tunnel", 64)?;
                Action::SetField { field: Field::TunId, value, mask: Field::TunId.all_ones() }
            }
            "load" => self.load(item)?,
            "move" => self.move_bits(item)?,
            "push" => Action::PushStack(self.source(item.required("push:FIELD[]")?)?),
            "pop" => Action::PopStack(self.destination(item.required("pop:FIELD[]")?)?),
            "push_vlan" => self.push_vlan(item)?,
            "pop_vlan" | "strip_vlan" => {
                item.no_value()?;
                self.state.key.set(Field::VlanTci, 0);
                self.state.mask.set(Field::VlanTci, 0);
                Action::PopVlan
            }
            "conjunction" => objects::conjunction(item)?,
            "group" => objects::group(item)?,
            "meter" => objects::meter(item)?,
            "dec_ttl" => {
                if let Value::Plain(ids) | Value::Parens(ids) = item.value
                    && !ids.text.trim().is_empty()
                {
                    for id in ids.split_commas() {
                        number_u16(id.trim(), "the controller id of dec_ttl")?;
                    }
                }
                Action::DecTtl
            }
            other => match mod_kind(other) {
                Some(kind) => self.modify(item, kind)?,
                None => self.port_or_unknown(item, other)?,
            },
        };
        Ok(vec![one])
    }

    fn clone_of(&mut self, item: &Item<'_>, depth: usize) -> Result<Action, SyntaxError> {
        if depth >= MAX_CLONE_DEPTH {
            let sentence = format!("clone nests at most {MAX_CLONE_DEPTH} deep; use resubmit to go deeper");
            return Err(SyntaxError::refused(item.key, sentence));
        }
        let inner = parens(item, "clone(output:1)")?;
        // What is inside works on a copy, so that its tags do not count afterwards.
        let state = self.state.clone();
        let actions = self.list(inner, depth + 1)?;
        self.state = state;
        Ok(Action::Clone(actions.into()))
    }

    fn output(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        if let Value::Parens(_) = item.value {
            return Err(SyntaxError::not_yet(item.whole, "output with port= and max_len="));
        }
        let target = item.required("output:PORT")?;
        if !target.text.contains('[') {
            match known_port(target, self.ports)? {
                Some(number) => return self.output_to(target, number),
                None if Field::by_name(target.text).is_none() => {
                    return port(target, self.ports).and_then(|number| self.output_to(target, number));
                }
                None => {}
            }
        }
        Ok(Action::OutputField(self.source(target)?))
    }

    fn output_to(&self, target: Piece<'_>, number: PortNo) -> Result<Action, SyntaxError> {
        match number {
            PortNo::IN_PORT | PortNo::ALL | PortNo::FLOOD => Ok(Action::Output(number)),
            PortNo::CONTROLLER => {
                Ok(Action::Controller { max_len: u16::MAX, reason: 1, id: 0, pause: false })
            }
            PortNo::NORMAL => Err(SyntaxError::not_yet(target, "the action NORMAL")),
            number if number.is_usable() || self.ports.name(number).is_some() => Ok(Action::Output(number)),
            PortNo::LOCAL => {
                let sentence = "the switch has no LOCAL port; name one of its ports";
                Err(SyntaxError::refused(target, sentence))
            }
            _ => Err(SyntaxError::refused(
                target,
                format!("nothing can be sent to port {number}; ports have the numbers 1 to {}", PortNo::MAX),
            )),
        }
    }

    /// A word that is no action: a port to send to, or a mistake.
    fn port_or_unknown(&self, item: &Item<'_>, name: &str) -> Result<Action, SyntaxError> {
        if NOT_YET.contains(&name) {
            return Err(SyntaxError::not_yet(item.key, format!("the action {name}")));
        }
        if let Some(number) = known_port(item.key, self.ports)? {
            item.no_value()?;
            return self.output_to(item.key, number);
        }
        let near = nearest(name, NAMES.iter().copied());
        let found = shorten(item.key.text);
        let problem = Problem::Unknown { what: "action", found, near, expected: vec![] };
        Err(SyntaxError::new(item.key, problem))
    }

    fn controller(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        let (mut max_len, mut reason, mut id, mut pause) = (u16::MAX, 1, 0, false);
        match item.value {
            Value::None => {}
            Value::Plain(length) => max_len = number_u16(length, "controller")?,
            Value::Parens(list) => {
                let mut items = Items::of(list);
                while let Some(option) = items.next_item()? {
                    match option.key.text {
                        "max_len" => max_len = number_u16(option.required("max_len=BYTES")?, "max_len")?,
                        "id" => id = number_u16(option.required("id=NUMBER")?, "id")?,
                        "reason" => reason = controller_reason(option.required("reason=action")?)?,
                        "pause" => {
                            option.no_value()?;
                            pause = true;
                        }
                        "userdata" | "meter_id" | "continuation" => {
                            let what = format!("{} of the action controller", option.key.text);
                            return Err(SyntaxError::not_yet(option.key, what));
                        }
                        word => {
                            let expected = vec!["max_len", "reason", "id", "pause"];
                            let near = nearest(word, expected.iter().copied());
                            let what = "option of controller";
                            let problem = Problem::Unknown { what, found: shorten(word), near, expected };
                            return Err(SyntaxError::new(option.key, problem));
                        }
                    }
                }
            }
        }
        Ok(Action::Controller { max_len, reason, id, pause })
    }

    fn resubmit(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        const EXAMPLE: &str = "resubmit(,TABLE), resubmit(PORT,TABLE) or resubmit:PORT";
        let (port_piece, table_piece) = match item.value {
            Value::None => (None, None),
            Value::Plain(port) => (Some(port), None),
            Value::Parens(list) => {
                let mut parts = list.split_commas().map(Piece::trim);
                let (port, table, more) = (parts.next(), parts.next(), parts.next());
                match more {
                    Some(more) if more.text == "ct" => {
                        return Err(SyntaxError::not_yet(more, "resubmit with ct"));
                    }
                    Some(more) => return Err(SyntaxError::value(more, "resubmit", EXAMPLE)),
                    None => (port, table),
                }
            }
        };
        let filled = |piece: Option<Piece<'_>>| piece.is_some_and(|piece| !piece.text.is_empty());
        let resubmit_port = match port_piece {
            Some(piece) if filled(port_piece) => Some(port(piece, self.ports)?),
            _ => None,
        };
        let resubmit_port = resubmit_port.filter(|port| *port != PortNo::IN_PORT);
        let resubmit_table = match table_piece {
            // 255 is how OpenFlow says "the current one".
            Some(piece) if filled(table_piece) && piece.text != "255" => Some(table(piece, "resubmit")?),
            _ => None,
        };
        if resubmit_port.is_none() && resubmit_table.is_none() {
            return Err(SyntaxError::missing(item.whole, "a port or a table is", EXAMPLE));
        }
        Ok(Action::Resubmit { port: resubmit_port, table: resubmit_table })
    }

    fn goto_table(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        let piece = item.required("goto_table:TABLE")?;
        let to = table(piece, "goto_table")?;
        match self.table {
            Some(own) if to <= own => Err(SyntaxError::refused(
                piece,
                format!(
                    "goto_table goes only to tables after the flow's own, which is {own}; use resubmit(,{to})"
                ),
            )),
            _ => Ok(Action::GotoTable(to)),
        }
    }

    fn set_field(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        const EXAMPLE: &str = "set_field:VALUE->FIELD or set_field:VALUE/MASK->FIELD";
        let (value_piece, target) = arrow(item.required(EXAMPLE)?, EXAMPLE)?;
        let (name, part) = subfield(target, |name| field_by_name(name, &self.state))?;
        let field = part.field;
        self.check_writable(target, field)?;
        self.check_present(target, field)?;
        let (value, mask) = if name == target {
            let (value, mask) = field_value(field, name.text, value_piece, self.ports)?;
            if field == Field::NwTos && value_piece.text.bytes().all(|digit| digit.is_ascii_digit()) {
                let bits = number(value_piece, name.text, 8)?;
                check_tos(value_piece, name.text, bits)?;
            }
            if field == Field::VlanVid && mask & VLAN_PRESENT != 0 && value & VLAN_PRESENT == 0 {
                return Err(vlan_vid_without_bit(value_piece, value));
            }
            (value, mask)
        } else {
            let value = number(value_piece, target.text, part.bits)?;
            (value << part.start, part.mask())
        };
        if mask == 0 {
            return Err(SyntaxError::refused(
                value_piece,
                "a mask of zero sets nothing; leave the action out",
            ));
        }
        Ok(Action::SetField { field, value, mask })
    }

    fn load(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        const EXAMPLE: &str = "load:VALUE->FIELD[FIRST..LAST]";
        let (value_piece, target) = arrow(item.required(EXAMPLE)?, EXAMPLE)?;
        let mut dst = self.destination(target)?;
        let mut value = number(value_piece, target.text, dst.bits)?;
        if dst == Subfield::whole(Field::NwTos) {
            // The field's two low bits are ECN's, which setting it leaves alone.
            check_tos(value_piece, target.text, value)?;
            (dst.start, dst.bits, value) = (2, 6, value >> 2);
        }
        if dst == Subfield::whole(Field::VlanVid) && value & VLAN_PRESENT == 0 {
            return Err(vlan_vid_without_bit(value_piece, value));
        }
        Ok(Action::Load { value, dst })
    }

    fn move_bits(&self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        const EXAMPLE: &str = "move:FIELD[FIRST..LAST]->FIELD[FIRST..LAST]";
        let whole = item.required(EXAMPLE)?;
        let (from, to) = arrow(whole, EXAMPLE)?;
        let (src, dst) = (self.source(from)?, self.destination(to)?);
        if src.bits != dst.bits {
            let sentence = format!(
                "the source has {} bits and the destination {}; name the bits so that both are as wide",
                src.bits, dst.bits
            );
            return Err(SyntaxError::refused(whole, sentence));
        }
        Ok(Action::Move { src, dst })
    }

    fn push_vlan(&mut self, item: &Item<'_>) -> Result<Action, SyntaxError> {
        let piece = item.required("push_vlan:0x8100")?;
        let tpid = number_u16(piece, "push_vlan")?;
        if !matches!(tpid, 0x8100 | 0x88a8) {
            return Err(SyntaxError::value(piece, "push_vlan", "0x8100 or 0x88a8"));
        }
        self.state.set_masked(Field::VlanTci, VLAN_PRESENT, Field::VlanTci.all_ones());
        Ok(Action::PushVlan(tpid))
    }

    fn modify(&mut self, item: &Item<'_>, kind: ModKind) -> Result<Action, SyntaxError> {
        let name = item.key.text;
        let piece = item.required(&format!("{name}:VALUE"))?;
        let unmasked = |field: Field| {
            if let Some((_, mask)) = piece.split_once("/") {
                return Err(SyntaxError::refused(mask, format!("{name} takes no mask; use set_field")));
            }
            field_value(field, name, piece, self.ports).map(|(value, _)| value as u64)
        };
        let plain = |bits| number(piece, name, bits).map(|value| value as u64);
        let value = match kind {
            ModKind::VlanVid | ModKind::SetVlanVid => plain(12)?,
            ModKind::VlanPcp | ModKind::SetVlanPcp => plain(3)?,
            ModKind::DlSrc => unmasked(Field::EthSrc)?,
            ModKind::DlDst => unmasked(Field::EthDst)?,
            ModKind::NwSrc => unmasked(Field::NwSrc)?,
            ModKind::NwDst => unmasked(Field::NwDst)?,
            ModKind::NwTos => {
                let value = plain(8)?;
                check_tos(piece, name, value.into())?;
                value
            }
            ModKind::NwEcn => plain(2)?,
            ModKind::NwTtl => plain(8)?,
            ModKind::TpSrc | ModKind::TpDst => plain(16)?,
        };
        if matches!(kind, ModKind::VlanVid | ModKind::VlanPcp) {
            self.state.set_masked(Field::VlanTci, VLAN_PRESENT, VLAN_PRESENT);
        }
        Ok(Action::Mod { kind, value })
    }

    /// A part of a field that is read.
    fn source(&self, piece: Piece<'_>) -> Result<Subfield, SyntaxError> {
        let (_, part) = subfield(piece, |name| field_by_name(name, &self.state))?;
        self.check_present(piece, part.field)?;
        Ok(part)
    }

    /// A part of a field that is written.
    fn destination(&self, piece: Piece<'_>) -> Result<Subfield, SyntaxError> {
        let part = self.source(piece)?;
        self.check_writable(piece, part.field)?;
        Ok(part)
    }

    fn check_writable(&self, piece: Piece<'_>, field: Field) -> Result<(), SyntaxError> {
        let name = field.name();
        match field {
            Field::CtMark | Field::CtLabel => {
                Err(SyntaxError::not_yet(piece, format!("setting {name}, which only the action ct can do,")))
            }
            Field::DlVlan | Field::DlVlanPcp => {
                let mend = if field == Field::DlVlan { "vlan_vid" } else { "vlan_pcp" };
                Err(SyntaxError::refused(piece, format!("{name} is a name for matches only; set {mend}")))
            }
            _ if !field.info().writable => Err(SyntaxError::refused(
                piece,
                format!("{name} is read-only; choose a field that can be set"),
            )),
            _ => Ok(()),
        }
    }

    /// Whether every packet of the flow has the field here.
    fn check_present(&self, piece: Piece<'_>, field: Field) -> Result<(), SyntaxError> {
        let prereq = if field == Field::VlanVid { Prereq::Vlan } else { field.info().prereq };
        if !self.checks || is_met(prereq, &self.state) {
            return Ok(());
        }
        let problem = Problem::Prerequisite { name: shorten(piece.text), needs: needs(prereq) };
        Err(SyntaxError::new(piece, problem))
    }
}

/// The list in the parentheses of an action.
fn parens<'a>(item: &Item<'a>, example: &str) -> Result<Piece<'a>, SyntaxError> {
    match item.value {
        Value::Parens(inner) => Ok(inner),
        _ => {
            let what = format!("the list of {} is", item.key.text);
            Err(SyntaxError::missing(item.key.end(), what, example))
        }
    }
}

/// The parts around the arrow.
fn arrow<'a>(piece: Piece<'a>, example: &str) -> Result<(Piece<'a>, Piece<'a>), SyntaxError> {
    match piece.split_once("->") {
        Some((left, right)) => Ok((left.trim(), right.trim())),
        None => Err(SyntaxError::missing(piece.end(), "\"->\" and the destination are", example)),
    }
}

/// Refuses a type of service that has ECN bits in it.
fn check_tos(piece: Piece<'_>, name: &str, value: u128) -> Result<(), SyntaxError> {
    match value {
        value if value & 3 == 0 => Ok(()),
        value if value > 0xff => Err(too_large(piece, name, 0xff)),
        _ => Err(SyntaxError::value(piece, name, "a multiple of four, since the two low bits are ECN's")),
    }
}

fn vlan_vid_without_bit(piece: Piece<'_>, value: u128) -> SyntaxError {
    let sentence = format!(
        "vlan_vid carries the bit 0x1000 for \"there is a tag\"; write {} or use mod_vlan_vid",
        value | VLAN_PRESENT
    );
    SyntaxError::refused(piece, sentence)
}

fn controller_reason(piece: Piece<'_>) -> Result<u8, SyntaxError> {
    match piece.text {
        "no_match" => Ok(0),
        "action" => Ok(1),
        "invalid_ttl" => Ok(2),
        "action_set" | "group" | "packet_out" => {
            Err(SyntaxError::not_yet(piece, format!("the reason {}", piece.text)))
        }
        _ => Err(SyntaxError::value(piece, "reason", "action, no_match or invalid_ttl")),
    }
}

/// Names of the `mod_*` forms.
pub(super) const MOD_NAMES: &[(&str, ModKind)] = &[
    ("mod_vlan_vid", ModKind::VlanVid),
    ("mod_vlan_pcp", ModKind::VlanPcp),
    ("set_vlan_vid", ModKind::SetVlanVid),
    ("set_vlan_pcp", ModKind::SetVlanPcp),
    ("mod_dl_src", ModKind::DlSrc),
    ("mod_dl_dst", ModKind::DlDst),
    ("mod_nw_src", ModKind::NwSrc),
    ("mod_nw_dst", ModKind::NwDst),
    ("mod_nw_tos", ModKind::NwTos),
    ("mod_nw_ecn", ModKind::NwEcn),
    ("mod_nw_ttl", ModKind::NwTtl),
    ("mod_tp_src", ModKind::TpSrc),
    ("mod_tp_dst", ModKind::TpDst),
];

fn mod_kind(name: &str) -> Option<ModKind> {
    MOD_NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}
