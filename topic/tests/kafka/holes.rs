//! Offsets without records: transactions, compaction, retention; partitions that come later. Apache Kafka only.

use std::time::Duration;

use flow_topic::{Context, KafkaTopic, Options, Reader, Timestamps, Topic, TopicError};
use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::{PATIENCE, admin, client, kafka, read_all, unique, until, write};

const ANSWER: Duration = Duration::from_secs(20);

/// A topic of one partition.
fn topic(address: &str) -> (KafkaTopic, String) {
    let name = unique("holes");
    let options = Options {
        partitions: 1,
        timestamps: Timestamps::Create,
        ..Options::default()
    };
    let url = format!("kafka://{address}/{name}?fetch.wait.max.ms=20");
    let topic = KafkaTopic::create(&url, &options, &Context::default()).unwrap();
    (topic, name)
}

/// Writes records in transactions, each committed or aborted.
fn transactions(address: &str, name: &str, plan: &[(&str, bool)]) {
    let producer: BaseProducer = client(address)
        .set("transactional.id", unique("tx"))
        .create()
        .unwrap();
    producer.init_transactions(ANSWER).unwrap();
    for (payload, commit) in plan {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<(), str>::to(name)
            .partition(0)
            .payload(payload);
        producer.send(record).map_err(|(e, _)| e).unwrap();
        producer.flush(ANSWER).unwrap();
        if *commit {
            producer.commit_transaction(ANSWER).unwrap();
        } else {
            producer.abort_transaction(ANSWER).unwrap();
        }
    }
}

/// Whether a reader that has nothing more to show stands at the end.
fn stands_at(reader: &mut dyn Reader, end: u64) -> bool {
    assert!(reader.peek().unwrap().is_none() && reader.position() <= end);
    reader.position() == end && !reader.unread().unwrap()
}

#[test]
fn transactions_leave_no_gap_and_hold_up_no_end() {
    let Some(address) = kafka() else { return };
    let (topic, name) = topic(&address);
    let mut early = topic.reader(0, 0).unwrap();
    assert!(!early.wait(PATIENCE).unwrap());
    // Offsets: a 0, marker 1, b 2 (aborted), marker 3, c 4, marker 5, d 6 (aborted), marker 7.
    transactions(
        &address,
        &name,
        &[("a", true), ("b", false), ("c", true), ("d", false)],
    );
    let wanted = [(0, b"a".to_vec()), (4, b"c".to_vec())];
    let end = topic.bounds(0).unwrap().end;
    assert_eq!(end, 8);
    // One that was there before, one that comes after, one that begins within the hole at the end.
    let mut late = topic.reader(0, 0).unwrap();
    let mut within = topic.reader(0, 6).unwrap();
    assert_eq!(read_all(&mut *early), wanted);
    assert_eq!(read_all(&mut *late), wanted);
    assert_eq!(read_all(&mut *within), []);
    for reader in [&mut early, &mut late, &mut within] {
        until("it stands at the end", || stands_at(&mut **reader, end));
    }
    write(&topic, 0, &["e"]);
    for mut reader in [early, late, within] {
        until("the next record shows", || reader.peek().unwrap().is_some());
        assert_eq!(read_all(&mut *reader), [(8, b"e".to_vec())]);
    }
}

#[test]
fn an_open_transaction_is_not_yet_part_of_the_topic() {
    let Some(address) = kafka() else { return };
    let (topic, name) = topic(&address);
    write(&topic, 0, &["a"]);
    let producer: BaseProducer = client(&address)
        .set("transactional.id", unique("tx"))
        .create()
        .unwrap();
    producer.init_transactions(ANSWER).unwrap();
    producer.begin_transaction().unwrap();
    let record = BaseRecord::<(), str>::to(&name).partition(0).payload("b");
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(ANSWER).unwrap();
    assert_eq!(topic.bounds(0).unwrap().end, 1);
    let mut reader = topic.reader(0, 0).unwrap();
    assert_eq!(read_all(&mut *reader), [(0, b"a".to_vec())]);
    assert_eq!(reader.position(), 1);
    producer.commit_transaction(ANSWER).unwrap();
    until("the record shows", || reader.peek().unwrap().is_some());
    assert_eq!(read_all(&mut *reader), [(1, b"b".to_vec())]);
    let end = topic.bounds(0).unwrap().end;
    assert_eq!(end, 3);
    until("it stands at the end", || stands_at(&mut *reader, end));
}

#[test]
fn a_hole_of_compaction_is_no_gap() {
    let Some(address) = kafka() else { return };
    let name = unique("compacted");
    let new = NewTopic::new(&name, 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("min.cleanable.dirty.ratio", "0.001")
        .set("max.compaction.lag.ms", "1")
        .set("segment.ms", "50")
        .set("segment.bytes", "1048576");
    let made = futures(admin(&address).create_topics([&new], &AdminOptions::new()));
    made.unwrap().remove(0).unwrap();
    let producer: BaseProducer = client(&address).create().unwrap();
    let send = |payload: &str| {
        let record = BaseRecord::<str, str>::to(&name)
            .partition(0)
            .key("same")
            .payload(payload);
        producer.send(record).map_err(|(e, _)| e).unwrap();
        producer.flush(ANSWER).unwrap();
    };
    let url = format!("kafka://{address}/{name}?fetch.wait.max.ms=20");
    let mut opened = KafkaTopic::open(&url, &Context::default());
    until("the topic is known", || {
        opened = KafkaTopic::open(&url, &Context::default());
        opened.is_ok()
    });
    let topic = opened.unwrap();
    // A segment is closed by the first record after its time; the cleaner takes all but the newest of a key.
    let mut records = Vec::new();
    until("the cleaner has left a hole", || {
        send("x");
        records = read_all(&mut *topic.reader(0, 0).unwrap());
        records.first().is_some_and(|first| first.0 > 0)
    });
    assert_eq!(
        topic.bounds(0).unwrap().earliest,
        0,
        "no gap: nothing was deleted"
    );
    let mut reader = topic.reader(0, 0).unwrap();
    assert!(reader.wait(PATIENCE).unwrap());
    assert!(reader.position() > 0, "goes over the hole");
}

#[test]
fn what_retention_has_deleted_is_a_gap_until_seek() {
    let Some(address) = kafka() else { return };
    let (topic, name) = topic(&address);
    write(&topic, 0, &["a", "b", "c", "d"]);
    let mut here = topic.reader(0, 1).unwrap();
    assert!(here.wait(PATIENCE).unwrap());
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&name, 0, Offset::Offset(3))
        .unwrap();
    futures(admin(&address).delete_records(&list, &AdminOptions::new())).unwrap();
    assert_eq!(topic.bounds(0).unwrap().earliest, 3);
    // What was fetched before is not taken back.
    assert_eq!(here.peek().unwrap().unwrap().offset, 1);
    let mut reader = topic.reader(0, 1).unwrap();
    for time in 0..2 {
        let mut seen = None;
        until("the gap shows", || {
            seen = reader.peek().map(|record| record.map(|r| r.offset)).err();
            seen.is_some()
        });
        let text = seen.as_ref().map(ToString::to_string);
        let gap = matches!(
            seen,
            Some(TopicError::Gap {
                offset: 1,
                earliest: 3,
                ..
            })
        );
        assert!(gap, "time {time}: {text:?}");
    }
    reader.seek(3).unwrap();
    assert_eq!(read_all(&mut *reader), [(3, b"d".to_vec())]);
}

#[test]
fn partitions_added_later_are_found() {
    let Some(address) = kafka() else { return };
    let (topic, name) = topic(&address);
    assert!(matches!(
        topic.reader(2, 0).err(),
        Some(TopicError::NoPartition { .. })
    ));
    let new = NewPartitions::new(&name, 3);
    let made = futures(admin(&address).create_partitions([&new], &AdminOptions::new()));
    made.unwrap().remove(0).unwrap();
    until("three partitions", || topic.partitions().unwrap() == 3);
    write(&topic, 2, &["x"]);
    let mut reader = topic.reader(2, 0).unwrap();
    assert_eq!(read_all(&mut *reader), [(0, b"x".to_vec())]);
}

/// Waits for an answer that a thread of librdkafka brings.
fn futures<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::sleep(Duration::from_millis(2)); // nobody wakes a waker that does nothing
    }
}
