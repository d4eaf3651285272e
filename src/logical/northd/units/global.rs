//! The row of settings, and the address from which services are looked after.

use std::collections::BTreeSet;

use crate::logical::nb::tables::NbGlobal;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::{AddressSet, SbGlobal};
use crate::logical::rows::{Table, Uuid};
use crate::packet::Mac;

/// The highest key that a datapath gets here; those above are for networks that span deployments.
const MAX_KEY: u32 = (1 << 24) - (1 << 16);
/// The release whose flows these are, by which its chassis know them.
const VERSION: &str = "23.03.1-20.27.0-70.6";
const MONITOR: &str = "svc_monitor_mac";

/// The row of settings.
pub struct Settings;

impl Unit for Settings {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(row) = view.row::<NbGlobal>(uuid) else { return };
        let [.., a, b, c] = uuid.0.to_be_bytes();
        let prefix = row.options.get("mac_prefix").and_then(|prefix| format!("{prefix}:0:0:0").parse().ok());
        let Mac([a, b, c, ..]) = prefix.unwrap_or(Mac([a & 0xfc | 2, b, c, 0, 0, 0]));
        let mut options = row.options.clone();
        options.insert("mac_prefix".to_owned(), format!("{a:02x}:{b:02x}:{c:02x}"));
        options.insert("max_tunid".to_owned(), MAX_KEY.to_string());
        options.insert("northd_internal_version".to_owned(), VERSION.to_owned());
        options.remove("lb_hairpin_use_ct_mark");
        if monitor(row).is_none() {
            options.insert(MONITOR.to_owned(), own_address(uuid).to_string());
        }
        let row = SbGlobal { ipsec: row.ipsec, nb_cfg: row.nb_cfg, options, ..SbGlobal::default() };
        output.row(names::southbound(Table::SbGlobal, ()), row);
    }
}

/// The address from which services are looked after, as the set that flows name.
pub struct Monitor;

impl Unit for Monitor {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(row) = view.global() else { return };
        if view.address_set(MONITOR).is_none() {
            let addresses = BTreeSet::from([monitor(row).unwrap_or(own_address(uuid)).to_string()]);
            let row = AddressSet { addresses, name: MONITOR.to_owned() };
            output.row(names::southbound(Table::AddressSet, MONITOR), row);
        }
    }
}

/// The address that is written.
fn monitor(row: &NbGlobal) -> Option<Mac> {
    row.options.get(MONITOR).and_then(|mac| mac.parse().ok())
}

/// One of its own where none is written: unicast, and nobody's.
fn own_address(row: Uuid) -> Mac {
    let [a, rest @ ..] = Mac::from_u64(row.0 as u64).0;
    let [b, c, d, e, f] = rest;
    Mac([a & 0xfc | 2, b, c, d, e, f])
}
