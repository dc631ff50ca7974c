//! Bytes of a source: a file, the newest file of a folder, or what the caller fetches.
//!
//! Law 8: no more is read than the bound. A file that is still being written (`.x`, `x~`, `x.tmp`, `x.part`) is passed over.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::TableError;
use crate::spec::Place;

/// A table is read whole, packed or not: one of prefixes has some 60 MB, a routing dump with all paths more than a gigabyte.
pub(crate) const LIMIT_BYTES: u64 = 2 << 30;

/// What stands at a URL.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Which object it is, for messages.
    pub name: String,
    /// Its bytes, packed or not.
    pub bytes: Vec<u8>,
}

/// Fetches what stands at a URL, if it has at most so many bytes.
pub type Fetch<'f> = dyn Fn(&str, u64) -> io::Result<Fetched> + 'f;

/// For whoever has files alone.
///
/// # Errors
/// Always.
pub fn no_remote(_: &str, _: u64) -> io::Result<Fetched> {
    let what = "only files can be read here";
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
}

/// The bytes, and the name of what they stand in.
pub(crate) fn read(place: &Place, fetch: &Fetch<'_>) -> Result<Fetched, TableError> {
    let (name, fetched) = match place {
        Place::Path(path) => (path.display().to_string(), read_path(path)),
        Place::Remote(url) => {
            let name = url.split('?').next().unwrap_or_default().to_owned();
            (name, fetch(url, LIMIT_BYTES))
        }
    };
    match fetched {
        Err(source) if source.kind() == io::ErrorKind::FileTooLarge => Err(too_large(name)),
        Err(source) => Err(TableError::Read { path: name, source }),
        Ok(fetched) => Ok(fetched),
    }
}

pub(crate) fn too_large(name: String) -> TableError {
    TableError::TooLarge {
        name,
        limit_bytes: LIMIT_BYTES,
    }
}

impl Place {
    /// The file that would be read: of a folder the newest. `None` for what is no file, or not there.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Place::Path(path) if fs::metadata(path).is_ok_and(|found| found.is_dir()) => {
                newest(path).ok()
            }
            Place::Path(path) => Some(path.clone()),
            Place::Remote(_) => None,
        }
    }
}

fn read_path(path: &Path) -> io::Result<Fetched> {
    let path = if fs::metadata(path)?.is_dir() {
        newest(path)?
    } else {
        path.to_owned()
    };
    let mut bytes = Vec::new();
    File::open(&path)?
        .take(LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|n| n > LIMIT_BYTES) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let name = path.display().to_string();
    Ok(Fetched { name, bytes })
}

/// By time of modification, of two with one time the last by name.
fn newest(folder: &Path) -> io::Result<PathBuf> {
    let mut found = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_passed_over(&entry.file_name().to_string_lossy()) {
            continue;
        }
        // Through links: a folder of links to the current files is a way to publish them.
        let metadata = fs::metadata(entry.path())?;
        if metadata.is_file() {
            found = found.max(Some((metadata.modified()?, entry.path())));
        }
    }
    let none = || io::Error::new(io::ErrorKind::NotFound, "there is no file in this folder");
    found.map(|(_, path)| path).ok_or_else(none)
}

/// Hidden and temporary files.
pub fn is_passed_over(name: &str) -> bool {
    name.starts_with('.') || [".tmp", ".part", "~"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_newest_whole_file_of_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, secs: u64| {
            let path = folder.path().join(name);
            fs::write(&path, name).expect("written");
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
            File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_modified(at))
                .expect("a time");
        };
        let place = Place::Path(folder.path().to_owned());
        let newest = || read(&place, &no_remote).map(|found| found.bytes);
        let empty = newest().map_err(|error| error.to_string());
        assert!(empty.is_err_and(|line| line.ends_with("there is no file in this folder")));
        put("b.csv", 20);
        put("c.csv", 10);
        assert_eq!(newest().expect("b"), b"b.csv");
        put("a.csv", 20);
        assert_eq!(newest().expect("b by name"), b"b.csv");
        for name in [".d.csv", "d.csv~", "d.tmp", "d.part"] {
            put(name, 30);
        }
        fs::create_dir(folder.path().join("folder")).expect("a folder inside");
        assert_eq!(newest().expect("still b"), b"b.csv");
    }
}
