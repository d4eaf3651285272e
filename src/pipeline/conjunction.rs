//! Conjunctive matches, ovs-fields(7): a set of n values and a set of m values cost n + m flows, not n * m.
//!
//! A flow with [`Action::Conjunction`] is met like any other but is never the answer: it says that the packet meets one
//! dimension of a conjunctive match. Where all dimensions are met by flows of one priority, and no plain flow of that
//! priority or a greater one is met, the table is searched once more, among its plain flows alone, by the key with
//! `conj_id` set; what that finds is the answer. A conjunctive match whose search finds nothing counts as not met.
//!
//! Where several are met, those of the greatest priority come first, then those of the least id. Dimensions that
//! disagree on how many there are belong to different conjunctive matches.
//!
//! The invariant: only what the classifier reads decides, so that what it reports is all that decided.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::sync::Arc;

use arrayvec::ArrayVec;
use rpds::RedBlackTreeMapSync;

use super::Flow;
use crate::action::Action;
use crate::classifier::{Classifier, Wildcards};
use crate::packet::{Field, FlowKey};

/// Fewest dimensions.
pub const MIN_CLAUSES: u8 = 2;
/// Most dimensions.
pub const MAX_CLAUSES: u8 = 64;
/// Conjunctive matches that are gathered at once. Where more are touched the search is made again for the next ones.
const AT_ONCE: usize = 16;

/// Whether a flow is part of a conjunctive match. It then has no other actions.
pub(super) fn is_part(flow: &Flow) -> bool {
    matches!(flow.actions.first(), Some(Action::Conjunction { .. }))
}

/// How many parts of conjunctive matches each table has.
#[derive(Clone, Default)]
pub(super) struct Parts {
    /// A bit for every table that has some.
    tables: [u64; 4],
    counts: RedBlackTreeMapSync<u8, usize>,
}

impl Parts {
    /// Whether a table has some.
    #[inline(always)]
    pub(super) fn is_among(&self, table: u8) -> bool {
        self.tables.get(usize::from(table / 64)).is_some_and(|bits| bits >> (table % 64) & 1 != 0)
    }

    /// A flow comes or goes.
    pub(super) fn count(&mut self, flow: &Flow, is_more: bool) {
        if !is_part(flow) {
            return;
        }
        let old = self.counts.get(&flow.table).copied().unwrap_or(0);
        let new = if is_more { old.saturating_add(1) } else { old.saturating_sub(1) };
        self.counts.insert_mut(flow.table, new);
        if let Some(bits) = self.tables.get_mut(usize::from(flow.table / 64)) {
            let bit = 1 << (flow.table % 64);
            *bits = if new > 0 { *bits | bit } else { *bits & !bit };
        }
    }
}

/// Whether an action names a dimension that there may be.
pub(super) fn is_possible_part(action: &Action) -> bool {
    matches!(action, Action::Conjunction { clause: 1.., of: MIN_CLAUSES..=MAX_CLAUSES, .. })
        && matches!(action, Action::Conjunction { clause, of, .. } if clause <= of)
}

/// Priority, id and count of dimensions: the order in which conjunctive matches are tried.
type Place = (Reverse<u16>, u32, u8);

/// A conjunctive match of which something is met, and a bit for each dimension that is not.
struct Touched {
    place: Place,
    missing: u64,
}

/// The first of those that are touched, behind a place, by place.
struct Gathered {
    after: Option<Place>,
    touched: ArrayVec<Touched, AT_ONCE>,
    /// Some had no room.
    more: bool,
}

impl Gathered {
    fn after(after: Option<Place>) -> Self {
        Self { after, touched: ArrayVec::new(), more: false }
    }

    /// What a flow that is met says. Those that find no room lie behind all that stay, which so miss nothing.
    fn add(&mut self, priority: u16, flow: &Flow) {
        for action in flow.actions.iter() {
            let Action::Conjunction { id, clause, of } = *action else { continue };
            let place = (Reverse(priority), id, of);
            if self.after.is_some_and(|after| place <= after) {
                continue;
            }
            let met = 1u64.unbounded_shl(u32::from(clause.wrapping_sub(1)));
            match self.touched.binary_search_by_key(&place, |touched| touched.place) {
                Ok(at) => {
                    if let Some(touched) = self.touched.get_mut(at) {
                        touched.missing &= !met;
                    }
                }
                Err(at) => {
                    if self.touched.is_full() {
                        self.more = true;
                        if at == AT_ONCE {
                            continue;
                        }
                        self.touched.pop();
                    }
                    let all = u64::MAX.unbounded_shr(u32::from(MAX_CLAUSES.saturating_sub(of)));
                    // There is room: it was made.
                    let _ = self.touched.try_insert(at, Touched { place, missing: all & !met });
                }
            }
        }
    }
}

/// The flow that a key meets in a table with conjunctive matches.
#[cold]
#[inline(never)]
pub(super) fn lookup<'f, W: Wildcards>(
    flows: &'f Classifier<Arc<Flow>>,
    key: &FlowKey,
    wild: &mut W,
) -> Option<&'f Arc<Flow>> {
    let mut after = None;
    loop {
        let mut gathered = Gathered::after(after);
        let plain = flows.lookup_where(key, wild, |rank, flow| {
            let is_part = is_part(flow);
            if is_part {
                gathered.add(rank.priority(), flow);
            }
            !is_part
        });
        let rivals = gathered.touched.iter().take_while(|touched| {
            let Reverse(priority) = touched.place.0;
            plain.is_none_or(|(rank, _)| priority > rank.priority())
        });
        for touched in rivals.filter(|touched| touched.missing == 0) {
            let mut key = *key;
            key.set(Field::ConjId, u128::from(touched.place.1));
            let found = flows.lookup_where(&key, wild, |_, flow| !is_part(flow));
            if let Some((_, flow)) = found {
                return Some(flow);
            }
        }
        after = gathered.touched.last().map(|touched| touched.place).filter(|_| gathered.more);
        if after.is_none() {
            return plain.map(|(_, flow)| flow);
        }
    }
}
