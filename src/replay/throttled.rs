//! A topic that is read no faster than it was asked to be, so that others who read from the same brokers keep their pace.
//!
//! Law 8: bytes beyond the rate are not asked for. What is read is the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flow_topic::{Bounds, Reader, RecordRef, Timestamps, Topic, TopicError, Wake, Writer};

/// What was not read lately may be made up for, so much of it.
const CREDIT: Duration = Duration::from_millis(250);

/// When the next record may be read, of all partitions.
#[derive(Debug)]
struct Pace {
    bytes_per_second: u64,
    due: Mutex<Instant>,
}

impl Pace {
    fn due(&self) -> Instant {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes were read.
    fn take(&self, bytes: usize, now: Instant) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = next(*due, now, bytes, self.bytes_per_second);
    }

    fn wait(&self) {
        let mut now = Instant::now();
        while let Some(left) = self
            .due()
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
        {
            thread::sleep(left); // it is what a limit is: nobody else has work for this worker
            now = Instant::now();
        }
    }
}

/// When the record after one of so many bytes may be read.
fn next(due: Instant, now: Instant, bytes: usize, bytes_per_second: u64) -> Instant {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).max(1);
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
    let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    let earliest = now.checked_sub(CREDIT).unwrap_or(now);
    let from = due.max(earliest);
    from.checked_add(takes).unwrap_or(from)
}

/// A topic and the pace of all its readers.
#[derive(Debug)]
pub(super) struct Throttled {
    topic: Arc<dyn Topic>,
    pace: Arc<Pace>,
}

impl Throttled {
    /// So many bytes a second, of all partitions together.
    pub(super) fn new(topic: Arc<dyn Topic>, bytes_per_second: u64) -> Throttled {
        let due = Mutex::new(Instant::now());
        Throttled {
            topic,
            pace: Arc::new(Pace {
                bytes_per_second,
                due,
            }),
        }
    }
}

impl Topic for Throttled {
    fn url(&self) -> String {
        self.topic.url()
    }

    fn partitions(&self) -> Result<u32, TopicError> {
        self.topic.partitions()
    }

    fn timestamps(&self) -> Timestamps {
        self.topic.timestamps()
    }

    fn bounds(&self, partition: u32) -> Result<Bounds, TopicError> {
        self.topic.bounds(partition)
    }

    fn offset_at(&self, partition: u32, timestamp_millis: i64) -> Result<Option<u64>, TopicError> {
        self.topic.offset_at(partition, timestamp_millis)
    }

    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
        Ok(Box::new(Paced {
            reader: self.topic.reader(partition, offset)?,
            pace: Arc::clone(&self.pace),
            bytes: 0,
        }))
    }

    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        self.topic.writer()
    }
}

/// A reader that waits.
struct Paced {
    reader: Box<dyn Reader>,
    pace: Arc<Pace>,
    /// Of the record that was shown last.
    bytes: usize,
}

impl Reader for Paced {
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
        self.pace.wait();
        let record = self.reader.peek()?;
        self.bytes = record.map_or(0, |record| record.payload.len());
        Ok(record)
    }

    fn advance(&mut self) {
        self.pace.take(self.bytes, Instant::now());
        self.reader.advance();
    }

    fn position(&self) -> u64 {
        self.reader.position()
    }

    fn seek(&mut self, offset: u64) -> Result<(), TopicError> {
        self.reader.seek(offset)
    }

    fn unread(&mut self) -> Result<bool, TopicError> {
        self.reader.unread()
    }

    fn wait(&mut self, limit: Duration) -> Result<bool, TopicError> {
        self.reader.wait(limit)
    }

    fn wake_by(&mut self, wake: Wake) {
        self.reader.wake_by(wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bytes_take_so_long_and_little_is_made_up_for() {
        let begin = Instant::now() + Duration::from_secs(10);
        let mut due = begin;
        for _ in 0..1_000 {
            // As fast as it may.
            due = next(due, due, 5_000, 1_000_000);
        }
        assert_eq!(due - begin, Duration::from_secs(5));
        // Silent for a minute, then at once again.
        let later = due + Duration::from_secs(60);
        let mut read = 0;
        while due <= later {
            due = next(due, later, 5_000, 1_000_000);
            read += 5_000;
        }
        assert_eq!(read, 255_000);
    }
}
