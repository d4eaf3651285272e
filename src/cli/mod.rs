//! The `millrace` command: from the words of the command line to calls of the switch and back to its words.
//!
//! The invariant: what the switch says is printed as it is, results to standard output and refusals to standard
//! error, and the exit code alone tells a script what happened ([`run`]).

mod args;
mod detrace;
mod frames;
mod nbctl;
mod ovn;
mod request;
mod sbctl;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::client::{Client, ClientError, DEFAULT_SOCKET};
use args::{Arguments, BfdCommand, Command, OfctlCommand, OvnCommand, UnderlayCommand, WorkerCommand};
use frames::Source;
use request::Request;
use sbctl::SbctlCommand;

/// Name of the environment variable that names the socket.
pub const SOCKET_VARIABLE: &str = "MILLRACE_SOCKET";

/// Frames in one message of `inject`, so that the ring to a worker is not run over.
const BATCH_FRAMES: usize = 32;
/// Hexadecimal digits in one message of `inject`, but for a single frame that has more.
const BATCH_DIGITS: usize = 1 << 20;
/// Pause between two looks of `monitor --follow`.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);

/// Where a command reads and writes.
pub struct Streams<'a> {
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// Standard error.
    pub errors: &'a mut dyn Write,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The command line, or a file it names, is wrong.
    #[error("{0}")]
    Usage(String),
    /// The switch refused or was not there.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Lines that are not of OVN's language; each was answered where it stood.
    #[error("{0} of the lines could not be read; the answers say why")]
    Lines(usize),
    /// Tunnel keys of two hosts.
    #[error(
        "keys that differ: {0}; the hosts do not understand each other's packets until they are given the same networks"
    )]
    Keys(usize),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}; look where the output goes")]
    Output(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Client(ClientError::Refused(_)) | Failure::Lines(_) | Failure::Keys(_) => 1,
            Failure::Usage(_) | Failure::Client(ClientError::TooLong { .. }) => 2,
            Failure::Client(
                ClientError::NotThere { .. }
                | ClientError::Denied { .. }
                | ClientError::Lost { .. }
                | ClientError::NotASwitch { .. }
                | ClientError::AnswerTooLong,
            ) => 3,
            Failure::Client(ClientError::TimedOut { .. }) => 4,
            Failure::Output(_) => 5,
        }
    }
}

/// Runs one command and returns its exit code: 0 done, 1 the switch (or `ovn` a line) refused, 2 wrong use, 3 the
/// switch cannot be reached, 4 it did not answer in time, 5 the answer could not be written. `socket` is what the
/// environment says.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    socket: Option<OsString>,
    streams: &mut Streams<'_>,
) -> u8 {
    let arguments = match Arguments::try_parse_from(nbctl::set_apart(words.into_iter().collect())) {
        Ok(arguments) => arguments,
        Err(error) => {
            let (to, code): (&mut dyn Write, _) =
                if error.use_stderr() { (streams.errors, 2) } else { (streams.output, 0) };
            // Nobody is left to tell.
            let _ = write!(to, "{}", error.render()).and_then(|()| to.flush());
            return code;
        }
    };
    let target = arguments
        .target
        .or_else(|| socket.filter(|socket| !socket.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET));
    let mut session = Session { target, timeout: arguments.timeout, json: arguments.json, streams };
    match session.execute(arguments.command) {
        Ok(()) => 0,
        // A reader that has seen enough, such as `head`.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(failure) => {
            let code = failure.exit_code();
            // Nobody is left to tell.
            let _ = writeln!(streams.errors, "{failure}");
            code
        }
    }
}

struct Session<'s, 'a> {
    target: PathBuf,
    timeout: Duration,
    json: bool,
    streams: &'s mut Streams<'a>,
}

impl Session<'_, '_> {
    fn execute(&mut self, command: Command) -> Result<(), Failure> {
        let request = match command {
            Command::Show => Request::bare("show"),
            Command::Port(command) => request::port(command)?,
            Command::Worker(WorkerCommand::List) => Request::bare("worker/list"),
            Command::Rxq(command) => request::rxq(command)?,
            Command::Perf(command) => request::perf(command),
            Command::Underlay(UnderlayCommand::Show) => Request::bare("underlay/show"),
            Command::Underlay(UnderlayCommand::Routes) => Request::bare("ovs/route/show"),
            Command::Underlay(UnderlayCommand::Neighbours) => Request::bare("tnl/neigh/show"),
            Command::Bfd(BfdCommand::Show { chassis }) => {
                Request::with("bfd/show", chassis.into_iter().collect())
            }
            Command::Megaflow(command) => request::megaflow(command)?,
            Command::Ofctl(command) => {
                let follow = matches!(command, OfctlCommand::Monitor { follow: true, .. });
                let request = request::ofctl(command, self.streams.input)?;
                if follow {
                    return self.follow(request);
                }
                request
            }
            Command::Sbctl(arguments) => match arguments.command {
                SbctlCommand::Load { file, chassis } => {
                    return self.load(&arguments.options, &file, chassis);
                }
                SbctlCommand::Compare { file } => return self.compare(&arguments.options, &file),
                SbctlCommand::Unload => Request::bare("sbctl/unload"),
                SbctlCommand::Read(command) => sbctl::request(arguments.options, command)?,
                SbctlCommand::Change(command) => sbctl::change(&arguments.options, command)?,
            },
            Command::Nbctl(arguments) => return self.nbctl(arguments),
            Command::Trace(arguments) => request::trace(arguments)?,
            Command::Detrace { cookies } => return self.detrace(cookies),
            Command::Drops => Request::bare("drops"),
            Command::Stats { clear: false } => Request::bare("stats"),
            Command::Stats { clear: true } => Request::bare("stats/clear"),
            Command::Inject { port, frames, count } => return self.inject(&port, &frames, count),
            Command::Ovn(command) => return self.ovn(command),
            Command::Version => return self.version(),
            Command::ListCommands => Request::bare("list-commands"),
            Command::Raw { method, params } => Request { method, params },
            Command::Exit => Request::bare("exit"),
        };
        let answer = self.call(&mut self.connect()?, request)?;
        self.print(&answer)
    }

    fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.target, self.timeout)?)
    }

    fn call(&self, client: &mut Client, request: Request) -> Result<String, Failure> {
        let mut params = request.params;
        if self.json {
            params.insert(0, "--json".to_owned());
        }
        Ok(client.call(&request.method, &params)?)
    }

    /// Prints an answer, and ends its last line if it does not end itself.
    fn print(&mut self, answer: &str) -> Result<(), Failure> {
        let output = &mut self.streams.output;
        output.write_all(answer.as_bytes())?;
        if !answer.is_empty() && !answer.ends_with('\n') {
            output.write_all(b"\n")?;
        }
        Ok(output.flush()?)
    }

    fn version(&mut self) -> Result<(), Failure> {
        let own = env!("CARGO_PKG_VERSION");
        if !self.json {
            self.print(&format!("millrace {own}"))?;
        }
        let server = self.call(&mut self.connect()?, Request::bare("version"))?;
        if self.json {
            let server = serde_json::from_str(&server).unwrap_or(serde_json::Value::String(server));
            self.print(&serde_json::json!({ "client": own, "server": server }).to_string())
        } else {
            self.print(&server)
        }
    }

    /// Answers every line of standard input where it stands, so that answers and lines stay in step.
    fn ovn(&mut self, command: OvnCommand) -> Result<(), Failure> {
        let reader = ovn::Reader::new(command)?;
        let mut refused = 0;
        let lines = BufReader::new(&mut *self.streams.input).split(b'\n');
        for (number, line) in (1..).zip(lines) {
            let line = line.map_err(|error| {
                Failure::Usage(format!("cannot read standard input: {error}; look where it comes from"))
            })?;
            let line = request::utf8(line, number).map_err(|place| {
                Failure::Usage(format!("standard input is not a text in UTF-8 at {place}; mend that line"))
            })?;
            let line = line.strip_suffix('\r').unwrap_or(&line);
            let answer = reader.read(line);
            let text = if self.json { answer.json(line) } else { answer.text(line) };
            self.streams.output.write_all(text.as_bytes())?;
            refused += usize::from(answer.result.is_err());
        }
        self.streams.output.flush()?;
        if refused > 0 { Err(Failure::Lines(refused)) } else { Ok(()) }
    }

    /// Asks again and again, and prints what is new.
    fn follow(&mut self, request: Request) -> Result<(), Failure> {
        let mut client = self.connect()?;
        loop {
            let again = Request { method: request.method.clone(), params: request.params.clone() };
            let answer = self.call(&mut client, again)?;
            if !matches!(answer.trim(), "" | "[]") {
                self.print(&answer)?;
            }
            thread::sleep(FOLLOW_PAUSE);
        }
    }

    /// Sends frames in messages of bounded size. One message is answered by the switch's own words; several by how
    /// much there was in all, or, as JSON, by one answer a line.
    fn inject(&mut self, port: &str, words: &[String], count: u64) -> Result<(), Failure> {
        let sources = words.iter().map(|word| Source::from_word(word)).collect::<Result<Vec<_>, _>>()?;
        let mut client = self.connect()?;
        let mut injection = Injection { port, batch: Vec::new(), digits: 0, frames: 0, cut: 0, messages: 0 };
        let mut last = None;
        for _ in 0..count {
            for source in &sources {
                match source {
                    Source::Frame(digits) => {
                        self.offer(&mut client, &mut injection, digits.clone(), &mut last)?;
                    }
                    Source::File(path) => frames::read_capture(path, |frame| {
                        injection.cut += u64::from(frame.cut);
                        self.offer(&mut client, &mut injection, frames::hex(frame.data), &mut last)
                    })?,
                }
            }
            if injection.frames == 0 {
                return Err(Failure::Usage(format!(
                    "{} holds no frame; give one that does",
                    words.join(", ")
                )));
            }
        }
        self.flush(&mut client, &mut injection, &mut last)?;
        if injection.cut > 0 {
            // Where standard error is closed the note is not worth failing for.
            let _ = writeln!(
                self.streams.errors,
                "note: {} frame(s) were cut short when they were captured, and injected so",
                injection.cut
            );
        }
        match last {
            Some(answer) if injection.messages == 1 || self.json => self.print(&answer),
            _ => {
                let Injection { frames, messages, .. } = injection;
                self.print(&format!("{frames} frames injected at {port}, in {messages} messages"))
            }
        }
    }

    fn offer(
        &mut self,
        client: &mut Client,
        injection: &mut Injection<'_>,
        digits: String,
        last: &mut Option<String>,
    ) -> Result<(), Failure> {
        let full = injection.batch.len() >= BATCH_FRAMES || injection.digits + digits.len() > BATCH_DIGITS;
        if full && !injection.batch.is_empty() {
            self.flush(client, injection, last)?;
        }
        injection.digits += digits.len();
        injection.frames += 1;
        injection.batch.push(digits);
        Ok(())
    }

    fn flush(
        &mut self,
        client: &mut Client,
        injection: &mut Injection<'_>,
        last: &mut Option<String>,
    ) -> Result<(), Failure> {
        if let Some(answer) = last.take()
            && self.json
        {
            self.print(&answer)?;
        }
        let batch = std::mem::take(&mut injection.batch);
        let before = injection.frames - batch.len() as u64;
        let params = [injection.port.to_owned()].into_iter().chain(batch).collect();
        let answer = self.call(client, Request::with("inject", params)).map_err(|failure| match failure {
            Failure::Client(ClientError::Refused(said)) if before > 0 => Failure::Client(
                ClientError::Refused(format!("{said}\n({before} frames were injected before)")),
            ),
            other => other,
        })?;
        injection.digits = 0;
        injection.messages += 1;
        *last = Some(answer);
        Ok(())
    }
}

/// How far `inject` is.
struct Injection<'a> {
    port: &'a str,
    batch: Vec<String>,
    digits: usize,
    frames: u64,
    cut: u64,
    messages: u64,
}
