//! The steps of a packet through the tables, as a tree: written down while it is translated, printed with the indents of
//! Open vSwitch.

use std::fmt;

use super::Explain;
use crate::action::Action;
use crate::packet::{DropReason, Field, FlowKey};
use crate::pipeline::Flow;
use crate::pipeline::objects::group::{Bucket, Group, GroupKind};
use crate::pipeline::syntax::{
    DEFAULT_PRIORITY, PortNames, SubfieldText, print_actions, print_match, print_part,
};
use crate::pipeline::translate::Watch;

/// Most steps of one way.
const MAX_STEPS: usize = 100_000;
/// Most bytes of their text.
const MAX_TEXT: usize = 16 << 20;

/// What a step tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A table was looked up; what its flow does follows. Also where a packet goes on.
    Table,
    /// An action.
    Action,
    /// What came of it.
    Detail,
    /// What did not.
    Warning,
    /// What is said of a flow beside what it is.
    Note,
    /// A bucket; what it does follows.
    Bucket,
}

struct Step {
    kind: Kind,
    text: String,
    below: Vec<usize>,
}

/// The steps, in the order in which they were made. The first one is where all begins, and not shown.
pub(super) struct Tree(Vec<Step>);

/// Where the actions at hand belong.
#[derive(Clone)]
enum Place {
    /// Below a step.
    Below(usize),
    /// Below a step, each a clone for the next of these buckets.
    Buckets(usize, Vec<u32>),
}

/// Writes steps down.
pub(super) struct Steps<'w> {
    tree: Tree,
    text: usize,
    /// The lists of actions that are at hand or will be again, with their depths.
    open: Vec<(usize, Place)>,
    gone: Vec<(u32, FlowKey)>,
    is_ipv6: bool,
    names: &'w dyn PortNames,
    explain: Explain<'w>,
}

impl<'w> Steps<'w> {
    pub fn new(names: &'w dyn PortNames, explain: Explain<'w>) -> Self {
        let root = Step { kind: Kind::Table, text: String::new(), below: Vec::new() };
        let open = vec![(0, Place::Below(0))];
        Self { tree: Tree(vec![root]), text: 0, open, gone: Vec::new(), is_ipv6: false, names, explain }
    }

    /// The packet goes on in a table.
    pub fn thaw(&mut self, table: Option<u8>) {
        let thaw = self.append(0, Kind::Table, "thaw".to_owned());
        let text = match table {
            Some(table) => format!("Resuming from table {table}"),
            None => "Nothing is left to be done".to_owned(),
        };
        self.append(thaw, Kind::Table, text);
    }

    /// The steps, and the packets that left the tables, by the numbers of their contexts.
    pub fn finish(self) -> (Tree, Vec<(u32, FlowKey)>) {
        (self.tree, self.gone)
    }

    fn append(&mut self, under: usize, kind: Kind, text: String) -> usize {
        let steps = &mut self.tree.0;
        if steps.len() >= MAX_STEPS || self.text > MAX_TEXT {
            return under;
        }
        self.text += text.len();
        let is_last = steps.len() + 1 >= MAX_STEPS || self.text > MAX_TEXT;
        let (kind, text) = match is_last {
            true => (Kind::Warning, "too many steps; the rest is not shown".to_owned()),
            false => (kind, text),
        };
        let step = steps.len();
        steps.push(Step { kind, text, below: Vec::new() });
        if let Some(under) = steps.get_mut(under) {
            under.below.push(step);
        }
        step
    }

    /// Leaves the lists that are deeper than the one at hand.
    fn close(&mut self, depth: usize) {
        while self.open.len() > 1 && self.open.last().is_some_and(|(deep, _)| *deep > depth) {
            self.open.pop();
        }
    }

    fn at_hand(&self) -> usize {
        match self.open.last() {
            Some((_, Place::Below(step) | Place::Buckets(step, _))) => *step,
            None => 0,
        }
    }

    fn note(&mut self, kind: Kind, text: String) {
        self.append(self.at_hand(), kind, text);
    }
}

impl Watch for Steps<'_> {
    fn table(&mut self, table: u8, flow: Option<&Flow>, depth: usize) {
        let under = self.at_hand();
        let Some(flow) = flow else {
            let missed = self.append(under, Kind::Table, format!("{table:2}. No match."));
            self.append(missed, Kind::Action, "drop".to_owned());
            return;
        };
        let mut text = format!("{table:2}. {}", print_match(&flow.matcher(), DEFAULT_PRIORITY, self.names));
        if !text.ends_with(' ') {
            text.push_str(", ");
        }
        text.push_str(&format!("priority {}", flow.priority));
        if flow.options.cookie != 0 {
            text.push_str(&format!(", cookie {:#x}", flow.options.cookie));
        }
        let step = self.append(under, Kind::Table, text);
        for note in (self.explain)(flow) {
            self.append(step, Kind::Note, note);
        }
        if flow.actions.is_empty() {
            self.append(step, Kind::Action, "drop".to_owned());
        }
        self.open.push((depth, Place::Below(step)));
    }

    fn before(&mut self, action: &Action, key: &FlowKey, depth: usize) {
        self.close(depth);
        self.is_ipv6 = key.get(Field::EthType) == 0x86dd;
        if let (Action::Clone(_), Some((_, Place::Buckets(under, rest)))) = (action, self.open.last_mut())
            && let Some(id) = rest.pop()
        {
            let under = *under;
            let bucket = self.append(under, Kind::Bucket, format!("bucket {id}"));
            self.open.push((depth + 1, Place::Below(bucket)));
            return;
        }
        self.note(Kind::Action, print_actions(std::slice::from_ref(action), self.names));
        if let Action::OutputField(from) = action {
            let port = key.get(from.field) >> from.start & from.ones();
            self.note(Kind::Detail, format!("output port is {port}"));
        }
    }

    fn after(&mut self, action: &Action, key: &FlowKey) {
        let (Action::Move { dst, .. } | Action::PopStack(dst)) = action else { return };
        let value = key.get(dst.field) >> dst.start & dst.ones();
        let value = print_part(*dst, value, self.names);
        self.note(Kind::Detail, format!("{} is now {value}", SubfieldText(*dst)));
    }

    fn buckets(&mut self, group: &Group, chosen: Option<&Bucket>, apart: bool, depth: usize) {
        let under = self.at_hand();
        if let (GroupKind::Select(_), Some(bucket)) = (&group.kind, chosen) {
            self.note(Kind::Detail, format!("using bucket {}", bucket.id));
        }
        let place = match chosen {
            Some(bucket) if !apart => {
                Place::Below(self.append(under, Kind::Bucket, format!("bucket {}", bucket.id)))
            }
            Some(bucket) => Place::Buckets(under, vec![bucket.id]),
            None => Place::Buckets(under, group.buckets.iter().rev().map(|bucket| bucket.id).collect()),
        };
        self.open.push((depth, place));
    }

    fn remark(&mut self, reason: DropReason) {
        let text = match reason {
            DropReason::ToInPort => "skipping output to input port".to_owned(),
            DropReason::NoSuchPort => "Nonexistent output port".to_owned(),
            DropReason::NoSuchGroup => "there is no such group".to_owned(),
            DropReason::TtlExpired => {
                format!("IPv{} decrement TTL exception", if self.is_ipv6 { 6 } else { 4 })
            }
            other => other.name().to_owned(),
        };
        self.note(Kind::Warning, text);
    }

    fn leaves(&mut self, number: u32, key: &FlowKey) {
        self.gone.push((number, *key));
    }
}

impl Tree {
    /// Hands out line after line. What a list ends with is not indented, unless it is an action or belongs to one, so
    /// that a chain of tables stays at the left.
    pub fn lines(&self, mut out: impl FnMut(&str) -> fmt::Result) -> fmt::Result {
        let mut due = Vec::new();
        self.plan(0, 0, &mut due);
        while let Some((step, level, is_last)) = due.pop() {
            let Some(one) = self.0.get(step) else { continue };
            let more = usize::from(!is_last || one.kind != Kind::Table);
            let mark = match one.kind {
                Kind::Detail => " -> ",
                Kind::Warning => " >> ",
                Kind::Note => " # ",
                Kind::Table | Kind::Action | Kind::Bucket => "",
            };
            out(&format!("{:1$}{mark}{2}", "", (level + more) * 4, one.text))?;
            self.plan(step, level + 2 * more, &mut due);
        }
        Ok(())
    }

    /// Puts what is below a step on the list of what is due, the first last.
    fn plan(&self, step: usize, level: usize, due: &mut Vec<(usize, usize, bool)>) {
        let below = self.0.get(step).map(|step| step.below.as_slice()).unwrap_or_default();
        due.extend(below.iter().enumerate().rev().map(|(at, step)| (*step, level, at + 1 == below.len())));
    }
}
