//! The millraced program.
fn main() {}
