//! What routers are told and do not do yet, said by name.

use crate::logical::nb::tables::{Bfd, LogicalRouter, Nat};
use crate::logical::nb::{Table, Uuid};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::router::router;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::Output;

/// Load balancers of a router.
pub struct Balanced;

impl Unit for Balanced {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(settings) = view.settings::<LogicalRouter>(row).filter(|_| router(view, row).is_some())
        else {
            return;
        };
        if !settings.load_balancer.is_empty() || !settings.load_balancer_group.is_empty() {
            output.trouble("load balancers of routers are stored and not compiled yet");
        }
        for option in ["dnat_force_snat_ip", "lb_force_snat_ip"] {
            if settings.options.contains_key(option) {
                output.trouble(format!("options:{option} is stored and not compiled yet"));
            }
        }
    }
}

/// A translation of addresses.
pub struct Translation;

impl Unit for Translation {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let mut routers = view.parents::<LogicalRouter>(Table::Nat, row).into_iter();
        if view.row::<Nat>(row).is_some() && routers.any(|owner| router(view, owner).is_some()) {
            output.trouble("translations of addresses are stored and not compiled yet");
        }
    }
}

/// A session that says whether a next hop is alive.
pub struct Alive;

impl Unit for Alive {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        if view.row::<Bfd>(row).is_some() {
            output.trouble(
                "sessions of bidirectional forwarding detection are not run; next hops count as alive",
            );
        }
    }
}
