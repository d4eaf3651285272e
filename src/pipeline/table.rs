//! The persistent flow tables.

/// All flow tables.
#[derive(Clone, Default)]
pub struct Tables {}
