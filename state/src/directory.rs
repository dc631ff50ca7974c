//! `Directory`: objects as files of a local directory, written by one process at a time.
//!
//! Law 5: a file appears whole under its name, and its name is durable before a put returns. Whoever has a locked
//! `Directory` holds the directory's lock; the system lets go of it when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::objects::{Objects, Opened, Placed};
use crate::{StateError, files};

const LOCK_FILE: &str = "lock";

/// A state directory on this machine.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    /// Locked for as long as it is open; `None` beside another process.
    _lock: Option<File>,
}

impl Directory {
    /// The directory as it is; nothing is made or locked.
    pub(crate) fn at(path: &Path) -> Directory {
        Directory {
            root: path.to_owned(),
            _lock: None,
        }
    }

    /// The directory, locked.
    pub(crate) fn hold(path: &Path) -> Result<Directory, StateError> {
        Ok(Directory {
            root: path.to_owned(),
            _lock: Some(take_lock(path)?),
        })
    }

    /// Makes the folders in it.
    pub(crate) fn make(&self, folders: &[&str]) -> Result<(), StateError> {
        for folder in folders {
            let folder = self.root.join(folder);
            fs::create_dir_all(&folder).map_err(StateError::io("create", &folder))?;
        }
        let synced = files::sync_folder(&self.root.join(LOCK_FILE));
        synced.map_err(StateError::io("sync", &self.root))
    }
}

impl Objects for Directory {
    fn put(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<()> {
        let target = self.root.join(name);
        let temporary = files::write_temporary(&target, attempt, parts)?;
        files::place_over(&temporary, &target)
    }

    fn put_if_absent(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<Placed> {
        let target = self.root.join(name);
        let temporary = files::write_temporary(&target, attempt, parts)?;
        files::place_if_absent(&temporary, &target)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Opened>> {
        let file = File::open(self.root.join(name))?;
        let length = file.metadata()?.len();
        Ok(Box::new(Whole { file, length }))
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let path = self.root.join(folder);
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&path)?;
        files::sync_folder(&path)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let top = folder.is_empty();
        let mut names = match files::names(&self.root.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names?,
        };
        let own = |name: &String| files::is_temporary(name) || top && name == LOCK_FILE;
        names.retain(|name| !own(name));
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        remove(&self.root.join(name)).map(drop)
    }

    fn set_aside(&self, name: &str, to: &str) -> io::Result<()> {
        let (path, target) = (self.root.join(name), self.root.join(to));
        fs::rename(&path, &target)?;
        files::sync_folder(&target)?;
        files::sync_folder(&path)
    }

    fn sweep(&self, folder: &str, attempt: u64) -> io::Result<u64> {
        let folder = self.root.join(folder);
        let own = files::temporaries_of(attempt);
        let mut removed = 0;
        for name in files::names(&folder)? {
            if files::is_temporary(&name) && !name.starts_with(&own) {
                removed += remove(&folder.join(name))?;
            }
        }
        Ok(removed)
    }
}

/// A file that is open. It has its final name, so it does not change any more.
#[derive(Debug)]
struct Whole {
    file: File,
    length: u64,
}

impl Opened for Whole {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        // The system takes no offset above a file's largest, and says so in other words.
        let end = at.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(into, at)
    }
}

/// Removes a file; one that is gone already counts as 0.
fn remove(path: &Path) -> io::Result<u64> {
    match fs::remove_file(path) {
        Ok(()) => Ok(1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn take_lock(path: &Path) -> Result<File, StateError> {
    let lock_path = path.join(LOCK_FILE);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(StateError::io("write", &lock_path))?;
    match lock.try_lock() {
        Ok(()) => (),
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let read = lock.take(32).read_to_string(&mut process);
            let holder = match (read, process.trim()) {
                (Ok(_), id) if !id.is_empty() => format!("process {id}"),
                _ => "process unknown".into(),
            };
            return Err(StateError::Taken {
                path: path.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(error)) => return Err(StateError::io("lock", &lock_path)(error)),
    }
    // For the message above only: the lock itself is the system's.
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(StateError::io("write", &lock_path))?;
    Ok(lock)
}
