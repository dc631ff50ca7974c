//! Records taken out of librdkafka's queue, in one reused buffer, for a reader to lend.
//!
//! Why a copy: a record that librdkafka lends cannot be kept beside its queue without `unsafe`. It costs about
//! 1 % of what librdkafka itself costs for a record. Law 8: at most `RECORDS` records or about `BYTES` bytes.

use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use super::headers;
use super::proof::Mark;
use crate::{Headers, RecordRef};

/// Records to take at a time.
const RECORDS: usize = 1024;
/// Bytes after which no further record is taken: what fits a processor's second cache.
const BYTES: usize = 512 << 10;

/// Where a record stands in the buffer.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    timestamp_millis: i64,
    start: usize,
    payload: usize,
    end: usize,
}

/// Records in order; filled when empty.
#[derive(Debug, Default)]
pub(super) struct Ring {
    bytes: Vec<u8>,
    places: Vec<Place>,
    next: usize,
}

impl Ring {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.next = 0;
        // After one of those records that may have a megabyte.
        self.bytes.shrink_to(2 * BYTES);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next == self.places.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.places.len() >= RECORDS || self.bytes.len() >= BYTES
    }

    /// Offset after the last record taken.
    pub(super) fn end(&self) -> Option<u64> {
        self.places.last().map(|place| place.offset + 1)
    }

    /// The last record taken.
    pub(super) fn mark(&self) -> Option<Mark> {
        let place = self.places.last()?;
        let payload = self.bytes.get(place.payload..place.end).unwrap_or_default();
        Some(Mark::new(place.offset, place.timestamp_millis, payload))
    }

    /// Takes a record; returns how many of its headers had to be left out.
    pub(super) fn push(&mut self, offset: u64, message: &BorrowedMessage<'_>) -> u64 {
        let start = self.bytes.len();
        let left_out = message
            .headers()
            .map_or(0, |headers| headers::store(headers, &mut self.bytes));
        let payload = self.bytes.len();
        self.bytes
            .extend_from_slice(message.payload().unwrap_or_default());
        self.places.push(Place {
            offset,
            timestamp_millis: message.timestamp().to_millis().unwrap_or(0),
            start,
            payload,
            end: self.bytes.len(),
        });
        left_out
    }

    pub(super) fn front(&self) -> Option<RecordRef<'_>> {
        let place = self.places.get(self.next)?;
        Some(RecordRef {
            offset: place.offset,
            timestamp_millis: place.timestamp_millis,
            headers: Headers(
                self.bytes
                    .get(place.start..place.payload)
                    .unwrap_or_default(),
            ),
            payload: self.bytes.get(place.payload..place.end).unwrap_or_default(),
        })
    }

    /// Steps over the front; returns the offset after it.
    pub(super) fn pop(&mut self) -> Option<u64> {
        let place = self.places.get(self.next)?;
        self.next += 1;
        Some(place.offset + 1)
    }

    /// Steps over what is below `offset`. False if it is not within what was taken.
    pub(super) fn skip_to(&mut self, offset: u64) -> bool {
        let ahead = self.places.get(self.next..).unwrap_or_default();
        let within = ahead.first().is_some_and(|first| first.offset <= offset)
            && self.end().is_some_and(|end| offset < end);
        if within {
            self.next += ahead.partition_point(|place| place.offset < offset);
        }
        within
    }
}
