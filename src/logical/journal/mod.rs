//! Rows that outlive the process: a file of committed transactions, one record each, in a folder of its own.
//!
//! The invariant: what [`Journal::append`] has returned for is there after any crash, wholly, and what it has not is there
//! wholly or not at all; the file never tells of rows that were not. A record is written behind the others and reaches the
//! disk before the transaction is acknowledged. When the records become long beside the rows that they lead to, a
//! [checkpoint](Journal::checkpoint) writes the rows as the first record of a new file, which takes the place of the old
//! one by a rename. A record that a crash cut short at the end of the file is cut off; one that is damaged with others
//! behind it is no crash's work, and the file is refused. Where the disk refuses something, all is as before: what was
//! begun is taken away again, and if that is refused too, nothing more is kept.
//!
//! `record` is what a record says, `frame` how it is told from damage, `disk` what is asked of the disk, this module the
//! file and its folder.

mod disk;
mod frame;
mod record;
#[cfg(feature = "testing")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::rows::database::Database;
use super::rows::schema::{Schema, Untyped};
use super::rows::store::Store;
use super::rows::transaction::{Refusal, Transaction};
use super::rows::uuid::Uuid;
use frame::{Ending, Frames};
pub use record::BadRecord;
use record::{Head, Record};

/// Records may take so many bytes beside the rows before a checkpoint is due, and as many more as the rows take.
const SLACK: u64 = 1 << 20;

/// Why rows cannot be kept, or cannot be read again.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refuses something.
    #[error("cannot {0} {path}: {2}", path = .1.display())]
    Io(&'static str, PathBuf, io::Error),
    /// More than a record can hold.
    #[error("a record of {0} bytes is too long for a journal; change less at once")]
    Long(usize),
    /// Another process has the folder.
    #[error("folder {path} is in use by another switch; stop that one, or use another folder", path = .0.display())]
    Locked(PathBuf),
    /// Another file.
    #[error(
        "{path} is not a journal of {database} as this release writes it; move it away, or restore it from a copy",
        path = .path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// The database.
        database: &'static str,
    },
    /// Damage before the end.
    #[error(
        "{path} is damaged at byte {at}, and there are records behind it; restore the file from a copy, or give up what is \
         behind with: truncate --size={at} {path}",
        path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// A whole record that cannot be understood.
    #[error(
        "{path}: the record at byte {at} cannot be read: {cause}; use the release that wrote it, or give up what is behind \
         with: truncate --size={at} {path}",
        path = .path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong.
        cause: Box<BadRecord>,
    },
    /// Rows that are not consistent.
    #[error("the rows of {path} are not consistent: {1}; restore the file from a copy", path = .0.display())]
    Rows(PathBuf, Box<Refusal>),
    /// What was written last may be there or not.
    #[error(
        "{path} could not be written before, and nothing more is kept; see to the disk and start the switch again",
        path = .0.display()
    )]
    Broken(PathBuf),
}

/// What a file had in it.
pub struct Recovered<S: Schema> {
    /// The rows.
    pub database: Database<S>,
    /// Rows in the order in which they were created, as far as it was told and they are still there.
    pub created: Vec<Uuid>,
    /// Tunnel keys.
    pub keys: BTreeMap<Uuid, u32>,
    /// How many records there were.
    pub records: usize,
    /// Bytes at the end that a crash had cut short, and that are gone now.
    pub cut: u64,
}

/// What changes beside rows.
#[derive(Clone, Copy, Default, Debug)]
pub struct Beside<'a> {
    /// The rows that were created, in order.
    pub created: &'a [Uuid],
    /// Tunnel keys that were given, and none for those that are free again.
    pub keys: &'a [(Uuid, Option<u32>)],
}

/// The file, open and locked.
pub struct Journal<S: Schema> {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// Held for its lock.
    _lock: File,
    /// Bytes of the file that are good.
    length: u64,
    /// Bytes of its first record, with what is before it.
    base: u64,
    created: Vec<Uuid>,
    keys: BTreeMap<Uuid, u32>,
    is_broken: bool,
    /// Bytes of the file from which on another checkpoint is tried, after one that failed.
    again: u64,
    schema: PhantomData<S>,
}

impl<S: Schema> Journal<S> {
    /// Whether there is a journal in a folder.
    pub fn is_in(folder: &Path) -> Result<bool, JournalError> {
        let path = Self::path_in(folder);
        path.try_exists().map_err(|error| JournalError::Io("look for", path, error))
    }

    fn path_in(folder: &Path) -> PathBuf {
        folder.join(format!("{}.journal", S::DATABASE))
    }

    /// Opens the journal in a folder, which is made if it is not there, and gives what is in it.
    pub fn open(folder: &Path) -> Result<(Self, Recovered<S>), JournalError> {
        let io = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |error| JournalError::Io(what, path, error)
        };
        disk::create_folders(folder).map_err(io("create folder", folder))?;
        let lock_path = folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io("open", &lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Locked(folder.to_owned()),
            TryLockError::Error(error) => JournalError::Io("lock", lock_path.clone(), error),
        })?;
        let path = Self::path_in(folder);
        if !path.try_exists().map_err(io("look for", &path))? {
            let frame = framed(&Record::<S>::of_all(&Store::default(), &[], &BTreeMap::new()))?;
            let made = write_new::<S>(&path, &frame).and_then(|_| put_in_place(&path));
            made.and_then(|()| disk::sync_folder(folder)).map_err(io("create", &path))?;
        }
        let bytes = fs::read(&path).map_err(io("read", &path))?;
        let recovered = recover::<S>(&path, &bytes)?;
        let file = disk::append(&path).map_err(io("open", &path))?;
        let length = bytes.len() as u64 - recovered.found.cut;
        if recovered.found.cut > 0 {
            disk::cut(&file, length).map_err(io("cut the end off", &path))?;
        }
        let found = recovered.found;
        let journal = Self {
            folder: folder.to_owned(),
            path,
            file,
            _lock: lock,
            length,
            base: recovered.base,
            created: found.created.clone(),
            keys: found.keys.clone(),
            is_broken: false,
            again: 0,
            schema: PhantomData,
        };
        Ok((journal, found))
    }

    /// Keeps a transaction: the rows that it changes, none for those that go. Once this returns, it is kept.
    pub fn append<'a>(
        &mut self,
        rows: impl IntoIterator<Item = (S, Uuid, Option<&'a S::AnyRow>)>,
        beside: Beside<'_>,
    ) -> Result<(), JournalError> {
        if self.is_broken {
            return Err(JournalError::Broken(self.path.clone()));
        }
        let frame = framed(&Record::<S>::of_change(rows, beside))?;
        let written = disk::write(&mut self.file, &frame).and_then(|()| disk::sync_data(&self.file));
        if let Err(error) = written {
            // Part of it may be there. If that goes, all is as before, unless the disk does not say what it has.
            self.is_broken = disk::cut(&self.file, self.length).is_err();
            return Err(JournalError::Io("write", self.path.clone(), error));
        }
        self.length += frame.len() as u64;
        self.created.extend_from_slice(beside.created);
        for (uuid, key) in beside.keys {
            match key {
                Some(key) => _ = self.keys.insert(*uuid, *key),
                None => _ = self.keys.remove(uuid),
            }
        }
        Ok(())
    }

    /// Whether the records have become long beside the rows.
    pub fn wants_checkpoint(&self) -> bool {
        self.length - self.base > self.base + SLACK && self.length >= self.again
    }

    /// Tunnel keys, as they were told.
    pub fn keys(&self) -> &BTreeMap<Uuid, u32> {
        &self.keys
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes all rows anew, in one record. They must be what the records so far lead to. If it fails, what was kept is
    /// kept, and this is not wanted again before the file is longer.
    pub fn checkpoint(&mut self, rows: &Store<S>) -> Result<(), JournalError> {
        if self.is_broken {
            return Err(JournalError::Broken(self.path.clone()));
        }
        self.again = self.length + SLACK;
        retain_present(rows, &mut self.created);
        let frame = framed(&Record::<S>::of_all(rows, &self.created, &self.keys))?;
        let error = |error| JournalError::Io("write", self.path.clone(), error);
        let length = write_new::<S>(&self.path, &frame).map_err(error)?;
        put_in_place(&self.path).map_err(error)?;
        // The old file has no name any more, or after a crash the new one has none: what is appended to either could be
        // lost.
        self.is_broken = true;
        disk::sync_folder(&self.folder).map_err(error)?;
        self.file = disk::append(&self.path).map_err(error)?;
        self.is_broken = false;
        (self.length, self.base, self.again) = (length, length, 0);
        Ok(())
    }
}

/// A record with what stands before it.
fn framed(record: &str) -> Result<Vec<u8>, JournalError> {
    frame::frame(record).ok_or(JournalError::Long(record.len()))
}

/// What is before the first record.
fn preamble<S: Schema>() -> String {
    format!("millrace journal 1 {}\n", S::DATABASE)
}

/// A file beside another that is to take its place.
fn new_path(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Writes a file with one record, and gives its length.
fn write_new<S: Schema>(path: &Path, frame: &[u8]) -> io::Result<u64> {
    let new = new_path(path);
    let written = disk::create(&new).and_then(|mut file| {
        disk::write(&mut file, preamble::<S>().as_bytes())?;
        disk::write(&mut file, frame)?;
        disk::sync_all(&file)
    });
    // What is there of it would only take room.
    or_gone(written, &new)?;
    Ok(preamble::<S>().len() as u64 + frame.len() as u64)
}

/// Puts it in its place, whether there is another or none.
fn put_in_place(path: &Path) -> io::Result<()> {
    let new = new_path(path);
    or_gone(disk::rename(&new, path), &new)
}

/// What was done to a file, which is deleted if that failed.
fn or_gone(done: io::Result<()>, path: &Path) -> io::Result<()> {
    if done.is_err() {
        // Not more than could be done before.
        let _ = disk::remove(path);
    }
    done
}

/// Keeps the rows that there are.
fn retain_present<S: Schema>(rows: &Store<S>, created: &mut Vec<Uuid>) {
    let wanted: BTreeSet<Uuid> = created.iter().copied().collect();
    let names = S::ALL.iter().flat_map(|table| rows.rows(*table).map(|(uuid, _)| uuid));
    let present: BTreeSet<Uuid> = names.filter(|uuid| wanted.contains(uuid)).collect();
    created.retain(|uuid| present.contains(uuid));
}

/// What is recovered, and how long the first record is.
struct Reading<S: Schema> {
    found: Recovered<S>,
    base: u64,
}

/// Reads a file.
fn recover<S: Schema>(path: &Path, bytes: &[u8]) -> Result<Reading<S>, JournalError> {
    let preamble = preamble::<S>();
    let Some(body) = bytes.strip_prefix(preamble.as_bytes()) else {
        return Err(JournalError::Other { path: path.to_owned(), database: S::DATABASE });
    };
    let before = preamble.len() as u64;
    let mut rows: BTreeMap<(S, Uuid), S::AnyRow> = BTreeMap::new();
    let (mut created, mut keys) = (Vec::new(), BTreeMap::new());
    let (mut records, mut base) = (0, before);
    let mut frames = Frames::new(body);
    while let Some((at, payload)) = frames.next() {
        let at = before + at as u64;
        let record = Record::<S>::read(payload);
        let record = record.map_err(|cause| JournalError::Record {
            path: path.to_owned(),
            at,
            cause: Box::new(cause),
        })?;
        let Head { created: new, keys: new_keys, .. } = record.head;
        created.extend(new);
        for (uuid, key) in new_keys {
            match key {
                Some(key) => _ = keys.insert(uuid, key),
                None => _ = keys.remove(&uuid),
            }
        }
        for name in record.gone {
            rows.remove(&name);
        }
        rows.extend(record.rows.into_iter().map(|(uuid, row)| ((row.table(), uuid), row)));
        records += 1;
        if records == 1 {
            base = before + frames.at() as u64;
        }
    }
    let good = before + frames.at() as u64;
    // The first record is there before the file has its name.
    if records == 0 || frames.ending() == Ending::Damaged {
        return Err(JournalError::Damaged { path: path.to_owned(), at: good });
    }
    let mut transaction = Transaction::new();
    rows.into_iter().for_each(|((_, uuid), row)| transaction.put_any(uuid, row));
    let mut database = Database::default();
    database.commit(transaction).map_err(|refusal| JournalError::Rows(path.to_owned(), Box::new(refusal)))?;
    retain_present(database.snapshot(), &mut created);
    let cut = bytes.len() as u64 - good;
    Ok(Reading { found: Recovered { database, created, keys, records, cut }, base })
}
