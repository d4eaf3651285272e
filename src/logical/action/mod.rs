//! The actions of logical flows: a tree, the parser that makes it, and the form in which it prints.
//!
//! The language is that of OVN 23.03 with what later releases added up to 26.03 (`ct_commit_to_zone`, `mirror`, …),
//! and one action of the branch after it; [`TABLE`] says which action came when, and how far the switch has it. Where
//! releases differ the older one's sense is kept: `arp { }` needs `ip4`, not any `ip`, `ct_next;` prints without the
//! zone that newer releases add.
//!
//! The invariant: what a tree prints is read back as the same tree in the same [`Context`], and a tree says all there
//! is to say, so that who runs it need not look at the text again. What OVN reads is read here too, but for sloppy
//! texts of which it drops a part without a word (a hash field behind no backend, a number that does not fit): these
//! are refused.
//!
//! Actions imply a match ([`Prerequisites`]), their own and that of the fields they name. Those inside the braces of
//! an action that makes another packet are that packet's affair and go no further.

mod ast;
mod kind;
mod options;
mod parse;
mod prereqs;
mod print;

#[cfg(test)]
pub(crate) mod tests;

pub use ast::{
    Action, Backend, CommitLbAff, CtCommitArgs, DhcpRelay, FwdGroup, GetBinding, GetFdb, LoadBalance, Log,
    LookupBinding, LookupBindingIp, Nat, NatZone, Next, NextForm, ObsPoint, OptionValue, Pipeline, PortRange,
    PutBinding, PutOptions, ReplyField, Sample, Select, Severity, SnatFlag, Transport, TriggerEvent, Verdict,
};
pub use kind::{Kind, Meanwhile, Release, Row, Support, TABLE};
pub use options::{
    DHCP_OPTIONS, DHCPV6_OPTIONS, Event, ND_RA_OPTIONS, OptionDef, OptionKind, empty_lb, nd_ra,
};
pub use parse::{Actions, Context, MAX_NESTING, TABLES, parse_actions};
pub use prereqs::{Prerequisite, Prerequisites};
pub use print::List;
