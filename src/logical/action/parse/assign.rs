//! What begins with a field: `field = constant`, `field = field`, `field <-> field`, and `field = action(…)`.

use std::ops::Range;

use super::field::{Located, check_width};
use super::{Parser, fail};
use crate::logical::action::ast::{
    Action, DhcpRelay, GetFdb, LookupBinding, LookupBindingIp, ReplyField, Select,
};
use crate::logical::error::{SyntaxError, shortened};
use crate::logical::expr::Constant;
use crate::logical::lex::{Kind as Token, Number};
use crate::logical::symbol::FieldRef;

/// Weight of a member of `select` that names none.
const DEFAULT_WEIGHT: u16 = 100;

impl Parser<'_, '_> {
    /// An action that begins with a field.
    pub(super) fn assignment(&mut self) -> Result<Action, SyntaxError> {
        if let Token::Id(name) = *self.cursor.kind()
            && let Some(field) = ReplyField::ALL.into_iter().find(|field| field.name() == name)
        {
            return self.load_reply(field);
        }
        let dst = self.field()?;
        if self.cursor.accept(&Token::Exchange) {
            return self.exchange(dst);
        }
        if !self.cursor.accept(&Token::Assign) {
            return Err(self.cursor.unexpected("\"=\" or \"<->\""));
        }
        match *self.cursor.kind() {
            Token::Id(word) if self.cursor.second() == Token::LeftParen => self.result(dst, word),
            Token::Id(_) => self.move_field(dst),
            _ => self.load(dst),
        }
    }

    fn load_reply(&mut self, field: ReplyField) -> Result<Action, SyntaxError> {
        self.cursor.advance();
        self.cursor.expect(&Token::Assign)?;
        let span = self.cursor.span();
        let value = match Constant::parse(&mut self.cursor)? {
            Constant::Number(Number { value, mask: None, .. }) if value < 1 << field.width() => value as u32,
            _ => {
                let sentence =
                    format!("{} takes one number of {} bits; write that", field.name(), field.width());
                return fail(span, sentence);
            }
        };
        Ok(Action::LoadReply { field, value })
    }

    fn load(&mut self, dst: Located) -> Result<Action, SyntaxError> {
        self.check_writable(&dst)?;
        let value = Constant::parse_for(&mut self.cursor, &dst.field)?;
        Ok(Action::Load { dst: dst.field, value })
    }

    fn move_field(&mut self, dst: Located) -> Result<Action, SyntaxError> {
        let src = self.field()?;
        check_width(&src, dst.field.width)?;
        self.check_writable(&dst)?;
        Ok(Action::Move { dst: dst.field, src: src.field })
    }

    fn exchange(&mut self, left: Located) -> Result<Action, SyntaxError> {
        let right = self.field()?;
        check_width(&right, left.field.width)?;
        self.check_writable(&left)?;
        self.check_writable(&right)?;
        Ok(Action::Exchange(left.field, right.field))
    }

    /// An action that yields to `dst`.
    fn result(&mut self, dst: Located, word: &str) -> Result<Action, SyntaxError> {
        let span = self.cursor.advance().span;
        self.cursor.expect(&Token::LeftParen)?;
        if let Some((width, action)) = without_arguments(word) {
            if *self.cursor.kind() != Token::RightParen {
                return fail(self.cursor.span(), format!("{word} takes no arguments; write {word}()"));
            }
            self.cursor.advance();
            self.check_result(&dst, width)?;
            if word == "dns_lookup" {
                self.need("udp");
            }
            return Ok(action(dst.field));
        }
        match word {
            "select" => return self.select(dst, span),
            "get_fdb" | "get_remote_fdb" => return self.get_fdb(dst, word),
            "lookup_arp"
            | "lookup_nd"
            | "lookup_arp_ip"
            | "lookup_nd_ip"
            | "lookup_fdb"
            | "chk_evpn_arp"
            | "check_pkt_larger"
            | "put_dhcp_opts"
            | "put_dhcpv6_opts"
            | "put_nd_ra_opts"
            | "dhcp_relay_req_chk"
            | "dhcp_relay_resp_chk" => self.check_result(&dst, 1)?,
            _ => {
                let word = shortened(word);
                let sentence = format!("there is no action {word} that yields a value; ovn-sb(5) lists them");
                return fail(span, sentence);
            }
        }
        let dst = dst.field;
        let action = match word {
            "lookup_arp" => Action::LookupArp(self.lookup(dst, 32)?),
            "lookup_nd" => Action::LookupNd(self.lookup(dst, 128)?),
            "lookup_arp_ip" => Action::LookupArpIp(self.lookup_ip(dst, 32)?),
            "lookup_nd_ip" => Action::LookupNdIp(self.lookup_ip(dst, 128)?),
            "lookup_fdb" => {
                let port = self.port()?;
                self.cursor.expect(&Token::Comma)?;
                let mac = self.numeric(48)?;
                Action::LookupFdb { dst, port, mac }
            }
            "chk_evpn_arp" => {
                let ip = self.field()?;
                if !matches!(ip.field.width, 32 | 128) {
                    let sentence = format!("{} is no IP address; name a field of 32 or 128 bits", ip.field);
                    return fail(ip.span, sentence);
                }
                Action::ChkEvpnArp { dst, ip: ip.field }
            }
            "check_pkt_larger" => Action::CheckPktLarger { dst, bytes: self.decimal16("a length in bytes")? },
            "put_dhcp_opts" => return self.put_dhcp_opts(dst, span),
            "put_dhcpv6_opts" => return self.put_dhcpv6_opts(dst),
            "put_nd_ra_opts" => return self.put_nd_ra_opts(dst, span),
            "dhcp_relay_req_chk" => Action::DhcpRelayReqChk(self.dhcp_relay(dst)?),
            _ => Action::DhcpRelayRespChk(self.dhcp_relay(dst)?),
        };
        self.cursor.expect(&Token::RightParen)?;
        Ok(action)
    }

    fn lookup(&mut self, dst: FieldRef, ip_width: u16) -> Result<LookupBinding, SyntaxError> {
        let port = self.port()?;
        self.cursor.expect(&Token::Comma)?;
        let ip = self.numeric(ip_width)?;
        self.cursor.expect(&Token::Comma)?;
        let mac = self.numeric(48)?;
        Ok(LookupBinding { dst, port, ip, mac })
    }

    fn lookup_ip(&mut self, dst: FieldRef, ip_width: u16) -> Result<LookupBindingIp, SyntaxError> {
        let port = self.port()?;
        self.cursor.expect(&Token::Comma)?;
        let ip = self.numeric(ip_width)?;
        Ok(LookupBindingIp { dst, port, ip })
    }

    fn get_fdb(&mut self, dst: Located, word: &str) -> Result<Action, SyntaxError> {
        // A port's key fits a port's field as well as any of 32 bits.
        if dst.field.width == 0 {
            self.check_writable(&dst)?;
        } else {
            self.check_result(&dst, 32)?;
        }
        let mac = self.numeric(48)?;
        self.cursor.expect(&Token::RightParen)?;
        let get = GetFdb { dst: dst.field, mac };
        Ok(if word == "get_fdb" { Action::GetFdb(get) } else { Action::GetRemoteFdb(get) })
    }

    fn dhcp_relay(&mut self, dst: FieldRef) -> Result<DhcpRelay, SyntaxError> {
        let relay = self.ipv4()?;
        self.cursor.accept(&Token::Comma);
        let server = self.ipv4()?;
        Ok(DhcpRelay { dst, relay, server })
    }

    /// `select` behind its parenthesis: `1=20, 2)`, or `values=(1=20, 2); hash_fields="…")`.
    fn select(&mut self, dst: Located, span: Range<usize>) -> Result<Action, SyntaxError> {
        self.check_writable(&dst)?;
        if dst.field.width < 16 {
            let sentence = format!("select yields 16 bits, more than {} has; name a wider field", dst.field);
            return fail(dst.span, sentence);
        }
        self.need_next_table("select", &span)?;
        let with_fields = *self.cursor.kind() == Token::Id("values");
        if with_fields {
            self.argument("values")?;
            self.cursor.expect(&Token::LeftParen)?;
        }
        let mut members = Vec::new();
        while !self.cursor.accept(&Token::RightParen) {
            let member = self.decimal16("a number to choose from")?;
            let mut weight = DEFAULT_WEIGHT;
            if self.cursor.accept(&Token::Assign) {
                let span = self.cursor.span();
                weight = self.decimal16("a weight")?;
                if weight == 0 {
                    return fail(span, "a weight of 0 is never chosen; leave that number out");
                }
            }
            members.push((member, weight));
            self.cursor.accept(&Token::Comma);
        }
        if members.len() < 2 {
            return fail(
                span,
                "select needs two numbers or more to choose from; set the field to the one instead",
            );
        }
        let mut hash_fields = None;
        if with_fields {
            self.cursor.expect(&Token::Semicolon)?;
            self.argument("hash_fields")?;
            hash_fields = Some(self.string("names of fields in double quotes")?);
            self.cursor.expect(&Token::RightParen)?;
        }
        Ok(Action::Select(Select { dst: dst.field, members, hash_fields }))
    }
}

/// Width of what an action yields, and the action of the field it yields to.
type Yields = (u16, fn(FieldRef) -> Action);

/// The action of that name, if it is one that only yields.
fn without_arguments(word: &str) -> Option<Yields> {
    match word {
        "dns_lookup" => Some((1, Action::DnsLookup)),
        "check_in_port_sec" => Some((1, Action::CheckInPortSec)),
        "check_out_port_sec" => Some((1, Action::CheckOutPortSec)),
        "chk_lb_hairpin" => Some((1, Action::ChkLbHairpin)),
        "chk_lb_hairpin_reply" => Some((1, Action::ChkLbHairpinReply)),
        "chk_lb_aff" => Some((1, Action::ChkLbAff)),
        "chk_ecmp_nh_mac" => Some((1, Action::ChkEcmpNhMac)),
        "chk_ecmp_nh" => Some((1, Action::ChkEcmpNh)),
        "ct_nw_dst" => Some((32, Action::CtNwDst)),
        "ct_ip6_dst" => Some((128, Action::CtIp6Dst)),
        "ct_tp_dst" => Some((16, Action::CtTpDst)),
        "ct_proto" => Some((8, Action::CtProto)),
        "ct_state_save" => Some((8, Action::CtStateSave)),
        _ => None,
    }
}
