//! What can be said of a port before its device is opened, in better words than a driver has.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;

use crate::config::{PortKind, PortSpec, VhostMode};

/// First bytes of a pcapng file.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Longest path of a unix socket, without the NUL byte.
const SOCKET_PATH: usize = 107;

/// Looks at what the port names: interface, files, socket.
pub fn check(spec: &PortSpec) -> Result<(), String> {
    match &spec.kind {
        PortKind::AfPacket { iface } => interface(iface),
        PortKind::VhostUser { socket, mode } => unix_socket(socket, *mode),
        PortKind::Pcap { rx_file, tx_file, .. } => {
            let write = |file: &String| {
                File::options().append(true).create(true).open(file).map(drop).map_err(|error| {
                    format!("the capture file {file} cannot be written ({error}); mend `tx_file`")
                })
            };
            if let (Some(rx), Some(tx)) = (rx_file, tx_file)
                && is_same(rx, tx)
            {
                return Err(format!(
                    "`rx_file` and `tx_file` are one file, {rx}, which would be emptied before it is read; name another"
                ));
            }
            rx_file.iter().try_for_each(|file| readable_capture(file))?;
            tx_file.iter().try_for_each(write)
        }
        PortKind::Null { .. }
        | PortKind::Vdev { .. }
        | PortKind::Pci { .. }
        | PortKind::Memory
        | PortKind::Geneve => Ok(()),
    }
}

fn is_same(one: &str, other: &str) -> bool {
    let identity = |file: &str| fs::metadata(file).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|found| Some(found) == identity(other))
}

/// Whether the file is a capture of Ethernet frames, by its header.
fn readable_capture(file: &str) -> Result<(), String> {
    let opened = File::open(file)
        .map_err(|error| format!("the capture file {file} cannot be read ({error}); mend `rx_file`"))?;
    let mut start = Vec::new();
    let _ = opened.take(4).read_to_end(&mut start);
    if start == PCAPNG {
        return Ok(());
    }
    let header = File::open(file).ok().and_then(|file| PcapReader::new(file).ok());
    match header.map(|reader| reader.header().datalink) {
        Some(DataLink::ETHERNET) => Ok(()),
        Some(other) => Err(format!(
            "the capture file {file} holds {other:?} and not Ethernet frames; capture on an Ethernet interface"
        )),
        None => Err(format!("{file} is no capture file (pcap or pcapng); mend `rx_file`")),
    }
}

fn interface(iface: &str) -> Result<(), String> {
    if Path::new("/sys/class/net").join(iface).exists() {
        return Ok(());
    }
    Err(format!(
        "there is no kernel interface \"{iface}\" in this network namespace; create it, or mend `iface` (`ip link` \
         lists what there is)"
    ))
}

fn unix_socket(socket: &str, mode: VhostMode) -> Result<(), String> {
    let path = Path::new(socket);
    if socket.len() > SOCKET_PATH {
        return Err(format!(
            "the path of the socket has {} bytes and a unix socket's has at most {SOCKET_PATH}; choose a shorter one",
            socket.len()
        ));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        return Err(format!(
            "the folder {} of the socket does not exist; create it, or mend `socket`",
            folder.display()
        ));
    }
    // The driver would take away whatever stands there.
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(format!(
            "{socket} exists and is no socket; choose another path for the socket, or move it away"
        ));
    }
    if mode == VhostMode::Client {
        return Ok(());
    }
    if UnixStream::connect(path).is_ok() {
        return Err(format!(
            "another process, or this switch, listens on the socket {socket}; stop it, choose another path, or connect \
             to it with `mode = \"client\"`"
        ));
    }
    // Left behind by a switch that was killed.
    fs::remove_file(path).map_err(|error| {
        format!("the stale socket {socket} cannot be removed ({error}); remove it, or choose another path")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn af_packet(name: &str, iface: &str) -> PortSpec {
        PortSpec::new(name, PortKind::AfPacket { iface: iface.to_owned() })
    }

    #[test]
    fn what_stands_in_the_place_of_a_socket_or_a_capture_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let precious = at("precious");
        fs::write(&precious, "precious").unwrap();
        let vhost = |socket: &str| {
            let kind = PortKind::VhostUser { socket: socket.to_owned(), mode: VhostMode::Server };
            check(&PortSpec::new("g", kind))
        };
        assert!(vhost(&precious).unwrap_err().contains("is no socket"));
        let stale = at("stale");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        assert_eq!(vhost(&stale), Ok(()));
        assert!(!Path::new(&stale).exists(), "a stale socket is taken away");
        let pcap = |rx: &str, tx: Option<&str>| {
            let (rx_file, tx_file) = (Some(rx.to_owned()), tx.map(str::to_owned));
            check(&PortSpec::new("c", PortKind::Pcap { rx_file, tx_file, infinite: false }))
        };
        assert!(pcap(&precious, None).unwrap_err().contains("is no capture file"));
        let link = at("link");
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        assert!(pcap(&precious, Some(&link)).unwrap_err().contains("are one file"));
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = check(&af_packet("p", "mr-none")).unwrap_err();
        assert!(missing.starts_with("there is no kernel interface \"mr-none\""), "{missing}");
        assert_eq!(check(&af_packet("p", "lo")), Ok(()));
        let socket = |socket: String, mode| {
            check(&PortSpec::new("g", PortKind::VhostUser { socket, mode })).unwrap_err()
        };
        assert!(socket("/no/such/folder/s".to_owned(), VhostMode::Server).contains("does not exist"));
        assert!(socket(format!("/{}", "x".repeat(120)), VhostMode::Client).contains("at most 107"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(socket(path.to_str().unwrap().to_owned(), VhostMode::Server).contains("another process"));
        let kind = PortKind::Pcap { rx_file: Some("/no/file".to_owned()), tx_file: None, infinite: false };
        assert!(check(&PortSpec::new("c", kind)).unwrap_err().contains("cannot be read"));
    }
}
