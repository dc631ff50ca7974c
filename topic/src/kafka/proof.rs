//! Whether a partition is still the one that was read: after a doubt, a record that was lent before it is read once more.
//!
//! Why: brokers find a topic by its name, and a fetch goes on at the same offset in a topic that was made anew under it.
//! Surveys raise the doubt (`Seen::doubts`). Law: what is read again was lent before the last survey without a doubt.

use rdkafka::Message;

use super::ends::Seen;

/// A record, as it is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) timestamp_millis: i64,
    pub(super) crc: u32,
}

impl Mark {
    pub(super) fn new(offset: u64, timestamp_millis: i64, payload: &[u8]) -> Mark {
        Mark {
            offset,
            timestamp_millis,
            crc: crc32fast::hash(payload),
        }
    }
}

/// The records that a reader has lent, as far as a doubt needs them.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Lent before the survey at which `recent` was lent.
    proved: Option<Mark>,
    /// Lent last when a survey was first heard of.
    recent: Option<Mark>,
    /// Lent last of all.
    last: Option<Mark>,
    surveys: u64,
    doubts: u64,
    asked: Option<Mark>,
}

impl Proof {
    /// Takes note of the last record lent since the last look. True: there is a doubt, and a record to read again.
    pub(super) fn look(&mut self, seen: Seen, lent: Option<Mark>) -> bool {
        if seen.doubts > self.doubts {
            self.doubts = seen.doubts;
            // A reader that was not asked for a while may not have heard of a survey since; the older, the surer.
            let known = self.proved.or(self.recent).or(self.last);
            self.last = lent.or(self.last);
            self.asked = known.or(self.last);
            return self.asked.is_some();
        }
        // All there is may be lent between two surveys.
        self.last = lent.or(self.last);
        if seen.surveys > self.surveys {
            self.surveys = seen.surveys;
            self.proved = self.recent;
            self.recent = self.last;
        }
        false
    }

    /// The last record lent.
    pub(super) fn last(&self) -> Option<Mark> {
        self.last
    }

    /// The record that is read again, if one is.
    pub(super) fn asked(&self) -> Option<Mark> {
        self.asked
    }

    /// Takes the next record. False: it is another one than was lent.
    pub(super) fn holds(&mut self, offset: u64, message: &impl Message) -> bool {
        let Some(mark) = self.asked.take_if(|mark| mark.offset <= offset) else {
            return true;
        };
        let stamp = message.timestamp().to_millis().unwrap_or(0);
        // Compaction may have taken it since.
        offset > mark.offset
            || Mark::new(offset, stamp, message.payload().unwrap_or_default()) == mark
    }

    /// It cannot be read any more, and that proves nothing.
    pub(super) fn waive(&mut self) {
        self.asked = None;
    }

    /// The reader goes on elsewhere.
    pub(super) fn forget(&mut self) {
        (self.proved, self.recent, self.last, self.asked) = (None, None, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(surveys: u64, doubts: u64) -> Seen {
        Seen {
            surveys,
            doubts,
            ..Seen::default()
        }
    }

    #[test]
    fn what_was_lent_since_the_last_survey_proves_nothing() {
        let mark = |offset| Mark::new(offset, 0, b"");
        let mut proof = Proof::default();
        assert!(!proof.look(seen(1, 0), Some(mark(10))));
        assert!(!proof.look(seen(1, 0), Some(mark(15))));
        assert!(!proof.look(seen(2, 0), Some(mark(20))));
        // Lent after survey 2: perhaps by another topic already.
        assert!(!proof.look(seen(2, 0), Some(mark(30))));
        assert!(proof.look(seen(3, 1), Some(mark(40))));
        assert_eq!(proof.asked(), Some(mark(10)));
        assert!(!proof.look(seen(3, 1), None), "one doubt, one question");
    }

    #[test]
    fn what_was_lent_between_two_surveys_is_remembered() {
        let mut proof = Proof::default();
        let mark = Mark::new(7, 0, b"");
        assert!(!proof.look(seen(1, 0), None));
        assert!(!proof.look(seen(1, 0), Some(mark)));
        for surveys in [1, 2, 3] {
            assert!(!proof.look(seen(surveys, 0), None));
        }
        assert!(proof.look(seen(4, 1), None));
        assert_eq!(proof.asked(), Some(mark));
    }

    #[test]
    fn a_doubt_that_is_the_first_news_after_a_record_asks_for_it() {
        let mut proof = Proof::default();
        let mark = |offset| Mark::new(offset, 0, b"");
        assert!(!proof.look(seen(1, 0), None));
        assert!(!proof.look(seen(1, 0), Some(mark(7))));
        assert!(proof.look(seen(9, 1), Some(mark(8))));
        assert_eq!(proof.asked(), Some(mark(7)));
    }

    #[test]
    fn who_has_lent_nothing_has_nothing_to_prove() {
        let mut proof = Proof::default();
        assert!(!proof.look(seen(1, 1), None));
        assert!(proof.asked().is_none());
        proof.look(seen(2, 1), Some(Mark::new(1, 0, b"")));
        proof.forget();
        assert!(!proof.look(seen(3, 2), None));
    }
}
