//! One port: which keys go with which type, and what they may hold.

use std::collections::HashSet;

use super::{Checked, bad_text, first_time, in_range, name, none_of, socket_path};
use crate::config::error::{Fault, Misplaced};
use crate::config::raw::RawPort;
use crate::config::{PortKind, PortSpec, VhostMode};
use crate::packet::{Mac, PortNo};

/// The types, each with the keys that only it takes.
const TYPES: [(&str, &[&str]); 8] = [
    ("af_packet", &["iface"]),
    ("vhost-user", &["socket", "mode"]),
    ("pcap", &["rx_file", "tx_file", "infinite"]),
    ("null", &["size", "no_rx"]),
    ("vdev", &["devargs"]),
    ("pci", &["devargs"]),
    ("memory", &[]),
    ("geneve", &[]),
];
const TYPE_NAMES: &[&str] = &["af_packet", "vhost-user", "pcap", "null", "vdev", "pci", "memory", "geneve"];

/// Queues a port may have, one way.
const QUEUES: (i64, i64) = (1, 64);
/// Descriptors a queue may have.
const DESCRIPTORS: (i64, i64) = (32, 32768);
/// From the least that IPv4 allows to what a jumbo frame carries.
const MTU: (i64, i64) = (PortSpec::MTU_RANGE.0 as i64, PortSpec::MTU_RANGE.1 as i64);
/// Bytes of an Ethernet header, the least that a frame has.
const ETHERNET_HEADER: i64 = 14;
/// Longest name of a kernel interface.
const MAX_IFACE: usize = 15;
/// Longest name of a logical port.
const MAX_IFACE_ID: usize = 255;
/// Words that stand for a port, or for none, in a flow.
const RESERVED: [&str; 11] =
    ["in_port", "table", "normal", "flood", "all", "local", "controller", "none", "any", "unset", "drop"];

/// Checks a port by itself.
pub(in crate::config) fn port(mut raw: RawPort) -> Checked<PortSpec> {
    let name = port_name(raw.name.take())?;
    let Some(written) = raw.r#type.take() else {
        let owner = format!("port \"{name}\"");
        return Err(Misplaced::here(Fault::Missing { owner, key: "type", example: "\"af_packet\"" }));
    };
    let Some((port_type, own)) = TYPES.iter().find(|(port_type, _)| *port_type == written) else {
        return Err(Misplaced::key("type", none_of(&written, TYPE_NAMES)));
    };
    if let Some(key) = raw.own_keys().into_iter().find(|key| !own.contains(key)) {
        let takes = match own.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "no keys of its own".to_owned(),
            keys => keys,
        };
        return Err(Misplaced::key(key, Fault::Foreign { key, port_type, takes }));
    }
    if *port_type == "geneve" {
        if let Some(key) = raw.device_keys().into_iter().next() {
            let takes = "`number` and `no_flood` only".to_owned();
            return Err(Misplaced::key(key, Fault::Foreign { key, port_type, takes }));
        }
        raw.no_flood.get_or_insert(true);
    }
    let mtu = in_range("mtu", raw.mtu.unwrap_or(PortSpec::DEFAULT_MTU.into()), MTU)?;
    let kind = kind(&mut raw, port_type, mtu)?;
    let mut spec = PortSpec::new(&name, kind);
    spec.mtu = mtu as u16;
    if let Some(number) = raw.number {
        spec.number = Some(PortNo(in_range("number", number, (1, PortNo::MAX.0.into()))? as u16));
    }
    spec.n_rxq = small("n_rxq", raw.n_rxq, QUEUES)?.unwrap_or(spec.n_rxq);
    spec.n_txq = small("n_txq", raw.n_txq, QUEUES)?;
    spec.n_rxq_desc = small("n_rxq_desc", raw.n_rxq_desc, DESCRIPTORS)?;
    spec.n_txq_desc = small("n_txq_desc", raw.n_txq_desc, DESCRIPTORS)?;
    spec.mac = raw.mac.map(mac).transpose()?;
    spec.promiscuous = raw.promiscuous.unwrap_or(spec.promiscuous);
    spec.rss = raw.rss.unwrap_or(spec.rss);
    spec.checksum_offload = raw.checksum_offload.unwrap_or(spec.checksum_offload);
    spec.no_flood = raw.no_flood.unwrap_or(spec.no_flood);
    if let Some(text) = raw.rxq_affinity {
        spec.rxq_affinity = affinity(text, spec.n_rxq)?;
    }
    spec.iface_id = raw.iface_id.map(iface_id).transpose()?;
    Ok(spec)
}

impl RawPort {
    /// Keys given that belong to some types only.
    fn own_keys(&self) -> Vec<&'static str> {
        let given = [
            ("iface", self.iface.is_some()),
            ("socket", self.socket.is_some()),
            ("mode", self.mode.is_some()),
            ("rx_file", self.rx_file.is_some()),
            ("tx_file", self.tx_file.is_some()),
            ("infinite", self.infinite.is_some()),
            ("size", self.size.is_some()),
            ("no_rx", self.no_rx.is_some()),
            ("devargs", self.devargs.is_some()),
        ];
        given.into_iter().filter_map(|(key, given)| given.then_some(key)).collect()
    }

    /// Keys given that a port without a device has no use for.
    fn device_keys(&self) -> Vec<&'static str> {
        let given = [
            ("n_rxq", self.n_rxq.is_some()),
            ("n_txq", self.n_txq.is_some()),
            ("n_rxq_desc", self.n_rxq_desc.is_some()),
            ("n_txq_desc", self.n_txq_desc.is_some()),
            ("mtu", self.mtu.is_some()),
            ("mac", self.mac.is_some()),
            ("promiscuous", self.promiscuous.is_some()),
            ("rss", self.rss.is_some()),
            ("checksum_offload", self.checksum_offload.is_some()),
            ("rxq_affinity", self.rxq_affinity.is_some()),
            ("iface_id", self.iface_id.is_some()),
        ];
        given.into_iter().filter_map(|(key, given)| given.then_some(key)).collect()
    }
}

fn port_name(given: Option<String>) -> Checked<String> {
    let Some(given) = given else {
        let owner = "a port".to_owned();
        return Err(Misplaced::here(Fault::Missing { owner, key: "name", example: "\"p1\"" }));
    };
    let name = name("name", given)?;
    // A flow names ports by number too, and `output:5` must not have two meanings.
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) || name.starts_with("0x");
    if is_number || RESERVED.iter().any(|word| word.eq_ignore_ascii_case(&name)) {
        return Err(Misplaced::key("name", Fault::ReservedName(name)));
    }
    Ok(name)
}

fn kind(raw: &mut RawPort, port_type: &'static str, mtu: i64) -> Checked<PortKind> {
    let needs = |key, example| {
        let owner = format!("a port of type {port_type}");
        Misplaced::here(Fault::Missing { owner, key, example })
    };
    Ok(match port_type {
        "af_packet" => {
            PortKind::AfPacket { iface: iface(raw.iface.take().ok_or_else(|| needs("iface", "\"veth0\""))?)? }
        }
        "vhost-user" => {
            let socket = raw.socket.take().ok_or_else(|| needs("socket", "\"/run/millrace/vm1.sock\""))?;
            PortKind::VhostUser {
                socket: socket_path("socket", socket)?,
                mode: match raw.mode.as_deref() {
                    None | Some("server") => VhostMode::Server,
                    Some("client") => VhostMode::Client,
                    Some(other) => {
                        return Err(Misplaced::key("mode", none_of(other, &["server", "client"])));
                    }
                },
            }
        }
        "pcap" => {
            let rx_file = raw.rx_file.take().map(|file| capture("rx_file", file)).transpose()?;
            let tx_file = raw.tx_file.take().map(|file| capture("tx_file", file)).transpose()?;
            let infinite = raw.infinite.unwrap_or(false);
            if infinite && rx_file.is_none() {
                let owner = "infinite = true".to_owned();
                let example = "\"/tmp/in.pcap\"";
                return Err(Misplaced::key("infinite", Fault::Missing { owner, key: "rx_file", example }));
            }
            PortKind::Pcap { rx_file, tx_file, infinite }
        }
        "null" => PortKind::Null {
            size: in_range("size", raw.size.unwrap_or(64), (ETHERNET_HEADER, mtu + ETHERNET_HEADER))? as u16,
            no_rx: raw.no_rx.unwrap_or(false),
        },
        "vdev" => {
            let devargs = raw.devargs.take().ok_or_else(|| needs("devargs", "\"net_tap0,iface=tap0\""))?;
            PortKind::Vdev {
                devargs: one_word(
                    devargs,
                    "the devargs of a virtual device; write them without blanks, such as net_tap0,iface=tap0",
                )?,
            }
        }
        "pci" => {
            let devargs = raw.devargs.take().ok_or_else(|| needs("devargs", "\"0000:03:00.0\""))?;
            let wanted = "the address of a PCI device; write it as lspci -D does, such as 0000:03:00.0";
            if !is_pci_address(devargs.split(',').next().unwrap_or_default()) {
                return Err(bad_text("devargs", devargs, wanted));
            }
            PortKind::Pci { devargs: one_word(devargs, wanted)? }
        }
        "geneve" => PortKind::Geneve,
        _ => PortKind::Memory,
    })
}

fn iface(iface: String) -> Checked<String> {
    let bad = |c: char| !c.is_ascii_graphic() || matches!(c, '/' | ',' | ':');
    if iface.is_empty() || iface.len() > MAX_IFACE || iface.contains(bad) {
        return Err(bad_text(
            "iface",
            iface,
            "the name of a kernel interface; write one of those that `ip link` lists",
        ));
    }
    Ok(iface)
}

fn capture(key: &'static str, file: String) -> Checked<String> {
    if !file.starts_with('/') || file.contains([',', '\0']) {
        return Err(bad_text(
            key,
            file,
            "the path of a capture file; write one from the root, without commas",
        ));
    }
    Ok(file)
}

fn one_word(devargs: String, wanted: &str) -> Checked<String> {
    if devargs.is_empty() || !devargs.chars().all(|c| c.is_ascii_graphic()) {
        return Err(bad_text("devargs", devargs, wanted));
    }
    Ok(devargs)
}

/// Whether a text has the form dddd:bb:dd.f, all hexadecimal, the domain left out or not.
fn is_pci_address(text: &str) -> bool {
    let hex = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|c| c.is_ascii_hexdigit());
    let Some((bus_and_device, function)) = text.rsplit_once('.') else { return false };
    let mut parts = bus_and_device.rsplit(':');
    let device = parts.next().is_some_and(|device| hex(device, 2));
    let bus = parts.next().is_some_and(|bus| hex(bus, 2));
    let domain = parts.next().is_none_or(|domain| hex(domain, 4));
    device && bus && domain && parts.next().is_none() && matches!(function.as_bytes(), [b'0'..=b'7'])
}

/// The address of a port.
pub(super) fn mac(text: String) -> Checked<Mac> {
    let mac: Mac = text.parse().map_err(|error| Misplaced::key("mac", Fault::BadMac(error)))?;
    if mac.is_multicast() || mac == Mac::default() {
        return Err(bad_text(
            "mac",
            text,
            "an address that a port can have; write one with an even first byte that is not all zero",
        ));
    }
    Ok(mac)
}

/// The name of a logical port.
pub(in crate::config) fn iface_id(text: String) -> Checked<String> {
    if text.trim().is_empty() || text.len() > MAX_IFACE_ID || text.contains(|c: char| c.is_control()) {
        let wanted = "the name of a logical port; write it as `ovn-nbctl lsp-list` does, such as vm1";
        return Err(bad_text("iface_id", text, wanted));
    }
    Ok(text)
}

fn small(key: &'static str, value: Option<i64>, range: (i64, i64)) -> Checked<Option<u16>> {
    value.map(|value| Ok(in_range(key, value, range)? as u16)).transpose()
}

/// Reads QUEUE:WORKER pairs with commas between.
fn affinity(text: String, queues: u16) -> Checked<Vec<(u16, u16)>> {
    let mut seen = HashSet::new();
    let mut pairs = Vec::new();
    for pair in text.split(',') {
        let read = || {
            let (queue, worker) = pair.split_once(':')?;
            Some((plain_number(queue)?, plain_number(worker)?))
        };
        let Some((queue, worker)) = read() else {
            return Err(bad_text(
                "rxq_affinity",
                text,
                "a list of QUEUE:WORKER pairs; write it such as 0:1,1:0",
            ));
        };
        if queue >= queues {
            let fault = Fault::NoSuch {
                what: format!("queue {queue}"),
                mend: format!("`n_rxq` makes {queues}, numbered from 0"),
            };
            return Err(Misplaced::key("rxq_affinity", fault));
        }
        first_time(&mut seen, queue, || format!("queue {queue}"), "name every queue once")
            .map_err(|fault| Misplaced::key("rxq_affinity", fault))?;
        pairs.push((queue, worker));
    }
    Ok(pairs)
}

fn plain_number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
