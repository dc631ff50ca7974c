//! OS locks of a topic; the kernel gives them back when their holder dies.
//!
//! `writer.lock` is held by the one writer for its life, `alter.lock` for the moment in which a topic is made,
//! grown, or restored after a reboot. Who restores holds both, so that a writer that finds its lock taken has
//! only to wait for `alter.lock` to know whether another writer is there.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::directory::{ALTER_LOCK, WRITER_LOCK};
use crate::TopicError;

fn open(path: &Path) -> Result<File, TopicError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    file.map_err(|e| TopicError::io("open", path, e))
}

/// Waits for the right to alter the topic in `path`; it lasts as long as the file is open.
pub(super) fn alter(path: &Path) -> Result<File, TopicError> {
    let path = path.join(ALTER_LOCK);
    let file = open(&path)?;
    file.lock().map_err(|e| TopicError::io("lock", &path, e))?;
    Ok(file)
}

/// Takes the writer's lock of the topic in `path`, if nobody has it.
pub(super) fn try_writer(path: &Path) -> Result<Option<File>, TopicError> {
    let path = path.join(WRITER_LOCK);
    let file = open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(TopicError::io("lock", &path, e)),
    }
}

/// Takes the writer's lock, or says that another writer has it.
pub(super) fn writer(url: &str, path: &Path) -> Result<File, TopicError> {
    if let Some(lock) = try_writer(path)? {
        return Ok(lock);
    }
    let _nobody_restores = alter(path)?;
    try_writer(path)?.ok_or_else(|| TopicError::Locked {
        url: url.to_owned(),
    })
}
