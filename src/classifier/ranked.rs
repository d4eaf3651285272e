//! A persistent list in the order of falling rank, in chunks, so that a change copies one chunk and not the list.

use std::sync::Arc;

use super::Rank;

/// The most that a chunk holds before it is split.
const CHUNK: usize = 32;

/// What has a rank.
pub(super) trait Ranks {
    /// The rank by which it stands.
    fn rank(&self) -> Rank;
}

/// The list. No chunk is empty; ranks fall, or stay.
pub(super) struct Ranked<T> {
    chunks: Option<Arc<Vec<Arc<Vec<T>>>>>,
}

impl<T> Clone for Ranked<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone() }
    }
}

impl<T> Default for Ranked<T> {
    fn default() -> Self {
        Self { chunks: None }
    }
}

impl<T> Ranked<T> {
    /// All of it, the greatest rank first.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunks| chunks.iter()).flat_map(|chunk| chunk.iter())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.chunks.iter().flat_map(|chunks| chunks.iter()).map(|chunk| chunk.len()).sum()
    }
}

impl<T: Ranks + Clone> Ranked<T> {
    /// Puts one in, behind those of the same rank.
    pub(super) fn insert(&mut self, item: T) {
        let rank = item.rank();
        let chunks = Arc::make_mut(self.chunks.get_or_insert_default());
        // The last chunk that begins with no lesser rank, else the first.
        let at = chunks.partition_point(|chunk| chunk.first().is_some_and(|first| first.rank() >= rank));
        let at = at.saturating_sub(1);
        let Some(chunk) = chunks.get_mut(at) else {
            chunks.push(Arc::new(vec![item]));
            return;
        };
        let chunk = Arc::make_mut(chunk);
        chunk.insert(chunk.partition_point(|other| other.rank() >= rank), item);
        if chunk.len() > CHUNK {
            let tail = chunk.split_off(CHUNK / 2);
            chunks.insert(at + 1, Arc::new(tail));
        }
    }

    /// Takes the one of that rank out that is meant.
    pub(super) fn remove(&mut self, rank: Rank, is_meant: impl Fn(&T) -> bool) -> Option<T> {
        let (at, index) = self.find(rank, is_meant)?;
        let chunks = Arc::make_mut(self.chunks.as_mut()?);
        let chunk = Arc::make_mut(chunks.get_mut(at)?);
        let item = chunk.remove(index);
        if chunk.is_empty() {
            chunks.remove(at);
        }
        if chunks.is_empty() {
            self.chunks = None;
        }
        Some(item)
    }

    /// The one of that rank that is meant.
    pub(super) fn get(&self, rank: Rank, is_meant: impl Fn(&T) -> bool) -> Option<&T> {
        let (at, index) = self.find(rank, is_meant)?;
        self.chunks.as_ref()?.get(at)?.get(index)
    }

    /// The one of that rank that is meant, to be changed but in its rank.
    pub(super) fn get_mut(&mut self, rank: Rank, is_meant: impl Fn(&T) -> bool) -> Option<&mut T> {
        let (at, index) = self.find(rank, is_meant)?;
        let chunks = Arc::make_mut(self.chunks.as_mut()?);
        Arc::make_mut(chunks.get_mut(at)?).get_mut(index)
    }

    /// Chunk, and place in it.
    fn find(&self, rank: Rank, is_meant: impl Fn(&T) -> bool) -> Option<(usize, usize)> {
        let chunks = self.chunks.as_ref()?;
        let start = chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last.rank() > rank));
        let candidates = chunks.iter().enumerate().skip(start);
        candidates.take_while(|(_, chunk)| chunk.first().is_some_and(|first| first.rank() >= rank)).find_map(
            |(at, chunk)| {
                let index = chunk.iter().position(|item| item.rank() == rank && is_meant(item))?;
                Some((at, index))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Ranks for (Rank, u32) {
        fn rank(&self) -> Rank {
            self.0
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_vector(
            changes in proptest::collection::vec((0u64..60, any::<prop::sample::Index>(), 0u8..8), 1..200),
        ) {
            let (mut list, mut oracle) = (Ranked::<(Rank, u32)>::default(), Vec::<(Rank, u32)>::new());
            let mut kept = Vec::new();
            for (number, (rank, index, what)) in (0..).zip(changes) {
                match what {
                    0 => kept.push((list.clone(), oracle.clone())),
                    1 | 2 if !oracle.is_empty() => {
                        let (rank, number) = oracle.remove(index.index(oracle.len()));
                        let removed = list.remove(rank, |item| item.1 == number);
                        prop_assert_eq!(removed, Some((rank, number)));
                    }
                    3 if !oracle.is_empty() => {
                        let at = index.index(oracle.len());
                        let item = &mut oracle[at];
                        let (rank, old) = *item;
                        item.1 = number;
                        let found = list.get_mut(rank, |item| item.1 == old);
                        prop_assert!(found.is_some());
                        found.into_iter().for_each(|found| found.1 = number);
                    }
                    _ => {
                        let item = (Rank(rank), number);
                        oracle.insert(oracle.partition_point(|other| other.0 >= item.0), item);
                        list.insert(item);
                        prop_assert_eq!(list.remove(Rank(rank), |_| false), None);
                    }
                }
                prop_assert!(list.iter().eq(&oracle));
                prop_assert_eq!(list.len(), oracle.len());
            }
            for (list, oracle) in kept {
                prop_assert!(list.iter().eq(&oracle));
            }
        }
    }
}
