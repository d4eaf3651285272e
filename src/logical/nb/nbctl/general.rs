//! `init` and `sync`.

use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;

pub const COMMANDS: &[Syntax] =
    &[writes("init", "", (0, 0), &[], nothing), reads("sync", "", (0, 0), &[], sync)];

fn nothing(_: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    Ok(())
}

fn sync(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    context.is_sync = true;
    Ok(())
}
