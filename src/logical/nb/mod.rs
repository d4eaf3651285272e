//! The Northbound database: logical networks as their administrators write them, before they are compiled.
//!
//! The engine is that of [`rows`](super::rows), and its invariant holds here too; [`tables`] declares the tables, and
//! [`index`] is what is special about them: indexes, and the questions of commands and of the compiler. [`class`] tells apart
//! the rows that one owns.
//!
//! A command changes rows through an [`Edit`], in which it sees what the commands before it did; nothing is checked until
//! the end. All commands of a line work on one, and then it takes effect wholly or not at all:
//!
//! ```text
//! let draft = database.draft();
//! let mut edit = draft.edit();
//! let port = edit.insert(LogicalSwitchPort { name: "vm1".to_owned(), ..Default::default() });
//! let switch = edit.rows().switches_named("net").next().map(|(switch, _)| switch).ok_or(NoSwitch)?;
//! edit.update(switch, |row: &mut LogicalSwitch| {
//!     row.ports.insert(port);
//! });
//! let changed = draft.finish(edit)?;        // the rules of the database are looked at here
//! keep(changed.rows());                     // what is to be written down before it is acknowledged
//! database.accept(changed);                 // none if there was another commit meanwhile
//! ```

pub mod class;
pub mod index;
pub mod nbctl;
pub mod tables;

pub use super::rows::database::What;
use super::rows::dump::{self, BadDump};
pub use super::rows::{Columns, Refusal, Row, Uuid};
use super::rows::{database, edit, store, transaction};
pub use tables::{AnyRow, Table};

/// A snapshot of the Northbound database.
pub type Store = store::Store<Table>;
/// A change to the Northbound database.
pub type Transaction = transaction::Transaction<Table>;
/// The Northbound database in the middle of a change.
pub type Edit = edit::Edit<Table>;
/// The owner of the newest Northbound rows.
pub type Database = database::Database<Table>;
/// A subscriber to the Northbound database.
pub type Cursor = database::Cursor<Table>;
/// What changed between two looks of a subscriber.
pub type Delta = database::Delta<Table>;
/// A Northbound row that changed.
pub type Change = database::Change<Table>;
/// Northbound rows to prepare others on.
pub type Draft = database::Draft<Table>;
/// A change of some Northbound rows that only has to be entered.
pub type Changed = database::Changed<Table>;
/// Northbound rows that are to take the place of all.
pub type Prepared = database::Prepared<Table>;

/// All that a dump of the Northbound database holds.
pub fn read_dump(text: &str) -> Result<dump::Dump<Table>, BadDump> {
    dump::read_of(text)
}

#[cfg(test)]
mod tests;
