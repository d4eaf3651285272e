mod examples;
mod long;
mod microflows;
mod model;
mod properties;
mod values;

use std::cell::Cell;

thread_local! {
    /// How often an item was asked for its constants.
    pub(super) static COUNTED: Cell<usize> = const { Cell::new(0) };
}
