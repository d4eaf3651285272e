//! Rows: the Southbound database as a chassis reads it, typed, in memory.
//!
//! The invariant: a [`Store`] is consistent. Every row keeps the rules of its columns, every strong reference names a
//! row that is there, no weak one names a row that is not, and no two rows agree in columns that must be unique. A
//! store never changes; a [`Transaction`] makes the next one from it, wholly or not at all, and shares what stayed
//! the same. Groups of datapaths are kept as they are: a flow of a group is one row.
//!
//! [`tables`] declares the tables, [`schema`] makes row structs of the declaration, [`cell`] and [`datum`] are the
//! types of columns. [`store`] is the snapshot and what it can be asked, `index` what makes asking cheap,
//! [`transaction`] changes it, [`database`] holds the newest snapshot and tells subscribers which rows changed,
//! [`dump`] reads what `ovsdb-client dump` wrote, [`text`] writes values as OVS's tools do, [`sbctl`] answers as
//! `ovn-sbctl` does, [`describe`] names the rows behind a cookie.

pub mod cell;
pub mod database;
pub mod datum;
pub mod describe;
pub mod dump;
mod index;
pub mod sbctl;
pub mod schema;
pub mod store;
pub mod tables;
pub mod text;
pub mod transaction;
pub mod uuid;

pub use cell::Pipeline;
pub use database::{Change, Cursor, Database, Delta, Draft, Prepared, What};
pub use datum::{Atom, Datum};
pub use schema::Columns;
pub use store::{NoDatapath, NoRows, Store};
pub use tables::{AnyRow, Row, Table};
pub use transaction::{Refusal, Transaction};
pub use uuid::Uuid;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
