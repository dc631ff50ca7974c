//! Reads one partition of a Kafka topic, without waiting for the network.
//!
//! Law: a record is never skipped. `position` goes beyond a hole (control records, aborted transactions, compaction)
//! only if a record after it was seen, or the end of the partition was reached by a fetch that began after that end
//! had been asked for. What retention has deleted is a gap, and what does not match its checksum is damage, told until `seek`.
//! A topic made anew under the name of the one that was read is never read on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::errors;
use super::link::{Link, Queue, Watched};
use super::proof::{Mark, Proof};
use super::ring::Ring;
use super::topic::Inner;
use crate::{Bounds, Reader, RecordRef, TopicError, Wake};

/// Surveys that must have seen a later end, with nothing fetched since, before a hole at the end is suspected.
const SURVEYS: u64 = 3;
/// So many surveys in a row must find that a partition ends before a record that was read: a broker that has just started
/// may not know its end yet. Some ten seconds.
const SHORTER: u32 = 20;
/// Between two looks of `wait`.
const LOOK: Duration = Duration::from_millis(2);
/// How long a question may hold up a reader that found its offset out of range.
const QUESTION: Duration = Duration::from_secs(1);

/// Reads one partition of a Kafka topic.
pub(super) struct KafkaReader {
    topic: Arc<Inner>,
    link: Arc<Link>,
    partition: u32,
    watched: Arc<Watched>,
    /// `None`: the offset is out of range, nothing is being fetched.
    queue: Option<Queue>,
    wake: Option<Wake>,
    ring: Ring,
    position: u64,
    /// An end asked for before the fetch began: who has reached the end has reached this.
    promise: u64,
    /// The end was reached, with no record since: number of surveys then.
    reached: Option<u64>,
    /// Number of surveys when it was last tried to fetch on from out of range.
    tried: Option<u64>,
    /// The offset is gone; the earliest one.
    gone: Option<u64>,
    /// Records from here on do not match their checksum: librdkafka would go over them.
    damaged: Option<u64>,
    proof: Proof,
    /// Surveys in a row that have found the end before a record that was lent.
    shorter: u32,
    /// A record that was lent, and is not there any more.
    replaced: Option<u64>,
}

impl KafkaReader {
    pub(super) fn open(
        topic: Arc<Inner>,
        partition: u32,
        offset: u64,
    ) -> Result<KafkaReader, TopicError> {
        let (link, watched) = topic.link(partition)?;
        watched.stand(offset);
        let promise = topic.known_end(partition);
        let mut reader = KafkaReader {
            topic,
            link,
            partition,
            watched,
            queue: None,
            wake: None,
            ring: Ring::default(),
            position: offset,
            promise,
            reached: None,
            tried: None,
            gone: None,
            damaged: None,
            proof: Proof::default(),
            shorter: 0,
            replaced: None,
        };
        reader.fetch(promise)?;
        Ok(reader)
    }

    /// Fetches from `position` on, or from a record before it that is to be read again.
    fn fetch(&mut self, promise: u64) -> Result<(), TopicError> {
        self.ring.clear();
        // The old queue first: it would take the callback of the new one with it.
        self.queue = None;
        self.reached = None;
        let queue = self.link.fetch(self.partition, self.start());
        let mut queue = queue.map_err(|e| self.topic.error("read", &e))?;
        if let Some(wake) = self.wake.clone() {
            queue.set_nonempty_callback(move || wake());
        }
        self.queue = Some(queue);
        self.promise = promise;
        Ok(())
    }

    /// Where a fetch begins.
    fn start(&self) -> u64 {
        self.proof.asked().map_or(self.position, |mark| mark.offset)
    }

    /// Takes what has been fetched.
    fn fill(&mut self) -> Result<(), TopicError> {
        let seen = self.watched.seen();
        let doubted = self.proof.look(seen, self.ring.mark());
        self.ring.clear();
        if let Some(offset) = self.replaced {
            return Err(self.is_replaced(offset));
        }
        if doubted && self.gone.is_none() && self.damaged.is_none() {
            self.fetch(seen.end)?;
        }
        if let Some(offset) = self.damaged {
            return Err(TopicError::Damaged {
                url: self.topic.url(),
                partition: self.partition,
                offset,
            });
        }
        let Some(queue) = &self.queue else {
            return self.out_of_range();
        };
        let mut failed = None;
        while !self.ring.is_full() {
            match queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or(0);
                    if !self.proof.holds(offset, &message) {
                        self.replaced = Some(offset);
                        return Err(self.is_replaced(offset));
                    }
                    if offset >= self.ring.end().unwrap_or(self.position) {
                        let left_out = self.ring.push(offset, &message);
                        self.topic.metrics().dropped_headers.inc_by(left_out);
                        self.reached = None;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.reached = Some(self.watched.seen().surveys);
                }
                Some(Err(error)) => {
                    if error.rdkafka_error_code().is_some_and(is_damage) {
                        self.damaged = Some(self.ring.end().unwrap_or(self.position));
                    }
                    failed = Some(error);
                    break;
                }
            }
        }
        if let (Some(mark), true) = (self.proof.asked(), self.reached.is_some()) {
            self.not_found(mark)?;
        }
        self.settle();
        if self.damaged.is_some() {
            // What came before it is lent first.
            return if self.ring.is_empty() {
                self.fill()
            } else {
                Ok(())
            };
        }
        match failed {
            // What came before it is lent first; the error comes again, or is over by then.
            Some(error) if self.ring.is_empty() => self.failed(&error),
            Some(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) =>
            {
                self.queue = None;
                Ok(())
            }
            _ => self.suspect_a_hole(),
        }
    }

    /// Moves on to the next record, or over a hole at the end.
    fn settle(&mut self) {
        let next = match self.ring.front() {
            Some(record) => record.offset,
            None if self.reached.is_some() => self.promise,
            None => self.position,
        };
        self.position = self.position.max(next);
        self.watched.stand(self.position);
    }

    /// The fetch has reached the end and stands still, yet the end is said to be further on: either records are
    /// under way, or there are only control records. A fetch that begins now decides it.
    fn suspect_a_hole(&mut self) -> Result<(), TopicError> {
        let seen = self.watched.seen();
        let still = self.ring.is_empty()
            && self.position < seen.end
            && self.reached.is_some_and(|at| seen.surveys >= at + SURVEYS);
        if still { self.fetch(seen.end) } else { Ok(()) }
    }

    /// Nothing is at hand, and nothing is under way as far as is known.
    fn is_read(&self) -> bool {
        self.proof.asked().is_none() && self.watched.seen().is_read(self.position)
    }

    fn failed(&mut self, error: &KafkaError) -> Result<(), TopicError> {
        let code = error.rdkafka_error_code();
        match (code, error) {
            (Some(RDKafkaErrorCode::AutoOffsetReset), _) => {
                self.queue = None;
                self.out_of_range()
            }
            // A broker that has just started may not know its topics yet.
            (Some(code), _) if errors::is_unknown(code) => match self.topic.partitions_now() {
                Err(missing @ TopicError::Missing { .. }) => Err(missing),
                _ => Ok(()),
            },
            (_, KafkaError::MessageConsumptionFatal(_)) => Err(self.topic.error("read", error)),
            _ => match self.topic.error("read", error) {
                denied @ TopicError::Denied { .. } => Err(denied),
                // Counted and logged as it came; librdkafka goes on trying.
                _ => Ok(()),
            },
        }
    }

    /// The end has come before a record that was lent: asks where it is, once in a survey.
    fn not_found(&mut self, mark: Mark) -> Result<(), TopicError> {
        let surveys = self.watched.seen().surveys;
        if self.tried == Some(surveys) {
            return Ok(());
        }
        self.tried = Some(surveys);
        if let Ok(bounds) = self.topic.bounds(self.partition, QUESTION) {
            self.compare(bounds)?;
            match bounds.end > mark.offset {
                // There are only control records from there on.
                true if self.promise > mark.offset => self.proof.waive(),
                true => self.fetch(bounds.end)?,
                false => {}
            }
        }
        Ok(())
    }

    /// What the places of records that were lent before say: retention may take them, nothing else.
    fn compare(&mut self, bounds: Bounds) -> Result<(), TopicError> {
        let beyond = self.proof.last().filter(|last| last.offset >= bounds.end);
        self.shorter = beyond.map_or(0, |_| self.shorter + 1);
        if let (Some(last), SHORTER..) = (beyond, self.shorter) {
            self.replaced = Some(last.offset);
            return Err(self.is_replaced(last.offset));
        }
        if self
            .proof
            .asked()
            .is_some_and(|mark| mark.offset < bounds.earliest)
        {
            self.proof.waive();
        }
        Ok(())
    }

    fn is_replaced(&self, offset: u64) -> TopicError {
        TopicError::Replaced {
            url: self.topic.url(),
            partition: self.partition,
            offset,
        }
    }

    /// Before the first offset: a gap. Beyond the end: waits for it, looking once in a survey.
    fn out_of_range(&mut self) -> Result<(), TopicError> {
        let surveys = self.watched.seen().surveys;
        if self.gone.is_none() && self.tried != Some(surveys) {
            self.tried = Some(surveys);
            if let Ok(bounds) = self.topic.bounds(self.partition, QUESTION) {
                self.compare(bounds)?;
                // A record that is to be read again may be there although the position is not.
                if self.position < bounds.earliest {
                    self.gone = Some(bounds.earliest);
                } else if self.start() <= bounds.end {
                    return self.fetch(bounds.end);
                }
            }
        }
        self.gone.map_or(Ok(()), |earliest| {
            Err(TopicError::Gap {
                url: self.topic.url(),
                partition: self.partition,
                offset: self.position,
                earliest,
            })
        })
    }
}

/// The records of a batch are not those that were written.
fn is_damage(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::BadCompression
    )
}

impl Reader for KafkaReader {
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
        if self.ring.is_empty() {
            self.fill()?;
        }
        Ok(self.ring.front())
    }

    fn advance(&mut self) {
        if let Some(after) = self.ring.pop() {
            self.position = after;
            self.settle();
        }
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn seek(&mut self, offset: u64) -> Result<(), TopicError> {
        if offset == self.position && self.gone.is_none() {
            return Ok(());
        }
        self.position = offset;
        if self.ring.skip_to(offset) {
            return Ok(());
        }
        (self.gone, self.tried, self.damaged) = (None, None, None);
        self.proof.forget();
        self.fetch(self.topic.known_end(self.partition))
    }

    fn unread(&mut self) -> Result<bool, TopicError> {
        Ok(self.peek()?.is_some() || !self.is_read())
    }

    fn wait(&mut self, limit: Duration) -> Result<bool, TopicError> {
        let begun = Instant::now();
        while self.peek()?.is_none() {
            if self.is_read() {
                return Ok(false);
            }
            if begun.elapsed() >= limit {
                let timed_out = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
                return Err(self.topic.error("read", &timed_out));
            }
            // Called at starts only, where there is nothing else to do.
            std::thread::sleep(LOOK);
        }
        Ok(true)
    }

    fn wake_by(&mut self, wake: Wake) {
        if let Some(queue) = &mut self.queue {
            let wake = Arc::clone(&wake);
            queue.set_nonempty_callback(move || wake());
        }
        self.wake = Some(wake);
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.queue = None;
        self.link.give_back(self.partition);
    }
}
