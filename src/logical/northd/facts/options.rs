//! Settings: how their texts are read, and those of the whole network.

use std::str::FromStr;
use std::sync::Arc;

use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::rows::Uuid;
use crate::logical::rows::tables::Pairs;

/// Whether a setting is on: what is neither `true` nor `false` leaves it as it is by default.
pub fn flag(pairs: &Pairs, name: &str, default: bool) -> bool {
    let says = |word: &str| pairs.get(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    if default { !says("false") } else { says("true") }
}

/// A number, if the setting is one.
pub fn number<T: FromStr>(pairs: &Pairs, name: &str) -> Option<T> {
    pairs.get(name)?.trim().parse().ok()
}

/// A text in quotes, as matches and actions write the name of a port.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Settings of the whole network that decide about flows.
#[derive(PartialEq, Debug)]
pub struct Globals {
    /// Whether flows match on packets that belong to no connection.
    pub matches_invalid: bool,
    /// Whether switches that have rules drop what none of them allows.
    pub drops_by_default: bool,
    /// Whether only ports that are up are answered for.
    pub asks_for_up: bool,
    /// The actions that drop a packet,
    pub drop: String,
    /// and those that do it where nothing needs to be done.
    pub drop_silently: String,
}

impl Default for Globals {
    fn default() -> Self {
        Self::of(&Pairs::new())
    }
}

impl Globals {
    fn of(options: &Pairs) -> Self {
        let set: Option<u32> = number(options, "debug_drop_collector_set").filter(|set| *set != 0);
        let domain: u32 = number(options, "debug_drop_domain_id").unwrap_or(0);
        let sample = set.filter(|_| domain < 255).map(|set| {
            format!(
                "sample(probability=65535,collector_set={set},obs_domain={domain},obs_point=$cookie); /* drop */"
            )
        });
        Self {
            matches_invalid: flag(options, "use_ct_inv_match", true),
            drops_by_default: flag(options, "default_acl_drop", false),
            asks_for_up: !flag(options, "ignore_lsp_down", true),
            drop: sample.clone().unwrap_or_else(|| "drop;".to_owned()),
            drop_silently: sample.unwrap_or_else(|| "/* drop */".to_owned()),
        }
    }

    /// Those of now.
    pub fn ask(view: &View<'_>) -> Arc<Self> {
        view.ask::<Globals>(Uuid::default())
    }
}

impl Query for Globals {
    type Value = Globals;

    fn compute(view: &View<'_>, _: &Of) -> Globals {
        view.global().map(|row| Globals::of(&row.options)).unwrap_or_default()
    }
}
