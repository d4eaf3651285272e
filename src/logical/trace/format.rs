//! The three forms of a trace in text. They show the same tree and differ in what they leave out and in how they
//! indent; the words and blanks are ovn-trace's.

use std::fmt::{self, Formatter, Write};

use super::node::{Kind, Node, Tree};

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Pipelines, tables, flows and their actions.
    Detailed,
    /// Pipelines and actions.
    Summary,
    /// What is seen from outside: changes of the packet, and where it comes out.
    Minimal,
}

impl Form {
    /// All of them, in the order in which they are printed.
    pub const ALL: [Form; 3] = [Form::Detailed, Form::Summary, Form::Minimal];

    /// Its name, that of the option.
    pub fn name(self) -> &'static str {
        match self {
            Form::Detailed => "detailed",
            Form::Summary => "summary",
            Form::Minimal => "minimal",
        }
    }

    /// Its name in a headline.
    pub(super) fn title(self) -> &'static str {
        match self {
            Form::Detailed => "Detailed",
            Form::Summary => "Summary",
            Form::Minimal => "Minimal",
        }
    }

    /// Whether nodes of a kind are replaced by their children.
    fn hides(self, kind: Kind) -> bool {
        match self {
            Form::Detailed => kind == Kind::Modify,
            Form::Summary => matches!(kind, Kind::Modify | Kind::Table),
            Form::Minimal => matches!(kind, Kind::Action | Kind::Pipeline | Kind::Table | Kind::Output),
        }
    }
}

pub(super) fn write(f: &mut Formatter<'_>, tree: &Tree, form: Form) -> fmt::Result {
    match form {
        Form::Detailed => detailed(f, tree),
        Form::Summary | Form::Minimal => nested(f, tree, form),
    }
}

fn indent(f: &mut Formatter<'_>, level: usize) -> fmt::Result {
    (0..level).try_for_each(|_| f.write_str("    "))
}

/// Sections under headlines. What a list ends with is not indented, so that a chain of tables stays at the left.
fn detailed(f: &mut Formatter<'_>, tree: &Tree) -> fmt::Result {
    let mut due: Vec<(&Node, usize, bool)> = tree.root().map(|root| (root, 0, true)).into_iter().collect();
    while let Some((node, level, is_last)) = due.pop() {
        if Form::Detailed.hides(node.kind) {
            continue;
        }
        let more = usize::from(!is_last || node.always_indent || node.kind.is_leaf());
        let is_title = matches!(node.kind, Kind::Pipeline | Kind::Transformation);
        if is_title {
            f.write_char('\n')?;
        }
        indent(f, level + more)?;
        writeln!(f, "{}", node.text)?;
        if is_title {
            indent(f, level + more)?;
            writeln!(f, "{:-<1$}", "", node.text.len())?;
        }
        let mut is_last = true;
        for child in tree.children(node).rev() {
            due.push((child, level + 2 * more, is_last));
            is_last = false;
        }
    }
    Ok(())
}

/// What is left to do when braces are printed.
enum Due<'t> {
    Show(&'t Node),
    /// Ends a node, which has the level below the present one.
    End(&'t Node),
}

/// Actions in braces, as in a programming language.
fn nested(f: &mut Formatter<'_>, tree: &Tree, form: Form) -> fmt::Result {
    let mut due: Vec<Due<'_>> = tree.root().map(Due::Show).into_iter().collect();
    let mut level = 0;
    // Whether the node printed last still waits for its brace or its end.
    let mut is_open = false;
    while let Some(next) = due.pop() {
        match next {
            Due::Show(node) if form.hides(node.kind) => {
                due.extend(tree.children(node).rev().map(Due::Show));
            }
            Due::Show(node) => {
                if std::mem::take(&mut is_open) {
                    f.write_str(" {\n")?;
                    level += 1;
                }
                // `next` to another table is followed by what that table did, and shown by that.
                if node.kind == Kind::Action && node.text.starts_with("next(") {
                    continue;
                }
                indent(f, level)?;
                f.write_str(&node.text)?;
                is_open = true;
                due.push(Due::End(node));
                due.extend(tree.children(node).rev().map(Due::Show));
            }
            Due::End(node) => {
                if !std::mem::take(&mut is_open) {
                    level -= 1;
                    indent(f, level)?;
                    f.write_char('}')?;
                }
                f.write_str(if node.kind == Kind::Action { "\n" } else { ";\n" })?;
            }
        }
    }
    Ok(())
}
