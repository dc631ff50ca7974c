//! Durable files: written whole under a temporary name, synced, then given their name.
//!
//! Law 5: a file under its final name is whole. A temporary name carries the attempt that wrote it, so that
//! what a dead attempt has left behind can be told from what is being written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::objects::Placed;

/// Prefix of temporary names.
const TEMPORARY: &str = "tmp-";

/// The beginning of the temporary names of an attempt.
pub(crate) fn temporaries_of(attempt: u64) -> String {
    format!("{TEMPORARY}{attempt:016x}-")
}

/// Whether a name is a temporary one, of whatever attempt.
pub(crate) fn is_temporary(name: &str) -> bool {
    let attempt = name.strip_prefix(TEMPORARY).and_then(|n| n.get(..17));
    attempt
        .and_then(|a| a.strip_suffix('-'))
        .is_some_and(|a| a.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Writes `parts` under a temporary name in the folder of `target` and syncs them.
pub(crate) fn write_temporary(target: &Path, attempt: u64, parts: &[&[u8]]) -> io::Result<PathBuf> {
    let name = target
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let temporary = target.with_file_name(format!("{}{name}", temporaries_of(attempt)));
    let written = File::create(&temporary).and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    });
    if let Err(source) = written {
        // A half-written file on a full disk only makes matters worse; sweeping takes it if this fails.
        let _ = fs::remove_file(&temporary);
        return Err(source);
    }
    Ok(temporary)
}

/// Gives a temporary file its name, replacing what is there, and syncs the folder.
pub(crate) fn place_over(temporary: &Path, target: &Path) -> io::Result<()> {
    fs::rename(temporary, target)?;
    sync_folder(target)
}

/// Gives a temporary file its name if that is free, removes the temporary name and syncs the folder.
pub(crate) fn place_if_absent(temporary: &Path, target: &Path) -> io::Result<Placed> {
    // A hard link fails if the name exists, whoever made it: the file system decides, as an object store would.
    let placed = match fs::hard_link(temporary, target) {
        Ok(()) => Placed::New,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Placed::Existed,
        Err(error) => return Err(error),
    };
    fs::remove_file(temporary)?;
    sync_folder(target)?;
    Ok(placed)
}

/// Makes the names in a file's folder durable.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(file)).and_then(|folder| folder.sync_all())
}

/// Names of the files in a folder, ascending; names that are not UTF-8 are not ours.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
