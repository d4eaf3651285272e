//! Packets that leave through a port which some chassis hosts for all go to that chassis first.

use crate::logical::nb::Uuid;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::router::{port, surroundings};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

/// The flow that sends them there.
pub struct Redirect;

impl Unit for Redirect {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        // To a VTEP gateway packets leave from every chassis.
        if let Some(redirect) = port.redirect.as_ref().filter(|_| !surroundings(view, row).has_vtep) {
            let matches = format!("outport == {}", port.key);
            let actions = format!("outport = {redirect}; next;");
            output.add(flow(port.router, Stage::RouterInGwRedirect, 50, matches, actions).hint(row));
        }
    }
}
