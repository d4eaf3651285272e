//! `[ovn]`.

use std::path::Path;

use super::{Checked, bad_text, underlay};
use crate::config::raw::RawOvn;
use crate::config::{Ovn, PortSpec, Underlay};

/// Longest name of a chassis, as long as that of a host can be.
const MAX_SYSTEM_ID: usize = 255;

pub(super) fn ovn(
    raw: RawOvn,
    file: &Path,
    tunnels: Option<&mut Underlay>,
    ports: &[PortSpec],
) -> Checked<Ovn> {
    let default = Ovn::default();
    let beside = |path: String| file.parent().unwrap_or(Path::new("")).join(path);
    Ok(Ovn {
        system_id: raw.system_id.map(|text| chassis_name("system_id", text)).transpose()?,
        encap_ip: {
            let read = |text: String| {
                let wanted = "an IP address; write that by which other chassis reach this host";
                text.parse().map_err(|_| bad_text("encap_ip", text, wanted))
            };
            underlay::encap_ip(raw.encap_ip.map(read).transpose()?, tunnels, default.encap_ip)?
        },
        bridge_mappings: underlay::mappings(&raw.bridge_mappings.unwrap_or_default(), ports)?,
        state: match raw.state {
            Some(path) if path.is_empty() => None,
            Some(path) => Some(beside(path)),
            None => default.state,
        },
        topology: match raw.topology {
            Some(path) => {
                let wanted = "a path; write that of a file with one nbctl command a line";
                if path.is_empty() {
                    return Err(bad_text("topology", path, wanted));
                }
                Some(beside(path))
            }
            None => default.topology,
        },
    })
}

/// The name of a chassis.
pub(super) fn chassis_name(key: &'static str, text: String) -> Checked<String> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != ',';
    if text.is_empty() || text.len() > MAX_SYSTEM_ID || !text.chars().all(is_plain) {
        let wanted =
            "the name of a chassis; write it as `ovn-sbctl show` prints it, without blanks and commas";
        return Err(bad_text(key, text, wanted));
    }
    Ok(text)
}
