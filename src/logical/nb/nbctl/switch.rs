//! `ls-*`: logical switches.

use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use crate::logical::nb::tables::{LogicalSwitch, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("ls-add", "[SWITCH]", (0, 1), &["--may-exist", "--add-duplicate"], add),
    writes("ls-del", "SWITCH", (1, 1), &["--if-exists"], delete),
    reads("ls-list", "", (0, 0), &[], list),
];

/// The name of a switch or router that shall be added; none if it may exist and does.
pub fn new_name<'a>(
    call: &Call<'a>,
    what: &str,
    exists: impl FnOnce(&str) -> bool,
) -> Result<Option<&'a str>, NbctlError> {
    let (may_exist, duplicate) = (call.has("--may-exist"), call.has("--add-duplicate"));
    if may_exist && duplicate {
        let sentence = "--may-exist and --add-duplicate contradict each other; write one of them";
        return Err(NbctlError::Usage(sentence.to_owned()));
    }
    let Some(name) = call.arg_if(0) else {
        if may_exist || duplicate {
            let sentence = "--may-exist and --add-duplicate are about names; write one behind the command";
            return Err(NbctlError::Usage(sentence.to_owned()));
        }
        return Ok(Some(""));
    };
    if duplicate || !exists(name) {
        return Ok(Some(name));
    }
    if may_exist {
        return Ok(None);
    }
    let mend = "choose another name, or write --may-exist before the command";
    Err(NbctlError::exists(what, name, mend))
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let exists = |name: &str| context.rows().switches_named(name).next().is_some();
    if let Some(name) = new_name(call, "switch", exists)? {
        context.insert(LogicalSwitch { name: name.to_owned(), ..LogicalSwitch::default() });
    }
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let found = if call.has("--if-exists") {
        context.switch_if(call.arg(0))?
    } else {
        Some(context.switch(call.arg(0))?)
    };
    if let Some((uuid, _)) = found {
        context.edit.delete(Table::LogicalSwitch, uuid);
    }
    Ok(())
}

fn list(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let switches = context.rows().iter::<LogicalSwitch>().map(|(uuid, row)| (row.name.clone(), uuid));
    let switches = switches.collect();
    context.print_names(switches);
    Ok(())
}
