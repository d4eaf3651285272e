//! A packet as matches and the tracer see it: the fields of the flow key, and no bytes.

use super::lex::ones;
use super::symbol::FieldRef;
use crate::packet::FlowKey;

/// One packet's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Microflow {
    /// The fields.
    pub key: FlowKey,
}

impl Microflow {
    /// The value of a field or a part of one, right-aligned; a port's name is its key. What no key holds (predicates,
    /// fields that only actions know) is 0.
    pub fn get(&self, field: &FieldRef) -> u128 {
        let Some((field, offset, width)) = field.resolve() else { return 0 };
        (self.key.get(field) >> offset) & ones(width)
    }

    /// Writes a field or a part of one; bits beyond its width are ignored, and so is what no key holds.
    pub fn set(&mut self, field: &FieldRef, value: u128) {
        if let Some((field, offset, width)) = field.resolve() {
            self.key.set_masked(field, (value & ones(width)) << offset, ones(width) << offset);
        }
    }
}
