//! A trace as JSON: the tree of nodes, each with `kind`, `text` and, if it has any, `children`.
//!
//! A table whose flow ends in `next` is followed by the table that this ran, rather than being around it. So the depth
//! is that of pipelines and forks, and does not grow with the length of a pipeline.

use super::Trace;
use super::flow_text::FlowText;
use super::node::{Kind, Node, Tree};

/// What is still to be written; the last comes first.
enum Due<'t> {
    Node(&'t Node),
    Text(&'static str),
}

impl Trace {
    /// The trace with all that is known of it.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let microflow = serde_json::to_string(&FlowText(&self.packet).to_string())?;
        let notes: Vec<String> = self.notes().collect();
        let notes = serde_json::to_string(&notes)?;
        let mut out = format!("{{\"microflow\":{microflow},\"notes\":{notes},\"trace\":[");
        write(&mut out, &self.tree)?;
        out.push_str("]}");
        Ok(out)
    }
}

fn write(out: &mut String, tree: &Tree) -> Result<(), serde_json::Error> {
    let mut due: Vec<Due<'_>> = tree.root().map(Due::Node).into_iter().collect();
    while let Some(next) = due.pop() {
        let node = match next {
            Due::Text(text) => {
                out.push_str(text);
                continue;
            }
            Due::Node(node) => node,
        };
        out.push_str("{\"kind\":");
        out.push_str(&serde_json::to_string(&node.kind)?);
        out.push_str(",\"text\":");
        out.push_str(&serde_json::to_string(&node.text)?);
        if let Some(lookup) = &node.lookup {
            let fields = serde_json::to_string(lookup)?;
            // An object's inside.
            out.push(',');
            out.push_str(fields.trim_start_matches('{').strip_suffix('}').unwrap_or_default());
        }
        let mut children: Vec<&Node> = tree.children(node).collect();
        if let Some(tail) = children.pop_if(|last| node.kind == Kind::Table && last.kind == Kind::Table) {
            due.push(Due::Node(tail));
            due.push(Due::Text(","));
        }
        due.push(Due::Text("}"));
        if children.is_empty() {
            continue;
        }
        out.push_str(",\"children\":[");
        due.push(Due::Text("]"));
        for (index, child) in children.iter().enumerate().rev() {
            due.push(Due::Node(child));
            if index > 0 {
                due.push(Due::Text(","));
            }
        }
    }
    Ok(())
}
