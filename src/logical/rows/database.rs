//! The newest snapshot, and the log by which subscribers learn which rows changed.

use std::collections::{BTreeSet, VecDeque};

use super::edit::Edit;
use super::schema::{Columns, Schema, Untyped};
use super::store::Store;
use super::transaction::{Refusal, Transaction};
use super::uuid::Uuid;

/// Most names of rows that the log keeps; a subscriber that is further behind is told by comparing snapshots.
const MAX_LOGGED: usize = 1 << 16;

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
    log: VecDeque<Vec<(S, Uuid)>>,
    /// Names in the log, and most that may be in it.
    logged: usize,
    most: usize,
    /// Number of commits.
    commits: u64,
}

/// A snapshot to prepare a transaction on.
pub struct Draft<S: Schema> {
    base: Store<S>,
    version: u64,
}

/// A transaction that only has to be entered.
pub struct Prepared<S: Schema> {
    next: Store<S>,
    touched: Vec<(S, Uuid)>,
    version: u64,
}

impl<S: Schema> Draft<S> {
    /// The snapshot.
    pub fn base(&self) -> &Store<S> {
        &self.base
    }

    /// Does all the work of a transaction but entering it.
    pub fn prepare(&self, transaction: Transaction<S>) -> Result<Prepared<S>, Refusal> {
        let (next, touched) = self.base.apply(transaction)?;
        Ok(Prepared { next, touched, version: self.version })
    }

    /// The rows to be changed one after the other, by whoever wants to see what was done so far.
    pub fn edit(&self) -> Edit<S> {
        Edit::on(&self.base)
    }

    /// The same as [`prepare`](Self::prepare) of what was done to its rows.
    pub fn finish(&self, edit: Edit<S>) -> Result<Prepared<S>, Refusal> {
        let (next, touched) = edit.finish()?;
        Ok(Prepared { next, touched, version: self.version })
    }
}

impl<S: Schema> Prepared<S> {
    /// The rows as they will be.
    pub fn after(&self) -> &Store<S> {
        &self.next
    }

    /// The rows that change, and what they will be, none for those that go: all that must be kept of the transaction to
    /// do it again.
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

    /// What a large transaction may be prepared on elsewhere, while this is read and changed.
    pub fn draft(&self) -> Draft<S> {
        Draft { base: self.now.clone(), version: self.commits }
    }

    /// Does what was prepared and says how many rows it changed; none if there was a commit since the draft was made, so
    /// that it is to be prepared again.
    pub fn adopt(&mut self, prepared: Prepared<S>) -> Option<usize> {
        let Prepared { next, touched, version } = prepared;
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
        self.log.push_back(touched);
        while self.logged > self.most
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

    /// The commits that a subscriber has not seen, if the log has them all.
    fn behind(&self, cursor: &Cursor<S>) -> Option<impl Iterator<Item = &Vec<(S, Uuid)>>> {
        let missed = usize::try_from(self.commits.saturating_sub(cursor.commits)).ok()?;
        Some(self.log.iter().skip(self.log.len().checked_sub(missed)?))
    }
}

impl<S: Schema> Cursor<S> {
    /// The rows as they were when they were last looked at.
    pub fn seen(&self) -> &Store<S> {
        &self.seen
    }

    /// What changed since the last look, and the subscriber has seen it.
    pub fn poll(&mut self, database: &Database<S>) -> Delta<S> {
        let names: BTreeSet<(S, Uuid)> = match database.behind(self) {
            Some(commits) => commits.flatten().copied().collect(),
            None => [&self.seen, &database.now].into_iter().flat_map(names).collect(),
        };
        let before = std::mem::replace(&mut self.seen, database.now.clone());
        self.commits = database.commits;
        let changes = names.into_iter().filter_map(|(table, uuid)| {
            let what = match (before.row(table, uuid), database.now.row(table, uuid)) {
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
        Delta { changes: changes.collect(), before, after: database.now.clone() }
    }
}

fn names<S: Schema>(store: &Store<S>) -> impl Iterator<Item = (S, Uuid)> {
    S::ALL.iter().flat_map(|table| store.rows(*table).map(|(uuid, _)| (*table, uuid)))
}
