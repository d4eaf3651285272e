//! The tree that a trace is: what happened, in the order in which it happened.
//!
//! Nodes live in one vector and name their children by number, so that a trace of thousands of nested tables needs no
//! recursion, neither to be built nor to be walked or dropped.

use crate::logical::rows::{Pipeline, Uuid};

/// What a node tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The packet enters a pipeline of a datapath, or those of a multicast group; children follow.
    Pipeline,
    /// A table was looked up; children follow.
    Table,
    /// The packet, or a copy of it, became another one, or was classified anew; children follow.
    Transformation,
    /// An action of a flow, and remarks on it.
    Action,
    /// What an action did to the packet or where it put it, in constants.
    Modify,
    /// What became of an `output`.
    Output,
    /// Something is wrong, or not known to the tracer.
    Error,
}

impl Kind {
    /// Whether such a node never has children.
    pub fn is_leaf(self) -> bool {
        matches!(self, Kind::Action | Kind::Modify | Kind::Output | Kind::Error)
    }
}

/// The flow that a table chose.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Hit {
    /// Its row in Logical_Flow.
    #[serde(serialize_with = "as_text")]
    pub uuid: Uuid,
    /// Its priority.
    pub priority: u16,
}

/// A table that was looked up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lookup {
    /// Name of the datapath.
    pub datapath: Box<str>,
    /// Its pipeline.
    #[serde(serialize_with = "name")]
    pub pipeline: Pipeline,
    /// The table's number.
    pub table: u8,
    /// Its name, if its flows say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Box<str>>,
    /// The flow that matched, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Hit>,
}

fn as_text<S: serde::Serializer>(uuid: &Uuid, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(uuid)
}

fn name<S: serde::Serializer>(pipeline: &Pipeline, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(pipeline.name())
}

/// Number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// One step of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it tells.
    pub kind: Kind,
    /// In ovn-trace's words.
    pub text: String,
    /// Of a table, what was looked up.
    pub lookup: Option<Box<Lookup>>,
    /// Whether its detailed form is indented even where it is the last of its parent.
    pub(super) always_indent: bool,
    pub(super) children: Vec<NodeId>,
}

/// Most nodes of one trace.
pub(super) const MAX_NODES: usize = 200_000;
/// Most bytes of text in them.
pub(super) const MAX_TEXT: usize = 16 << 20;

/// A tree of nodes. It is bounded: what there is no room for is left out, behind a node that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Bytes of text so far.
    text: usize,
    /// Whether something was left out.
    is_full: bool,
}

impl Tree {
    /// A tree of one node, and that node's number.
    pub fn new(kind: Kind, text: String) -> (Self, NodeId) {
        let root = Node { kind, text, lookup: None, always_indent: false, children: Vec::new() };
        (Self { text: root.text.len(), nodes: vec![root], is_full: false }, NodeId(0))
    }

    /// Adds a node as the last child of another; in a full tree it stays as it is.
    pub fn append(&mut self, parent: NodeId, kind: Kind, text: impl Into<String>) -> NodeId {
        if self.is_full {
            return parent;
        }
        let text = text.into();
        self.text += text.len();
        let limit = if self.nodes.len() >= MAX_NODES {
            format!("{MAX_NODES} lines")
        } else if self.text > MAX_TEXT {
            format!("{MAX_TEXT} bytes of text")
        } else {
            return self.push(parent, kind, text);
        };
        self.is_full = true;
        let text = format!("*** given up after {limit}; the flows go round in a circle or do too much");
        self.push(parent, Kind::Error, text)
    }

    /// Whether something was left out, so that it is idle to go on.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    fn push(&mut self, parent: NodeId, kind: Kind, text: String) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node { kind, text, lookup: None, always_indent: false, children: Vec::new() });
        if let Some(parent) = self.nodes.get_mut(parent.0) {
            parent.children.push(id);
        }
        id
    }

    /// Puts lines in front of what a flow that a table chose does. They are no more than the tree has nodes.
    pub fn interleave(&mut self, mut lines: impl FnMut(&Hit) -> Vec<String>) {
        for at in 0..self.nodes.len() {
            let hit = self.nodes.get(at).and_then(|node| node.lookup.as_ref()?.flow.as_ref());
            let Some(lines) = hit.map(&mut lines) else { continue };
            let before = self.nodes.get_mut(at).map(|node| std::mem::take(&mut node.children));
            for line in lines {
                self.append(NodeId(at), Kind::Action, line);
            }
            if let Some(node) = self.nodes.get_mut(at) {
                node.children.extend(before.into_iter().flatten());
            }
        }
    }

    /// Says of a table what was looked up.
    pub fn set_lookup(&mut self, node: NodeId, lookup: Lookup) {
        if self.is_full {
            return;
        }
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.lookup = Some(Box::new(lookup));
        }
    }

    /// Has the detailed form of a node indented.
    pub fn always_indent(&mut self, node: NodeId) {
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.always_indent = true;
        }
    }

    /// All nodes, in the order in which they came about.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The children of a node.
    pub fn children<'t>(&'t self, node: &'t Node) -> impl DoubleEndedIterator<Item = &'t Node> {
        // A number comes from `append` of the same tree.
        node.children.iter().filter_map(|id| self.nodes.get(id.0))
    }

    /// The top of the tree.
    pub fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }
}
