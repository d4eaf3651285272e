//! The keys as they are written, before anything is checked: every table a struct of options, and the list of its
//! keys, both from one declaration.

use serde::Deserialize;

use super::error::{Fault, Misplaced, Step};

/// The keys of a table, each with what it holds.
pub(super) type Keys = &'static [(&'static str, Kind)];

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// true or false.
    Flag,
    /// A list of texts or numbers.
    List,
    /// A table with these keys.
    Table(Keys),
    /// Several of it.
    Tables(Keys),
}

trait Typed {
    const KIND: Kind;
}

impl Typed for String {
    const KIND: Kind = Kind::Text;
}
impl Typed for i64 {
    const KIND: Kind = Kind::Number;
}
impl Typed for bool {
    const KIND: Kind = Kind::Flag;
}
impl Typed for Vec<String> {
    const KIND: Kind = Kind::List;
}
impl Typed for Vec<i64> {
    const KIND: Kind = Kind::List;
}
impl Typed for Vec<RawPort> {
    const KIND: Kind = Kind::Tables(RawPort::KEYS);
}
impl Typed for Vec<RawChassis> {
    const KIND: Kind = Kind::Tables(RawChassis::KEYS);
}

macro_rules! raw {
    ($($(#[$doc:meta])* $table:ident { $($key:ident: $type:ty),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $table { $(pub $key: Option<$type>),* }

        impl $table {
            /// Every key with what it holds.
            pub const KEYS: Keys =
                &[$((raw!(@name $key), <$type as Typed>::KIND)),*];
        }

        impl Typed for $table {
            const KIND: Kind = Kind::Table($table::KEYS);
        }
    )* };
    (@name r#type) => { "type" };
    (@name $key:ident) => { stringify!($key) };
}

raw! {
    /// The whole file.
    RawConfig {
        switch: RawSwitch, control: RawControl, workers: RawWorkers, cache: RawCache, dpdk: RawDpdk, log: RawLog,
        port: Vec<RawPort>, flows: RawFlows, ovn: RawOvn, underlay: RawUnderlay, chassis: Vec<RawChassis>,
    }
    /// `[switch]`
    RawSwitch { name: String }
    /// `[control]`
    RawControl { socket: String, mode: String, group: String, cores: Vec<i64> }
    /// `[workers]`
    RawWorkers { cores: Vec<i64>, idle_sleep: String }
    /// `[cache]`
    RawCache {
        megaflows: i64, megaflows_per_port: i64, masks_per_port: i64, emc_entries: i64, max_idle: String,
    }
    /// `[dpdk]`
    RawDpdk { hugepages: String, memory_mb: i64, file_prefix: String, pci: bool, extra_args: Vec<String> }
    /// `[log]`
    RawLog { filter: String }
    /// `[[port]]`
    RawPort {
        name: String, r#type: String,
        iface: String, socket: String, mode: String, rx_file: String, tx_file: String, infinite: bool,
        size: i64, no_rx: bool, devargs: String,
        number: i64, n_rxq: i64, n_txq: i64, n_rxq_desc: i64, n_txq_desc: i64, mtu: i64, mac: String,
        promiscuous: bool, rss: bool, checksum_offload: bool, no_flood: bool, rxq_affinity: String,
        iface_id: String,
    }
    /// `[flows]`
    RawFlows { file: String, flows: Vec<String> }
    /// `[ovn]`
    RawOvn {
        system_id: String, encap_ip: String, bridge_mappings: Vec<String>, state: String, topology: String,
    }
    /// `[underlay]`
    RawUnderlay {
        port: String, addresses: Vec<String>, mac: String, gateway: String, gateway6: String, routes: Vec<String>,
        vlan: i64, mtu: i64, checksum: bool, bfd: bool, bfd_min_rx: String, bfd_min_tx: String, bfd_mult: i64,
    }
    /// `[[chassis]]`
    RawChassis { name: String, encap_ip: String, ports: Vec<String> }
}

/// Reads a table, whose keys are `keys`, into its struct. A fault comes with the way to it.
pub(super) fn deserialize<'de, T, D>(input: D, keys: Keys) -> Result<T, Misplaced>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de, Error = toml::de::Error>,
{
    serde_path_to_error::deserialize(input).map_err(|error| {
        let mut path = error.path().iter().filter_map(step).collect::<Vec<_>>();
        let message = error.inner().message();
        let fault = if let Some(key) = unknown_key(message) {
            if !matches!(path.last(), Some(Step::Key(last)) if last == key) {
                path.push(Step::Key(key.to_owned()));
            }
            unknown(key, keys_at(keys, &path))
        } else if let Some((found, wanted)) =
            message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
        {
            let wanted = match path.as_slice() {
                [Step::Key(key)] if matches!(key.as_str(), "port" | "chassis") => {
                    format!("a list of tables, each under [[{key}]]")
                }
                _ => wanted_in_words(wanted),
            };
            Fault::WrongType { wanted, found: found_in_words(found) }
        } else if let Some((number, "i64")) =
            message.strip_prefix("invalid value: integer `").and_then(|rest| rest.split_once("`, expected "))
        {
            let wanted = "a whole number of at most 63 bits".to_owned();
            Fault::WrongType { wanted, found: format!("the number {number}") }
        } else {
            Fault::Syntax(message.to_owned())
        };
        Misplaced { path, fault }
    })
}

fn step(segment: &serde_path_to_error::Segment) -> Option<Step> {
    match segment {
        serde_path_to_error::Segment::Seq { index } => Some(Step::Index(*index)),
        serde_path_to_error::Segment::Map { key } => Some(Step::Key(key.clone())),
        _ => None,
    }
}

fn unknown_key(message: &str) -> Option<&str> {
    Some(message.strip_prefix("unknown field `")?.split_once("`, expected ")?.0)
}

/// The keys of the table that the last step of a path is taken in.
fn keys_at(mut keys: Keys, path: &[Step]) -> Keys {
    for step in path.split_last().map_or(&[][..], |(_, way)| way) {
        if let Step::Key(key) = step
            && let Some((_, Kind::Table(inner) | Kind::Tables(inner))) =
                keys.iter().find(|(name, _)| name == key)
        {
            keys = inner;
        }
    }
    keys
}

fn unknown(key: &str, keys: Keys) -> Fault {
    /// Below this two names look nothing like each other.
    const ALIKE: f64 = 0.75;
    let nearest = keys
        .iter()
        .map(|(name, _)| (strsim::jaro_winkler(key, name), *name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest {
        Some((_, nearest)) => Fault::Misspelt { key: key.to_owned(), nearest },
        None => Fault::UnknownKey {
            key: key.to_owned(),
            known: keys.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        },
    }
}

fn wanted_in_words(serde: &str) -> String {
    match serde {
        "i64" => "a whole number",
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
    .to_owned()
}

fn found_in_words(serde: &str) -> String {
    match serde.split_once(' ') {
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer" | "floating", rest)) => {
            format!("the number {}", rest.trim_start_matches("point ").trim_matches('`'))
        }
        Some(("boolean", word)) => word.trim_matches('`').to_owned(),
        _ => match serde {
            "sequence" => "a list".to_owned(),
            "map" => "a table".to_owned(),
            other => other.to_owned(),
        },
    }
}
