//! Commands as `ovn-nbctl` 23.03 has them, on rows in the middle of a change.
//!
//! A command line is read by [`Line::parse`], or a file of them by [`Line::script`], and run by [`Line::run`]: its
//! commands, with `--` between them, work one after the other on one edit of the rows, and what they print is given out
//! only if all of them succeed. Nothing here reaches beyond those rows. The invariant: what `ovn-nbctl` accepts is accepted
//! here, with the same rows and the same words printed, and what it refuses is refused; the sentences of refusals are our
//! own. It differs in one thing: a command sees all that the commands before it did, where `ovn-nbctl` forgets some of it
//! until the transaction is done.
//!
//! `line` reads the command line, `script` a file of them, `context` is what a command works on, `find` finds rows by name,
//! `address` reads addresses as OVS does, `set` is what several commands have in common; every other module is a family of
//! commands with the list of them at its top.

mod access;
pub mod address;
mod balancer;
mod binding;
mod chassis;
mod context;
mod copp;
mod dhcp;
mod error;
mod find;
mod forwarding;
mod general;
mod generic;
mod group;
mod line;
mod meter;
mod mirror;
mod nat;
mod policy;
mod qos;
mod route;
mod router;
mod router_port;
mod script;
mod server;
mod set;
mod show;
mod switch;
mod switch_port;
mod switch_port_facts;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use super::tables::NbGlobal;
use super::{Edit, Uuid};
use crate::logical::rows::sbctl::Format;
use context::{Call, Context, Syntax};
pub use error::NbctlError;
pub use line::{Line, Options, Wait};
pub use script::BadScript;

/// All commands, by family.
const FAMILIES: &[&[Syntax]] = &[
    general::COMMANDS,
    show::COMMANDS,
    switch::COMMANDS,
    access::COMMANDS,
    qos::COMMANDS,
    mirror::COMMANDS,
    meter::COMMANDS,
    switch_port::COMMANDS,
    switch_port_facts::COMMANDS,
    forwarding::COMMANDS,
    router::COMMANDS,
    router_port::COMMANDS,
    route::COMMANDS,
    policy::COMMANDS,
    nat::COMMANDS,
    balancer::COMMANDS,
    dhcp::COMMANDS,
    copp::COMMANDS,
    server::COMMANDS,
    group::COMMANDS,
    chassis::COMMANDS,
    binding::COMMANDS,
    generic::COMMANDS,
];

/// All commands.
fn commands() -> impl Iterator<Item = &'static Syntax> {
    static ALL: LazyLock<Vec<Syntax>> = LazyLock::new(|| {
        let own = FAMILIES.iter().copied().flatten().copied();
        own.chain(generic::commands()).collect()
    });
    ALL.iter()
}

/// All commands with their options and arguments, a line each.
pub fn usage() -> String {
    let mut text = String::new();
    for command in commands() {
        let options = command.form.options.iter().map(|option| match option.strip_suffix(['=', '?']) {
            Some(name) => format!("[{name}=VALUE] "),
            None => format!("[{option}] "),
        });
        text +=
            format!("  {}{} {}", options.collect::<String>(), command.form.name, command.usage).trim_end();
        text.push('\n');
    }
    text
}

/// What came of a command line.
pub struct Done {
    /// The rows with all that was done.
    pub edit: Edit,
    /// The rows that were created, in the order of the commands.
    pub created: Vec<Uuid>,
    /// What is to be printed.
    pub printed: String,
}

impl Line {
    /// Number of its commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether it has none, as a file of comments.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Whether any of the commands can change rows.
    pub fn writes(&self) -> bool {
        self.commands.iter().any(|command| command.syntax.writes)
    }

    /// Runs all commands. The edit is used up, so that nothing remains of it if one of them fails.
    pub fn run(&self, edit: Edit) -> Result<Done, NbctlError> {
        let mut context = Context::new(edit);
        let is_sync = self.commands.iter().any(|command| command.syntax.form.name == "sync");
        if (self.writes() || is_sync) && context.rows().global().is_none() {
            context.edit.insert(NbGlobal::default());
        }
        let mut printed = String::new();
        let mut tables = 0;
        for command in &self.commands {
            let call = Call::new(&command.words, self.options.style);
            (command.syntax.run)(&mut context, &call).map_err(|error| error.in_line(command.number))?;
            let text = context.take_output();
            if context.take_is_table() {
                // Tables stand apart, as far as they are for people.
                if tables > 0 && self.options.style.format != Format::Json {
                    printed.push('\n');
                }
                tables += 1;
                printed.push_str(&text);
            } else if self.options.oneline {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                printed.push_str(&line.replace('\\', "\\\\").replace('\n', "\\n"));
                printed.push('\n');
            } else {
                printed.push_str(&text);
            }
        }
        self.count(&mut context);
        let (edit, created) = context.into_parts()?;
        Ok(Done { edit, created, printed })
    }

    /// Gives the configuration the next number if it will be waited for.
    fn count(&self, context: &mut Context) {
        let changes = context.is_sync || !context.edit.transaction().is_empty();
        if self.options.wait == Wait::None || !changes {
            return;
        }
        if let Some(uuid) = context.rows().global().map(|(uuid, _)| uuid) {
            context.edit.update(uuid, |row: &mut NbGlobal| {
                row.nb_cfg = row.nb_cfg.checked_add(1).unwrap_or(1);
            });
        }
    }
}
