//! Rows: a database's tables, typed, in memory. The Southbound database as a chassis reads it is declared here, and what
//! is called by a name without a schema, such as [`Store`], is of it; the Northbound one is in `logical::nb`.
//!
//! The invariant: a [`Store`] is consistent. Every row keeps the rules of its columns, every strong reference names a
//! row that is there, no weak one names a row that is not, and no two rows agree in columns that must be unique. A
//! store never changes; a [`Transaction`] makes the next one from it, wholly or not at all, and shares what stayed
//! the same. Groups of datapaths are kept as they are: a flow of a group is one row.
//!
//! [`tables`] declares the tables of the Southbound database, [`southbound`] is what is special about them, [`schema`] makes
//! row structs of a declaration, [`cell`] and [`datum`] are the types of columns. [`store`] is the snapshot and what it can
//! be asked, `index` what makes asking cheap, [`transaction`] changes it, [`edit`] changes it step by step, [`database`] holds the newest snapshot and tells subscribers which rows changed,
//! [`dump`] reads what `ovsdb-client dump` wrote, [`text`] writes values as OVS's tools do, [`sbctl`] answers as
//! `ovn-sbctl` does and [`dbctl`] changes rows as all such tools do, [`describe`] names the rows behind a cookie.

pub mod cell;
pub mod database;
pub mod datum;
pub mod dbctl;
pub mod describe;
pub mod dump;
pub mod edit;
pub mod index;
pub mod sbctl;
pub mod schema;
pub mod southbound;
pub mod store;
pub mod tables;
pub mod text;
pub mod transaction;
pub mod uuid;

pub use cell::Pipeline;
pub use database::What;
pub use datum::{Atom, Datum};
pub use schema::{Columns, Row, Schema, Tables, Untyped};
pub use southbound::{NoDatapath, NoRows};
pub use tables::{AnyRow, Table};
pub use transaction::Refusal;
pub use uuid::Uuid;

/// A snapshot of the Southbound database.
pub type Store = store::Store<Table>;
/// A change to the Southbound database.
pub type Transaction = transaction::Transaction<Table>;
/// The Southbound database in the middle of a change.
pub type Edit = edit::Edit<Table>;
/// The owner of the newest Southbound rows.
pub type Database = database::Database<Table>;
/// A subscriber to the Southbound database.
pub type Cursor = database::Cursor<Table>;
/// What changed between two looks of a subscriber.
pub type Delta = database::Delta<Table>;
/// A Southbound row that changed.
pub type Change = database::Change<Table>;
/// Southbound rows to prepare a transaction on.
pub type Draft = database::Draft<Table>;
/// A Southbound transaction that only has to be entered.
pub type Prepared = database::Prepared<Table>;

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
