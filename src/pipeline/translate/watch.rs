//! Looking on while a packet is translated, for traces.

use crate::action::Action;
use crate::packet::{DropReason, FlowKey};
use crate::pipeline::Flow;
use crate::pipeline::objects::group::{Bucket, Group};

/// Is told what happens to a packet, in order. By default it does not listen, and then translation pays nothing for it.
///
/// `depth` is the depth of the list of actions that is at hand, or is from now on: a list that another one goes on behind
/// is deeper than that, and what is done last is as deep as the list it stands in.
pub trait Watch {
    /// A table was looked up; the actions of the flow come next, if there is one.
    #[inline(always)]
    fn table(&mut self, table: u8, flow: Option<&Flow>, depth: usize) {
        let _ = (table, flow, depth);
    }

    /// An action is about to be done to a packet.
    #[inline(always)]
    fn before(&mut self, action: &Action, key: &FlowKey, depth: usize) {
        let _ = (action, key, depth);
    }

    /// An action was done, or what it leads to is at hand now.
    #[inline(always)]
    fn after(&mut self, action: &Action, key: &FlowKey) {
        let _ = (action, key);
    }

    /// The buckets of a group come next: one, or all. `apart` says whether each is a clone.
    #[inline(always)]
    fn buckets(&mut self, group: &Group, chosen: Option<&Bucket>, apart: bool, depth: usize) {
        let _ = (group, chosen, apart, depth);
    }

    /// The action at hand did not do what it says.
    #[inline(always)]
    fn remark(&mut self, reason: DropReason) {
        let _ = reason;
    }

    /// A packet like this leaves the tables, for the context of this number.
    #[inline(always)]
    fn leaves(&mut self, number: u32, key: &FlowKey) {
        let _ = (number, key);
    }
}

impl Watch for () {}

impl<W: Watch> Watch for &mut W {
    fn table(&mut self, table: u8, flow: Option<&Flow>, depth: usize) {
        (**self).table(table, flow, depth);
    }

    fn before(&mut self, action: &Action, key: &FlowKey, depth: usize) {
        (**self).before(action, key, depth);
    }

    fn after(&mut self, action: &Action, key: &FlowKey) {
        (**self).after(action, key);
    }

    fn buckets(&mut self, group: &Group, chosen: Option<&Bucket>, apart: bool, depth: usize) {
        (**self).buckets(group, chosen, apart, depth);
    }

    fn remark(&mut self, reason: DropReason) {
        (**self).remark(reason);
    }

    fn leaves(&mut self, number: u32, key: &FlowKey) {
        (**self).leaves(number, key);
    }
}
