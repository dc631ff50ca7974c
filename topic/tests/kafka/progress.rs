//! What others see of a job, and what is said about a topic. Apache Kafka only.

use std::collections::BTreeMap;
use std::time::Duration;

use flow_topic::{Context, KafkaTopic, Options, Retention, Timestamps, Topic, TopicError, create};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::{PATIENCE, client, kafka, read_all, unique, until, write};

#[test]
fn offsets_are_committed_for_lag_displays() {
    let Some(address) = kafka() else { return };
    let (name, group) = (unique("progress"), unique("group"));
    let url = format!("kafka://{address}/{name}?group.id={group}");
    let topic = create(&url, Options::default()).unwrap();
    topic.show_progress(&BTreeMap::from([(0, 7), (3, 9)]));
    let other: BaseConsumer = client(&address).set("group.id", &group).create().unwrap();
    let mut seen = Vec::new();
    until("the offsets are committed", || {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&name, 0, 3);
        let Ok(list) = other.committed_offsets(list, Duration::from_secs(5)) else {
            return false;
        };
        seen = list
            .elements()
            .iter()
            .map(|element| element.offset())
            .collect();
        seen[0] != Offset::Invalid
    });
    assert_eq!(
        seen,
        [
            Offset::Offset(7),
            Offset::Invalid,
            Offset::Invalid,
            Offset::Offset(9)
        ]
    );
}

#[test]
fn lag_is_the_distance_to_the_end() {
    let Some(address) = kafka() else { return };
    let url = format!("kafka://{address}/{}", unique("lag"));
    let context = Context::default();
    let topic = KafkaTopic::create(&url, &Options::default(), &context).unwrap();
    write(&topic, 1, &["a", "b", "c", "d"]);
    let lag = || context.metrics.kafka.lag_records(1);
    let mut reader = topic.reader(1, 0).unwrap();
    assert!(reader.wait(PATIENCE).unwrap());
    reader.advance();
    until("three are left", || lag() == 3);
    read_all(&mut *reader);
    until("none is left", || lag() == 0);
    assert_eq!(context.metrics.kafka.produced_records(), 4);
}

#[test]
fn a_topic_is_made_once_and_described() {
    let Some(address) = kafka() else { return };
    let shown = format!("kafka://{address}/{}", unique("made"));
    let url = format!("{shown}?client.id=x");
    let options = Options {
        partitions: 3,
        retention: Retention {
            bytes: Some(1 << 30),
            age_millis: Some(86_400_000),
        },
        replication: Some(1),
        ..Options::default()
    };
    let topic = create(&url, options.clone()).unwrap();
    assert_eq!(topic.timestamps(), Timestamps::Append);
    let again = create(&url, options.clone()).unwrap_err();
    assert!(matches!(again, TopicError::Exists { .. }), "{again}");
    assert_eq!(
        flow_topic::url::open(&url, Some(options)).unwrap().url(),
        shown
    );
    write(&*topic, 2, &["x", "y"]);
    let described = topic.describe().unwrap();
    assert_eq!(described.url, shown);
    assert_eq!(described.partitions.len(), 3);
    let last = &described.partitions[2];
    assert_eq!(
        (last.partition, last.bounds.earliest, last.bounds.end),
        (2, 0, 2)
    );
    assert_eq!(
        (last.leader, &last.replicas, &last.in_sync),
        (Some(1), &vec![1], &vec![1])
    );
    for (setting, value) in [
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "86400000"),
        ("retention.bytes", "1073741824"),
    ] {
        assert_eq!(described.settings[setting], value, "{setting}");
    }
}

#[test]
fn what_the_brokers_cannot_make_is_refused_in_one_line() {
    let Some(address) = kafka() else { return };
    for (name, replication, partitions) in [("a b", None, 1), ("ok", Some(3), 1), ("ok", None, 0)] {
        let url = format!("kafka://{address}/{name}-{}", unique("refused"));
        let options = Options {
            partitions,
            replication,
            ..Options::default()
        };
        let error = create(&url, options).unwrap_err();
        assert!(matches!(error, TopicError::BadOptions { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
