//! Reads actions.
//!
//! One pass over the tokens with two of them in view. `field` has what all actions share.
//! `assign` has what begins with a field and `=`, the other modules what begins with the action's own word.

mod assign;
mod conntrack;
mod field;
mod options;
mod other;

use std::ops::Range;

use super::ast::{Action, Next, NextForm, Pipeline};
use super::options::{DHCP_OPTIONS, DHCPV6_OPTIONS, OptionDef};
use super::prereqs::{Prerequisite, Prerequisites};
use super::print::List;
use crate::logical::cursor::Cursor;
use crate::logical::error::{SyntaxError, shortened};
use crate::logical::lex::Kind as Token;

/// How deep braces may nest.
pub const MAX_NESTING: usize = 31;

/// Tables in each pipeline of OVN 23.03.
pub const TABLES: u8 = 29;

/// Where actions stand, and what they may name.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Pipeline of the flow.
    pub pipeline: Pipeline,
    /// Its table.
    pub table: u8,
    /// How many tables each pipeline has.
    pub tables: u8,
    /// Options that `put_dhcp_opts` knows.
    pub dhcp_options: &'a [OptionDef],
    /// Options that `put_dhcpv6_opts` knows.
    pub dhcpv6_options: &'a [OptionDef],
}

impl Context<'static> {
    /// A flow in that table, with OVN 23.03's number of tables and the options this module knows of itself.
    pub fn at(pipeline: Pipeline, table: u8) -> Self {
        Self { pipeline, table, tables: TABLES, dhcp_options: DHCP_OPTIONS, dhcpv6_options: DHCPV6_OPTIONS }
    }
}

/// The actions of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// In the order in which they run; none drop the packet.
    pub list: Vec<Action>,
    /// What they imply of the packet.
    pub prereqs: Prerequisites,
}

impl std::fmt::Display for Actions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        List(&self.list).fmt(f)
    }
}

/// Reads the actions of a flow.
pub fn parse_actions(text: &str, context: &Context<'_>) -> Result<Actions, SyntaxError> {
    let mut parser =
        Parser { cursor: Cursor::new(text), context, prereqs: Vec::new(), depth: 0, scope: Scope::Packet };
    let list = parser.actions(&Token::End)?;
    Ok(Actions { list, prereqs: Prerequisites(parser.prereqs) })
}

/// What actions may write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Fields of the packet and registers.
    Packet,
    /// Mark and label of a connection.
    Connection,
}

/// What a nested block's own prerequisites are to the actions around it.
enum Inner {
    /// They are the block's affair; the action asks for this instead.
    Replaced(&'static str),
    /// They are those of the actions around it too, before theirs.
    Added,
}

struct Parser<'a, 'c> {
    cursor: Cursor<'a>,
    context: &'c Context<'c>,
    prereqs: Vec<Prerequisite>,
    depth: usize,
    scope: Scope,
}

impl<'a> Parser<'a, '_> {
    /// Actions up to and with that token.
    fn actions(&mut self, end: &Token<'_>) -> Result<Vec<Action>, SyntaxError> {
        if *self.cursor.kind() == Token::Id("drop") && self.cursor.second() == Token::Semicolon {
            self.cursor.advance();
            self.cursor.advance();
            if self.cursor.kind() != end && matches!(self.cursor.kind(), Token::Id(_)) {
                let sentence = "drop stands alone; remove it, or the actions behind it";
                return fail(self.cursor.span(), sentence);
            }
            self.cursor.expect(end)?;
            return Ok(Vec::new());
        }
        let mut list = Vec::new();
        while !self.cursor.accept(end) {
            list.push(self.action()?);
            self.cursor.expect(&Token::Semicolon)?;
        }
        Ok(list)
    }

    /// One action, up to its semicolon.
    fn action(&mut self) -> Result<Action, SyntaxError> {
        let word = match *self.cursor.kind() {
            Token::Id(word) => word,
            Token::Template(name) => {
                let name = shortened(name);
                let sentence = format!("the variable {name} has no value here; write that in its place");
                return fail(self.cursor.span(), sentence);
            }
            _ => return Err(self.cursor.unexpected("an action")),
        };
        if matches!(self.cursor.second(), Token::Assign | Token::Exchange | Token::LeftSquare) {
            return self.assignment();
        }
        let span = self.cursor.advance().span;
        match word {
            "output" => Ok(Action::Output),
            "next" => self.next(span),
            "push" | "pop" => self.push_pop(word),
            "ip.ttl" => {
                self.cursor.expect(&Token::Decrement)?;
                self.need("ip");
                Ok(Action::DecTtl)
            }
            "clone" => {
                let scope = std::mem::replace(&mut self.scope, Scope::Packet);
                let nested = self.nested(Inner::Added);
                self.scope = scope;
                nested.map(Action::Clone)
            }
            "arp" => self.nested(Inner::Replaced("ip4")).map(Action::Arp),
            "icmp4" => self.nested(Inner::Replaced("ip4")).map(Action::Icmp4),
            "icmp4_error" => self.nested(Inner::Replaced("ip4")).map(Action::Icmp4Error),
            "icmp6" => self.nested(Inner::Replaced("ip6")).map(Action::Icmp6),
            "icmp6_error" => self.nested(Inner::Replaced("ip6")).map(Action::Icmp6Error),
            "tcp_reset" => self.nested(Inner::Replaced("tcp")).map(Action::TcpReset),
            "sctp_abort" => self.nested(Inner::Replaced("sctp")).map(Action::SctpAbort),
            "reject" => self.nested(Inner::Added).map(Action::Reject),
            "nd_ns" => self.nested(Inner::Replaced("ip6")).map(Action::NdNs),
            "nd_na" => self.nested(Inner::Replaced("nd_ns")).map(Action::NdNa),
            "nd_na_router" => self.nested(Inner::Replaced("nd_ns")).map(Action::NdNaRouter),
            _ if word.starts_with("ct_") => self.conntrack(word, span),
            _ => self.other(word, span),
        }
    }

    /// Actions in braces.
    fn nested(&mut self, inner: Inner) -> Result<Vec<Action>, SyntaxError> {
        let open = self.cursor.expect(&Token::LeftCurly)?;
        if self.depth == MAX_NESTING {
            let sentence =
                format!("braces nest more than {MAX_NESTING} deep; put the inner ones in another table");
            return fail(open, sentence);
        }
        let outer = std::mem::take(&mut self.prereqs);
        self.depth += 1;
        let nested = self.actions(&Token::RightCurly)?;
        self.depth -= 1;
        match inner {
            Inner::Replaced(prereq) => {
                self.prereqs = outer;
                self.need(prereq);
            }
            Inner::Added => self.prereqs.extend(outer),
        }
        Ok(nested)
    }

    /// `next` behind its word.
    fn next(&mut self, span: Range<usize>) -> Result<Action, SyntaxError> {
        let here = self.context;
        if here.tables == 0 {
            return fail(span, "next has no table to go to here; use output");
        }
        let following = u32::from(here.table) + 1;
        let (mut pipeline, mut table) = (here.pipeline, following);
        let mut at = span;
        if self.cursor.accept(&Token::LeftParen) {
            at = self.cursor.span();
            if let Token::Number(_) = self.cursor.kind() {
                table = self.cursor.small_integer()?;
            } else {
                loop {
                    if self.cursor.accept_word("pipeline") {
                        self.cursor.expect(&Token::Assign)?;
                        pipeline = self.one_of(
                            "a pipeline",
                            &[Pipeline::Ingress, Pipeline::Egress],
                            Pipeline::name,
                        )?;
                    } else if self.cursor.accept_word("table") {
                        self.cursor.expect(&Token::Assign)?;
                        at = self.cursor.span();
                        table = self.cursor.small_integer()?;
                    } else {
                        return Err(self.cursor.unexpected("a table's number, \"table\" or \"pipeline\""));
                    }
                    if !self.cursor.accept(&Token::Comma) {
                        break;
                    }
                }
            }
            self.cursor.expect(&Token::RightParen)?;
        }
        let last = here.tables - 1;
        let Some(number) = u8::try_from(table).ok().filter(|number| *number <= last) else {
            let sentence = format!("there is no table {table} to go to; the last one is {last}");
            return fail(at, sentence);
        };
        let form = if pipeline != here.pipeline {
            NextForm::Pipeline
        } else if table != following {
            NextForm::Table
        } else {
            NextForm::Following
        };
        Ok(Action::Next(Next { pipeline, table: number, form }))
    }

    /// `push` and `pop` behind their words.
    fn push_pop(&mut self, word: &str) -> Result<Action, SyntaxError> {
        self.cursor.expect(&Token::LeftParen)?;
        let field = self.field()?;
        if word == "pop" {
            self.check_writable(&field)?;
        }
        self.cursor.expect(&Token::RightParen)?;
        Ok(if word == "push" { Action::Push(field.field) } else { Action::Pop(field.field) })
    }

    /// Adds what the action asks for.
    fn need(&mut self, prereq: &'static str) {
        self.prereqs.push(Prerequisite::Action(prereq));
    }

    /// Refuses an action that goes on to the next table where there is none.
    fn need_next_table(&self, word: &str, span: &Range<usize>) -> Result<(), SyntaxError> {
        if self.context.table >= self.context.tables {
            let sentence =
                format!("{word} goes on in the next table, and there is none; use it in an earlier table");
            return fail(span.clone(), sentence);
        }
        Ok(())
    }
}

/// An error about those bytes.
fn fail<T>(span: Range<usize>, sentence: impl Into<String>) -> Result<T, SyntaxError> {
    Err(SyntaxError::new(span, sentence))
}
