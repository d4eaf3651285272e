//! The newest snapshot, and the log by which subscribers learn which rows changed.

use std::collections::{BTreeSet, VecDeque};

use super::edit::Edit;
use super::schema::{Columns, Schema, Untyped};
use super::store::Store;
use super::transaction::{Refusal, Transaction};
use super::uuid::Uuid;

/// Most names of rows that the log keeps; a subscriber that is further behind is told by comparing snapshots.
const MAX_LOGGED: usize = 1 << 16;
/// Names that it keeps however few rows there are. Beyond these and the number of rows it would save nothing.
const LEAST_LOGGED: usize = 1 << 10;

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It is new.
    Inserted,
    /// These columns changed.
    Modified(Columns),
    /// It is gone.
    Deleted,
}

/// A row that changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<S: Schema> {
    /// Its table.
    pub table: S,
    /// Its name.
    pub uuid: Uuid,
    /// What became of it.
    pub what: What,
}

/// What changed between two looks of a subscriber.
#[derive(Clone)]
pub struct Delta<S: Schema> {
    /// As it was.
    pub before: Store<S>,
    /// As it is.
    pub after: Store<S>,
    /// The rows in which the two differ, by table and name, and no others.
    pub changes: Vec<Change<S>>,
}

/// The owner of the newest snapshot.
pub struct Database<S: Schema> {
    now: Store<S>,
    /// The rows that each commit may have changed, oldest first.
    log: VecDeque<Box<[(S, Uuid)]>>,
    /// Names in the log, and most that may be in it.
    logged: usize,
    most: usize,
    /// Number of commits.
    commits: u64,
}

/// A snapshot to prepare other rows on.
#[derive(Clone)]
pub struct Draft<S: Schema> {
    base: Store<S>,
    version: u64,
}

/// Rows that are to take the place of all rows, and only have to be entered.
pub struct Prepared<S: Schema> {
    next: Store<S>,
    /// Where they differ from the draft.
    touched: Vec<(S, Uuid)>,
    version: u64,
}

/// A change of some rows that keeps the rules, and only has to be entered.
pub struct Changed<S: Schema> {
    next: Store<S>,
    touched: Vec<(S, Uuid)>,
    version: u64,
}

impl<S: Schema> Draft<S> {
    /// Does all the work of putting these rows in the place of all rows but entering them.
    pub fn replace(&self, rows: impl IntoIterator<Item = (Uuid, S::AnyRow)>) -> Result<Prepared<S>, Refusal> {
        let (next, touched) = self.base.apply(Transaction::replacing(&self.base, rows))?;
        Ok(Prepared { next, touched, version: self.version })
    }

    /// The rows as they were when it was made.
    pub fn rows(&self) -> &Store<S> {
        &self.base
    }

    /// All rows, as if none had been before.
    pub fn from_nothing(&self) -> Delta<S> {
        Delta::from_nothing(&self.base)
    }

    /// The rows to be changed one after the other, by whoever wants to see what was done so far.
    pub fn edit(&self) -> Edit<S> {
        Edit::on(&self.base)
    }

    /// Does all the work of a transaction but entering it.
    pub fn change(&self, transaction: Transaction<S>) -> Result<Changed<S>, Refusal> {
        let (next, touched) = self.base.apply(transaction)?;
        Ok(Changed { next, touched, version: self.version })
    }

    /// What a change that was finished on this draft will change.
    pub fn delta(&self, changed: &Changed<S>) -> Delta<S> {
        Delta::between(changed.touched.iter().copied(), &self.base, &changed.next)
    }

    /// Does all the work of what was done on [`edit`](Self::edit) but entering it.
    pub fn finish(&self, edit: Edit<S>) -> Result<Changed<S>, Refusal> {
        let (next, touched) = edit.finish()?;
        Ok(Changed { next, touched, version: self.version })
    }
}

/// A replacement as a change like others, which is to be done again if there was a commit since its draft was made.
impl<S: Schema> From<Prepared<S>> for Changed<S> {
    fn from(Prepared { next, touched, version }: Prepared<S>) -> Self {
        Self { next, touched, version }
    }
}

impl<S: Schema> Changed<S> {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// All rows as they will be, as if none had been before.
    pub fn from_nothing(&self) -> Delta<S> {
        Delta::from_nothing(&self.next)
    }

    /// The rows as they will be.
    pub fn after(&self) -> &Store<S> {
        &self.next
    }

    /// The rows that change, and what they will be, none for those that go: all that must be kept of the change to do it
    /// again.
    pub fn rows(&self) -> impl Iterator<Item = (S, Uuid, Option<&S::AnyRow>)> {
        self.touched.iter().map(|(table, uuid)| (*table, *uuid, self.next.row(*table, *uuid)))
    }
}

/// How far a subscriber has followed.
#[derive(Clone)]
pub struct Cursor<S: Schema> {
    seen: Store<S>,
    commits: u64,
}

impl<S: Schema> Default for Database<S> {
    fn default() -> Self {
        Self::with_log(MAX_LOGGED)
    }
}

impl<S: Schema> Database<S> {
    /// Without rows, and with a log of so many names.
    pub(super) fn with_log(most: usize) -> Self {
        Self { now: Store::default(), log: VecDeque::new(), logged: 0, most, commits: 0 }
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &Store<S> {
        &self.now
    }

    /// How often the rows have changed.
    pub fn version(&self) -> u64 {
        self.commits
    }

    /// Does a transaction, wholly or not at all, and says how many rows it changed.
    pub fn commit(&mut self, transaction: Transaction<S>) -> Result<usize, Refusal> {
        let (next, touched) = self.now.apply(transaction)?;
        Ok(self.enter(next, touched))
    }

    /// What other rows may be prepared on elsewhere, while this is read and changed.
    pub fn draft(&self) -> Draft<S> {
        Draft { base: self.now.clone(), version: self.commits }
    }

    /// Puts the rows that were prepared in the place of all rows and says how many changed. Since they say all, it does
    /// not matter what was committed after the draft was made: it is gone as what was there before is.
    pub fn adopt(&mut self, prepared: Prepared<S>) -> usize {
        let Prepared { next, mut touched, version } = prepared;
        if version < self.commits {
            let meanwhile: BTreeSet<(S, Uuid)> = match self.since(version) {
                Some(commits) => commits.flatten().copied().collect(),
                None => {
                    [&self.now, &next].into_iter().flat_map(names).chain(touched.iter().copied()).collect()
                }
            };
            touched.retain(|name| !meanwhile.contains(name));
            let differs = |(table, uuid): &(S, Uuid)| self.now.row(*table, *uuid) != next.row(*table, *uuid);
            touched.extend(meanwhile.into_iter().filter(differs));
        }
        self.enter(next, touched)
    }

    /// Does a change that was finished and says how many rows it changed; none if there was a commit since its draft was
    /// made, so that it is to be done again on what there is now.
    pub fn accept(&mut self, changed: Changed<S>) -> Option<usize> {
        let Changed { next, touched, version } = changed;
        (version == self.commits).then(|| self.enter(next, touched))
    }

    fn enter(&mut self, next: Store<S>, touched: Vec<(S, Uuid)>) -> usize {
        let count = touched.len();
        if count == 0 {
            return 0;
        }
        self.now = next;
        self.commits += 1;
        self.logged += count;
        self.log.push_back(touched.into());
        let most = self.most.min(self.now.count().max(LEAST_LOGGED));
        while self.logged > most
            && let Some(oldest) = self.log.pop_front()
        {
            self.logged -= oldest.len();
        }
        count
    }

    /// A subscriber that has seen everything up to now.
    pub fn subscribe(&self) -> Cursor<S> {
        Cursor { seen: self.now.clone(), commits: self.commits }
    }

    /// A subscriber that has seen nothing: its first look finds every row inserted. For whoever builds something from
    /// all rows and then follows them, with the same code.
    pub fn subscribe_from_nothing(&self) -> Cursor<S> {
        // Before the first commit, which the log may have forgotten.
        Cursor { seen: Store::default(), commits: 0 }
    }

    /// The commits after a version, if the log has them all.
    fn since(&self, version: u64) -> Option<impl Iterator<Item = &[(S, Uuid)]>> {
        let missed = usize::try_from(self.commits.saturating_sub(version)).ok()?;
        Some(self.log.iter().skip(self.log.len().checked_sub(missed)?).map(|names| &**names))
    }
}

impl<S: Schema> Cursor<S> {
    /// The rows as they were when they were last looked at.
    pub fn seen(&self) -> &Store<S> {
        &self.seen
    }

    /// What changed since the last look, and the subscriber has seen it.
    pub fn poll(&mut self, database: &Database<S>) -> Delta<S> {
        let names: BTreeSet<(S, Uuid)> = match database.since(self.commits) {
            Some(commits) => commits.flatten().copied().collect(),
            None => [&self.seen, &database.now].into_iter().flat_map(names).collect(),
        };
        let before = std::mem::replace(&mut self.seen, database.now.clone());
        self.commits = database.commits;
        Delta::between(names, &before, &database.now)
    }
}

impl<S: Schema> Delta<S> {
    fn from_nothing(after: &Store<S>) -> Self {
        Self::between(names(after).collect::<BTreeSet<_>>(), &Store::default(), after)
    }

    /// The rows of these names in which two snapshots differ. The names are in order and each comes once.
    fn between(names: impl IntoIterator<Item = (S, Uuid)>, before: &Store<S>, after: &Store<S>) -> Self {
        let changes = names.into_iter().filter_map(|(table, uuid)| {
            let what = match (before.row(table, uuid), after.row(table, uuid)) {
                (None, None) => return None,
                (None, Some(_)) => What::Inserted,
                (Some(_), None) => What::Deleted,
                (Some(old), Some(new)) => {
                    let columns = new.differences(old);
                    if columns.is_empty() {
                        return None;
                    }
                    What::Modified(columns)
                }
            };
            Some(Change { table, uuid, what })
        });
        Self { changes: changes.collect(), before: before.clone(), after: after.clone() }
    }
}

fn names<S: Schema>(store: &Store<S>) -> impl Iterator<Item = (S, Uuid)> {
    S::ALL.iter().flat_map(|table| store.rows(*table).map(|(uuid, _)| (*table, uuid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::rows::tables::AddressSet;

    #[test]
    fn the_log_of_few_rows_is_short() {
        let mut database = Database::default();
        let mut cursor = database.subscribe_from_nothing();
        for n in 0..3 * LEAST_LOGGED {
            let mut rows = Transaction::new();
            rows.put(Uuid(1), AddressSet { name: n.to_string(), ..AddressSet::default() });
            database.commit(rows).unwrap();
        }
        assert_eq!((database.logged, database.log.len()), (LEAST_LOGGED, LEAST_LOGGED));
        assert_eq!(cursor.poll(&database).changes.len(), 1);
        let mut rows = Transaction::new();
        for n in 2..3 * LEAST_LOGGED {
            rows.put(Uuid(n as u128), AddressSet { name: format!("s{n}"), ..AddressSet::default() });
        }
        let count = database.commit(rows).unwrap();
        assert!((count..=database.snapshot().count()).contains(&database.logged), "{}", database.logged);
    }
}
