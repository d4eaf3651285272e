//! `[ovn]`.

use std::path::Path;

use super::{Checked, bad_text};
use crate::config::Ovn;
use crate::config::raw::RawOvn;

/// Longest name of a chassis, as long as that of a host can be.
const MAX_SYSTEM_ID: usize = 255;

pub(super) fn ovn(raw: RawOvn, file: &Path) -> Checked<Ovn> {
    let default = Ovn::default();
    let beside = |path: String| file.parent().unwrap_or(Path::new("")).join(path);
    Ok(Ovn {
        system_id: raw.system_id.map(system_id).transpose()?,
        encap_ip: match raw.encap_ip {
            Some(text) => {
                let wanted = "an IP address; write that by which other chassis reach this host";
                text.parse().map_err(|_| bad_text("encap_ip", text, wanted))?
            }
            None => default.encap_ip,
        },
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

fn system_id(text: String) -> Checked<String> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != ',';
    if text.is_empty() || text.len() > MAX_SYSTEM_ID || !text.chars().all(is_plain) {
        let wanted =
            "the name of a chassis; write it as `ovn-sbctl show` prints it, without blanks and commas";
        return Err(bad_text("system_id", text, wanted));
    }
    Ok(text)
}
