//! The listening socket in the file system: made so that nobody sees it who may not use it, taken away at the end.
//!
//! It is bound inside a directory that only this process may enter, gets its mode and group there, and is then renamed
//! to its place. So at no moment more people can connect than the configuration says, and a stale socket of a process
//! that died is replaced in one step. While that goes on the run directory is locked, so that of two switches that
//! start together only one gets the place.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config;

/// Longest path that fits a socket address.
const MAX_PATH: usize = 107;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error(
        "another millraced is running: something answers on {0}; stop it, or give this one another `control.socket`"
    )]
    AlreadyRunning(PathBuf),
    /// A file that is no socket is in the way.
    #[error("{0} exists and is not a socket; remove it, or choose another `control.socket`")]
    NotASocket(PathBuf),
    /// Longer than a socket address.
    #[error(
        "the path {0} is longer than the {MAX_PATH} bytes of a socket address; choose a shorter `control.socket`"
    )]
    PathTooLong(PathBuf),
    /// The directory stays locked.
    #[error("{0} is locked by another process that is starting or that never lets go; try again")]
    Locked(PathBuf),
    /// No group of that name.
    #[error(
        "there is no group \"{0}\" in /etc/group; create it with `groupadd {0}` or change `control.group`"
    )]
    NoSuchGroup(String),
    /// The system refuses.
    #[error("cannot {what} {path}: {source}; check the path and the rights of its directory")]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A listening socket, whose file goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: tokio::net::UnixListener,
    path: PathBuf,
    /// Device and inode of the file, so that the socket of a successor is left alone.
    file: (u64, u64),
}

impl ControlSocket {
    /// Listens where the configuration says.
    pub async fn bind(config: &config::Control) -> Result<Self, SocketError> {
        let path = &config.socket;
        if path.as_os_str().len() > MAX_PATH {
            return Err(SocketError::PathTooLong(path.clone()));
        }
        let group = config.group.as_deref().map(group_id).transpose()?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .map_err(system("create the directory", directory))?;
        let _lock = lock(directory)?;
        refuse_if_taken(path).await?;

        let private = directory.join(format!(".mr{}", std::process::id()));
        // Left by a process of the same number that was killed just here; the lock says that it is gone.
        let _ = fs::remove_file(private.join("s"));
        let _ = fs::remove_dir(&private);
        DirBuilder::new().mode(0o700).create(&private).map_err(system("create", &private))?;
        let bound = bind_in(&private, path, config.mode, group);
        fs::remove_dir(&private).map_err(system("remove", &private))?;
        let (listener, file) = bound?;
        let socket = Self { listener, path: path.clone(), file };
        tracing::info!(socket = %path.display(), mode = format_args!("{:o}", config.mode), "listening");
        Ok(socket)
    }

    /// Waits for the next client.
    pub async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "cannot remove the control socket");
        }
    }
}

fn system<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> SocketError + use<'a> {
    move |source| SocketError::System { what, path: path.to_owned(), source }
}

/// Locks the directory until the file is dropped; waits a second for another that starts.
fn lock(directory: &Path) -> Result<File, SocketError> {
    let file = File::open(directory).map_err(system("open", directory))?;
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(system("lock", directory)(source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(SocketError::Locked(directory.to_owned()));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Only a socket on which nobody answers may be replaced.
async fn refuse_if_taken(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system("look at", path)(error)),
        Ok(there) if !there.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match tokio::net::UnixStream::connect(path).await {
        Ok(_) => Err(SocketError::AlreadyRunning(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(socket = %path.display(), "replacing the socket of a process that is gone");
            Ok(())
        }
        // A full backlog: somebody is there, only busy.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(SocketError::AlreadyRunning(path.to_owned()))
        }
        Err(error) => Err(system("try", path)(error)),
    }
}

fn bind_in(
    private: &Path,
    path: &Path,
    mode: u32,
    group: Option<u32>,
) -> Result<(tokio::net::UnixListener, (u64, u64)), SocketError> {
    let hidden = private.join("s");
    let place = || {
        let listener = StdListener::bind(&hidden).map_err(system("bind", &hidden))?;
        if group.is_some() {
            chown(&hidden, None, group).map_err(system("set the group of", path))?;
        }
        fs::set_permissions(&hidden, Permissions::from_mode(mode))
            .map_err(system("set the mode of", path))?;
        listener.set_nonblocking(true).map_err(system("set up", path))?;
        let file = fs::symlink_metadata(&hidden).map_err(system("look at", &hidden))?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(system("listen on", path))?;
        fs::rename(&hidden, path).map_err(system("create", path))?;
        Ok((listener, (file.dev(), file.ino())))
    };
    let placed = place();
    if placed.is_err() {
        // Gone already unless a step between bind and rename failed; the error of that step is the one to tell.
        let _ = fs::remove_file(&hidden);
    }
    placed
}

/// The number of a group, by name or by number.
fn group_id(name: &str) -> Result<u32, SocketError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let path = Path::new("/etc/group");
    let groups = fs::read_to_string(path).map_err(system("read", path))?;
    group_in(&groups, name).ok_or_else(|| SocketError::NoSuchGroup(name.to_owned()))
}

/// Looks a group up in text of the form `name:password:number:members`.
fn group_in(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut columns = line.split(':');
        (columns.next()? == name).then(|| columns.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(path: &Path) -> config::Control {
        config::Control { socket: path.to_owned(), mode: 0o660, group: None, cores: Vec::new() }
    }

    #[tokio::test]
    async fn makes_its_directory_sets_the_mode_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/deep/s.ctl");
        let socket = ControlSocket::bind(&config(&path)).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        drop(socket);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn replaces_a_stale_socket_but_no_living_one_and_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.ctl");
        drop(StdListener::bind(&path).unwrap());
        let first = ControlSocket::bind(&config(&path)).await.unwrap();
        assert!(matches!(ControlSocket::bind(&config(&path)).await, Err(SocketError::AlreadyRunning(_))));
        drop(first);
        fs::write(&path, "precious").unwrap();
        assert!(matches!(ControlSocket::bind(&config(&path)).await, Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn leaves_the_socket_of_a_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.ctl");
        let first = ControlSocket::bind(&config(&path)).await.unwrap();
        fs::remove_file(&path).unwrap();
        let second = ControlSocket::bind(&config(&path)).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(MAX_PATH));
        assert!(matches!(ControlSocket::bind(&config(&long)).await, Err(SocketError::PathTooLong(_))));
        let grouped = config::Control {
            group: Some("no-such-group-here".to_owned()),
            ..config(&dir.path().join("s.ctl"))
        };
        assert!(matches!(ControlSocket::bind(&grouped).await, Err(SocketError::NoSuchGroup(_))));
    }

    #[test]
    fn groups() {
        let text = "root:x:0:\nmill:x:998:alice,bob\nmillrace:x:1001:\n";
        assert_eq!(group_in(text, "mill"), Some(998));
        assert_eq!(group_in(text, "millrace"), Some(1001));
        assert_eq!(group_in(text, "mil"), None);
    }
}
