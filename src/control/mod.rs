//! The control plane: a unix socket that speaks JSON-RPC as `ovs-appctl` does, its commands, and the one thread that
//! owns all mutable configuration.
//!
//! The invariant: a command that changes what packets meet is answered once every worker has taken the change over,
//! or names the workers that have not; and it is done whole or not at all. Everything here runs on one thread as
//! tasks that take turns, so a change needs no lock; what must not be interrupted does not await.
//! Only what reads snapshots and may take long runs on other threads: dumps, answers about rows, traces.
//!
//! [`jsonrpc`] cuts the stream into requests, [`socket`] makes the listening socket, [`server`] looks after clients,
//! [`commands`] has the table of commands, [`switch`] the state they work on, `changes` what takes several
//! publications, [`flows`] the flow tables, [`logical`] the rows of logical networks, [`bound`] the ports that are
//! logical ones, [`northbound`] the networks that rows are compiled of, [`chassis`] the flows of both,
//! [`elsewhere`] the other chassis, [`underlay`] the way to them, [`learning`] what packets teach, [`logs`] what they are logged as,
//! `dpflow` megaflows as Open vSwitch prints them.

pub mod bound;
mod changes;
pub mod chassis;
pub mod commands;
mod dpflow;
pub mod elsewhere;
pub mod flows;
mod format;
pub mod jsonrpc;
pub mod learning;
pub mod logical;
pub mod logs;
pub mod northbound;
pub mod server;
pub mod socket;
pub mod switch;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod told;
pub mod underlay;
mod walk;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::datapath::{Datapath, PortError};
use crate::pipeline::syntax::Command;
use elsewhere::Elsewhere;
use flows::FlowRefusal;
use northbound::StartError;
use server::Limits;
use socket::{ControlSocket, SocketError};
use switch::Switch;
use underlay::Overlay;

/// How often the packet path's housekeeping is done and flows are looked at for their timeouts.
const TICK: Duration = Duration::from_millis(100);

/// Why the switch did not start.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The control socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A port of the configuration.
    #[error("port \"{name}\" of the configuration: {source}")]
    Port {
        /// Its name.
        name: String,
        /// Why not.
        source: PortError,
    },
    /// A flow of the configuration.
    #[error("`flows` of the configuration: {0}")]
    Flow(#[from] FlowRefusal),
    /// The flow file.
    #[error("cannot read the flow file {path}: {source}; check `file` in `[flows]`")]
    FlowFile {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line of the flow file.
    #[error("flow file {path}: {source}")]
    FlowFileLine {
        /// Its path.
        path: PathBuf,
        /// What and where.
        source: FlowRefusal,
    },
    /// The Northbound.
    #[error(transparent)]
    Northbound(#[from] StartError),
    /// The runtime.
    #[error("cannot start the control thread's event loop: {0}")]
    Runtime(io::Error),
}

/// Runs the control plane on this thread until `shutdown` is done or a client sends `exit`. Ports and flows of the
/// configuration come first, then the socket, then `ready` is called once. At the end, however it came, clients are
/// closed, the packet path is shut down and the socket is gone.
pub fn run(
    config: &Config,
    datapath: Box<dyn Datapath>,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<(), ControlError> {
    let switch = Rc::new(Switch::new(&config.name, datapath, &config.ovn));
    {
        let mut state = switch.state_mut();
        state.logical.bound.say_elsewhere(Elsewhere::of(&config.chassis));
        state.overlay = Overlay::new(config);
    }
    // Held until the packet path is down, so that a successor that finds the socket gone finds the devices free.
    let mut socket = None;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(ControlError::Runtime).and_then(|runtime| {
        let stop = async {
            shutdown.await;
            tracing::info!("stopping");
            switch.stop();
            // The other branch notices and comes to its end by itself.
            std::future::pending().await
        };
        let result = tokio::task::LocalSet::new().block_on(&runtime, async {
            tokio::select! {
                biased;
                never = stop => never,
                result = start_and_serve(config, &switch, &mut socket, ready) => result,
            }
        });
        // A trace or a dump may be in hand still, for which nobody waits any more. It touches nothing but rows.
        runtime.shutdown_background();
        result
    });
    switch.state_mut().datapath.shutdown();
    switch.state_mut().logical.northbound.close();
    drop(socket);
    result
}

/// Done when the process is asked to stop by SIGTERM or SIGINT: the usual `shutdown` of [`run`].
pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let open = || {
        let hangup = signal(SignalKind::hangup())?;
        Ok::<_, io::Error>((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, hangup))
    };
    let both = open();
    match both {
        Ok((mut term, mut interrupt, mut hangup)) => loop {
            tokio::select! {
                _ = term.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => tracing::warn!("SIGHUP does nothing yet: the configuration is read at start"),
            }
        },
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM and SIGINT; they will kill");
            std::future::pending().await
        }
    }
}

async fn start_and_serve(
    config: &Config,
    switch: &Rc<Switch>,
    socket: &mut Option<ControlSocket>,
    ready: impl FnOnce(),
) -> Result<(), ControlError> {
    // The socket first: where another switch answers on it, no device is to be touched.
    let socket = socket.insert(ControlSocket::bind(&config.control).await?);
    apply(config, switch).await?;
    if switch.is_stopping() {
        return Ok(());
    }
    let housekeeping = tokio::task::spawn_local(housekeeping(Rc::clone(switch)));
    let underlay = config.underlay.as_ref();
    let underlay = underlay.map(|_| tokio::task::spawn_local(underlay::look_after(Rc::clone(switch))));
    let learning = tokio::task::spawn_local(learning::learn(Rc::clone(switch)));
    tracing::info!(switch = %config.name, ports = config.ports.len(), "ready");
    ready();
    server::serve(socket, switch, &Limits::default()).await;
    housekeeping.abort();
    learning.abort();
    underlay.inspect(|task| task.abort());
    Ok(())
}

/// Does what the configuration says of ports and flows.
async fn apply(config: &Config, switch: &Rc<Switch>) -> Result<(), ControlError> {
    // What comes in meanwhile waits in the devices and meets the flows.
    switch.state_mut().datapath.set_polling(false);
    // Those with a number of their own first, so that none of the others is given it.
    let (numbered, others): (Vec<_>, Vec<_>) = config.ports.iter().partition(|spec| spec.number.is_some());
    for spec in numbered.into_iter().chain(others) {
        if switch.is_stopping() {
            return Ok(());
        }
        let named = |source| ControlError::Port { name: spec.name.clone(), source };
        let (_, published) = changes::open_port(switch, spec).await.map_err(named)?;
        warn_of_silence(&published);
    }
    let ports = switch.state().datapath.ports().clone();
    let mut changes = flows::read_flows(&config.flows, &ports, Command::Add).await?;
    if let Some(path) = &config.flow_file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ControlError::FlowFile { path: path.clone(), source })?;
        let file = flows::read_file(&text, &ports).await;
        changes.extend(file.map_err(|source| ControlError::FlowFileLine { path: path.clone(), source })?);
    }
    let applied = switch.state_mut().change_flows(&changes).map_err(|source| match &config.flow_file {
        Some(path) if source.is_in_file() => ControlError::FlowFileLine { path: path.clone(), source },
        _ => ControlError::Flow(source),
    })?;
    warn_of_silence(&switch.settle(applied.generation).await);
    switch.start_northbound(&config.ovn).await?;
    let reached = switch.state_mut().reach();
    warn_of_silence(&switch.settle(reached).await);
    switch.state_mut().datapath.set_polling(true);
    Ok(())
}

fn warn_of_silence(published: &switch::Published) {
    if !published.not_yet_visible_on.is_empty() {
        tracing::warn!("{published}");
    }
}

/// What has to be done now and then.
async fn housekeeping(switch: Rc<Switch>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut state = switch.state_mut();
        state.datapath.tick();
        state.expire_flows();
        state.drain_packet_ins();
    }
}

#[cfg(test)]
mod tests;
