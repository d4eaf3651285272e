//! `keys`: the numbers that hosts have to agree on, since they stand in the packets between them, and where two hosts do
//! not.
//!
//! The text has a line each for datapaths, ports and multicast groups, in the order of their bytes, below a line with the
//! SHA-256 of those lines, so that `tail -n +2 FILE | sha256sum` makes the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::logical::rows::Store;
use crate::logical::rows::tables::{DatapathBinding, MulticastGroup, PortBinding};
use crate::logical::rows::uuid::Uuid;
use crate::logical::sha256::sha256;

/// What the first line begins with.
const HEAD: &str = "# tunnel keys, sha256 ";
/// Digits of a digest where it is shown beside other things.
const SHORT: usize = 12;

/// Why a text is none of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It begins otherwise.
    #[error("the first line is not \"{HEAD}…\"; give what `millrace sbctl keys` printed on the other host")]
    Head,
    /// It was changed or cut.
    #[error("its lines do not have the digest of its first line, so it was cut or changed; print it anew")]
    Digest,
    /// A line that is none.
    #[error("line {0} is not KIND NAME… KEY; print it anew with `millrace sbctl keys`")]
    Line(usize),
}

/// The keys of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Keys {
    digest: String,
    /// Keys by what has them, `datapath NAME`, `group DATAPATH NAME` or `port DATAPATH NAME`. Of one name there may be
    /// several.
    keys: BTreeMap<String, BTreeSet<u32>>,
}

/// Something that does not have the same keys on two hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub name: String,
    /// Its keys here.
    pub here: BTreeSet<u32>,
    /// Its keys there.
    pub there: BTreeSet<u32>,
}

impl Keys {
    /// Those of all rows.
    pub fn of(store: &Store) -> Self {
        let mut keys: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let mut names: BTreeMap<Uuid, String> = BTreeMap::new();
        for (uuid, row) in store.iter::<DatapathBinding>() {
            let name = row.external_ids.get("name").cloned().unwrap_or_else(|| uuid.to_string());
            let name = word(&name);
            keys.entry(format!("datapath {name}")).or_default().insert(row.tunnel_key);
            names.insert(uuid, name);
        }
        let of = |datapath| names.get(datapath).map_or("?", String::as_str);
        for (_, row) in store.iter::<PortBinding>() {
            let name = format!("port {} {}", of(&row.datapath), word(&row.logical_port));
            keys.entry(name).or_default().insert(row.tunnel_key.into());
        }
        for (_, row) in store.iter::<MulticastGroup>() {
            let name = format!("group {} {}", of(&row.datapath), word(&row.name));
            keys.entry(name).or_default().insert(row.tunnel_key.into());
        }
        let digest = sha256(lines(&keys).as_bytes());
        Self { digest, keys }
    }

    /// Those that another host printed.
    pub fn read(text: &str) -> Result<Self, BadKeys> {
        let (head, rest) = text.split_once('\n').ok_or(BadKeys::Head)?;
        let digest = head.strip_prefix(HEAD).ok_or(BadKeys::Head)?.trim();
        if sha256(rest.as_bytes()) != digest {
            return Err(BadKeys::Digest);
        }
        let mut keys: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for (line, number) in rest.lines().zip(2..) {
            let parts = line.rsplit_once(' ').and_then(|(name, key)| Some((name, key.parse().ok()?)));
            let (name, key) = parts.ok_or(BadKeys::Line(number))?;
            keys.entry(name.to_owned()).or_default().insert(key);
        }
        Ok(Self { digest: digest.to_owned(), keys })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many things have keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The digest, all of it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Enough of it to be compared by eye.
    pub fn short(&self) -> &str {
        Self::shortened(&self.digest)
    }

    /// Enough of a digest to be compared by eye.
    pub fn shortened(digest: &str) -> &str {
        digest.get(..SHORT).unwrap_or(digest)
    }

    /// What does not have the same keys there, by name.
    pub fn differences(&self, there: &Keys) -> Vec<Difference> {
        let names: BTreeSet<&String> = self.keys.keys().chain(there.keys.keys()).collect();
        let of = |keys: &Keys, name: &String| keys.keys.get(name).cloned().unwrap_or_default();
        let both = names.into_iter().map(|name| Difference {
            name: name.clone(),
            here: of(self, name),
            there: of(there, name),
        });
        both.filter(|both| both.here != both.there).collect()
    }
}

/// A name as one word.
fn word(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { format!("{name:?}") }
}

fn lines(keys: &BTreeMap<String, BTreeSet<u32>>) -> String {
    let lines = keys.iter().flat_map(|(name, keys)| keys.iter().map(move |key| format!("{name} {key}\n")));
    let mut lines: Vec<String> = lines.collect();
    // As `LC_ALL=C sort` has them.
    lines.sort();
    lines.concat()
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}{}", self.digest)?;
        f.write_str(&lines(&self.keys))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |keys: &BTreeSet<u32>, place: &str| match keys.len() {
            0 => format!("none {place}"),
            1 => format!("key {} {place}", keys.iter().map(u32::to_string).collect::<String>()),
            _ => {
                format!("keys {} {place}", keys.iter().map(u32::to_string).collect::<Vec<_>>().join(" and "))
            }
        };
        write!(f, "{}: {}, {}", self.name, side(&self.here, "here"), side(&self.there, "there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::rows::{Database, Transaction};

    fn network(name: &str, key: u32, ports: &[(&str, u16)]) -> Transaction {
        let mut rows = Transaction::new();
        let datapath = Uuid(u128::from(key) << 64);
        let external_ids = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        rows.put(datapath, DatapathBinding { tunnel_key: key, external_ids, ..DatapathBinding::default() });
        for (port, number) in ports {
            let row = PortBinding {
                datapath,
                logical_port: (*port).to_owned(),
                tunnel_key: *number,
                ..PortBinding::default()
            };
            rows.put(Uuid(u128::from(key) << 64 | u128::from(*number)), row);
        }
        rows
    }

    fn keys(of: impl IntoIterator<Item = Transaction>) -> Keys {
        let mut database = Database::default();
        of.into_iter().for_each(|rows| _ = database.commit(rows).unwrap());
        Keys::of(database.snapshot())
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let some = keys([network("net 1", 7, &[("a", 1), ("b\"", 2)]), network("n", 10, &[("x", 3)])]);
        let text = some.to_string();
        assert_eq!(
            text,
            format!(
                "# tunnel keys, sha256 {}\ndatapath \"net 1\" 7\ndatapath n 10\nport \"net 1\" \"b\\\"\" 2\n\
                 port \"net 1\" a 1\nport n x 3\n",
                some.digest()
            )
        );
        assert_eq!(Keys::read(&text), Ok(some));
        let none = keys([]);
        assert!(none.is_empty());
        assert_eq!(Keys::read(&none.to_string()), Ok(none));
    }

    #[test]
    fn differences_are_named() {
        let here = keys([network("n", 1, &[("a", 1), ("b", 2)])]);
        assert_eq!(here.differences(&here), []);
        let there = keys([network("n", 2, &[("a", 2), ("c", 1)]), network("m", 1, &[])]);
        let named: Vec<String> = here.differences(&there).iter().map(Difference::to_string).collect();
        let expected = [
            "datapath m: none here, key 1 there",
            "datapath n: key 1 here, key 2 there",
            "port n a: key 1 here, key 2 there",
            "port n b: key 2 here, none there",
            "port n c: none here, key 1 there",
        ];
        assert_eq!(named, expected);
        assert_ne!(here.digest(), there.digest());
        let twice = keys([network("n", 1, &[]), network("n", 2, &[])]);
        let differences = keys([]).differences(&twice);
        assert_eq!(differences[0].to_string(), "datapath n: none here, keys 1 and 2 there");
    }

    #[test]
    fn what_was_cut_or_is_something_else_is_refused() {
        let text = keys([network("n", 1, &[("a", 1), ("b", 2)])]).to_string();
        let cut = text.rsplit_once("port").unwrap().0;
        assert_eq!(Keys::read(cut), Err(BadKeys::Digest));
        assert_eq!(Keys::read(&text.replace("a 1", "a 3")), Err(BadKeys::Digest));
        assert_eq!(Keys::read("hello\n"), Err(BadKeys::Head));
        assert_eq!(Keys::read(""), Err(BadKeys::Head));
        let strange = format!("{HEAD}{}\nstrange\n", sha256(b"strange\n"));
        assert_eq!(Keys::read(&strange), Err(BadKeys::Line(2)));
    }
}
