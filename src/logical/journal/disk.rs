//! What is asked of the disk, so that tests can let each step of it fail, or be the last one before a crash.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes all bytes behind those that a file has.
pub fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    // A disk that is full takes the beginning.
    #[cfg(test)]
    if let Err(error) = fault::step() {
        file.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
        return Err(error);
    }
    file.write_all(bytes)
}

/// Waits until what was written is on the disk.
pub fn sync_data(file: &File) -> io::Result<()> {
    step()?;
    file.sync_data()
}

/// The same, with all that is known of the file.
pub fn sync_all(file: &File) -> io::Result<()> {
    step()?;
    file.sync_all()
}

/// Cuts a file off.
pub fn cut(file: &File, length: u64) -> io::Result<()> {
    step()?;
    file.set_len(length)?;
    sync_all(file)
}

/// Makes a file, or empties it.
pub fn create(path: &Path) -> io::Result<File> {
    step()?;
    File::create(path)
}

/// Opens a file to write behind what it has.
pub fn append(path: &Path) -> io::Result<File> {
    step()?;
    File::options().append(true).open(path)
}

/// Gives a file the name of another, which is gone then.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step()?;
    fs::rename(from, to)
}

/// Deletes a file.
pub fn remove(path: &Path) -> io::Result<()> {
    step()?;
    fs::remove_file(path)
}

/// Sees to it that the names in a folder are on the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    step()?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it, all with their names on the disk.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new(""));
    create_folders(above)?;
    step()?;
    match fs::create_dir(folder) {
        // Another made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        other => other?,
    }
    sync_folder(above)
}

#[cfg(not(test))]
fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use fault::step;

/// Steps that fail.
#[cfg(test)]
pub mod fault {
    use std::cell::Cell;
    use std::io;

    #[derive(Clone, Copy, Default)]
    struct Plan {
        good: usize,
        bad: usize,
        has_failed: bool,
    }

    thread_local! {
        static PLAN: Cell<Plan> = Cell::default();
    }

    /// After so many steps of this thread, so many fail; all of them do after a crash.
    pub fn plan(good: usize, bad: usize) {
        PLAN.set(Plan { good, bad, has_failed: false });
    }

    /// Ends that, and says whether any step failed.
    pub fn end() -> bool {
        PLAN.take().has_failed
    }

    pub fn step() -> io::Result<()> {
        let Plan { good, bad, has_failed } = PLAN.get();
        if good > 0 || bad == 0 {
            PLAN.set(Plan { good: good.saturating_sub(1), bad, has_failed });
            return Ok(());
        }
        let bad = if bad == usize::MAX { bad } else { bad - 1 };
        PLAN.set(Plan { good, bad, has_failed: true });
        Err(io::ErrorKind::StorageFull.into())
    }
}
