//! What begins with `ct_`.

use std::ops::Range;

use super::{Inner, Parser, Scope, fail};
use crate::logical::action::ast::{
    Action, Backend, CtCommitArgs, LoadBalance, Nat, NatZone, PortRange, SnatFlag,
};
use crate::logical::error::SyntaxError;
use crate::logical::lex::{Kind as Token, Number};

impl Parser<'_, '_> {
    /// An action behind its word.
    pub(super) fn conntrack(&mut self, word: &str, span: Range<usize>) -> Result<Action, SyntaxError> {
        match word {
            "ct_clear" => return Ok(Action::CtClear),
            "ct_snat_to_vip" => return Ok(Action::CtSnatToVip),
            "ct_commit" => return self.commit(),
            "ct_next" | "ct_commit_nat" | "ct_commit_to_zone" | "ct_dnat" | "ct_snat"
            | "ct_dnat_in_czone" | "ct_snat_in_czone" | "ct_lb" | "ct_lb_mark" | "ct_lb_mark_local" => {}
            _ => return Err(self.no_action(word, span)),
        }
        self.need_next_table(word, &span)?;
        self.need("ip");
        match word {
            "ct_next" => Ok(Action::CtNext(self.optional_zone()?)),
            "ct_commit_nat" => Ok(Action::CtCommitNat(self.optional_zone()?)),
            "ct_commit_to_zone" => {
                self.cursor.expect(&Token::LeftParen)?;
                Ok(Action::CtCommitToZone(self.zone()?))
            }
            "ct_dnat" => Ok(Action::CtDnat(self.nat()?)),
            "ct_snat" => Ok(Action::CtSnat(self.nat()?)),
            "ct_dnat_in_czone" => Ok(Action::CtDnatInCzone(self.nat()?)),
            "ct_snat_in_czone" => Ok(Action::CtSnatInCzone(self.nat()?)),
            "ct_lb" => Ok(Action::CtLb(self.load_balance(false)?)),
            "ct_lb_mark" => Ok(Action::CtLbMark(self.load_balance(false)?)),
            _ => Ok(Action::CtLbMarkLocal(self.load_balance(true)?)),
        }
    }

    /// `ct_commit` behind its word.
    fn commit(&mut self) -> Result<Action, SyntaxError> {
        match self.cursor.kind() {
            Token::LeftCurly => {
                let scope = std::mem::replace(&mut self.scope, Scope::Connection);
                let nested = self.nested(Inner::Replaced("ip"));
                self.scope = scope;
                nested.map(Action::CtCommit)
            }
            Token::LeftParen => {
                self.cursor.advance();
                self.need("ip");
                let mut args = CtCommitArgs { mark: None, label: None };
                while !self.cursor.accept(&Token::RightParen) {
                    if self.cursor.accept_word("ct_mark") {
                        let (value, mask) = self.masked(u32::MAX.into())?;
                        args.mark = Some((value as u32, mask as u32));
                    } else if self.cursor.accept_word("ct_label") {
                        args.label = Some(self.masked(u128::MAX)?);
                    } else {
                        return Err(self.cursor.unexpected("ct_mark or ct_label"));
                    }
                    self.cursor.accept(&Token::Comma);
                }
                Ok(match args {
                    CtCommitArgs { mark: None, label: None } => Action::CtCommit(Vec::new()),
                    args => Action::CtCommitArgs(args),
                })
            }
            _ => {
                self.need("ip");
                Ok(Action::CtCommit(Vec::new()))
            }
        }
    }

    /// `=value` or `=value/mask`, of the bits in `ones`.
    fn masked(&mut self, ones: u128) -> Result<(u128, u128), SyntaxError> {
        self.cursor.expect(&Token::Assign)?;
        let span = self.cursor.span();
        let Token::Number(Number { value, mask, .. }) = *self.cursor.kind() else {
            return Err(self.cursor.unexpected("a number"));
        };
        if value | mask.unwrap_or(0) > ones {
            return fail(span, format!("the number has more than the {} bits there are", ones.count_ones()));
        }
        if mask == Some(0) {
            return fail(span, "a mask of 0 writes nothing; leave the argument out");
        }
        self.cursor.advance();
        Ok((value, mask.unwrap_or(ones)))
    }

    fn optional_zone(&mut self) -> Result<Option<NatZone>, SyntaxError> {
        if self.cursor.accept(&Token::LeftParen) { self.zone().map(Some) } else { Ok(None) }
    }

    /// `dnat)` or `snat)`
    fn zone(&mut self) -> Result<NatZone, SyntaxError> {
        let zone = self.one_of("a zone", &[NatZone::Dnat, NatZone::Snat], NatZone::name)?;
        self.cursor.expect(&Token::RightParen)?;
        Ok(zone)
    }

    /// `(IP)`, `(IP, PORT)`, `(IP, FIRST-LAST)` or nothing.
    fn nat(&mut self) -> Result<Option<Nat>, SyntaxError> {
        if !self.cursor.accept(&Token::LeftParen) {
            return Ok(None);
        }
        let ip = self.address()?;
        let mut ports = None;
        if self.cursor.accept(&Token::Comma) {
            let span = self.cursor.span();
            let first = self.decimal16("the first port")?;
            if first == 0 {
                return fail(span, "0 is no port; begin at 1");
            }
            let mut last = None;
            if self.cursor.accept(&Token::Hyphen) {
                let span = self.cursor.span();
                let port = self.decimal16("the last port")?;
                if port <= first {
                    return fail(span, "the last port is not above the first; write the lower one first");
                }
                last = Some(port);
            }
            ports = Some(PortRange { first, last });
        }
        self.cursor.expect(&Token::RightParen)?;
        Ok(Some(Nat { ip, ports }))
    }

    /// Nothing, `()`, or `(backends=…; hash_fields="…"; skip_snat)`, where all but the backends may be left out.
    fn load_balance(&mut self, local: bool) -> Result<LoadBalance, SyntaxError> {
        let mut balance = LoadBalance::default();
        if !self.cursor.accept(&Token::LeftParen) || self.cursor.accept(&Token::RightParen) {
            return Ok(balance);
        }
        self.argument("backends")?;
        while !matches!(self.cursor.kind(), Token::RightParen | Token::Semicolon) {
            let backend = self.backend(local)?;
            balance.backends.push(backend);
            self.cursor.accept(&Token::Comma);
        }
        if *self.cursor.kind() == Token::Semicolon && balance.backends.is_empty() {
            return fail(
                self.cursor.span(),
                "there are no backends to choose from; name some, or write no more",
            );
        }
        while self.cursor.accept(&Token::Semicolon) {
            if balance.hash_fields.is_none() && *self.cursor.kind() == Token::Id("hash_fields") {
                self.argument("hash_fields")?;
                balance.hash_fields = Some(self.string("names of fields in double quotes")?);
            } else {
                let flags = [SnatFlag::Skip, SnatFlag::Force];
                balance.flag = Some(self.one_of("hash_fields or a flag", &flags, SnatFlag::name)?);
                break;
            }
        }
        self.cursor.expect(&Token::RightParen)?;
        Ok(balance)
    }

    /// `IP`, `IPv4:PORT`, `[IPv6]:PORT`, behind the name of a port where only local ones count.
    fn backend(&mut self, local: bool) -> Result<Backend, SyntaxError> {
        let mut lport = None;
        if local {
            lport = Some(self.string("the name of the backend's port in double quotes")?);
            self.cursor.expect(&Token::Colon)?;
        }
        let brackets = self.cursor.accept(&Token::LeftSquare);
        let span = self.cursor.span();
        let ip = self.address()?;
        if brackets {
            if ip.is_ipv4() {
                return fail(span, "brackets are for IPv6 addresses; remove them");
            }
            self.cursor.expect(&Token::RightSquare)?;
        }
        let mut port = 0;
        if (brackets || ip.is_ipv4()) && self.cursor.accept(&Token::Colon) {
            port = self.decimal16("a port")?;
        } else if *self.cursor.kind() == Token::Colon {
            return fail(span, "an IPv6 address needs square brackets before a port; write them");
        }
        Ok(Backend { lport, ip, port })
    }
}
