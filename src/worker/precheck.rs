//! What can be said of a port before its device is opened, in better words than a driver has.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::config::{PortKind, PortSpec, VhostMode};

/// Longest path of a unix socket, without the NUL byte.
const SOCKET_PATH: usize = 107;

/// Looks at what the port names: interface, files, socket.
pub fn check(spec: &PortSpec) -> Result<(), String> {
    match &spec.kind {
        PortKind::AfPacket { iface } => interface(iface),
        PortKind::VhostUser { socket, mode } => unix_socket(socket, *mode),
        PortKind::Pcap { rx_file, tx_file, .. } => {
            let read = |file: &String| {
                File::open(file).map(drop).map_err(|error| {
                    format!("the capture file {file} cannot be read ({error}); mend `rx_file`")
                })
            };
            let write = |file: &String| {
                File::options().append(true).create(true).open(file).map(drop).map_err(|error| {
                    format!("the capture file {file} cannot be written ({error}); mend `tx_file`")
                })
            };
            rx_file.iter().try_for_each(read)?;
            tx_file.iter().try_for_each(write)
        }
        PortKind::Null { .. } | PortKind::Vdev { .. } | PortKind::Pci { .. } | PortKind::Memory => Ok(()),
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
    if mode == VhostMode::Server && UnixStream::connect(path).is_ok() {
        return Err(format!(
            "another process listens on the socket {socket}; stop it, choose another path, or connect to it with \
             `mode = \"client\"`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn af_packet(name: &str, iface: &str) -> PortSpec {
        PortSpec::new(name, PortKind::AfPacket { iface: iface.to_owned() })
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
