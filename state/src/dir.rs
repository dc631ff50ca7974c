//! `StateDir`: one job's state in a local directory, held by one process at a time.
//!
//! It stands for an object store behind the same calls: immutable files, created whole or not at all.
//! Law: whoever has opened a `StateDir` holds the directory's lock, and lets guests of its own job in beside it; a directory
//! that is not ours is left untouched.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{SegmentName, StateError, files};

/// Version of the directory's layout that this program writes, and the newest that it reads.
const LAYOUT: u32 = 1;
const FORMAT_FILE: &str = "format";
const FORMAT_WORDS: &str = "flow-pipeline state, layout ";
const LOCK_FILE: &str = "lock";
const CHECKPOINTS: &str = "checkpoints";
const SEGMENTS: &str = "segments";
const TABLES: &str = "tables";
const DAMAGED: &str = "damaged";
const FOLDERS: [&str; 4] = [CHECKPOINTS, SEGMENTS, TABLES, DAMAGED];

/// A state directory, whose lock this process holds unless it is a guest. A clone is another handle of the same one, for other threads.
#[derive(Clone, Debug)]
pub struct StateDir {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    root: PathBuf,
    /// Locked for as long as it is open; the system lets go of it when the process ends, however it ends. `None`: this
    /// process is a guest.
    _lock: Option<File>,
}

impl StateDir {
    /// Opens a state directory, creates one that is not there or empty, and takes its lock.
    ///
    /// # Errors
    /// `Taken` if another process (or another opener in this one) holds it, `Foreign` if it holds something else,
    /// `Newer` if a later release has laid it out, `Io` if it cannot be written.
    pub fn open(path: &Path) -> Result<StateDir, StateError> {
        fs::create_dir_all(path).map_err(StateError::io("create", path))?;
        refuse_foreign(path)?;
        let lock = take_lock(path)?;
        if !path.join(FORMAT_FILE).exists() {
            refuse_foreign(path)?;
            let target = path.join(FORMAT_FILE);
            let words = format!("{FORMAT_WORDS}{LAYOUT}\n");
            let temporary = files::write_temporary(&target, 0, &[words.as_bytes()])?;
            files::place_over(&temporary, &target)?;
        }
        for folder in FOLDERS {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(StateError::io("create", &folder))?;
        }
        files::sync_folder(&path.join(FORMAT_FILE))?;
        Ok(StateDir {
            held: Arc::new(Held {
                root: path.to_owned(),
                _lock: Some(lock),
            }),
        })
    }

    /// Opens a state directory beside the process that holds it: as another process of the same job, or to look at it. Takes
    /// no lock and makes nothing.
    ///
    /// # Errors
    /// `Missing` if there is none, `Foreign` if it holds something else, `Newer` if a later release has laid it out.
    pub fn visit(path: &Path) -> Result<StateDir, StateError> {
        let format = path.join(FORMAT_FILE);
        File::open(&format).map_err(StateError::io("open", &format))?;
        refuse_foreign(path)?;
        Ok(StateDir {
            held: Arc::new(Held {
                root: path.to_owned(),
                _lock: None,
            }),
        })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.held.root
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root().join(CHECKPOINTS)
    }

    pub(crate) fn checkpoint_path(&self, number: u64) -> PathBuf {
        self.checkpoints().join(format!("{number:020}"))
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.root().join(SEGMENTS)
    }

    pub(crate) fn segment_path(&self, name: SegmentName) -> PathBuf {
        self.segments().join(segment_file_name(name))
    }

    pub(crate) fn tables(&self) -> PathBuf {
        self.root().join(TABLES)
    }

    pub(crate) fn damaged(&self) -> PathBuf {
        self.root().join(DAMAGED)
    }
}

/// `NUMBER-ATTEMPT-PROCESS`, of fixed width so that names sort as numbers do.
pub(crate) fn segment_file_name(name: SegmentName) -> String {
    format!(
        "{:020}-{:016x}-{:010}",
        name.number, name.attempt, name.process
    )
}

/// The name in a file name, if it is one of ours.
pub(crate) fn parse_segment_file_name(text: &str) -> Option<SegmentName> {
    let mut parts = text.splitn(3, '-');
    let name = SegmentName {
        number: parts.next()?.parse().ok()?,
        attempt: u64::from_str_radix(parts.next()?, 16).ok()?,
        process: parts.next()?.parse().ok()?,
    };
    (segment_file_name(name) == text).then_some(name)
}

/// Refuses a directory that holds something else, or a layout that is newer.
fn refuse_foreign(path: &Path) -> Result<(), StateError> {
    let foreign = |what: String| StateError::Foreign {
        path: path.to_owned(),
        what,
    };
    let format_path = path.join(FORMAT_FILE);
    let mut words = String::new();
    match File::open(&format_path) {
        // Bounded, since a foreign file may be of any size.
        Ok(file) => match file.take(256).read_to_string(&mut words) {
            Ok(_) => (),
            Err(_) => return Err(foreign("its file `format` is not ours".into())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // What a start that was cut off may have left is as good as empty.
            let temporary = format!("{}{:016x}-{FORMAT_FILE}", files::TEMPORARY, 0);
            let other = files::names(path)?
                .into_iter()
                .find(|n| n != LOCK_FILE && *n != temporary);
            return match other {
                None => Ok(()),
                Some(name) => Err(foreign(format!(
                    "not empty (`{name}`) and no state of ours"
                ))),
            };
        }
        Err(error) => return Err(StateError::io("open", &format_path)(error)),
    }
    let layout = words
        .strip_prefix(FORMAT_WORDS)
        .and_then(|v| v.trim_end().parse::<u32>().ok());
    match layout {
        Some(LAYOUT) => Ok(()),
        Some(found) if found > LAYOUT => Err(StateError::Newer {
            path: format_path,
            found,
            known: LAYOUT,
        }),
        _ => Err(foreign("its file `format` is not ours".into())),
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
