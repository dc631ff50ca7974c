//! Files cut short and bytes changed: opening never fails, a torn or changed record is never shown, and what is
//! missing below the published end is an error at its offset.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flow_topic::{EmbeddedTopic, NewRecord, Options, Timestamps, Topic, TopicError, Writer};
use proptest::prelude::*;

const RECORDS: u64 = 12;

fn payload(offset: u64) -> Vec<u8> {
    vec![offset as u8 ^ 0x5a; 10 + offset as usize]
}

fn append(writer: &mut dyn Writer, offset: u64) {
    let payload = payload(offset);
    let headers: &[(&str, &[u8])] = &[("n", b"value")];
    let timestamp_millis = offset as i64 * 10;
    writer
        .append(
            0,
            NewRecord {
                timestamp_millis,
                headers,
                payload: &payload,
            },
        )
        .unwrap();
}

/// Frame of a record: 28 bytes of head, 9 of headers, the payload (see `embedded/frame.rs`).
fn frame_end(offset: u64) -> u64 {
    (0..=offset)
        .map(|offset| 28 + 9 + payload(offset).len() as u64)
        .sum()
}

struct Flows {
    _folder: tempfile::TempDir,
    path: PathBuf,
    log: PathBuf,
    published: PathBuf,
}

/// A topic of one partition with `RECORDS` flushed records.
fn flows() -> Flows {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows");
    let options = Options {
        partitions: 1,
        timestamps: Timestamps::Create,
        ..Options::default()
    };
    let topic = EmbeddedTopic::create(&path, options).unwrap();
    let mut writer = topic.writer().unwrap();
    (0..RECORDS).for_each(|offset| append(&mut *writer, offset));
    writer.flush().unwrap();
    let partition = path.join("partition-00000");
    let log = partition.join("00000000000000000000.log");
    assert_eq!(
        std::fs::metadata(&log).unwrap().len(),
        frame_end(RECORDS - 1)
    );
    Flows {
        _folder: folder,
        log,
        published: partition.join("published"),
        path,
    }
}

/// Reads from `from` to the end or an error; every record seen must be as it was appended.
fn read(topic: &EmbeddedTopic, from: u64) -> (u64, Result<(), TopicError>) {
    let mut reader = topic.reader(0, from).unwrap();
    loop {
        match reader.peek() {
            Ok(None) => return (reader.position(), Ok(())),
            Err(e) => return (reader.position(), Err(e)),
            Ok(Some(record)) => {
                assert_eq!(record.payload, payload(record.offset));
                assert_eq!(record.timestamp_millis, record.offset as i64 * 10);
                assert_eq!(record.headers.get("n"), Some(b"value".as_slice()));
                reader.advance();
            }
        }
    }
}

fn cut(path: &Path, bytes: u64) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(bytes)
        .unwrap();
}

/// Whole records in the first `bytes` of the segment.
fn whole(bytes: u64) -> u64 {
    (0..RECORDS)
        .filter(|offset| frame_end(*offset) <= bytes)
        .count() as u64
}

#[test]
fn a_tail_that_was_never_published_is_cut_at_every_byte() {
    let flows = flows();
    let full = std::fs::read(&flows.log).unwrap();
    for bytes in frame_end(RECORDS - 4)..=frame_end(RECORDS - 1) {
        // As after a power failure: the segment is there to some byte, what was published is lost.
        std::fs::write(&flows.log, &full).unwrap();
        cut(&flows.log, bytes);
        std::fs::write(&flows.published, b"").unwrap();
        let topic = EmbeddedTopic::open(&flows.path).unwrap();
        let (end, outcome) = read(&topic, 0);
        outcome.unwrap();
        assert_eq!(end, whole(bytes), "cut at {bytes}");
        assert_eq!(topic.bounds(0).unwrap().end, end);
        let mut writer = topic.writer().unwrap();
        append(&mut *writer, end);
        writer.flush().unwrap();
        assert_eq!(read(&topic, 0).0, end + 1, "cut at {bytes}");
    }
}

#[test]
fn a_published_record_that_is_gone_is_an_error_and_its_offset_is_not_given_again() {
    for cut_from_end in 1..frame_end(RECORDS - 1) - frame_end(RECORDS - 4) {
        let flows = flows();
        let bytes = frame_end(RECORDS - 1) - cut_from_end;
        cut(&flows.log, bytes);
        let topic = EmbeddedTopic::open(&flows.path).unwrap();
        let damaged_at = |wanted: u64| {
            let (position, outcome) = read(&topic, 0);
            let error = outcome.unwrap_err();
            let right = matches!(error, TopicError::Damaged { offset, .. } if offset == wanted);
            assert!(right && position == wanted, "cut at {bytes}: {error}");
        };
        damaged_at(whole(bytes));
        let mut writer = topic.writer().unwrap();
        append(&mut *writer, RECORDS);
        writer.flush().unwrap();
        damaged_at(whole(bytes));
        let (end, outcome) = read(&topic, RECORDS);
        outcome.unwrap();
        assert_eq!(end, RECORDS + 1);
        let lost_millis = (RECORDS as i64 - 1) * 10;
        let lost = topic.offset_at(0, lost_millis);
        assert!(
            matches!(lost, Err(TopicError::Damaged { .. })),
            "cut at {bytes}: {lost:?}"
        );
    }
}

#[test]
fn every_changed_bit_of_a_published_record_is_seen() {
    let flows = flows();
    let topic = EmbeddedTopic::open(&flows.path).unwrap();
    let log = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&flows.log)
        .unwrap();
    let (from, to) = (frame_end(4), frame_end(5));
    for at in from..to {
        for bit in 0..8 {
            let mut byte = [0];
            log.read_exact_at(&mut byte, at).unwrap();
            log.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
            let (position, outcome) = read(&topic, 0);
            let error = outcome.unwrap_err();
            let right = matches!(
                error,
                TopicError::Damaged {
                    offset: 5,
                    partition: 0,
                    ..
                }
            );
            assert!(right && position == 5, "byte {at} bit {bit}: {error}");
            log.write_all_at(&byte, at).unwrap();
        }
    }
    read(&topic, 0).1.unwrap();
    // Where the lengths are right, a reader may go on behind it, and a writer leaves it as it is.
    log.write_all_at(&[0xff], to - 1).unwrap();
    drop(topic.writer().unwrap());
    assert_eq!(read(&topic, 0).0, 5);
    let (end, outcome) = read(&topic, 6);
    outcome.unwrap();
    assert_eq!(end, RECORDS);
}

#[test]
fn an_absurd_length_is_no_allocation() {
    let flows = flows();
    let log = OpenOptions::new().write(true).open(&flows.log).unwrap();
    for length in [0_u32, 27, 28, 1 << 30, u32::MAX] {
        log.write_all_at(&length.to_le_bytes(), frame_end(4) + 4)
            .unwrap();
        let topic = EmbeddedTopic::open(&flows.path).unwrap();
        assert!(matches!(
            read(&topic, 0),
            (5, Err(TopicError::Damaged { offset: 5, .. }))
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    /// Whatever lies behind the published end (here all is unpublished), a prefix of what was appended is shown.
    #[test]
    fn rubbish_in_an_unpublished_tail_is_cut_off(
        at in 0..frame_end(RECORDS - 1),
        rubbish in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let flows = flows();
        let log = OpenOptions::new().write(true).open(&flows.log).unwrap();
        log.write_all_at(&rubbish, at).unwrap();
        std::fs::write(&flows.published, &rubbish).unwrap();
        let topic = EmbeddedTopic::open(&flows.path).unwrap();
        let (end, outcome) = read(&topic, 0);
        outcome.unwrap();
        prop_assert!(end >= whole(at), "{} of {}", end, whole(at));
    }

    /// An index is a hint: whatever is in it, look-ups give the same answers.
    #[test]
    fn a_damaged_index_changes_no_answer(
        at in 0..400_u64,
        rubbish in prop::collection::vec(any::<u8>(), 1..100),
        keep in 0..400_u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows");
        let options = Options { partitions: 1, timestamps: Timestamps::Create, segment_bytes: 1 << 20, ..Options::default() };
        let topic = EmbeddedTopic::create(&path, options).unwrap();
        let mut writer = topic.writer().unwrap();
        for n in 0..150_i64 {
            let record = NewRecord { timestamp_millis: n * 10, headers: &[], payload: &[1; 10_000] };
            writer.append(0, record).unwrap();
        }
        writer.flush().unwrap();
        drop(writer);
        for base in [0, 104] {
            let index = path.join(format!("partition-00000/{base:020}.index"));
            let file = OpenOptions::new().read(true).write(true).open(index).unwrap();
            prop_assert!(file.metadata().unwrap().len() > 100);
            file.write_all_at(&rubbish, at).unwrap();
            file.set_len(keep).unwrap();
        }
        let topic = EmbeddedTopic::open(&path).unwrap();
        for n in (0..150_i64).step_by(7) {
            prop_assert_eq!(topic.offset_at(0, n * 10 - 3).unwrap(), Some(n as u64));
            let mut reader = topic.reader(0, n as u64).unwrap();
            prop_assert_eq!(reader.peek().unwrap().unwrap().timestamp_millis, n * 10);
        }
        prop_assert_eq!(topic.offset_at(0, 1_491).unwrap(), None);
        drop(topic.writer().unwrap());
        prop_assert_eq!(topic.offset_at(0, 1_490).unwrap(), Some(149));
    }
}
