//! What begins with a word of its own and is neither flow control, nor braces, nor connection tracking.

use std::ops::Range;

use super::options::endpoint;
use super::{Parser, fail};
use crate::logical::action::ast::{
    Action, CommitLbAff, FwdGroup, GetBinding, Log, ObsPoint, PutBinding, Sample, Severity, Transport,
    Verdict,
};
use crate::logical::action::kind::TABLE;
use crate::logical::error::{SyntaxError, nearest, shortened};
use crate::logical::lex::{Format, Kind as Token, Number};
use crate::logical::symbol::lookup;

/// The greatest queue OVN can name.
const MAX_QUEUE: u64 = 0xf000;

/// A log entry's name is shorter than this many bytes.
const MAX_LOG_NAME: usize = 64;

impl Parser<'_, '_> {
    /// An action behind its word.
    pub(super) fn other(&mut self, word: &str, span: Range<usize>) -> Result<Action, SyntaxError> {
        match word {
            "igmp" => Ok(Action::Igmp),
            "handle_dhcpv6_reply" => Ok(Action::HandleDhcpv6Reply),
            "mac_cache_use" => Ok(Action::MacCacheUse),
            "flood_remote" => Ok(Action::FloodRemote),
            "log" => self.log(span),
            "sample" => self.sample(span),
            "fwd_group" => self.fwd_group(span),
            "trigger_event" => self.trigger_event(),
            "get_arp" | "get_nd" | "put_arp" | "put_nd" | "put_fdb" | "set_queue" | "set_meter"
            | "bind_vport" | "handle_svc_check" | "handle_bfd_msg" | "mirror" | "commit_ecmp_nh"
            | "commit_lb_aff" => {
                self.cursor.expect(&Token::LeftParen)?;
                let action = self.with_arguments(word)?;
                self.cursor.expect(&Token::RightParen)?;
                Ok(action)
            }
            _ => Err(self.no_action(word, span)),
        }
    }

    /// Between the parentheses of those actions that have nothing optional in them.
    fn with_arguments(&mut self, word: &str) -> Result<Action, SyntaxError> {
        Ok(match word {
            "get_arp" => Action::GetArp(self.get_binding(32)?),
            "get_nd" => Action::GetNd(self.get_binding(128)?),
            "put_arp" => Action::PutArp(self.put_binding(32)?),
            "put_nd" => Action::PutNd(self.put_binding(128)?),
            "put_fdb" => {
                let port = self.port()?;
                self.cursor.expect(&Token::Comma)?;
                Action::PutFdb { port, mac: self.numeric(48)? }
            }
            "set_queue" => Action::SetQueue(self.decimal("a queue", MAX_QUEUE)? as u16),
            "set_meter" => {
                let span = self.cursor.span();
                let rate = self.decimal("a rate", u64::MAX)?;
                if rate == 0 {
                    return fail(span, "a rate of 0 lets nothing through; use drop for that");
                }
                let burst =
                    if self.cursor.accept(&Token::Comma) { self.decimal("a burst", u64::MAX)? } else { 0 };
                Action::SetMeter { rate, burst }
            }
            "bind_vport" => {
                let vport = self.string("the name of a port in double quotes")?;
                self.cursor.expect(&Token::Comma)?;
                Action::BindVport { vport, parent: self.port()? }
            }
            "handle_svc_check" => Action::HandleSvcCheck(self.port()?),
            "mirror" => Action::Mirror(self.string("the name of a port in double quotes")?),
            "commit_ecmp_nh" => {
                self.argument("ipv6")?;
                let ipv6 = self.boolean()?;
                self.cursor.expect(&Token::Comma)?;
                Action::CommitEcmpNh { ipv6, proto: self.transport()? }
            }
            "commit_lb_aff" => self.commit_lb_aff()?,
            _ => Action::HandleBfdMsg,
        })
    }

    fn get_binding(&mut self, ip_width: u16) -> Result<GetBinding, SyntaxError> {
        let port = self.port()?;
        self.cursor.expect(&Token::Comma)?;
        Ok(GetBinding { port, ip: self.numeric(ip_width)? })
    }

    fn put_binding(&mut self, ip_width: u16) -> Result<PutBinding, SyntaxError> {
        let GetBinding { port, ip } = self.get_binding(ip_width)?;
        self.cursor.expect(&Token::Comma)?;
        Ok(PutBinding { port, ip, mac: self.numeric(48)? })
    }

    /// `proto = …`
    fn transport(&mut self) -> Result<Transport, SyntaxError> {
        self.argument("proto")?;
        self.one_of("a protocol", &Transport::ALL, Transport::name)
    }

    fn commit_lb_aff(&mut self) -> Result<Action, SyntaxError> {
        let vip = self.quoted_endpoint("vip")?;
        let span = self.cursor.span();
        let backend = self.quoted_endpoint("backend")?;
        if vip.0.is_ipv4() != backend.0.is_ipv4() {
            return fail(span, "the backend is of another IP version than the vip; name one of the same");
        }
        // A load balancer for all ports is one for all protocols.
        let proto = if vip.1 == 0 {
            None
        } else {
            let proto = self.transport()?;
            self.cursor.expect(&Token::Comma)?;
            Some(proto)
        };
        self.argument("timeout")?;
        let timeout = self.decimal16("seconds")?;
        Ok(Action::CommitLbAff(CommitLbAff { vip, backend, proto, timeout }))
    }

    /// `name = "IP:PORT",`
    fn quoted_endpoint(&mut self, name: &'static str) -> Result<(std::net::IpAddr, u16), SyntaxError> {
        self.argument(name)?;
        let expected = "an IP address in double quotes, with a port behind a colon";
        let found = match self.cursor.kind() {
            Token::Str(text) => endpoint(text),
            _ => None,
        };
        let Some(found) = found else { return Err(self.cursor.unexpected(expected)) };
        self.cursor.advance();
        self.cursor.expect(&Token::Comma)?;
        Ok(found)
    }

    /// `log` behind its word.
    fn log(&mut self, span: Range<usize>) -> Result<Action, SyntaxError> {
        let (mut name, mut verdict, mut severity, mut meter) = (None, None, Severity::Info, None);
        if self.cursor.accept(&Token::LeftParen) {
            while !self.cursor.accept(&Token::RightParen) {
                let Token::Id(argument) = *self.cursor.kind() else {
                    return Err(self.cursor.unexpected("name, verdict, severity or meter"));
                };
                match argument {
                    "verdict" => {
                        self.argument("verdict")?;
                        verdict = Some(self.one_of("a verdict", &Verdict::ALL, Verdict::name)?);
                    }
                    "name" => {
                        self.argument("name")?;
                        let span = self.cursor.span();
                        let text = self.string("a name in double quotes")?;
                        if text.len() >= MAX_LOG_NAME {
                            let sentence =
                                format!("the name is too long; write less than {MAX_LOG_NAME} bytes");
                            return fail(span, sentence);
                        }
                        name = Some(text);
                    }
                    "severity" => {
                        self.argument("severity")?;
                        severity = self.one_of("a severity", &Severity::ALL, Severity::name)?;
                    }
                    "meter" => {
                        self.argument("meter")?;
                        meter = Some(self.string("the name of a meter in double quotes")?);
                    }
                    _ => return Err(self.cursor.unexpected("name, verdict, severity or meter")),
                }
                self.cursor.accept(&Token::Comma);
            }
        }
        let Some(verdict) = verdict else {
            return fail(span, "log does not say what became of the packet; add verdict=…");
        };
        Ok(Action::Log(Log { name, verdict, severity, meter }))
    }

    /// `sample` behind its word.
    fn sample(&mut self, span: Range<usize>) -> Result<Action, SyntaxError> {
        let mut sample =
            Sample { probability: 0, collector_set: 0, obs_domain: 0, obs_point: ObsPoint::Number(0) };
        if self.cursor.accept(&Token::LeftParen) {
            while !self.cursor.accept(&Token::RightParen) {
                let Token::Id(argument) = *self.cursor.kind() else {
                    return Err(self.cursor.unexpected("an argument of sample"));
                };
                match argument {
                    "probability" => {
                        self.argument("probability")?;
                        sample.probability = self.decimal16("packets out of 65535")?;
                    }
                    "collector_set" => {
                        self.argument("collector_set")?;
                        sample.collector_set = self.decimal("a collector set", u32::MAX.into())? as u32;
                    }
                    "obs_domain" => {
                        self.argument("obs_domain")?;
                        sample.obs_domain = self.decimal("an observation domain", u8::MAX.into())? as u8;
                    }
                    "obs_point" => {
                        self.argument("obs_point")?;
                        sample.obs_point = self.obs_point()?;
                    }
                    _ => {
                        let expected = "probability, collector_set, obs_domain or obs_point";
                        return Err(self.cursor.unexpected(expected));
                    }
                }
                self.cursor.accept(&Token::Comma);
            }
        }
        if sample.probability == 0 {
            return fail(span, "sample does not say how many packets; add probability=… of at least 1");
        }
        Ok(Action::Sample(sample))
    }

    fn obs_point(&mut self) -> Result<ObsPoint, SyntaxError> {
        match self.cursor.kind() {
            Token::Macro("cookie") => {
                self.cursor.advance();
                Ok(ObsPoint::Cookie)
            }
            Token::Number(Number { mask: None, format: Format::Decimal, .. }) => {
                Ok(ObsPoint::Number(self.decimal("an observation point", u32::MAX.into())? as u32))
            }
            Token::Id(_) => Ok(ObsPoint::Field(self.numeric(32)?)),
            _ => Err(self.cursor.unexpected("a number, a field of 32 bits or $cookie")),
        }
    }

    /// `fwd_group` behind its word.
    fn fwd_group(&mut self, span: Range<usize>) -> Result<Action, SyntaxError> {
        let mut group = FwdGroup::default();
        self.cursor.expect(&Token::LeftParen)?;
        if *self.cursor.kind() == Token::Id("liveness") {
            self.argument("liveness")?;
            group.liveness = self.boolean()?;
            self.cursor.expect(&Token::Comma)?;
        }
        self.argument("childports")?;
        while !self.cursor.accept(&Token::RightParen) {
            let port = self.string("the name of a port in double quotes")?;
            group.child_ports.push(port);
            self.cursor.accept(&Token::Comma);
        }
        if group.child_ports.is_empty() {
            return fail(span, "fwd_group has no port to choose from; name one or more as childports");
        }
        Ok(Action::FwdGroup(group))
    }

    /// The error about a word that begins no action.
    pub(super) fn no_action(&self, word: &str, span: Range<usize>) -> SyntaxError {
        if word == "drop" {
            return SyntaxError::new(span, "drop stands alone; remove it, or the actions before it");
        }
        if lookup(word).is_some() {
            return SyntaxError::new(
                span,
                format!("{word} alone does nothing; write = and a value behind it"),
            );
        }
        let near = nearest(word, TABLE.iter().map(|row| row.name));
        let word = shortened(word);
        let sentence = match near {
            Some((0, _)) => format!("{word} yields a value; write a field and = before it"),
            Some((_, near)) => format!("there is no action {word}; did you mean {near}?"),
            None => format!("there is no action {word}; ovn-sb(5) lists them under Logical_Flow"),
        };
        SyntaxError::new(span, sentence)
    }
}
