//! The one owner of everything mutable: the tables that are published next, the packet path, the queue of packets for
//! the controller.
//!
//! Commands run side by side on one thread. State is borrowed for a stretch of plain code and never across an await,
//! so that a change is made whole before anything else runs. What has to happen in several steps with waits between
//! takes its turn under [`Switch::turn`].

use std::cell::{Ref, RefCell, RefMut};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard, Semaphore, watch};

use super::bound::Bound;
use super::flows::Flows;
use super::logical::Logical;
use super::northbound::Northbound;
use super::told::Waiting;
use super::underlay::Overlay;
use crate::config::Ovn;
use crate::datapath::megaflow::{MegaflowAnswer, MegaflowErrand};
use crate::datapath::{Datapath, Generation, PacketIn, PortError};
use crate::packet::PortNo;

/// How long a command waits for workers before it answers without them.
pub const SILENCE: Duration = Duration::from_secs(1);
/// How long a command waits for workers that look through their megaflows, which may be many.
pub const ERRAND: Duration = Duration::from_secs(3);
/// How long a wait stays awake before it begins to sleep.
const AWAKE: Duration = Duration::from_micros(200);
/// Most traces at a time, for each of them takes a thread and memory.
pub const MAX_TRACES: usize = 2;
/// Most packets kept for a controller that does not fetch them.
const MAX_PACKET_INS: usize = 1024;

/// The switch as commands see it.
pub struct Switch {
    name: String,
    started: Instant,
    state: RefCell<State>,
    structure: Mutex<()>,
    following: Mutex<()>,
    compiling: Mutex<()>,
    load: Arc<Semaphore>,
    traces: Arc<Semaphore>,
    live: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

/// What commands change.
pub struct State {
    /// The packet path.
    pub datapath: Box<dyn Datapath>,
    /// The flows.
    pub flows: Flows,
    /// Logical networks.
    pub logical: Logical,
    /// The underlay and what is on its other ends.
    pub overlay: Overlay,
    /// What workers told and is yet to be learned.
    pub told: Waiting,
    /// Packets for the controller, oldest first.
    pub packet_ins: VecDeque<PacketIn>,
    /// Packets for the controller that were thrown away because nobody fetched them.
    pub packet_ins_lost: u64,
}

impl State {
    /// Fetches what workers have for the controller; where too much waits, the oldest goes.
    pub fn drain_packet_ins(&mut self) {
        self.packet_ins.extend(self.datapath.packet_ins(MAX_PACKET_INS));
        while self.packet_ins.len() > MAX_PACKET_INS {
            self.packet_ins.pop_front();
            self.packet_ins_lost += 1;
        }
    }

    /// The number of the port that an argument names.
    pub fn port_number(&self, text: &str) -> Option<PortNo> {
        let ports = self.datapath.ports();
        if let Some(port) = ports.by_name(text) {
            return Some(port.number);
        }
        let number = PortNo(text.parse().ok()?);
        ports.get(number).map(|port| port.number)
    }
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Its generation.
    pub generation: u64,
    /// Workers that had not taken it over when the answer was given; empty in ordinary operation.
    pub not_yet_visible_on: Vec<u16>,
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.not_yet_visible_on[..] {
            [] => Ok(()),
            [worker] => write!(f, "published, not yet visible on worker {worker}"),
            [first, rest @ ..] => {
                write!(f, "published, not yet visible on workers {first}")?;
                rest.iter().try_for_each(|worker| write!(f, ", {worker}"))
            }
        }
    }
}

impl Switch {
    /// A switch with empty tables.
    pub fn new(name: &str, datapath: Box<dyn Datapath>, ovn: &Ovn) -> Self {
        let state = State {
            logical: Logical::new(Bound::of(&*datapath), Northbound::new(ovn)),
            datapath,
            flows: Flows::default(),
            overlay: Overlay::default(),
            told: Waiting::default(),
            packet_ins: VecDeque::new(),
            packet_ins_lost: 0,
        };
        Self {
            name: name.to_owned(),
            started: Instant::now(),
            state: RefCell::new(state),
            structure: Mutex::new(()),
            following: Mutex::new(()),
            compiling: Mutex::new(()),
            load: Arc::new(Semaphore::new(1)),
            traces: Arc::new(Semaphore::new(MAX_TRACES)),
            live: Arc::new(Semaphore::new(1)),
            stop: watch::Sender::new(false),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The state, to be read. Let go of it before the next await.
    pub fn state(&self) -> Ref<'_, State> {
        self.state.borrow()
    }

    /// The state, to be changed. Let go of it before the next await.
    pub fn state_mut(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Waits for the turn to change ports or queues in several steps.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.structure.lock().await
    }

    /// Waits for the turn to make flows of rows, and to claim ports.
    pub async fn following_turn(&self) -> MutexGuard<'_, ()> {
        self.following.lock().await
    }

    /// Waits until no Southbound rows are being compiled that others are not to change meanwhile. Who waits for the turn
    /// to make flows too waits for that first.
    pub async fn compiling_turn(&self) -> MutexGuard<'_, ()> {
        self.compiling.lock().await
    }

    /// The turn to load rows, which only one client at a time has.
    pub fn load_turn(&self) -> &Arc<Semaphore> {
        &self.load
    }

    /// The turn to look for a packet.
    pub fn live_turn(&self) -> &Arc<Semaphore> {
        &self.live
    }

    /// The turns to trace, of which there are a few.
    pub fn trace_turns(&self) -> &Arc<Semaphore> {
        &self.traces
    }

    /// Waits until the workers have done what they were asked before, and names those that stay silent.
    pub async fn in_step(&self) -> Vec<u16> {
        let token = self.state_mut().datapath.sync();
        let all = async {
            let mut pace = Pace::new();
            while !self.state_mut().datapath.unsynced(token).is_empty() {
                pace.step().await;
            }
        };
        // Asked once more at the end, so that who is named has not done it by now.
        let _ = tokio::time::timeout(SILENCE, all).await;
        self.state_mut().datapath.unsynced(token)
    }

    /// Sends the workers on an errand among their megaflows and waits until all are back, or names those that are not.
    pub async fn errand(&self, errand: MegaflowErrand) -> Result<MegaflowAnswer, Vec<u16>> {
        let (token, behind) = {
            let mut state = self.state_mut();
            // Whoever has not done what was asked last has not done the errand before it either.
            (state.datapath.ask_megaflows(errand), state.datapath.sync())
        };
        let back = async {
            let mut pace = Pace::new();
            loop {
                let answer = self.state_mut().datapath.megaflows(token);
                match answer {
                    Some(answer) => return answer,
                    None => pace.step().await,
                }
            }
        };
        if let Ok(answer) = tokio::time::timeout(ERRAND, back).await {
            return Ok(answer);
        }
        let mut state = self.state_mut();
        state.datapath.forget_megaflows(token);
        Err(state.datapath.unsynced(behind))
    }

    /// Waits until every worker has taken a publication over, or says which have been silent for [`SILENCE`].
    pub async fn settle(&self, generation: Generation) -> Published {
        let visible = async {
            let mut pace = Pace::new();
            while !self.lagging(generation).is_empty() {
                pace.step().await;
            }
        };
        let not_yet_visible_on = match tokio::time::timeout(SILENCE, visible).await {
            Ok(()) => Vec::new(),
            Err(_) => self.lagging(generation),
        };
        Published { generation: generation.0, not_yet_visible_on }
    }

    /// Once every worker has taken a publication over: does something with the packet path, again and again while
    /// that is refused because a worker may still use what it changes.
    pub async fn once_left<T>(
        &self,
        generation: Generation,
        mut step: impl FnMut(&mut dyn Datapath) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let mut pace = Pace::new();
        loop {
            if self.lagging(generation).is_empty() {
                let result = step(&mut *self.state_mut().datapath);
                if !matches!(result, Err(PortError::Busy(_))) {
                    return result;
                }
            }
            pace.step().await;
        }
    }

    fn lagging(&self, generation: Generation) -> Vec<u16> {
        self.state().datapath.lagging(generation)
    }

    /// Asks everything to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether [`Switch::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits for [`Switch::stop`].
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // An error means that the switch itself is gone, which is as good a reason to stop.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }
}

/// The steps of a wait: other commands first, then other threads, later sleep.
pub struct Pace {
    began: Instant,
}

impl Pace {
    /// Begins to wait.
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// Lets others run for a moment.
    pub async fn step(&mut self) {
        if self.began.elapsed() < AWAKE {
            std::thread::yield_now();
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}
