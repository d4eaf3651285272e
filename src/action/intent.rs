//! What a packet makes the worker tell the control thread, and what it waits for: neighbours, places of addresses, logs.
//!
//! The invariant: an intent is plain data and says all of itself, so that whoever takes it needs neither the flow nor the
//! snapshot that it comes from. Only the name of a log is left out: it is found by the flow's cookie.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::Subfield;
use crate::packet::Mac;
use crate::tunnel::Heard;

/// An address behind a logical port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Neighbour {
    /// Key of the logical datapath.
    pub datapath: u64,
    /// Key of the logical port.
    pub port: u32,
    /// IPv6 address, or an IPv4 address in IPv6's form for it (`::ffff:a.b.c.d`).
    pub ip: Ipv6Addr,
}

impl Neighbour {
    /// In place of a datapath: the neighbour is one of the underlay.
    const UNDERLAY: u64 = u64::MAX;

    /// A next hop of the underlay.
    pub const fn of_underlay(ip: Ipv6Addr) -> Self {
        Self { datapath: Self::UNDERLAY, port: 0, ip }
    }

    /// Whether it is a next hop of the underlay. No logical datapath has a key as large.
    pub const fn is_of_underlay(&self) -> bool {
        self.datapath == Self::UNDERLAY
    }
}

/// What `learn_neighbour(…)` and `learn_fdb(…)` learn, and from where. The datapath is the metadata.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Learn {
    /// The Ethernet address of a neighbour.
    Neighbour {
        /// Key of the logical port.
        port: Subfield,
        /// IP address; of 32 bits it is IPv4's.
        ip: Subfield,
        /// Ethernet address.
        mac: Subfield,
    },
    /// The port behind which an Ethernet address is.
    Fdb {
        /// Key of the logical port.
        port: Subfield,
        /// Ethernet address.
        mac: Subfield,
    },
}

/// What became of a logged packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It goes on.
    Allow,
    /// It is dropped.
    Deny,
    /// It is answered.
    Reject,
}

/// How serious a log is, from more to less.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Severity {
    /// Act at once.
    Alert,
    /// Something is wrong.
    Warning,
    /// Something is unusual.
    Notice,
    /// Something happened.
    #[default]
    Info,
    /// For whoever looks for a fault.
    Debug,
}

macro_rules! names {
    ($type:ident: $($variant:ident = $name:literal),+) => {
        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// Its word in flows and logs.
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }
    };
}

names!(Verdict: Allow = "allow", Deny = "deny", Reject = "reject");
names!(Severity: Alert = "alert", Warning = "warning", Notice = "notice", Info = "info", Debug = "debug");

/// What `log(…)` says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Log {
    /// Name, empty for none.
    pub name: Arc<str>,
    /// What became of the packet, if that is said.
    pub verdict: Option<Verdict>,
    /// How serious it is.
    pub severity: Severity,
    /// The meter that limits it.
    pub meter: Option<u32>,
}

/// One thing that a worker tells. Of equal ones that follow each other closely only the first is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Intent {
    /// A neighbour has this address.
    Neighbour(Neighbour, Mac),
    /// An address is behind this port.
    Fdb {
        /// Key of the logical datapath.
        datapath: u64,
        /// Key of the logical port.
        port: u32,
        /// Ethernet address.
        mac: Mac,
    },
    /// A packet is to be logged.
    Log {
        /// Table of the flow.
        table: u8,
        /// Cookie of the flow, by which the name is found.
        cookie: u64,
        /// What became of the packet.
        verdict: Option<Verdict>,
        /// How serious it is.
        severity: Severity,
        /// The meter that limits it.
        meter: Option<u32>,
    },
    /// A host of the underlay said its address.
    Heard(Heard),
    /// Another host says that it has an address of the endpoint. Told once in a while whoever says it, so that
    /// one who says it under many names takes no room from neighbours.
    Claimed(Ipv6Addr, Mac),
    /// A packet waits for the address of a next hop of the underlay.
    Resolve(Ipv6Addr),
    /// A peer sent a BFD control packet, which is told with its frame. All of them are told.
    Bfd(Ipv6Addr),
}
