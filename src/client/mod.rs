//! A client of the control socket: JSON-RPC 1.0, as `ovs-appctl` speaks it, over a blocking unix socket.
//!
//! The invariant: no call waits longer than the timeout it was given, and none reads or sends without a bound.

mod stream;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use stream::Bounded;

/// Where `millraced` listens if nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/millrace/millraced.ctl";
/// Longest request; the switch refuses longer ones too.
pub const MAX_REQUEST: usize = 16 << 20;
/// Longest answer.
pub const MAX_ANSWER: u64 = 256 << 20;

/// A connection to a switch.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    timeout: Duration,
    stream: BufReader<Bounded>,
    next_id: u64,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The switch answered with an error; its own words, which may have several lines.
    #[error("{0}")]
    Refused(String),
    /// There is no switch at the socket.
    #[error(
        "cannot reach millraced at {}: {cause}; is it running? start it with `millraced --config FILE`, or name \
         its socket with `-t`",
        path.display()
    )]
    NotThere {
        /// The socket.
        path: PathBuf,
        /// What the connection failed of.
        cause: String,
    },
    /// The socket is there, but not for this user.
    #[error("cannot reach millraced at {}: permission denied; {mend}", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
        /// Who may.
        mend: String,
    },
    /// The connection broke.
    #[error("millraced at {} ended the connection before it answered ({cause}); its log says why", path.display())]
    Lost {
        /// The socket.
        path: PathBuf,
        /// What was seen of it.
        cause: String,
    },
    /// Something else listens there.
    #[error("what listens at {} does not speak as millraced does: {cause}; name another socket with `-t`", path.display())]
    NotASwitch {
        /// The socket.
        path: PathBuf,
        /// What it said.
        cause: String,
    },
    /// No answer in time. The switch may still do what it was asked.
    #[error(
        "millraced at {} did not answer within {} s; what was asked may still happen, so look before you ask again, \
         and wait longer with `-T`",
        path.display(),
        timeout.as_secs_f32()
    )]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        timeout: Duration,
    },
    /// The request is longer than the switch takes.
    #[error(
        "the request has {length} bytes and the switch takes {MAX_REQUEST}; split it, and know that each part is a \
         change of its own"
    )]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// The answer is longer than anybody wants.
    #[error("the answer has more than {MAX_ANSWER} bytes; ask for less, such as for one table")]
    AnswerTooLong,
}

/// What comes back.
#[derive(Deserialize)]
struct Answer {
    id: Value,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Value,
}

impl Client {
    /// Connects to the switch at `path`. `timeout` bounds this and every call by itself.
    pub fn connect(path: impl Into<PathBuf>, timeout: Duration) -> Result<Self, ClientError> {
        let path = path.into();
        let (send, receive) = mpsc::channel();
        let target = path.clone();
        // A listener whose queue is full lets connect(2) wait without bound, and a socket that does not exist yet
        // has no timeout to set: the wait is put on a thread and bounded here.
        let spawned = thread::Builder::new().spawn(move || {
            // Nobody takes it when the time is over; the connection is closed by that.
            let _ = send.send(UnixStream::connect(target));
        });
        if let Err(error) = spawned {
            return Err(ClientError::NotThere { path, cause: error.to_string() });
        }
        match receive.recv_timeout(timeout) {
            Ok(Ok(stream)) => {
                let stream = BufReader::with_capacity(1 << 16, Bounded::new(stream));
                Ok(Self { path, timeout, stream, next_id: 1 })
            }
            Ok(Err(error)) => Err(not_connected(path, &error)),
            Err(_) => Err(ClientError::TimedOut { path, timeout }),
        }
    }

    /// Calls a method with these parameters and returns its result, a text.
    pub fn call<S: AsRef<str>>(&mut self, method: &str, params: &[S]) -> Result<String, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let params: Vec<&str> = params.iter().map(AsRef::as_ref).collect();
        let request = serde_json::json!({ "id": id, "method": method, "params": params }).to_string();
        if request.len() > MAX_REQUEST {
            return Err(ClientError::TooLong { length: request.len() });
        }
        // A timeout beyond what the clock can say is none.
        let deadline = Instant::now().checked_add(self.timeout);
        self.stream.get_mut().start(deadline, MAX_ANSWER);
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        // A switch that refuses a request half-way may have said why before it hung up.
        if let Err(error) = sent
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(self.broken(&error));
        }
        let mut answers = serde_json::Deserializer::from_reader(&mut self.stream).into_iter::<Answer>();
        let answer = match answers.next() {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => return Err(self.unreadable(error)),
            None => return Err(self.broken(&io::Error::other("end of stream"))),
        };
        if answer.id != id {
            let cause = format!("it answers request {} where {id} was asked", answer.id);
            return Err(ClientError::NotASwitch { path: self.path.clone(), cause });
        }
        match answer.error {
            Value::Null => Ok(text_of(answer.result)),
            error => Err(ClientError::Refused(text_of(error).trim_end().to_owned())),
        }
    }

    fn unreadable(&self, error: serde_json::Error) -> ClientError {
        match error.classify() {
            serde_json::error::Category::Io => self.broken(&error.into()),
            serde_json::error::Category::Eof => self.broken(&io::Error::other("half an answer")),
            _ => ClientError::NotASwitch { path: self.path.clone(), cause: error.to_string() },
        }
    }

    fn broken(&self, error: &io::Error) -> ClientError {
        let path = self.path.clone();
        match error.kind() {
            io::ErrorKind::TimedOut => ClientError::TimedOut { path, timeout: self.timeout },
            io::ErrorKind::FileTooLarge => ClientError::AnswerTooLong,
            _ => ClientError::Lost { path, cause: error.to_string() },
        }
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn not_connected(path: PathBuf, error: &io::Error) -> ClientError {
    let cause = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let mend = who_may(&path);
            return ClientError::Denied { path, mend };
        }
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ => error.to_string(),
    };
    ClientError::NotThere { path, cause }
}

/// How a user who may not connect gets to.
fn who_may(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(socket) if socket.mode() & 0o060 == 0o060 => match group_name(socket.gid()) {
            Some(group) => format!(
                "group \"{group}\" may connect: join it with `usermod -aG {group} USER` and log in again, or use sudo"
            ),
            None => format!("the group with number {} may connect: join it, or use sudo", socket.gid()),
        },
        Ok(_) => {
            "only the user that millraced runs as may connect: use sudo, or set `control.mode` to \"0660\""
                .to_owned()
        }
        Err(_) => {
            "its folder is closed to this user: use sudo, or open the folder to the socket's group".to_owned()
        }
    }
}

fn group_name(gid: u32) -> Option<String> {
    fs::read_to_string("/etc/group").ok()?.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}
