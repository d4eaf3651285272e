//! What the Northbound is told of what became of it: which ports are up, and how far the configuration has come.

use std::time::{SystemTime, UNIX_EPOCH};

use super::change::Keep;
use crate::control::switch::{Published, Switch};
use crate::logical::nb::Edit;
use crate::logical::nb::tables::{LogicalSwitchPort, NbGlobal};
use crate::logical::rows::tables::PortBinding;
use crate::logical::rows::{self, Table};

impl Switch {
    /// Tells the Northbound of Southbound rows that were followed. True if Southbound rows changed by it, since a switch
    /// may ask that addresses are answered for only while their ports are up. The caller has the turn.
    pub async fn tell_northbound(&self, published: &Published) -> bool {
        let (draft, changed, told, version) = {
            let logical = &mut self.state_mut().logical;
            if logical.northbound.rows.snapshot().is_empty() {
                return false;
            }
            let mut told = logical.northbound.told.clone();
            let delta = told.poll(&logical.rows);
            let draft = logical.northbound.rows.draft();
            let mut edit = draft.edit();
            tell_of_ports(&mut edit, &delta);
            tell_of_number(&mut edit, published.not_yet_visible_on.is_empty());
            (draft.clone(), draft.finish(edit), told, logical.rows.version())
        };
        let entered = match changed {
            Ok(changed) if changed.is_empty() => Ok(()),
            Ok(changed) => self.enter(draft, changed, Vec::new(), Keep::No).await.map_err(|e| e.to_string()),
            Err(refusal) => Err(refusal.to_string()),
        };
        let logical = &mut self.state_mut().logical;
        match entered {
            Ok(()) => logical.northbound.told = told,
            // With what changes next it is tried again.
            Err(error) => tracing::warn!(error, "the Northbound could not be told which ports are up"),
        }
        logical.rows.version() != version
    }
}

/// Whether a port is up, by the Southbound rows.
pub(super) fn is_up(port: &LogicalSwitchPort, southbound: &rows::Store) -> bool {
    port.kind == "router"
        || southbound.port(&port.name).is_some_and(|(_, row)| row.chassis.is_some() && row.up.unwrap_or(true))
}

fn tell_of_ports(edit: &mut Edit, delta: &rows::Delta) {
    let changes = delta.changes.iter().filter(|change| change.table == Table::PortBinding);
    for row in changes.filter_map(|change| delta.after.get::<PortBinding>(change.uuid)) {
        let Some((uuid, port)) = edit.rows().switch_port(&row.logical_port) else { continue };
        let is_up = is_up(port, &delta.after);
        if port.up != Some(is_up) {
            edit.update(uuid, |port: &mut LogicalSwitchPort| port.up = Some(is_up));
        }
    }
}

/// All chassis that there are have caught up: this one.
fn tell_of_number(edit: &mut Edit, is_in_force: bool) {
    let Some((uuid, global)) = edit.rows().global() else { return };
    let number = global.nb_cfg;
    if is_in_force && (global.sb_cfg, global.hv_cfg) != (number, number) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        edit.update(uuid, |row: &mut NbGlobal| {
            (row.sb_cfg, row.hv_cfg) = (number, number);
            (row.nb_cfg_timestamp, row.sb_cfg_timestamp, row.hv_cfg_timestamp) = (now, now, now);
        });
    }
}
