//! The match that actions imply.

use crate::logical::symbol::Symbol;

/// One thing that must hold of a packet for the actions to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// What an action asks for, as a match.
    Action(&'static str),
    /// What a field asks for, as a match over fields alone.
    Field(&'static Symbol),
}

/// All that must hold, in the order in which it was met; the same may be there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prerequisites(pub Vec<Prerequisite>);
