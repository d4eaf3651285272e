//! What the fuzz target of journals does with one input.

use std::collections::BTreeMap;
use std::path::Path;

use super::record::Record;
use super::{Recovered, framed, preamble, recover};
use crate::logical::nb::Table;
use crate::logical::rows::dump;

fn read(body: &[u8]) -> Option<Recovered<Table>> {
    let bytes = [preamble::<Table>().as_bytes(), body].concat();
    match recover::<Table>(Path::new("fuzz"), &bytes) {
        Ok(reading) => {
            assert!(reading.base <= bytes.len() as u64 && reading.found.cut < bytes.len() as u64);
            Some(reading.found)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Any bytes behind the first line of a journal, and as the contents of its only record: nothing panics, and what is read
/// is the same when it is written down as a checkpoint does and read again.
pub fn fuzz_journal(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let record = framed(text).unwrap_or_default();
    for body in [bytes, &record] {
        let Some(found) = read(body) else { continue };
        let rows = found.database.snapshot();
        let keys: BTreeMap<_, _> = found.keys.clone();
        let whole = framed(&Record::of_all(rows, &found.created, &keys)).unwrap_or_default();
        let again = read(&whole).expect("a checkpoint can be read");
        assert_eq!(dump::write(again.database.snapshot()).to_string(), dump::write(rows).to_string());
        assert_eq!((again.created, again.keys, again.cut), (found.created, keys, 0));
    }
}
