//! Changes of ports and queues that take several publications. One at a time; what a silent worker holds up is
//! finished in the background, so that the others go on.

use std::rc::Rc;

use tokio::time::timeout;

use super::chassis::NotLowered;
use super::switch::{Published, SILENCE, Switch};
use crate::config::PortSpec;
use crate::datapath::{Generation, PortError};
use crate::packet::PortNo;

/// Why a port was not changed, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It was not.
    #[error(transparent)]
    Port(#[from] PortError),
    /// It was, but rows did not become flows.
    #[error(transparent)]
    NotLowered(#[from] NotLowered),
}

/// Opens a port of the configuration, before there are rows, and waits until workers see it.
pub async fn open_port(switch: &Switch, spec: &PortSpec) -> Result<(PortNo, Published), PortError> {
    let _turn = switch.turn().await;
    let (number, generation) = open(switch, spec)?;
    Ok((number, switch.settle(generation).await))
}

/// Opens a port and waits until packets meet the flows that it brings, if it is a logical port. Rows are followed in
/// any case: its number may have been another port's.
pub async fn add_port(switch: &Switch, spec: &PortSpec) -> Result<(PortNo, Published), ChangeError> {
    let _turn = switch.turn().await;
    let (number, generation) = open(switch, spec)?;
    Ok((number, switch.follow_after(generation).await?))
}

fn open(switch: &Switch, spec: &PortSpec) -> Result<(PortNo, Generation), PortError> {
    let mut state = switch.state_mut();
    if let Some(sentence) = state.overlay.refusal(spec) {
        return Err(PortError::Device(sentence));
    }
    let (number, generation) = state.datapath.add_port(spec)?;
    state.logical.bound.set(number, spec.iface_id.clone());
    tracing::info!(port = %spec.name, %number, kind = spec.kind.type_name(), "port added");
    Ok((number, generation))
}

/// Takes a port away with the flows that it brought, and closes its device once no worker uses it.
pub async fn del_port(switch: &Rc<Switch>, number: PortNo) -> Result<Published, ChangeError> {
    let _turn = switch.turn().await;
    let generation = {
        let mut state = switch.state_mut();
        let generation = state.datapath.unpublish_port(number)?;
        state.logical.bound.set(number, None);
        generation
    };
    tracing::info!(%number, "port removed");
    // Before the number can be another port's.
    let published = switch.follow_after(generation).await;
    if let Ok(closed) = timeout(SILENCE, close(switch, number, generation)).await {
        closed?;
        return Ok(published?);
    }
    let silent = silent(switch, generation);
    let switch = Rc::clone(switch);
    tokio::task::spawn_local(async move {
        match close(&switch, number, generation).await {
            Ok(()) => tracing::info!(%number, "port closed at last"),
            Err(error) => tracing::warn!(%number, %error, "port could not be closed"),
        }
    });
    published?;
    Ok(silent)
}

/// Hands a receive queue over: from now on `worker` polls it, and at no moment two do.
pub async fn move_rxq(
    switch: &Rc<Switch>,
    number: PortNo,
    queue: u16,
    worker: u16,
) -> Result<Published, PortError> {
    let _turn = switch.turn().await;
    let (generation, previous) = {
        let mut state = switch.state_mut();
        if !state.datapath.workers().iter().any(|status| status.worker == worker) {
            return Err(PortError::NoSuchWorker(worker));
        }
        let present = state.datapath.rxqs().into_iter().find(|rxq| rxq.port == number && rxq.queue == queue);
        (state.datapath.unassign_rxq(number, queue)?, present.and_then(|rxq| rxq.worker))
    };
    let handover = Handover { number, queue, worker, previous, generation };
    if let Ok(given) = timeout(SILENCE, handover.finish(switch)).await {
        let generation = given?;
        tracing::info!(%number, queue, worker, "receive queue moved");
        return Ok(switch.settle(generation).await);
    }
    let silent = silent(switch, generation);
    let switch = Rc::clone(switch);
    tokio::task::spawn_local(async move {
        match handover.finish(&switch).await {
            Ok(_) => tracing::info!(%number, queue, worker, "receive queue moved at last"),
            Err(error) => tracing::warn!(%number, queue, worker, %error, "receive queue could not be moved"),
        }
    });
    Ok(silent)
}

async fn close(switch: &Switch, number: PortNo, generation: Generation) -> Result<(), PortError> {
    switch.once_left(generation, |datapath| datapath.close_port(number)).await
}

/// The second half of a handover.
struct Handover {
    number: PortNo,
    queue: u16,
    worker: u16,
    /// Who polled the queue before.
    previous: Option<u16>,
    /// When the queue was taken from it.
    generation: Generation,
}

impl Handover {
    async fn finish(&self, switch: &Switch) -> Result<Generation, PortError> {
        let refusal = match (self.give(switch, self.worker).await, self.previous) {
            (Err(refusal), Some(previous)) => {
                // Nobody polls the queue now; where it came from is better than nowhere.
                self.give(switch, previous).await?;
                refusal
            }
            (given, _) => return given,
        };
        Err(refusal)
    }

    async fn give(&self, switch: &Switch, worker: u16) -> Result<Generation, PortError> {
        switch.once_left(self.generation, |path| path.assign_rxq(self.number, self.queue, worker)).await
    }
}

fn silent(switch: &Switch, generation: Generation) -> Published {
    Published { generation: generation.0, not_yet_visible_on: switch.state().datapath.lagging(generation) }
}
