//! Rules that mark packets or limit their rate.

use crate::logical::nb::Table;
use crate::logical::nb::tables::{LogicalSwitch, Qos};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;

/// A rule, in all switches that have it.
pub struct Rule;

impl Unit for Rule {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(qos) = view.row::<Qos>(uuid) else { return };
        let (mark, meter) = match &*qos.direction {
            "from-lport" => (Stage::SwitchInQosMark, Stage::SwitchInQosMeter),
            _ => (Stage::SwitchOutQosMark, Stage::SwitchOutQosMeter),
        };
        let marked = qos.action.get("dscp").map(|dscp| (mark, format!("ip.dscp = {dscp}; next;")));
        let limited = qos.bandwidth.get("rate").map(|rate| match qos.bandwidth.get("burst") {
            Some(burst) => (meter, format!("set_meter({rate}, {burst}); next;")),
            None => (meter, format!("set_meter({rate}); next;")),
        });
        for switch in view.parents::<LogicalSwitch>(Table::Qos, uuid) {
            for (stage, actions) in marked.iter().chain(&limited) {
                let wanted = flow(switch, *stage, qos.priority, &*qos.matches, &**actions);
                output.add(wanted.hint(uuid));
            }
        }
    }
}
