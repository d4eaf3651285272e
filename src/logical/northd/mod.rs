//! The Northbound compiler: from switches, routers and their rules to logical flows and the other Southbound rows, as
//! ovn-northd(8) 23.03 describes it, incrementally.
//!
//! ```text
//! nb::Delta ─▶ Compiler::update ─▶ Transaction of the Southbound rows
//!                │
//!                ├─ units    a row's side each: rows in, flows and Southbound rows out
//!                ├─ queries  what several units ask of the rows, computed once
//!                └─ memory   who asked for what, so that only that is looked at again which a change concerns
//! ```
//!
//! The invariant: after any history of updates the Southbound rows are those that a new compiler with the same [`Keys`]
//! makes of the last Northbound rows alone. A flow that several datapaths have is one row with a group of datapaths.
//!
//! A [`Unit`](compiler::Unit) is a pure function of a [`View`](memory::View) of the rows; so is a [`Query`](memory::Query).
//! Write a new one by asking the view for what it needs, nothing else: what was asked for is what it depends on. To keep
//! a change of one port from concerning a whole network, units ask for narrow queries rather than for rows with long
//! lists.
//!
//! [`stage`] has the tables, [`output`] what units make, `outgoing` what is filled into it at last, `book` the flows of all, [`keys`] the tunnel keys, [`names`] the
//! names of Southbound rows, `view` what can be asked, [`facts`] what units share, `units` what is compiled.

mod book;
pub mod compiler;
pub mod facts;
pub mod keys;
pub mod memory;
pub mod names;
mod outgoing;
pub mod output;
pub mod stage;
mod units;
mod view;

pub use compiler::Compiler;
pub use keys::Keys;

#[cfg(test)]
mod tests;
