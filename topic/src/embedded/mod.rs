//! The embedded log `dir://`: a topic in a directory, for one writer and any number of readers and processes.
//!
//! Why ours: no kept crate offers readers in other processes that see only what is durable, look-up by time and
//! retention together (docs/adr/0004). A record is a checked frame in a segment file; the writer syncs, then
//! publishes how far the partition is durable; readers look at nothing beyond that.
//!
//! Law: what a reader has once returned survives kill -9 and, as far as fdatasync reaches, a power failure.

mod appender;
mod directory;
mod frame;
mod index;
mod lock;
mod lookup;
mod meta;
mod options;
mod published;
mod reader;
mod recover;
mod restore;
mod segment;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use directory::{PartitionDirectory, sync_directory};
use published::{Published, PublishedFile, boot_id};

pub use options::{Clock, Context, Options, Retention};
pub use reader::EmbeddedReader;
pub use writer::EmbeddedWriter;

use crate::{Bounds, Reader, Timestamps, Topic, TopicError, Writer};

/// A topic in a directory. Clones are the same topic.
#[derive(Clone, Debug)]
pub struct EmbeddedTopic {
    url: Arc<str>,
    path: PathBuf,
    options: Options,
    context: Context,
}

fn url_of(path: &Path) -> (PathBuf, Arc<str>) {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let url = format!("dir://{}", path.display()).into();
    (path, url)
}

impl EmbeddedTopic {
    /// Opens the topic in `path`.
    ///
    /// # Errors
    /// `Missing` if nothing is there, `Foreign` if something else is.
    pub fn open(path: impl AsRef<Path>) -> Result<EmbeddedTopic, TopicError> {
        EmbeddedTopic::open_with(path, Context::default())
    }

    /// Opens the topic in `path`, with a clock and counters from outside.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        path: impl AsRef<Path>,
        context: Context,
    ) -> Result<EmbeddedTopic, TopicError> {
        let (path, url) = url_of(path.as_ref());
        let options = meta::read(&url, &path)?;
        let topic = EmbeddedTopic {
            url,
            path,
            options,
            context,
        };
        topic.restore_after_reboot()?;
        Ok(topic)
    }

    /// Makes a topic in `path`, a directory that is absent or empty.
    ///
    /// # Errors
    /// `Exists` if a topic is there, `Foreign` if something else is, `BadOptions`.
    pub fn create(path: impl AsRef<Path>, options: Options) -> Result<EmbeddedTopic, TopicError> {
        EmbeddedTopic::create_with(path, options, Context::default())
    }

    /// Makes a topic in `path`, with a clock and counters from outside.
    ///
    /// # Errors
    /// As `create`.
    pub fn create_with(
        path: impl AsRef<Path>,
        options: Options,
        context: Context,
    ) -> Result<EmbeddedTopic, TopicError> {
        let (path, url) = url_of(path.as_ref());
        options.check(&url)?;
        std::fs::create_dir_all(&path).map_err(|e| TopicError::io("make", &path, e))?;
        let missing = |found| match found {
            Err(TopicError::Missing { .. }) => Ok(()),
            Ok(_) => Err(TopicError::Exists {
                url: url.to_string(),
            }),
            Err(e) => Err(e),
        };
        missing(meta::read(&url, &path))?;
        let _alter = lock::alter(&path)?;
        // Once more: another process may have been faster.
        missing(meta::read(&url, &path))?;
        let topic = EmbeddedTopic {
            url: url.clone(),
            path,
            options,
            context,
        };
        topic.make_partitions(0..topic.options.partitions)?;
        meta::write(&topic.path, &topic.options)?;
        topic.path.parent().map_or(Ok(()), sync_directory)?;
        Ok(topic)
    }

    /// Opens the topic in `path`, or makes it; of several processes that try, one makes it and all open it.
    ///
    /// # Errors
    /// As `open` and `create`.
    pub fn open_or_create(
        path: impl AsRef<Path>,
        options: Options,
        context: Context,
    ) -> Result<EmbeddedTopic, TopicError> {
        match EmbeddedTopic::open_with(&path, context.clone()) {
            Err(TopicError::Missing { .. }) => {}
            opened => return opened,
        }
        match EmbeddedTopic::create_with(&path, options, context.clone()) {
            Err(TopicError::Exists { .. }) => EmbeddedTopic::open_with(&path, context),
            created => created,
        }
    }

    /// Adds partitions until there are `partitions`, while others read and write.
    ///
    /// # Errors
    /// `BadOptions` if there are more already: partitions are never taken away.
    pub fn add_partitions(&self, partitions: u32) -> Result<(), TopicError> {
        let _alter = lock::alter(&self.path)?;
        let mut options = meta::read(&self.url, &self.path)?;
        let now = options.partitions;
        if partitions < now {
            let what = format!("it has {now} partitions, which cannot become {partitions}");
            return Err(TopicError::BadOptions {
                url: self.url(),
                what,
            });
        }
        options.partitions = partitions;
        options.check(&self.url)?;
        self.make_partitions(now..partitions)?;
        meta::write(&self.path, &options)
    }

    /// What the topic was made with; `partitions` as of when it was opened.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn context(&self) -> &Context {
        &self.context
    }

    /// Makes partitions that `topic.meta` does not count yet. The caller holds the alter lock.
    fn make_partitions(&self, numbers: std::ops::Range<u32>) -> Result<(), TopicError> {
        for number in numbers {
            let directory = self.partition_directory(number);
            let path = directory.path();
            std::fs::create_dir_all(path).map_err(|e| TopicError::io("make", path, e))?;
            recover::recover(&directory, boot_id())?;
            sync_directory(path)?;
        }
        Ok(())
    }

    fn partition_directory(&self, number: u32) -> PartitionDirectory {
        PartitionDirectory::new(
            self.url.clone(),
            &self.path,
            number,
            self.options.record_limit_bytes,
        )
    }

    fn no_partition(&self, partition: u32, partitions: u32) -> TopicError {
        TopicError::NoPartition {
            url: self.url(),
            partition,
            partitions,
        }
    }

    /// The folder of a partition that exists.
    fn partition(&self, partition: u32) -> Result<PartitionDirectory, TopicError> {
        if partition >= self.options.partitions {
            let partitions = self.partitions()?;
            if partition >= partitions {
                return Err(self.no_partition(partition, partitions));
            }
        }
        Ok(self.partition_directory(partition))
    }

    fn published(&self, directory: &PartitionDirectory) -> Result<Published, TopicError> {
        lookup::published(directory, &PublishedFile::open(directory)?)
    }
}

impl Topic for EmbeddedTopic {
    fn url(&self) -> String {
        self.url.to_string()
    }

    fn partitions(&self) -> Result<u32, TopicError> {
        Ok(meta::read(&self.url, &self.path)?.partitions)
    }

    fn timestamps(&self) -> Timestamps {
        self.options.timestamps
    }

    fn bounds(&self, partition: u32) -> Result<Bounds, TopicError> {
        let published = self.published(&self.partition(partition)?)?;
        Ok(Bounds {
            earliest: published.earliest,
            end: published.end,
        })
    }

    fn offset_at(&self, partition: u32, timestamp_millis: i64) -> Result<Option<u64>, TopicError> {
        let directory = self.partition(partition)?;
        let mut published = self.published(&directory)?;
        loop {
            let found = lookup::offset_at(&directory, &published, timestamp_millis);
            // Retention may have gone on since it was read.
            let now = self.published(&directory)?;
            if found.is_ok() || now.earliest == published.earliest {
                return found;
            }
            published = now;
        }
    }

    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
        Ok(Box::new(EmbeddedReader::open(
            self.partition(partition)?,
            offset,
        )?))
    }

    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        Ok(Box::new(EmbeddedWriter::open(self.clone())?))
    }
}
