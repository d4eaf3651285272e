//! The options of DHCP answers, router advertisements and events.

use std::ops::Range;

use super::{Parser, fail};
use crate::logical::action::ast::{Action, OptionValue, PutOptions, TriggerEvent};
use crate::logical::action::options::{Event, ND_RA_OPTIONS, OFFERIP, OptionDef, Takes, empty_lb, nd_ra};
use crate::logical::error::{SyntaxError, shortened};
use crate::logical::expr::{Constant, ConstantSet};
use crate::logical::lex::{Format, Kind as Token};
use crate::logical::symbol::FieldRef;

impl Parser<'_, '_> {
    /// `put_dhcp_opts` behind its parenthesis.
    pub(super) fn put_dhcp_opts(&mut self, dst: FieldRef, span: Range<usize>) -> Result<Action, SyntaxError> {
        let options = self.options(self.context.dhcp_options, "DHCP")?;
        if !options.iter().any(|option| option.option.code == OFFERIP) {
            return fail(span, "put_dhcp_opts needs the address it offers; add offerip = …");
        }
        Ok(Action::PutDhcpOpts(PutOptions { dst, options }))
    }

    /// `put_dhcpv6_opts` behind its parenthesis.
    pub(super) fn put_dhcpv6_opts(&mut self, dst: FieldRef) -> Result<Action, SyntaxError> {
        let options = self.options(self.context.dhcpv6_options, "DHCPv6")?;
        Ok(Action::PutDhcpv6Opts(PutOptions { dst, options }))
    }

    /// `put_nd_ra_opts` behind its parenthesis.
    pub(super) fn put_nd_ra_opts(
        &mut self,
        dst: FieldRef,
        span: Range<usize>,
    ) -> Result<Action, SyntaxError> {
        let options = self.options(ND_RA_OPTIONS, "router advertisement")?;
        let (mut slla, mut prefix, mut stateful) = (false, false, false);
        for option in &options {
            let (text, number) = (option.text(), option.number());
            let written = |format| number.is_some_and(|number| number.format == format);
            let (good, expected) = match option.option.code {
                nd_ra::ADDR_MODE => {
                    stateful |= text == Some("dhcpv6_stateful");
                    let good = matches!(text, Some("slaac" | "dhcpv6_stateful" | "dhcpv6_stateless"));
                    (good, "\"slaac\", \"dhcpv6_stateful\" or \"dhcpv6_stateless\"")
                }
                nd_ra::PREFERENCE => {
                    (matches!(text, Some("HIGH" | "MEDIUM" | "LOW")), "\"HIGH\", \"MEDIUM\" or \"LOW\"")
                }
                nd_ra::SLLA => {
                    slla = true;
                    (written(Format::Ethernet), "one Ethernet address")
                }
                nd_ra::PREFIX => {
                    prefix = true;
                    let masked = number.is_some_and(|number| number.mask.is_some());
                    (written(Format::Ipv6) && masked, "one IPv6 prefix with its length")
                }
                nd_ra::MTU => (written(Format::Decimal), "one decimal number"),
                nd_ra::RDNSS => (written(Format::Ipv6), "one IPv6 address"),
                _ => (text.is_some(), "one string"),
            };
            if !good {
                return fail(span, bad_value(option, expected));
            }
        }
        if !slla {
            return fail(span, "the advertisement needs the router's Ethernet address; add slla = …");
        }
        if !stateful && !prefix {
            let sentence = "without addr_mode = \"dhcpv6_stateful\" hosts need a prefix; add prefix = …";
            return fail(span, sentence);
        }
        self.need("ip6");
        Ok(Action::PutNdRaOpts(PutOptions { dst, options }))
    }

    /// `trigger_event` behind its word.
    pub(super) fn trigger_event(&mut self) -> Result<Action, SyntaxError> {
        self.cursor.expect(&Token::LeftParen)?;
        self.argument("event")?;
        let event = match self.cursor.kind() {
            Token::Str(name) if let Some(event) = Event::by_name(name) => event,
            _ => return Err(self.cursor.unexpected("an event: \"empty_lb_backends\"")),
        };
        let span = self.cursor.advance().span;
        self.cursor.accept(&Token::Comma);
        let options = self.options(event.options(), event.name())?;
        for option in &options {
            let text = option.text();
            let (good, expected) = match option.option.code {
                empty_lb::VIP => {
                    (text.and_then(endpoint).is_some(), "an IP address, with a port behind a colon")
                }
                empty_lb::PROTOCOL => {
                    (matches!(text, Some("tcp" | "udp" | "sctp")), "\"tcp\", \"udp\" or \"sctp\"")
                }
                _ => (text.is_some_and(is_uuid), "a uuid"),
            };
            if !good {
                return fail(span, bad_value(option, expected));
            }
        }
        Ok(Action::TriggerEvent(TriggerEvent { event, options }))
    }

    /// Options up to and with the closing parenthesis.
    fn options(&mut self, known: &[OptionDef], what: &str) -> Result<Vec<OptionValue>, SyntaxError> {
        let mut options = Vec::new();
        while !self.cursor.accept(&Token::RightParen) {
            let Token::Id(name) = *self.cursor.kind() else {
                return Err(self.cursor.unexpected(&format!("the name of a {what} option")));
            };
            let Some(option) = known.iter().find(|option| option.name == name) else {
                let sentence =
                    format!("there is no {what} option {}; see the names that are known", shortened(name));
                return fail(self.cursor.span(), sentence);
            };
            self.cursor.advance();
            self.cursor.expect(&Token::Assign)?;
            let span = self.cursor.span();
            let value = ConstantSet::parse(&mut self.cursor)?;
            let is_text = matches!(value.constants.first(), Some(Constant::Text(_)));
            match (option.kind.takes(), is_text) {
                (Takes::String, false) => {
                    return fail(span, format!("{name} is a string; put it in double quotes"));
                }
                (Takes::Number, true) => {
                    return fail(span, format!("{name} is no string; write it without quotes"));
                }
                _ => {}
            }
            options.push(OptionValue { option: option.clone(), value });
            self.cursor.accept(&Token::Comma);
        }
        Ok(options)
    }
}

fn bad_value(option: &OptionValue, expected: &str) -> String {
    let value = option.value.to_string();
    format!("{} cannot be {}; write {expected}", option.option.name, shortened(&value))
}

/// `IP`, `IPv4:PORT` or `[IPv6]:PORT`; the port is 0 where there is none.
pub(super) fn endpoint(text: &str) -> Option<(std::net::IpAddr, u16)> {
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some((address.ip(), address.port()));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bare {
        Some(text) => Some((text.parse::<std::net::Ipv6Addr>().ok()?.into(), 0)),
        None => Some((text.parse().ok()?, 0)),
    }
}

/// Whether it is 36 characters of the form of a uuid.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
