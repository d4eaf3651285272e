//! Switches: their datapath, and the flows that every switch has.

use std::collections::BTreeMap;

use crate::logical::nb::tables::LogicalSwitch;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;
use crate::logical::rows::tables::DatapathBinding;

/// The row of the datapath.
pub struct Datapath;

impl Unit for Datapath {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(switch) = view.row::<LogicalSwitch>(row) else { return };
        let requested = switch.other_config.get("requested-tnl-key").and_then(|key| key.parse().ok());
        let external_ids = BTreeMap::from([
            ("logical-switch".to_owned(), row.to_string()),
            ("name".to_owned(), switch.name.clone()),
        ]);
        let tunnel_key = requested.unwrap_or(0);
        output.row(names::datapath(row), DatapathBinding { external_ids, tunnel_key, ..Default::default() });
    }
}

/// The flows that no setting changes.
pub struct Fixed;

impl Unit for Fixed {
    fn compile(_: &View<'_>, row: Uuid, output: &mut Output) {
        let next = "next;";
        for (stage, priority, matches, actions) in [
            (Stage::SwitchInCheckPortSec, 100, "vlan.present", "drop;"),
            (Stage::SwitchInLookupFdb, 0, "1", next),
            (Stage::SwitchInPutFdb, 0, "1", next),
        ] {
            output.add(flow(row, stage, priority, matches, actions));
        }
    }
}
