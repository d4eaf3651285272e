//! What a port has to itself, so that a second owner is refused by name.

use super::{PortKind, PortSpec};

/// What a port of that kind has to itself, in words; two ports cannot share it.
pub fn owned_by(kind: &PortKind) -> Option<String> {
    match kind {
        PortKind::AfPacket { iface } => Some(format!("the kernel interface {iface}")),
        PortKind::VhostUser { socket, .. } => Some(format!("the socket {socket}")),
        PortKind::Pcap { tx_file, .. } => tx_file.as_ref().map(|file| format!("the capture file {file}")),
        PortKind::Vdev { devargs } | PortKind::Pci { devargs } => {
            Some(format!("the device {}", devargs.split(',').next().unwrap_or_default()))
        }
        PortKind::Geneve => Some("the end of all tunnels".to_owned()),
        PortKind::Null { .. } | PortKind::Memory => None,
    }
}

/// The sentence that refuses a port because another has what it wants; none if nobody has.
pub fn conflict<'a>(spec: &PortSpec, others: impl Iterator<Item = &'a PortSpec> + Clone) -> Option<String> {
    let of_the_kind = owned_by(&spec.kind).and_then(|wanted| {
        let owner = others.clone().find(|other| owned_by(&other.kind).as_ref() == Some(&wanted))?;
        let name = &owner.name;
        let mend = if spec.kind == PortKind::Geneve { " first" } else { ", or name another" };
        Some(format!(
            "{wanted} belongs to port \"{name}\" already; remove that port with `millrace port del {name}`{mend}"
        ))
    });
    of_the_kind.or_else(|| iface_conflict(spec.iface_id.as_deref()?, others))
}

/// The sentence that refuses a logical port because another port is it.
pub fn iface_conflict<'a>(iface_id: &str, mut others: impl Iterator<Item = &'a PortSpec>) -> Option<String> {
    let owner = others.find(|other| other.iface_id.as_deref() == Some(iface_id))?;
    Some(format!(
        "the logical port {iface_id} is port \"{}\" already; take it from there with `millrace port set {} iface_id=`",
        owner.name, owner.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn af_packet(name: &str, iface: &str) -> PortSpec {
        PortSpec::new(name, PortKind::AfPacket { iface: iface.to_owned() })
    }

    #[test]
    fn a_second_owner_is_told_who_the_first_is() {
        let first = [af_packet("p1", "eth7"), PortSpec::new("m", PortKind::Memory)];
        let sentence = conflict(&af_packet("p2", "eth7"), first.iter()).unwrap();
        assert_eq!(
            sentence,
            "the kernel interface eth7 belongs to port \"p1\" already; remove that port with `millrace port del p1`, \
             or name another"
        );
        assert_eq!(conflict(&af_packet("p2", "eth8"), first.iter()), None);
        assert_eq!(conflict(&PortSpec::new("n", PortKind::Memory), first.iter()), None);
    }
}
