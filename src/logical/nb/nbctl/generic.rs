//! The commands on tables, columns and values, which both databases have.

use super::context::{Call, Context, MANY, Syntax, reads};
use super::error::NbctlError;
use crate::logical::rows::dbctl::{self, Answer};

/// These commands as those of this tool.
pub fn commands() -> impl Iterator<Item = Syntax> {
    dbctl::COMMANDS.iter().map(|form| {
        let (usage, writes) = match form.name {
            "get" => ("TABLE RECORD [COLUMN[:KEY]]...", false),
            "list" => ("TABLE [RECORD]...", false),
            "find" => ("TABLE [COLUMN[:KEY]=VALUE]...", false),
            "set" => ("TABLE RECORD COLUMN[:KEY]=VALUE...", true),
            "add" => ("TABLE RECORD COLUMN [KEY=]VALUE...", true),
            "remove" => ("TABLE RECORD COLUMN KEY|VALUE|KEY=VALUE...", true),
            "clear" => ("TABLE RECORD COLUMN...", true),
            "create" => ("TABLE COLUMN[:KEY]=VALUE...", true),
            "destroy" => ("TABLE [RECORD]...", true),
            _ => ("[WORD]...", false),
        };
        Syntax { form: *form, usage, writes, run }
    })
}

pub const COMMANDS: &[Syntax] =
    &[reads("wait-until", "TABLE RECORD [COLUMN[:KEY]=VALUE]...", (2, MANY), &[], wait_until)];

fn run(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    match context.run_generic(call.words()).transpose()? {
        Some(answer @ Answer::Rows(_)) => {
            context.print_table(format_args!("{}", answer.styled(call.style())))
        }
        Some(answer) => context.print(format_args!("{answer}")),
        None => {}
    }
    Ok(())
}

/// Nobody else changes rows while a line runs.
fn wait_until(_: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let sentence = "nothing is waited for within a line of commands; ask with find, again and again";
    Err(NbctlError::Usage(sentence.to_owned()))
}
