//! Matches in little space: the words that are matched, beside a number for the mask that many share.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::packet::{Field, FlowKey, FlowMask};
use crate::pipeline::Match;

/// The words of a mask that are not zero: index and bits.
pub(super) type Layout = SmallVec<[(u8, u64); 4]>;

/// All masks that were met.
#[derive(Default)]
pub(super) struct Masks {
    layouts: Vec<Arc<Layout>>,
    numbers: HashMap<Arc<Layout>, u32, foldhash::fast::FixedState>,
}

/// A match of which the mask stands in [`Masks`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Packed {
    mask: u32,
    words: SmallVec<[u64; 4]>,
}

impl Hash for Packed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.mask);
        self.words.iter().for_each(|word| state.write_u64(*word));
    }
}

impl Masks {
    /// Packs a match.
    pub fn pack(&mut self, matcher: &Match) -> Packed {
        let words = (0u8..).zip(matcher.mask.words().iter().zip(matcher.key.words()));
        let mut layout = Layout::new();
        let mut values = SmallVec::new();
        for (at, (bits, word)) in words.filter(|(_, (bits, _))| **bits != 0) {
            layout.push((at, *bits));
            values.push(word & bits);
        }
        let mask = match self.numbers.get(&layout) {
            Some(number) => *number,
            None => {
                let number = self.layouts.len() as u32;
                let layout = Arc::new(layout);
                self.layouts.push(Arc::clone(&layout));
                self.numbers.insert(layout, number);
                number
            }
        };
        Packed { mask, words: values }
    }

    /// The mask of a packed match.
    pub fn layout(&self, packed: &Packed) -> Option<&Arc<Layout>> {
        self.layouts.get(packed.mask as usize)
    }

    /// Puts a value into a field that the match asks for in full; the field was 0 before.
    pub fn fill(&self, packed: &mut Packed, field: Field, value: u64) {
        let loc = field.info().loc;
        let place = self.layout(packed).and_then(|layout| layout.iter().position(|(at, _)| *at == loc.word));
        if let Some(word) = place.and_then(|place| packed.words.get_mut(place)) {
            *word |= value << loc.shift;
        }
    }
}

impl Packed {
    /// The words of the match.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// A match of its words and their places.
pub(super) fn unpack(layout: &Layout, words: &[u64]) -> Match {
    let (mut key, mut mask) = (FlowKey::default(), FlowMask::default());
    for ((at, bits), word) in layout.iter().zip(words) {
        let at = usize::from(*at);
        if let (Some(in_key), Some(in_mask)) = (key.words_mut().get_mut(at), mask.words_mut().get_mut(at)) {
            (*in_key, *in_mask) = (*word, *bits);
        }
    }
    Match { key, mask }
}
