//! Flows as text: reads and prints the syntax of ovs-ofctl, so that flows paste in and out of Open vSwitch.
//!
//! The invariant: what is printed is read back as the same flow. Text is refused rather than bent: where ovs-ofctl
//! drops a field whose prerequisite is missing ("normalization changed ofp_match"), lets the later of two
//! contradicting fields win, or reads `010` as eight, this module says what is wrong and where. What Open vSwitch
//! has and this switch has not is refused as "not supported yet". The fields a dump adds (`duration=`,
//! `n_packets=`, ages) are read over. Keys in a [`Match`] are zero outside the mask, and a shorthand such as `tcp`
//! matches its Ethernet type and protocol in full but says nothing of fragments.
//!
//! Inside, `flow` has whole flows and files of them, `matcher` the fields of a match, `actions` the actions, `groups` and `meters` what these name, `value`
//! `objects` what ties flows together, `value` single
//! values, `cursor` the cutting of text into items, and `print` the way back.

mod actions;
mod cursor;
mod error;
mod flow;
mod groups;
mod matcher;
mod meters;
mod objects;
mod print;
mod value;

#[cfg(test)]
mod tests;

pub use actions::{ActionContext, MAX_ACTIONS, MAX_CLONE_DEPTH, parse_actions};
pub use error::{Problem, SyntaxError};
pub use flow::{Command, FlowText, LineError, MAX_TEXT, Mode, parse_flow, parse_flow_file, parse_megaflow};
pub use groups::{GroupCommand, parse_group, parse_group_id, print_group};
pub use meters::{parse_meter, parse_meter_id, print_meter};
pub use print::{
    Counters, DurationText, FlowLine, SubfieldText, print_actions, print_flow, print_flow_line, print_match,
    print_part,
};

use super::Ports;
use crate::packet::PortNo;

pub use super::flow::{FlowOptions, Match};

/// Priority of a flow that names none.
pub const DEFAULT_PRIORITY: u16 = 32768;

/// What port names stand for. `()` knows none, so that ports are read and printed as numbers.
pub trait PortNames {
    /// Number of the port of that name.
    fn number(&self, name: &str) -> Option<PortNo>;
    /// Name of the port of that number.
    fn name(&self, number: PortNo) -> Option<&str>;
}

impl PortNames for () {
    fn number(&self, _: &str) -> Option<PortNo> {
        None
    }

    fn name(&self, _: PortNo) -> Option<&str> {
        None
    }
}

impl PortNames for Ports {
    fn number(&self, name: &str) -> Option<PortNo> {
        Some(self.by_name(name)?.number)
    }

    fn name(&self, number: PortNo) -> Option<&str> {
        Some(&*self.get(number)?.name)
    }
}
