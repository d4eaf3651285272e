//! Ways through small tables.
