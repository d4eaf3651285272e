//! A socket that stops: at a deadline, and after so many bytes.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A socket with a deadline and a number of bytes that may still be read.
#[derive(Debug)]
pub(super) struct Bounded {
    socket: UnixStream,
    deadline: Option<Instant>,
    may_read: u64,
}

impl Bounded {
    /// Nothing may be read before [`Bounded::start`].
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, deadline: None, may_read: 0 }
    }

    /// Sets both bounds anew. Without a deadline it waits for ever.
    pub fn start(&mut self, deadline: Option<Instant>, may_read: u64) {
        self.deadline = deadline;
        self.may_read = may_read;
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            // Zero is what the system takes for no timeout at all.
            Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

/// A socket's timeout shows as "would block".
fn as_timeout(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.may_read == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.socket.set_read_timeout(self.left()?)?;
        let most = usize::try_from(self.may_read).unwrap_or(usize::MAX).min(into.len());
        let read = self.socket.read(into.get_mut(..most).unwrap_or_default()).map_err(as_timeout)?;
        self.may_read -= read as u64;
        Ok(read)
    }
}

impl Write for Bounded {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(from).map_err(as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
