//! The first opening after a reboot: what is published may be behind what is durable.
//!
//! Why readers do it too: a job must not find the topic shorter than its checkpoint only because no writer has
//! come yet. Law: whoever restores holds the writer's lock; where a writer has it, the writer does it.

use std::io;
use std::time::{Duration, Instant};

use super::published::{Published, PublishedFile, boot_id};
use super::{EmbeddedTopic, lock, recover};
use crate::{Topic as _, TopicError};

/// How long to wait for a writer that is restoring the topic after a reboot.
const RESTORE_PATIENCE: Duration = Duration::from_secs(10);

impl EmbeddedTopic {
    /// After a reboot what is published may be behind what is durable: whoever comes first looks.
    pub(super) fn restore_after_reboot(&self) -> Result<(), TopicError> {
        let begun = Instant::now();
        while !self.is_of_this_boot()? {
            let restored = lock::alter(&self.path).and_then(|_alter| self.restore());
            match restored {
                Ok(true) => return Ok(()),
                // Where we may not write, what is published is all that can be shown.
                Err(TopicError::Io { source, .. }) if is_read_only(&source) => return Ok(()),
                Err(e) => return Err(e),
                Ok(false) if begun.elapsed() > RESTORE_PATIENCE => {
                    return Err(TopicError::Locked { url: self.url() });
                }
                // A writer is just doing it.
                Ok(false) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Ok(())
    }

    fn is_of_this_boot(&self) -> Result<bool, TopicError> {
        let boot = boot_id();
        for number in 0..self.options.partitions {
            let directory = self.partition_directory(number);
            let published = match PublishedFile::open(&directory) {
                Ok(file) => file.read().ok().flatten(),
                Err(_) => None,
            };
            if published.is_none_or(|published: Published| published.boot != boot) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Brings all partitions in order; false if a writer has the topic.
    fn restore(&self) -> Result<bool, TopicError> {
        let Some(_writer) = lock::try_writer(&self.path)? else {
            return Ok(false);
        };
        for number in 0..self.partitions()? {
            let recovered = recover::recover(&self.partition_directory(number), boot_id())?;
            self.context
                .metrics
                .torn_tail_bytes
                .inc_by(recovered.torn_bytes);
        }
        Ok(true)
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}
