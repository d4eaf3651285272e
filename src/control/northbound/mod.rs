//! The Northbound: logical networks as administrators write them, kept on disk and compiled to Southbound rows.
//!
//! The invariants:
//! - A change is compiled, kept and entered, in this order, and wholly or not at all; it is answered for once packets
//!   meet it. So what was answered for is there after a crash, and what is there can be compiled.
//! - Changes take turns with whatever else changes Southbound rows: nobody claims a port ([`Switch::following_turn`]) or
//!   learns a neighbour ([`Switch::compiling_turn`]) while rows are compiled that say so.
//! - Southbound rows come from here or from a dump, not from both.
//!
//! `change` is the way of a change, `start` what is read when the switch starts, `back` what the Northbound is told of
//! what became of it.

mod back;
mod change;
mod start;
mod troubles;

pub use start::check;
pub use troubles::unreadable;

use std::net::IpAddr;
use std::path::PathBuf;

use super::chassis::NotLowered;
use super::switch::Published;
use crate::config::Ovn;
#[cfg(doc)]
use crate::control::switch::Switch;
use crate::logical::journal::{Journal, JournalError};
use crate::logical::nb;
use crate::logical::nb::nbctl::{BadScript, NbctlError};
use crate::logical::northd::Compiler;
use crate::logical::rows;

/// See the module.
pub struct Northbound {
    rows: nb::Database,
    /// None while it works elsewhere, and after it went further than the rows; then it begins anew.
    compiler: Option<Box<Compiler>>,
    store: Kept,
    /// How far the Northbound was told of the Southbound rows.
    told: rows::Cursor,
    settings: Settings,
}

/// Where changes are kept.
enum Kept {
    /// Nothing is there yet, and nothing is made before there is something to keep.
    NotYet,
    Open(Journal<nb::Table>),
    /// It is written at this moment; or the thread that wrote it broke down.
    Away,
}

/// What the configuration says of it.
struct Settings {
    /// The name of this chassis.
    system_id: String,
    hostname: String,
    encap_ip: IpAddr,
    /// None if nothing is kept.
    folder: Option<PathBuf>,
}

/// Why the Northbound was not changed, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum NorthboundError {
    /// A command is refused.
    #[error(transparent)]
    Command(#[from] NbctlError),
    /// The rows would not be consistent.
    #[error("nothing is changed: {0}")]
    Refusal(nb::Refusal),
    /// Somebody else's rows.
    #[error(
        "the Southbound rows here were loaded from a dump; take them out with `millrace sbctl unload` before the \
         Northbound is changed"
    )]
    Loaded,
    /// Not kept.
    #[error("nothing is changed: {0}; the folder is `state` in `[ovn]` of the config")]
    Journal(Box<JournalError>),
    /// Rows that are there already.
    #[error(
        "nothing is changed: folder {folder} holds a Northbound that was not there when the switch started; start the \
         switch again to use it, or move it away",
        folder = .0.display()
    )]
    Meanwhile(PathBuf),
    /// Not compiled.
    #[error("nothing is changed: it cannot be compiled, since {0}")]
    Uncompiled(rows::Refusal),
    /// What is kept and what is in force may differ.
    #[error(
        "the thread that kept the Northbound broke down; what was asked for last may be kept or not, and nothing more \
         is: start the switch again, and please report this"
    )]
    Lost,
    /// Rows were changed by somebody who did not wait for the turn.
    #[error("rows were changed out of turn; start the switch again, and please report this")]
    OutOfTurn,
    /// Not in force.
    #[error(transparent)]
    NotLowered(#[from] NotLowered),
    /// A thread broke down.
    #[error("it could not be done: {0}; please report this")]
    Broken(#[from] tokio::task::JoinError),
}

impl From<JournalError> for NorthboundError {
    fn from(error: JournalError) -> Self {
        NorthboundError::Journal(Box::new(error))
    }
}

/// Why the switch cannot start with the Northbound that it has, or is to have.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What was kept.
    #[error("the Northbound: {0}")]
    Northbound(#[from] NorthboundError),
    /// What was kept cannot be read.
    #[error("{0}; the folder is `state` in `[ovn]` of the config")]
    Journal(Box<JournalError>),
    /// The topology cannot be read.
    #[error("cannot read the topology {path}: {source}; check `topology` in `[ovn]`", path = .path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not a file of commands.
    #[error("topology {path}: {source}", path = .path.display())]
    Script {
        /// Its path.
        path: PathBuf,
        /// What and where.
        source: BadScript,
    },
    /// This chassis among the others.
    #[error(
        "[[chassis]] \"{0}\" is this host, by `system_id` in `[ovn]` or else by its host name; name the others only"
    )]
    Itself(String),
    /// It is refused.
    #[error("topology {path}: {source}", path = .path.display())]
    Topology {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: Box<NorthboundError>,
    },
}

/// What came of a command line.
pub struct Done {
    /// What it prints.
    pub printed: String,
    /// Rows that it changed.
    pub changed: usize,
    /// When that was in force; none if nothing was to be.
    pub published: Option<Published>,
    /// The new number of the configuration, if it got one.
    pub waited: Option<Waited>,
}

/// How long a configuration took.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// Its number.
    pub nb_cfg: i64,
    /// Milliseconds until it was taken up,
    pub taken_up: i64,
    /// compiled,
    pub compiled: i64,
    /// and in force.
    pub in_force: i64,
}

impl Northbound {
    /// Without rows.
    pub fn new(config: &Ovn) -> Self {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hostname = hostname.trim().to_owned();
        let system_id = config.system_id.clone().unwrap_or_else(|| match &*hostname {
            "" => "millrace".to_owned(),
            name => name.to_owned(),
        });
        let (encap_ip, folder) = (config.encap_ip, config.state.clone());
        Self {
            rows: nb::Database::default(),
            compiler: Some(Box::default()),
            store: Kept::NotYet,
            told: rows::Database::default().subscribe(),
            settings: Settings { system_id, hostname, encap_ip, folder },
        }
    }

    /// The rows.
    pub fn rows(&self) -> &nb::Database {
        &self.rows
    }

    /// Others change the Southbound rows from here on, or have done so: what was compiled is forgotten, and so are the rows
    /// that it followed, which are given out since it takes time to free many.
    pub fn let_go(&mut self, southbound: &rows::Database) -> impl Send + use<> {
        (self.compiler.take(), std::mem::replace(&mut self.told, southbound.subscribe()))
    }

    /// What the rows of ports and groups say of chassis, as these are now. Rows that are to be compiled anew say it then.
    pub fn chassis(&self, southbound: &rows::Store) -> rows::Transaction {
        self.compiler.as_ref().map_or_else(rows::Transaction::new, |compiler| compiler.chassis(southbound))
    }

    /// Gives the folder free for another switch.
    pub fn close(&mut self) {
        self.store = Kept::NotYet;
    }

    /// Whether there are logical networks.
    pub fn has_networks(&self) -> bool {
        let rows = self.rows.snapshot();
        [nb::Table::LogicalSwitch, nb::Table::LogicalRouter].iter().any(|table| rows.len(*table) > 0)
    }
}
