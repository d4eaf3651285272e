//! Whole flows, and files of them.

use super::actions::{self, ActionContext};
use super::cursor::{Item, Items, Piece};
use super::error::SyntaxError;
use super::matcher::Builder;
use super::value::{masked_u64, number_u16, port, table};
use super::{FlowOptions, Match, PortNames};
use crate::action::Action;
use crate::packet::PortNo;

/// Most bytes in the text of one flow.
pub const MAX_TEXT: usize = 64 * 1024;

/// What stands before the actions beside fields.
pub(super) const OPTION_NAMES: &[&str] = &[
    "table",
    "priority",
    "cookie",
    "idle_timeout",
    "hard_timeout",
    "importance",
    "out_port",
    "send_flow_rem",
    "check_overlap",
    "reset_counts",
    "no_packet_counts",
    "no_byte_counts",
];

/// What a dump says of a flow that is no part of it.
const DUMP_ONLY: &[&str] = &["duration", "n_packets", "n_bytes", "idle_age", "hard_age"];

/// What a flow's text is for, which decides what may and must stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A flow to add: actions required, `cookie=` is the flow's own.
    Add,
    /// Flows to change: actions required, `cookie=VALUE/MASK` selects.
    Modify,
    /// Flows to delete or show: no actions, `cookie=` selects.
    Select {
        /// Whether `priority` selects too; else it is refused.
        strict: bool,
    },
}

/// A flow as its text says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowText {
    /// `table=`; without it 0 for a flow to add, all tables for others.
    pub table: Option<u8>,
    /// `priority=`; without it [`super::DEFAULT_PRIORITY`].
    pub priority: Option<u16>,
    /// What is matched.
    pub matcher: Match,
    /// Value and mask of `cookie=VALUE/MASK`, the value zero outside the mask.
    pub cookie: Option<(u64, u64)>,
    /// The other options; its cookie is that of a flow to add or the new one of flows to change.
    pub options: FlowOptions,
    /// The actions; `Some(vec![])` drops.
    pub actions: Option<Vec<Action>>,
    /// `out_port=`: only flows that send to that port.
    pub out_port: Option<PortNo>,
}

/// What a line of a file asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `add`, or no word at all.
    Add,
    /// `modify`, `modify_strict`
    Modify {
        /// Whether only the flow of exactly that match and priority.
        strict: bool,
    },
    /// `delete`, `delete_strict`
    Delete {
        /// Whether only the flow of exactly that match and priority.
        strict: bool,
    },
}

impl Command {
    const WORDS: &[(&str, Command)] = &[
        ("add", Command::Add),
        ("modify", Command::Modify { strict: false }),
        ("modify_strict", Command::Modify { strict: true }),
        ("delete", Command::Delete { strict: false }),
        ("delete_strict", Command::Delete { strict: true }),
    ];

    /// How the flow behind the command is read.
    pub fn mode(self) -> Mode {
        match self {
            Command::Add => Mode::Add,
            Command::Modify { .. } => Mode::Modify,
            Command::Delete { strict } => Mode::Select { strict },
        }
    }
}

/// A line of a file that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line's text, without its comment.
    pub text: String,
    /// What is wrong with it; the span counts from the line's first byte.
    pub error: SyntaxError,
}

/// Reads a file of flows, one to a line, each with its line's number. A line may start with `add`, `modify`,
/// `modify_strict`, `delete` or `delete_strict`; `#` starts a comment; lines with nothing else are left out.
pub fn parse_flow_file<'t>(
    text: &'t str,
    ports: &'t dyn PortNames,
) -> impl Iterator<Item = Result<(usize, Command, FlowText), LineError>> + 't {
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let line = line.split_once('#').map_or(line, |(flow, _)| flow);
        if line.trim().is_empty() {
            return None;
        }
        let parsed = parse_line(line, ports).map(|(command, flow)| (number, command, flow));
        Some(parsed.map_err(|error| LineError { line: number, text: line.to_owned(), error }))
    })
}

fn parse_line(line: &str, ports: &dyn PortNames) -> Result<(Command, FlowText), SyntaxError> {
    let whole = Piece::all(line).trim();
    let (word, rest) = whole.take_while(|c| !c.is_ascii_whitespace());
    let command = Command::WORDS.iter().find(|(name, _)| *name == word.text);
    let (command, flow) = command.map_or((Command::Add, whole), |(_, command)| (*command, rest));
    Ok((command, parse(flow, ports, command.mode())?))
}

/// Reads one flow.
pub fn parse_flow(text: &str, ports: &dyn PortNames, mode: Mode) -> Result<FlowText, SyntaxError> {
    parse(Piece::all(text), ports, mode)
}

/// Reads the match of a megaflow as it is printed, or a part of it: fields alone. They need nothing beside them, since a
/// megaflow may have looked for what was not there.
pub fn parse_megaflow(text: &str, ports: &dyn PortNames) -> Result<Match, SyntaxError> {
    if text.len() > MAX_TEXT {
        return Err(text_too_long(text));
    }
    let mut fields = Builder::as_is(ports);
    let mut items = Items::of(Piece::all(text));
    while let Some(item) = items.next_item()? {
        if OPTION_NAMES.contains(&item.key.text) || item.key.text == "actions" {
            let sentence = format!(
                "a megaflow has no {}; choose by what it matches, as in \"in_port=1,ip\"",
                item.key.text
            );
            return Err(SyntaxError::refused(item.key, sentence));
        }
        fields.item(item)?;
    }
    fields.finish()
}

/// The complaint about a text above [`MAX_TEXT`].
pub(super) fn text_too_long(text: &str) -> SyntaxError {
    let sentence =
        format!("a flow's text has at most {MAX_TEXT} bytes, this one has {}; split it", text.len());
    SyntaxError::refused(Piece { text: "", at: 0 }, sentence)
}

fn parse(flow: Piece<'_>, ports: &dyn PortNames, mode: Mode) -> Result<FlowText, SyntaxError> {
    if flow.text.len() > MAX_TEXT {
        return Err(text_too_long(flow.text));
    }
    let mut out = FlowText::default();
    let mut fields = Builder::new(ports);
    let mut items = Items::of(flow);
    let mut actions = None;
    loop {
        actions = items.take_actions().or(actions);
        let Some(item) = items.next_item()? else { break };
        if !out.option(&item, ports, mode)? {
            fields.item(item)?;
        }
    }
    out.matcher = fields.finish()?;
    let table = if mode == Mode::Add { Some(out.table.unwrap_or(0)) } else { out.table };
    out.actions = match (actions, mode) {
        (Some(list), Mode::Add | Mode::Modify) => {
            let context = ActionContext { matcher: Some(&out.matcher), table };
            Some(actions::parse(list, ports, context)?)
        }
        (None, Mode::Add | Mode::Modify) => {
            return Err(SyntaxError::missing(flow.end(), "the actions are", "actions=drop to drop"));
        }
        (Some(list), Mode::Select { .. }) => {
            return Err(SyntaxError::refused(list, "actions do not select flows; leave them out"));
        }
        (None, Mode::Select { .. }) => None,
    };
    Ok(out)
}

impl FlowText {
    /// The priority, or the default where none is given.
    pub fn priority_or_default(&self) -> u16 {
        self.priority.unwrap_or(super::DEFAULT_PRIORITY)
    }

    /// Takes an item that is an option; says whether it was one.
    fn option(&mut self, item: &Item<'_>, ports: &dyn PortNames, mode: Mode) -> Result<bool, SyntaxError> {
        let name = item.key.text;
        let selects = matches!(mode, Mode::Select { .. });
        let number = || number_u16(item.required(&format!("{name}=NUMBER"))?, name);
        match name {
            _ if DUMP_ONLY.contains(&name) => {}
            "table" => self.table = Some(table(item.required("table=NUMBER")?, name)?),
            "priority" if mode == (Mode::Select { strict: false }) => {
                return Err(refused(item, "priority selects flows only in strict commands; leave it out"));
            }
            "priority" => self.priority = Some(number()?),
            "cookie" => self.set_cookie(item, mode)?,
            "out_port" if !selects => {
                return Err(refused(
                    item,
                    "out_port is for commands that delete or show flows; leave it out",
                ));
            }
            "out_port" => self.out_port = Some(port(item.required("out_port=PORT")?, ports)?),
            "out_group" => return Err(SyntaxError::not_yet(item.key, "out_group")),
            _ if selects && OPTION_NAMES.contains(&name) => {
                return Err(refused(item, format!("{name} does not select flows; leave it out")));
            }
            "idle_timeout" => self.options.idle_timeout = number()?,
            "hard_timeout" => self.options.hard_timeout = number()?,
            "importance" => self.options.importance = number()?,
            _ => {
                let Some(flag) = self.flag(name) else { return Ok(false) };
                *flag = true;
                item.no_value()?;
            }
        }
        Ok(true)
    }

    /// The option that a word alone switches on.
    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "send_flow_rem" => &mut self.options.send_flow_rem,
            "check_overlap" => &mut self.options.check_overlap,
            "reset_counts" => &mut self.options.reset_counts,
            "no_packet_counts" => &mut self.options.no_packet_counts,
            "no_byte_counts" => &mut self.options.no_byte_counts,
            _ => return None,
        })
    }

    fn set_cookie(&mut self, item: &Item<'_>, mode: Mode) -> Result<(), SyntaxError> {
        let piece = item.required("cookie=NUMBER")?;
        let (value, mask) = masked_u64(piece, "cookie")?;
        match (mode, mask) {
            (Mode::Add, Some(_)) => {
                return Err(SyntaxError::refused(
                    piece,
                    "the cookie of a flow to add has no mask; leave it out",
                ));
            }
            (Mode::Add | Mode::Modify, None) => self.options.cookie = value,
            (Mode::Modify | Mode::Select { .. }, mask) => {
                let mask = mask.unwrap_or(u64::MAX);
                self.cookie = Some((value & mask, mask));
            }
        }
        Ok(())
    }
}

fn refused(item: &Item<'_>, sentence: impl Into<String>) -> SyntaxError {
    SyntaxError::refused(item.key, sentence)
}
