//! Local: cases of the real northd.
use super::super::Keys;
use super::support::{Network, flows};
use super::switches::shown;
use crate::logical::nb;
use crate::logical::rows::{Transaction, dump};
use std::collections::BTreeSet;

#[test]
fn cases() {
    let root = std::env::var("CASES").unwrap_or("/tmp/n6sw/cases".into());
    let mut bad = 0;
    let mut count = 0;
    let mut dirs: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    for dir in dirs {
        let Ok(text) = std::fs::read_to_string(dir.join("nb.json")) else { continue };
        count += 1;
        let dump_nb = nb::read_dump(&text).unwrap();
        let mut network = Network::new(Keys::default());
        let mut rows = nb::Transaction::new();
        dump_nb.rows.into_iter().for_each(|(u, r)| rows.put_any(u, r));
        network.commit(rows, &[]);
        let mut real = crate::logical::rows::Database::default();
        let mut tx = Transaction::new();
        for (u, r) in dump::read(&std::fs::read_to_string(dir.join("sb.json")).unwrap()).unwrap() {
            tx.put_any(u, r);
        }
        real.commit(tx).unwrap();
        let (ours, theirs) = (flows(network.southbound.snapshot()), flows(real.snapshot()));
        let mut say = String::new();
        for (dp, list) in &theirs {
            if list.iter().any(|f| f.0.starts_with("lr_")) {
                continue;
            }
            let none = BTreeSet::new();
            let mine = ours.get(dp).unwrap_or(&none);
            for f in list.difference(mine) {
                say += &format!("  {dp} - {f:?}\n");
            }
            for f in mine.difference(list) {
                say += &format!("  {dp} + {f:?}\n");
            }
        }
        let (ours, theirs) = (shown(network.southbound.snapshot()), shown(real.snapshot()));
        for name in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            if ours.get(name) != theirs.get(name) {
                say +=
                    &format!("  {name}\n   ours   {:?}\n   theirs {:?}\n", ours.get(name), theirs.get(name));
            }
        }
        if !say.is_empty() {
            bad += 1;
            println!("{}:\n{say}", dir.display());
        }
    }
    println!("{bad} of {count} differ");
    assert_eq!(bad, 0);
}
