//! Other chassis and the ports that are bound there, in the words of `ovn-sbctl`.
//!
//! Where rows are compiled here, what is said lasts beyond what the Northbound does to a port; see [`Elsewhere`]. Rows of
//! a dump are changed themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use serde::Serialize;

use super::{CommandError, Pending, done};
use crate::config::Underlay;
use crate::config::underlay::is_unicast;
use crate::control::elsewhere::{Elsewhere, Encaps, put_chassis};
use crate::control::northbound::NorthboundError;
use crate::control::switch::{Published, Switch};
use crate::logical::error::shortened;
use crate::logical::rows::dbctl::{Call, DbctlError, Syntax, split};
use crate::logical::rows::tables::{Chassis, Encap, PortBinding};
use crate::logical::rows::{Edit, Refusal, Table, Uuid};

/// The commands.
const COMMANDS: [Syntax; 4] = [
    Syntax { name: "chassis-add", least: 3, most: 3, options: &["--may-exist"] },
    Syntax { name: "chassis-del", least: 1, most: 1, options: &["--if-exists"] },
    Syntax { name: "lsp-bind", least: 2, most: 2, options: &["--may-exist"] },
    Syntax { name: "lsp-unbind", least: 1, most: 1, options: &["--if-exists"] },
];

/// Longest name of a chassis.
const MAX_CHASSIS: usize = 255;

/// Why nothing is changed.
#[derive(Debug, thiserror::Error)]
enum BadBinding {
    #[error("there is no command \"{0}\"; write chassis-add, chassis-del, lsp-bind or lsp-unbind")]
    NoCommand(String),
    #[error(transparent)]
    Syntax(#[from] DbctlError),
    #[error("\"{0}\" is no name of a chassis; write one without blanks and commas, such as worker2")]
    ChassisName(String),
    #[error("\"{0}\" is no type of tunnel; write geneve, stt or vxlan, or several with commas between")]
    EncapType(String),
    #[error("\"{0}\" is not the IP address of a host; write that by which the chassis is reached")]
    EncapIp(String),
    #[error("{0} is the address of chassis {1}; give the address by which this one is reached")]
    EncapTaken(IpAddr, String),
    #[error(
        "cannot create a chassis named {0} because a chassis named {0} already exists; use --may-exist to leave it as it is"
    )]
    ChassisExists(String),
    #[error("no chassis named {0}; `millrace sbctl show` lists them, and `chassis-add` makes one")]
    NoChassis(String),
    #[error("no port named {0}; `millrace sbctl list port_binding` lists them")]
    NoPort(String),
    #[error("{0} is this chassis; name another")]
    OwnChassis(String),
    #[error(
        "{chassis} is this chassis; a port of the switch becomes the logical port {port} with `millrace port set PORT \
         iface_id={port}`"
    )]
    BindHere { port: String, chassis: String },
    #[error("{0} is a port of this switch; take it away with `millrace port set PORT iface_id=`")]
    IsHere(String),
    #[error(
        "lport ({port}) has already been binded to chassis ({chassis}); `lsp-unbind {port} -- lsp-bind {port} CHASSIS` \
         moves it"
    )]
    Bound { port: String, chassis: String },
    #[error(
        "{port} has type \"{kind}\", and only ports without a type are bound to a chassis here; bind another"
    )]
    Kind { port: String, kind: String },
    #[error("nothing is changed: {0}")]
    Refusal(#[from] Refusal),
}

impl From<BadBinding> for CommandError {
    fn from(bad: BadBinding) -> Self {
        CommandError::Argument(bad.to_string())
    }
}

/// What was changed.
#[derive(Serialize)]
struct Changed {
    /// Rows.
    changed: usize,
    #[serde(flatten)]
    published: Published,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.published.fmt(f)
    }
}

/// `sbctl/change [OPTION] COMMAND [ARG...] [-- [OPTION] COMMAND [ARG...]]...`: all of the commands, or none.
pub fn change(switch: Rc<Switch>, words: Vec<String>) -> Pending {
    Box::pin(async move {
        let turn = switch.following_turn().await;
        let compiling = switch.compiling_turn().await;
        let is_compiled = !switch.state().logical.is_loaded;
        if is_compiled {
            switch.register();
        }
        let changed = {
            let state = &mut *switch.state_mut();
            let (logical, underlay) = (&mut state.logical, state.overlay.settings());
            let draft = logical.rows.draft();
            let own = logical.chassis.as_deref().unwrap_or_default();
            let mut work = Work {
                edit: draft.edit(),
                elsewhere: logical.bound.elsewhere.clone(),
                adrift: BTreeMap::new(),
                own,
                is_compiled,
                underlay,
            };
            for call in split(&words) {
                work.run(&call)?;
            }
            work.settle();
            let Work { mut edit, elsewhere, .. } = work;
            if is_compiled {
                let named = logical.northbound.chassis(edit.rows());
                named.rows().for_each(|(_, uuid, row)| {
                    row.cloned().into_iter().for_each(|row| edit.put_any(uuid, row))
                });
            }
            let changed = draft.finish(edit).map_err(BadBinding::from)?;
            // Nobody else changes rows while this has both turns.
            let changed = logical.rows.accept(changed).ok_or(NorthboundError::OutOfTurn)?;
            let moved = logical.bound.say_elsewhere(elsewhere);
            let following = logical.following.as_ref();
            let inside: Vec<String> = following
                .iter()
                .flat_map(|following| moved.iter().flat_map(|name| following.nested_in(name)))
                .collect();
            let rows = logical.rows.snapshot();
            logical.bound.look_at(&moved, rows);
            logical.bound.look_at(&inside, rows);
            changed
        };
        drop((compiling, turn));
        let published = switch.follow().await?;
        done(Changed { changed, published })
    })
}

/// The commands of a line on their way.
struct Work<'a> {
    edit: Edit,
    elsewhere: Elsewhere,
    /// Ports whose chassis the line took away, with its name: they stay on it if it is there again at the end.
    adrift: BTreeMap<String, String>,
    /// Name of this chassis; empty if it has none.
    own: &'a str,
    /// Whether rows are compiled here, and not those of a dump.
    is_compiled: bool,
    /// The endpoint of this chassis.
    underlay: Option<&'a Underlay>,
}

impl Work<'_> {
    /// Ports stay on a chassis that is there again, as with another address.
    fn settle(&mut self) {
        for (port, chassis) in std::mem::take(&mut self.adrift) {
            if self.elsewhere.has(&chassis) && self.elsewhere.bound(&port).is_none() {
                self.elsewhere.bind(&port, Some(&chassis));
            }
        }
    }

    fn run(&mut self, call: &Call) -> Result<(), BadBinding> {
        let syntax = COMMANDS.iter().find(|syntax| syntax.name == call.name);
        let syntax = syntax.ok_or_else(|| BadBinding::NoCommand(shortened(&call.name).into_owned()))?;
        call.check(syntax)?;
        match (syntax.name, &call.args[..]) {
            ("chassis-add", [name, kinds, ip]) => self.add(name, kinds, ip, call.has("--may-exist")),
            ("chassis-del", [name]) => self.delete(name, call.has("--if-exists")),
            ("lsp-bind", [port, chassis]) => self.bind(port, chassis, call.has("--may-exist")),
            ("lsp-unbind", [port]) => self.unbind(port, call.has("--if-exists")),
            _ => Ok(()),
        }
    }

    fn add(&mut self, name: &str, kinds: &str, ip: &str, may_exist: bool) -> Result<(), BadBinding> {
        if name.is_empty()
            || name.len() > MAX_CHASSIS
            || !name.chars().all(|c| c.is_ascii_graphic() && c != ',')
        {
            return Err(BadBinding::ChassisName(shortened(name).into_owned()));
        }
        let is_kind = |kind: &&str| matches!(*kind, "geneve" | "stt" | "vxlan");
        if let Some(bad) = kinds.split(',').find(|kind| !is_kind(kind)) {
            return Err(BadBinding::EncapType(shortened(bad).into_owned()));
        }
        let address = ip.parse::<IpAddr>().map_err(|_| BadBinding::EncapIp(shortened(ip).into_owned()))?;
        let is_of_no_host = self.underlay.is_some_and(|underlay| underlay.is_of_no_host(address));
        if !is_unicast(address) || is_of_no_host {
            return Err(BadBinding::EncapIp(ip.to_owned()));
        }
        if self.edit.rows().chassis(name).is_some() {
            return if may_exist { Ok(()) } else { Err(BadBinding::ChassisExists(name.to_owned())) };
        }
        let rows = self.edit.rows();
        // Those of a chassis that the line took away go with it at its end.
        let is_taken =
            |encap: &Encap| encap.ip.parse() == Ok(address) && rows.chassis(&encap.chassis_name).is_some();
        let taken = rows.iter::<Encap>().find(|(_, encap)| is_taken(encap));
        if let Some((_, other)) = taken {
            return Err(BadBinding::EncapTaken(address, other.chassis_name.clone()));
        }
        if self.underlay.is_some_and(|underlay| underlay.has(address)) {
            return Err(BadBinding::EncapTaken(address, self.own.to_owned()));
        }
        let mut encaps = Encaps::new();
        for kind in kinds.split(',') {
            let encap = (kind.to_owned(), address.to_string());
            if !encaps.contains(&encap) {
                encaps.push(encap);
            }
        }
        put_chassis(&mut self.edit, name, "", &encaps, true);
        if self.is_compiled {
            self.elsewhere.add(name, encaps);
        }
        Ok(())
    }

    fn chassis(&self, name: &str) -> Result<Uuid, BadBinding> {
        let found = self.edit.rows().chassis(name).map(|(uuid, _)| uuid);
        found.ok_or_else(|| BadBinding::NoChassis(shortened(name).into_owned()))
    }

    fn delete(&mut self, name: &str, if_exists: bool) -> Result<(), BadBinding> {
        let uuid = match self.chassis(name) {
            Err(BadBinding::NoChassis(_)) if if_exists => return Ok(()),
            found => found?,
        };
        if self.is_compiled {
            if name == self.own {
                return Err(BadBinding::OwnChassis(name.to_owned()));
            }
            let ports = self.elsewhere.remove(name);
            self.adrift.extend(ports.into_iter().map(|port| (port, name.to_owned())));
        }
        self.edit.delete(Table::Chassis, uuid);
        Ok(())
    }

    fn bind(&mut self, port: &str, chassis: &str, may_exist: bool) -> Result<(), BadBinding> {
        let row = self.port(port)?;
        let to = self.chassis(chassis)?;
        if chassis == self.own {
            return Err(BadBinding::BindHere { port: port.to_owned(), chassis: chassis.to_owned() });
        }
        let rows = self.edit.rows();
        let Some((_, binding)) = rows.port(port) else { return Ok(()) };
        let is_adrift = self.adrift.remove(port).is_some();
        let at = binding.chassis.filter(|at| !is_adrift && rows.row(Table::Chassis, *at).is_some());
        if at == Some(to) && may_exist {
            return Ok(());
        }
        if at.is_some_and(|at| rows.get::<Chassis>(at).is_some_and(|row| row.name == self.own)) {
            return Err(BadBinding::IsHere(port.to_owned()));
        }
        if let Some(at) = at {
            let name = rows.get::<Chassis>(at).map(|row| row.name.clone());
            return Err(BadBinding::Bound { port: port.to_owned(), chassis: name.unwrap_or_default() });
        }
        if self.is_compiled {
            if !binding.kind.is_empty() {
                return Err(BadBinding::Kind { port: port.to_owned(), kind: binding.kind.clone() });
            }
            self.elsewhere.bind(port, Some(chassis));
        }
        self.edit.update(row, |row: &mut PortBinding| (row.chassis, row.up) = (Some(to), Some(true)));
        Ok(())
    }

    fn unbind(&mut self, port: &str, if_exists: bool) -> Result<(), BadBinding> {
        let is_adrift = self.adrift.remove(port).is_some();
        let was_said = is_adrift || (self.is_compiled && self.elsewhere.bound(port).is_some());
        if was_said {
            self.elsewhere.bind(port, None);
        }
        let row = match self.port(port) {
            Err(BadBinding::NoPort(_)) if if_exists || was_said => return Ok(()),
            found => found?,
        };
        let own = self.edit.rows().chassis(self.own).map(|(uuid, _)| uuid);
        let is_here =
            self.edit.rows().get::<PortBinding>(row).is_some_and(|row| own.is_some() && row.chassis == own);
        if is_here && !was_said {
            return Err(BadBinding::IsHere(port.to_owned()));
        }
        if !is_here {
            let down = self.is_compiled.then_some(false);
            self.edit.update(row, |row: &mut PortBinding| (row.chassis, row.up) = (None, down));
        }
        Ok(())
    }

    fn port(&self, name: &str) -> Result<Uuid, BadBinding> {
        let found = self.edit.rows().port(name).map(|(uuid, _)| uuid);
        found.ok_or_else(|| BadBinding::NoPort(shortened(name).into_owned()))
    }
}
