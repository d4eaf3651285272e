//! Forwarding groups: ports among which the flows to an address are shared.

use crate::logical::nb::Table;
use crate::logical::nb::tables::{ForwardingGroup, LogicalSwitch};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::quoted;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;

/// A group.
pub struct Group;

impl Unit for Group {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(group) = view.row::<ForwardingGroup>(uuid) else { return };
        let ForwardingGroup { vip, vmac, .. } = &**group;
        let asked = format!("arp.tpa == {vip} && arp.op == 1");
        let answer = super::switch_answer::arp(vmac, vip);
        let children: Vec<String> = group.child_port.iter().map(|port| quoted(port)).collect();
        let liveness = if group.liveness { "liveness=\"true\"," } else { "" };
        let share = format!("fwd_group({liveness}childports={});", children.join(","));
        for switch in view.parents::<LogicalSwitch>(Table::ForwardingGroup, uuid) {
            output.add(flow(switch, Stage::SwitchInArpRsp, 50, &*asked, &*answer).hint(uuid));
            let to_group = format!("eth.dst == {vmac}");
            output.add(flow(switch, Stage::SwitchInL2Lkup, 50, to_group, &*share).hint(uuid));
        }
    }
}
