//! What a declaration of tables is made of, and the macro that turns it into typed rows.
//!
//! One table of columns with Rust types is all that is written down; loading, printing, checking, references and
//! change notification work on what the macro makes of it. Columns are declared by name in the order in which the
//! database prints them, so their numbers are stable within a build.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::cell::BadValue;
use super::datum::{Datum, Kind};
use super::index::Index;
use super::tables::Table;

/// The tables of a database, as the declaration makes them: a name each, by which the rows are typed.
pub trait Tables: Copy + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// A row of any of the tables.
    type AnyRow: Untyped<Self>;
    /// Every table, by name.
    const ALL: &'static [Self];
    /// What is known of a table.
    fn def(self) -> &'static TableDef<Self>;
    /// A row of it with nothing in it.
    fn empty_row(self) -> Self::AnyRow;

    /// The number of a column, by its name.
    fn column(self, name: &str) -> Option<usize> {
        self.def().columns.iter().position(|column| column.name == name)
    }
}

/// A column that names rows for people, and the key in it if it is a map.
pub type NameColumn = (&'static str, Option<&'static str>);

/// A database: its tables, and what is to be known of it beside the declaration of them.
pub trait Schema: Tables {
    /// Its own indexes.
    type Index: Index<Self>;
    /// Its name.
    const DATABASE: &'static str;
    /// What to call it in a sentence, with its article.
    const NAMED: &'static str;
    /// Tables that the dump of a whole database has, of whatever release.
    const ESSENTIAL: &'static [Self];
    /// What names the rows of a table for people.
    fn names(self) -> &'static [NameColumn];
    /// Rows of other tables by whose names people mean rows of this one: the table, what names its rows, and the column
    /// in which they refer to this one.
    fn names_through(self) -> &'static [(Self, NameColumn, &'static str)] {
        &[]
    }
}

/// A row of any table of a database.
pub trait Untyped<S>: Clone + Eq + fmt::Debug + Send + Sync + 'static {
    /// Its table.
    fn table(&self) -> S;
    /// The contents of a column, by its number.
    fn get(&self, column: usize) -> Option<Datum>;
    /// Sets a column, by its number, if the value is of its type. A number that no column has does nothing.
    fn set(&mut self, column: usize, datum: Datum) -> Result<(), BadValue>;
    /// The columns in which it is not as another row of its table; none if that is of another table.
    fn differences(&self, other: &Self) -> Columns;
}

/// A typed row of one table; of the Southbound database if no other is named.
pub trait Row<S: Schema = Table>: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Its table.
    const TABLE: S;
    /// As a row of any table.
    fn into_any(self: Arc<Self>) -> S::AnyRow;
    /// From a row of any table, if it is of this one.
    fn from_any(row: &S::AnyRow) -> Option<&Arc<Self>>;
}

/// A column.
#[derive(Debug)]
pub struct Column<S> {
    /// Its name in the database.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What else is asked of its values.
    pub rule: Rule<S>,
}

/// What is asked of the values of a column beside their type.
#[derive(Clone, Copy, Debug)]
pub enum Rule<S> {
    /// Nothing.
    Any,
    /// At least one of them.
    Some,
    /// Texts of at most so many characters.
    Length(usize),
    /// Integers between these, both included.
    Range(i64, i64),
    /// One of these words; of a map the keys.
    Words(&'static [&'static str]),
    /// One of these words as key, and an integer between these as value.
    Amounts(&'static [&'static str], i64, i64),
    /// Rows of a table, which must exist and cannot be deleted while they are named here. Of a map the values.
    Strong(S),
    /// The same, and at least one of them.
    StrongSome(S),
    /// Rows of a table; the name goes when the row goes. Of a map the values.
    Weak(S),
}

/// What is known of a table as a whole.
#[derive(Debug)]
pub struct TableDef<S: 'static> {
    /// Its name in the database.
    pub name: &'static str,
    /// Its columns, by name.
    pub columns: &'static [Column<S>],
    /// Groups of columns of which no two rows may have the same values.
    pub unique: &'static [&'static [&'static str]],
    /// Whether rows stay when nothing refers to them.
    pub root: bool,
    /// Most rows.
    pub max_rows: usize,
}

/// A set of columns of one table.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Columns(u32);

impl Columns {
    /// Those for which a list, in the order of the columns, says yes.
    pub(crate) fn from_flags(flags: &[bool]) -> Self {
        Columns(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u32::from(*flag)))
    }

    /// Whether a column, by its number, is among them.
    pub fn contains(self, column: usize) -> bool {
        column < 32 && self.0 >> column & 1 == 1
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names in a table.
    pub fn names<S: Tables>(self, table: S) -> impl Iterator<Item = &'static str> {
        let columns = table.def().columns.iter().enumerate();
        columns.filter(move |(at, _)| self.contains(*at)).map(|(_, column)| column.name)
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..32).filter(|column| self.contains(*column))).finish()
    }
}

/// The name of a column: its own if it has one, else the field's.
macro_rules! column_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}

/// A rule, or none.
macro_rules! column_rule {
    () => {
        Rule::Any
    };
    ($rule:expr) => {
        $rule
    };
}

/// Declares the tables: rows as structs, `Table` and `AnyRow` over all of them. What is asked of these most often can be
/// asked without the traits too.
macro_rules! declare_tables {
    ($(
        $(#[$doc:meta])*
        table $row:ident = $name:literal ($($option:ident : $setting:expr),*) {
            $(
                $(#[$column_doc:meta])*
                $field:ident $(as $column:literal)? : $type:ty $(=> $rule:expr)?
            ),* $(,)?
        }
    )*) => {
        /// A table of the database.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Table {
            $( $(#[$doc])* $row, )*
        }

        impl Table {
            /// Every table, by name.
            pub const ALL: &[Table] = &[$(Table::$row),*];

            /// What is known of it.
            pub fn def(self) -> &'static TableDef<Table> {
                match self {
                    $( Table::$row => {
                        static DEF: TableDef<Table> = TableDef {
                            columns: &[$(Column {
                                name: column_name!($field $($column)?),
                                kind: <$type as Cell>::KIND,
                                rule: column_rule!($($rule)?),
                            }),*],
                            $($option: $setting,)*
                            ..TableDef::named($name)
                        };
                        &DEF
                    } )*
                }
            }

            /// A row of it with nothing in it.
            pub fn empty_row(self) -> AnyRow {
                match self {
                    $( Table::$row => AnyRow::$row(Arc::default()), )*
                }
            }

            /// The number of a column, by its name.
            pub fn column(self, name: &str) -> Option<usize> {
                Tables::column(self, name)
            }
        }

        impl Tables for Table {
            type AnyRow = AnyRow;
            const ALL: &'static [Table] = Table::ALL;

            fn def(self) -> &'static TableDef<Table> {
                self.def()
            }

            fn empty_row(self) -> AnyRow {
                self.empty_row()
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, Debug, Default)]
            pub struct $row {
                $( $(#[$column_doc])* pub $field: $type, )*
            }

            impl Row<Table> for $row {
                const TABLE: Table = Table::$row;

                fn into_any(self: Arc<Self>) -> AnyRow {
                    AnyRow::$row(self)
                }

                fn from_any(row: &AnyRow) -> Option<&Arc<Self>> {
                    match row {
                        AnyRow::$row(row) => Some(row),
                        _ => None,
                    }
                }
            }

            impl $row {
                const GET: &[fn(&Self) -> Datum] = &[$( |row| row.$field.to_datum() ),*];
                const SET: &[fn(&mut Self, Datum) -> Result<(), BadValue>] = &[$(
                    |row, datum| {
                        row.$field = Cell::from_datum(datum)?;
                        Ok(())
                    }
                ),*];

                fn differences(&self, other: &Self) -> Columns {
                    Columns::from_flags(&[$( self.$field != other.$field ),*])
                }
            }
        )*

        /// A row of any table.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum AnyRow {
            $( $(#[$doc])* $row(Arc<$row>), )*
        }

        impl AnyRow {
            /// Its table.
            pub fn table(&self) -> Table {
                match self {
                    $( AnyRow::$row(_) => Table::$row, )*
                }
            }

            /// The contents of a column, by its number.
            pub fn get(&self, column: usize) -> Option<Datum> {
                match self {
                    $( AnyRow::$row(row) => $row::GET.get(column).map(|get| get(row)), )*
                }
            }

            /// Sets a column, by its number, if the value is of its type. A number that no column has does nothing.
            pub fn set(&mut self, column: usize, datum: Datum) -> Result<(), BadValue> {
                match self {
                    $( AnyRow::$row(row) => match $row::SET.get(column) {
                        Some(set) => set(Arc::make_mut(row), datum),
                        None => Ok(()),
                    }, )*
                }
            }

            /// The columns in which it is not as another row of its table; none if that is of another table.
            pub fn differences(&self, other: &AnyRow) -> Columns {
                match (self, other) {
                    $( (AnyRow::$row(one), AnyRow::$row(two)) => one.differences(two), )*
                    _ => Columns::default(),
                }
            }
        }

        impl Untyped<Table> for AnyRow {
            fn table(&self) -> Table {
                self.table()
            }

            fn get(&self, column: usize) -> Option<Datum> {
                self.get(column)
            }

            fn set(&mut self, column: usize, datum: Datum) -> Result<(), BadValue> {
                self.set(column, datum)
            }

            fn differences(&self, other: &AnyRow) -> Columns {
                self.differences(other)
            }
        }
    };
}

pub(crate) use {column_name, column_rule, declare_tables};

impl<S> TableDef<S> {
    /// A root table without columns.
    pub(crate) const fn named(name: &'static str) -> Self {
        Self { name, columns: &[], unique: &[], root: true, max_rows: usize::MAX }
    }
}
