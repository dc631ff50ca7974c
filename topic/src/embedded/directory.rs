//! Names of the files of a topic, and what errors say of them.
//!
//! ```text
//! flows/topic.meta                                   options, replaced as a whole
//! flows/alter.lock, flows/writer.lock                OS locks: making and growing; appending
//! flows/partition-00000/published                    how far it is durable
//! flows/partition-00000/00000000000000000000.log     segment: frames, named by its first offset
//! flows/partition-00000/00000000000000000000.index   its sparse index
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::TopicError;

pub(super) const META: &str = "topic.meta";
pub(super) const META_NEW: &str = "topic.meta.new";
pub(super) const ALTER_LOCK: &str = "alter.lock";
pub(super) const WRITER_LOCK: &str = "writer.lock";
pub(super) const PARTITION_PREFIX: &str = "partition-";

impl TopicError {
    pub(super) fn io(verb: &str, path: &Path, source: io::Error) -> TopicError {
        TopicError::Io {
            what: format!("{verb} {}", path.display()),
            source,
        }
    }
}

/// Makes names in a directory survive a power failure.
pub(super) fn sync_directory(path: &Path) -> Result<(), TopicError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| TopicError::io("sync", path, e))
}

/// One partition's folder.
#[derive(Clone, Debug)]
pub(super) struct PartitionDirectory {
    url: Arc<str>,
    number: u32,
    path: PathBuf,
    record_limit_bytes: usize,
}

impl PartitionDirectory {
    pub(super) fn new(
        url: Arc<str>,
        topic: &Path,
        number: u32,
        record_limit_bytes: usize,
    ) -> PartitionDirectory {
        let path = topic.join(format!("{PARTITION_PREFIX}{number:05}"));
        PartitionDirectory {
            url,
            number,
            path,
            record_limit_bytes,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn record_limit_bytes(&self) -> usize {
        self.record_limit_bytes
    }

    pub(super) fn published_path(&self) -> PathBuf {
        self.path.join("published")
    }

    pub(super) fn log_path(&self, base: u64) -> PathBuf {
        self.path.join(format!("{base:020}.log"))
    }

    pub(super) fn index_path(&self, base: u64) -> PathBuf {
        self.path.join(format!("{base:020}.index"))
    }

    /// First offsets of the segments there are, ascending.
    pub(super) fn segments(&self) -> Result<Vec<u64>, TopicError> {
        let failed = |e| TopicError::io("list", &self.path, e);
        let mut bases = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
            bases.extend(
                digits
                    .filter(|digits| digits.len() == 20)
                    .and_then(|d| d.parse::<u64>().ok()),
            );
        }
        bases.sort_unstable();
        Ok(bases)
    }

    pub(super) fn damaged(&self, offset: u64) -> TopicError {
        TopicError::Damaged {
            url: self.url.to_string(),
            partition: self.number,
            offset,
        }
    }

    pub(super) fn gap(&self, offset: u64, earliest: u64) -> TopicError {
        TopicError::Gap {
            url: self.url.to_string(),
            partition: self.number,
            offset,
            earliest,
        }
    }

    /// Nothing says how far this partition is durable.
    pub(super) fn unpublished(&self) -> TopicError {
        let what = format!(
            "{} is not readable; open the topic for writing once, which restores it",
            self.published_path().display()
        );
        TopicError::Foreign {
            url: self.url.to_string(),
            what,
        }
    }
}
