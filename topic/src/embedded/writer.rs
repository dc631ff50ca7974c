//! The one writer of a topic, guarded by an OS lock that the kernel gives back when the process dies.
//!
//! Why a flush is all or nothing for the caller: after a failed write or sync nobody knows what reached the
//! disk, so the writer refuses everything from then on; a new one finds out by looking (`recover`).
//!
//! Law: when `flush` returns, everything taken before is durable, and only then visible.

use std::fs::File;
use std::time::Instant;

use super::EmbeddedTopic;
use super::appender::Appender;
use super::frame;
use super::lock;
use super::published::{BootId, boot_id};
use crate::{NewRecord, Timestamps, Topic as _, TopicError, Writer};

/// Appends to an embedded topic.
#[derive(Debug)]
pub struct EmbeddedWriter {
    topic: EmbeddedTopic,
    boot: BootId,
    appenders: Vec<Appender>,
    failed: bool,
    _lock: File,
}

impl EmbeddedWriter {
    pub(super) fn open(topic: EmbeddedTopic) -> Result<EmbeddedWriter, TopicError> {
        let lock = lock::writer(&topic.url(), topic.path())?;
        let mut writer = EmbeddedWriter {
            topic,
            boot: boot_id(),
            appenders: Vec::new(),
            failed: false,
            _lock: lock,
        };
        writer.open_partitions()?;
        writer.retain()?;
        Ok(writer)
    }

    /// Opens the partitions that are not open yet.
    fn open_partitions(&mut self) -> Result<(), TopicError> {
        for partition in self.appenders.len() as u32..self.topic.partitions()? {
            let directory = self.topic.partition_directory(partition);
            let (appender, torn_bytes) =
                Appender::open(directory, self.topic.options().segment_bytes, self.boot)?;
            self.topic
                .context()
                .metrics
                .torn_tail_bytes
                .inc_by(torn_bytes);
            self.appenders.push(appender);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TopicError> {
        if self.failed {
            Err(TopicError::Failed {
                url: self.topic.url(),
            })
        } else {
            Ok(())
        }
    }

    fn now_millis(&self) -> i64 {
        (self.topic.context().clock)()
    }

    /// Size of the record's headers as stored, if the record may be taken.
    fn measure(&self, record: &NewRecord<'_>) -> Result<u32, TopicError> {
        let url = || self.topic.url();
        let headers = frame::headers_bytes(record.headers)
            .ok_or_else(|| TopicError::BadHeader { url: url() })?;
        let size_bytes = headers + record.payload.len();
        let limit_bytes = self.topic.options().record_limit_bytes;
        match u32::try_from(headers) {
            Ok(headers) if size_bytes <= limit_bytes => Ok(headers),
            _ => Err(TopicError::TooLarge {
                url: url(),
                size_bytes,
                limit_bytes,
            }),
        }
    }

    fn retain(&mut self) -> Result<(), TopicError> {
        let retention = self.topic.options().retention;
        if retention.bytes.is_none() && retention.age_millis.is_none() {
            return Ok(());
        }
        let now_millis = self.now_millis();
        for appender in &mut self.appenders {
            let removed_bytes = appender.retain(&retention, now_millis)?;
            self.topic
                .context()
                .metrics
                .retention_removed_bytes
                .inc_by(removed_bytes);
        }
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), TopicError> {
        let begun = Instant::now();
        // All are handed over before the first is waited for: the disk works on the others meanwhile.
        for appender in &mut self.appenders {
            appender.write_out()?;
        }
        for appender in &mut self.appenders {
            appender.sync()?;
        }
        let metrics = &self.topic.context().metrics;
        let mut records = 0;
        for appender in &mut self.appenders {
            let flushed = appender.publish()?;
            records += flushed.records;
            metrics.appended_bytes.inc_by(flushed.bytes);
        }
        if records > 0 {
            metrics.appended_records.inc_by(records);
            metrics.flush_seconds.observe(begun.elapsed().as_secs_f64());
        }
        self.retain()
    }
}

impl Writer for EmbeddedWriter {
    fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError> {
        self.check()?;
        let headers_bytes = self.measure(&record)?;
        if partition as usize >= self.appenders.len() {
            self.open_partitions()?;
        }
        let now_millis = match self.topic.timestamps() {
            Timestamps::Append => Some(self.now_millis()),
            Timestamps::Create => None,
        };
        let partitions = self.appenders.len() as u32;
        let Some(appender) = self.appenders.get_mut(partition as usize) else {
            return Err(self.topic.no_partition(partition, partitions));
        };
        let timestamp_millis = match now_millis {
            Some(now) => now.max(appender.newest_millis()),
            None => record.timestamp_millis,
        };
        let taken = appender.append(timestamp_millis, &record, headers_bytes);
        self.failed = taken.is_err();
        taken
    }

    fn flush(&mut self) -> Result<(), TopicError> {
        self.check()?;
        let flushed = self.make_durable();
        self.failed = flushed.is_err();
        flushed
    }
}
