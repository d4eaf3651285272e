//! The matched words of one key, without the rest of it.

/// Words beside a shape that tells where in the key they belong. As many as most matches have stand in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Words {
    Few(u8, [u64; FEW]),
    Many(Box<[u64]>),
}

const FEW: usize = 4;

impl Words {
    pub(super) fn new(words: impl Iterator<Item = u64> + Clone) -> Self {
        let count = words.clone().count();
        if count > FEW {
            return Words::Many(words.collect());
        }
        let mut few = [0; FEW];
        few.iter_mut().zip(words).for_each(|(out, word)| *out = word);
        Words::Few(count as u8, few)
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let words = match self {
            Words::Few(count, words) => words.get(..usize::from(*count)).unwrap_or_default(),
            Words::Many(words) => words,
        };
        words.iter().copied()
    }
}
