//! The clients of the control socket: each has a task that reads a request, has it done, writes the answer, and only
//! then reads on.
//!
//! So a client holds at most one message and one answer in memory, and one that does not read its answers stops itself.
//! Every wait for a client is bounded; none of them holds up another client or the packet path.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::commands::{self, Session};
use super::jsonrpc::{self, FrameError, Framer, Id, MAX_MESSAGE};
use super::socket::ControlSocket;
use super::switch::Switch;

/// What a client may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one message.
    pub message: usize,
    /// Clients at once.
    pub clients: usize,
    /// Clients beyond those that are told so; more are hung up on.
    pub refused_clients: usize,
    /// How long half a message may wait for more of it.
    pub half_message: Duration,
    /// How long a client may take to read a mebibyte of an answer.
    pub write: Duration,
    /// How long what a refused client still sends is read, so that it comes to read the refusal.
    pub linger: Duration,
    /// How long clients have to read their last answers when the switch stops.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: MAX_MESSAGE,
            clients: 64,
            refused_clients: 16,
            half_message: Duration::from_secs(30),
            write: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            goodbye: Duration::from_millis(300),
        }
    }
}

/// How often it is looked whether a client that waits for its answer is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Serves clients until the switch stops.
pub async fn serve(socket: &ControlSocket, switch: &Rc<Switch>, limits: &Limits) {
    let mut clients = JoinSet::new();
    let mut refused = JoinSet::new();
    let stopped = switch.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            Some(_) = clients.join_next() => {}
            Some(_) = refused.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok(stream) if clients.len() < limits.clients => {
                    clients.spawn_local(client(stream, Rc::clone(switch), limits.clone()));
                }
                Ok(stream) => {
                    tracing::warn!(clients = limits.clients, "a client of the control socket was refused: too many at once");
                    if refused.len() < limits.refused_clients {
                        refused.spawn_local(turn_away(stream, limits.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client of the control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(refused);
    // Clients that still wait for a worker or do not read are cut off; the others have noticed by themselves.
    let _ = timeout(limits.goodbye, async { while clients.join_next().await.is_some() {} }).await;
}

/// Serves one client until it leaves, misbehaves, or the switch stops.
async fn client(mut stream: UnixStream, switch: Rc<Switch>, limits: Limits) {
    if let Err(error) = converse(&mut stream, &switch, &limits).await {
        tracing::warn!(%error, "a client of the control socket was cut off");
        if let Hangup::Frame(_) | Hangup::HalfMessage(_) = error {
            refuse(&mut stream, &Id::None, &error.to_string(), &limits).await;
        }
    }
}

/// Why a conversation ended before the client wished.
#[derive(Debug, thiserror::Error)]
enum Hangup {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("half a message and nothing more for {0:?}; send whole messages")]
    HalfMessage(Duration),
    #[error("the client did not read its answer within {0:?}")]
    NotReading(Duration),
    #[error("{0}")]
    Stream(#[from] io::Error),
}

async fn converse(stream: &mut UnixStream, switch: &Rc<Switch>, limits: &Limits) -> Result<(), Hangup> {
    let mut framer = Framer::new(limits.message);
    let mut session = Session::default();
    let mut chunk = vec![0; 64 << 10];
    let stopped = switch.stopped();
    tokio::pin!(stopped);
    loop {
        while let Some(request) = framer.next_request() {
            let gone = session.gone();
            let answer = {
                let answer = commands::answer(switch, &mut session, request?);
                tokio::pin!(answer);
                tokio::select! {
                    biased;
                    answer = &mut answer => answer,
                    () = left(stream) => {
                        gone.tell();
                        // What changes something is not stopped half-way.
                        answer.await
                    }
                    () = switch.stopped() => {
                        gone.tell();
                        answer.await
                    }
                }
            };
            if let Some(answer) = answer {
                write(stream, &answer, limits).await?;
            }
            if switch.is_stopping() {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        let half = framer.is_partial();
        let count = tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            count = stream.read(&mut chunk) => count?,
            () = tokio::time::sleep(limits.half_message), if half => {
                return Err(Hangup::HalfMessage(limits.half_message));
            }
        };
        match chunk.get(..count) {
            None | Some([]) => return Ok(()),
            Some(bytes) => framer.push(bytes),
        }
    }
}

/// Waits until the client has closed its socket. One that only sends no more still wants its answer.
async fn left(stream: &UnixStream) {
    loop {
        tokio::time::sleep(LOOK).await;
        match stream.ready(Interest::WRITABLE).await {
            Ok(ready) if !ready.is_write_closed() => {}
            _ => return,
        }
    }
}

/// Writes an answer as fast as the client reads it, if it reads it.
async fn write(stream: &mut UnixStream, answer: &[u8], limits: &Limits) -> Result<(), Hangup> {
    for piece in answer.chunks(1 << 20) {
        timeout(limits.write, stream.write_all(piece))
            .await
            .map_err(|_| Hangup::NotReading(limits.write))??;
    }
    Ok(())
}

/// Tells a client why it is hung up on. It may be in the middle of sending; what comes is thrown away for a moment, or
/// it would see a broken pipe and never read the reason.
async fn refuse(stream: &mut UnixStream, id: &Id, sentence: &str, limits: &Limits) {
    let told = async {
        stream.write_all(&jsonrpc::failure(id, &format!("{sentence}\n"))).await?;
        stream.shutdown().await?;
        let mut chunk = vec![0; 64 << 10];
        while stream.read(&mut chunk).await? > 0 {}
        io::Result::Ok(())
    };
    // The client is being hung up on whether or not it listens.
    let _ = timeout(limits.linger, told).await;
}

/// Answers the first request of a client that there is no room for with the reason.
async fn turn_away(mut stream: UnixStream, limits: Limits) {
    let mut framer = Framer::new(64 << 10);
    let mut chunk = vec![0; 4 << 10];
    let first = async {
        loop {
            if let Some(request) = framer.next_request() {
                return request.map_or(Id::None, |request| request.id);
            }
            match stream.read(&mut chunk).await.ok().and_then(|count| chunk.get(..count)) {
                None | Some([]) => return Id::None,
                Some(bytes) => framer.push(bytes),
            }
        }
    };
    let id = timeout(limits.linger, first).await.unwrap_or(Id::None);
    let sentence = format!("{} clients are connected, which is the limit; try again later", limits.clients);
    refuse(&mut stream, &id, &sentence, &limits).await;
}
