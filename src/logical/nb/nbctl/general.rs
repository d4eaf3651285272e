//! `init`, `sync` and `comment`.

use super::context::{Call, Context, MANY, Syntax, reads, writes};
use super::error::NbctlError;

pub const COMMANDS: &[Syntax] = &[
    writes("init", "", (0, 0), &[], nothing),
    reads("sync", "", (0, 0), &[], sync),
    reads("comment", "[WORD]...", (0, MANY), &[], nothing),
];

fn nothing(_: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    Ok(())
}

fn sync(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    context.is_sync = true;
    Ok(())
}
