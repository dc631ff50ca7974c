//! What goes wrong between a client and its brokers: librdkafka's mock cluster, no server needed.
//!
//! The mock cannot make topics by request nor tell their settings, so topics are made from its side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use flow_topic::{Context, KafkaTopic, NewRecord, Topic, TopicError, give_up_after, url};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::broker::{PATIENCE, read_all, record, until, write};

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A cluster with the topic `flows` of two partitions, and the topic's URL.
fn cluster() -> (Cluster, String) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("flows", 2, 1).unwrap();
    let quick = "fetch.wait.max.ms=20&reconnect.backoff.ms=10&reconnect.backoff.max.ms=50&retry.backoff.ms=10";
    let url = format!("kafka://{}/flows?{quick}", cluster.bootstrap_servers());
    (cluster, url)
}

fn open(url: &str) -> Result<KafkaTopic, TopicError> {
    KafkaTopic::open(url, &Context::default())
}

#[test]
fn a_topic_that_is_not_there_is_missing() {
    let (_cluster, url) = cluster();
    let other = url.replace("/flows?", "/nothing?");
    let error = open(&other).unwrap_err();
    assert!(matches!(error, TopicError::Missing { .. }), "{error}");
    assert_eq!(open(&url).unwrap().partitions().unwrap(), 2);
}

#[test]
fn no_broker_at_all_is_unreachable_and_says_why() {
    // Port 1 of loopback: nobody listens.
    let error = open("kafka://127.0.0.1:1/flows").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, TopicError::Unreachable { .. }), "{text}");
    assert!(
        text.contains("Connection refused") && !text.contains('\n'),
        "{text}"
    );
}

#[test]
fn properties_are_passed_on_and_unknown_ones_refused() {
    let (_cluster, url) = cluster();
    for (given, wanted) in [
        (
            "no.such.property=1",
            "No such configuration property: \"no.such.property\"",
        ),
        ("linger.ms=soon", "linger.ms"),
        ("compression.codec=rar", "compression.codec"),
        ("acks=1", "acks is not for choice"),
    ] {
        let error = open(&format!("{url}&{given}")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TopicError::BadOptions { .. }), "{text}");
        assert!(text.contains(wanted) && !text.contains('\n'), "{text}");
    }
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = url::open(&format!("{url}&compression.codec={codec}"), None).unwrap();
        write(&*topic, 0, &[codec]);
    }
    let topic = open(&url).unwrap();
    let seen = read_all(&mut *topic.reader(0, 0).unwrap());
    assert_eq!(seen.len(), 5, "{seen:?}");
}

#[test]
fn a_missing_right_ends_writing_and_reading_with_one_line() {
    let (cluster, url) = cluster();
    let topic = open(&url).unwrap();
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 5];
    cluster.request_errors(RDKafkaApiKey::Produce, &denied[..1]);
    let mut writer = topic.writer().unwrap();
    writer.append(0, record(b"x")).unwrap();
    let error = writer.flush().unwrap_err();
    assert!(matches!(error, TopicError::Denied { .. }), "{error}");
    assert!(
        error.to_string().contains("write (1 records are given up)"),
        "{error}"
    );
    // librdkafka keeps the refusal until it next asks about the topic: a new writer finds the right granted.
    let mut writer = topic.writer().unwrap();
    writer.append(0, record(b"y")).unwrap();
    writer.flush().unwrap();
    cluster.request_errors(RDKafkaApiKey::Fetch, &denied);
    let mut reader = topic.reader(0, 0).unwrap();
    let mut seen = None;
    until("the reader is refused, or shows the record", || {
        seen = Some(
            reader
                .peek()
                .map(|record| record.map(|record| record.offset)),
        );
        !matches!(seen, Some(Ok(None)))
    });
    let seen = seen.unwrap();
    assert!(matches!(seen, Err(TopicError::Denied { .. })), "{seen:?}");
}

#[test]
fn a_right_that_an_idempotent_writer_lacks_is_told() {
    let (cluster, url) = cluster();
    let topic = open(&url).unwrap();
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED; 9];
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &denied);
    let mut writer = topic.writer().unwrap();
    let error = writer
        .append(0, record(b"x"))
        .and_then(|()| writer.flush())
        .unwrap_err();
    assert!(matches!(error, TopicError::Denied { .. }), "{error}");
}

#[test]
fn a_connection_that_is_closed_without_a_word_is_told() {
    // Plain text to a listener that wants TLS: the broker closes, and librdkafka tells no error.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(std::io::Read::read(&mut stream, &mut [0; 512]));
        }
    });
    let text = open(&format!("kafka://{address}/flows"))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("Disconnected: connection closed by peer"),
        "{text}"
    );
}

#[test]
fn too_large_is_refused_at_append_and_by_the_broker() {
    let (cluster, url) = cluster();
    let topic = open(&url).unwrap();
    let mut writer = topic.writer().unwrap();
    let large = vec![0; 2 << 20];
    let error = writer.append(0, record(&large)).unwrap_err();
    assert!(matches!(error, TopicError::TooLarge { .. }), "{error}");
    // A limit that was lowered since: only the broker knows.
    let code = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[code]);
    writer.append(0, record(b"first")).unwrap();
    let error = writer.flush().unwrap_err().to_string();
    assert!(error.contains("Message size too large"), "{error}");
    writer.append(0, record(b"second")).unwrap();
    writer.flush().unwrap();
    let seen = read_all(&mut *topic.reader(0, 0).unwrap());
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].1, b"second");
}

#[test]
fn a_header_that_no_reader_could_show_is_refused() {
    let (_cluster, url) = cluster();
    let topic = open(&url).unwrap();
    let name = "n".repeat(256);
    let headers: [(&str, &[u8]); 1] = [(&name, b"")];
    let new = NewRecord {
        headers: &headers,
        ..record(b"x")
    };
    let refused = topic.writer().unwrap().append(0, new).unwrap_err();
    assert!(matches!(refused, TopicError::BadHeader { .. }), "{refused}");
}

#[test]
fn a_broker_that_goes_and_comes_back_loses_nothing() {
    let (cluster, url) = cluster();
    let topic = open(&url).unwrap();
    write(&topic, 0, &["before"]);
    let mut reader = topic.reader(0, 0).unwrap();
    assert_eq!(read_all(&mut *reader), [(0, b"before".to_vec())]);
    assert!(!reader.unread().unwrap());
    cluster.broker_down(1).unwrap();
    until("the partition counts as unread", || {
        reader.unread().unwrap()
    });
    let (told, hear) = mpsc::channel();
    let mut writer = topic.writer().unwrap();
    let writing = thread::spawn(move || {
        for n in 0..100 {
            writer.append(0, record(format!("{n}").as_bytes())).unwrap();
        }
        told.send("appended").unwrap();
        writer.flush().unwrap();
        told.send("flushed").unwrap();
    });
    assert_eq!(hear.recv().unwrap(), "appended");
    // No way to see that it waits but to see that it has not come back.
    assert!(hear.recv_timeout(Duration::from_millis(300)).is_err());
    assert!(reader.peek().unwrap().is_none() && reader.unread().unwrap());
    cluster.broker_up(1).unwrap();
    assert_eq!(hear.recv().unwrap(), "flushed");
    writing.join().unwrap();
    let wanted: Vec<_> = (0..100_u64)
        .map(|n| (n + 1, format!("{n}").into_bytes()))
        .collect();
    let mut seen = Vec::new();
    until("all records are there", || {
        while let Some(record) = reader.peek().unwrap() {
            seen.push((record.offset, record.payload.to_vec()));
            reader.advance();
        }
        seen.len() >= wanted.len()
    });
    assert_eq!(seen, wanted);
    until("everything is read", || !reader.unread().unwrap());
}

#[test]
fn what_is_given_up_is_told_and_counted() {
    let (cluster, url) = cluster();
    let context = Context::default();
    let topic = KafkaTopic::open(&format!("{url}&message.timeout.ms=300"), &context).unwrap();
    cluster.broker_down(1).unwrap();
    let mut writer = topic.writer().unwrap();
    for _ in 0..3 {
        writer.append(1, record(b"x")).unwrap();
    }
    let error = writer.flush().unwrap_err();
    assert!(matches!(error, TopicError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().contains("3 records are given up"),
        "{error}"
    );
    assert_eq!(context.metrics.kafka.failed_records(), 3);
    assert_eq!(context.metrics.kafka.produced_records(), 0);
}

#[test]
fn a_wait_for_the_brokers_ends_when_its_owner_gives_up() {
    let (cluster, url) = cluster();
    let topic = open(&format!("{url}&queue.buffering.max.messages=10")).unwrap();
    let mut writer = topic.writer().unwrap();
    writer.append(0, record(b"before")).unwrap();
    writer.flush().unwrap();
    cluster.broker_down(1).unwrap();
    let told = Arc::new(AtomicBool::new(false));
    writer.give_up_when(give_up_after(Arc::clone(&told), Duration::ZERO));
    for _ in 0..10 {
        writer.append(0, record(b"x")).unwrap();
    }
    let (waits, waited) = mpsc::channel();
    let begun = Instant::now();
    let waiting = thread::spawn(move || {
        waits.send(()).unwrap();
        let full = writer.append(0, record(b"x")).unwrap_err();
        (full, writer.flush().unwrap_err())
    });
    waited.recv().unwrap();
    told.store(true, Ordering::Release);
    let (full, given_up) = waiting.join().unwrap();
    // librdkafka itself would wait for five minutes.
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(matches!(full, TopicError::Unreachable { .. }), "{full}");
    let text = given_up.to_string();
    assert!(matches!(given_up, TopicError::Unreachable { .. }), "{text}");
    assert!(text.contains("10 records are given up"), "{text}");
}

#[test]
fn a_full_queue_makes_append_wait() {
    let (cluster, url) = cluster();
    let url = format!("{url}&queue.buffering.max.messages=10");
    let topic = open(&url).unwrap();
    cluster.broker_down(1).unwrap();
    let (told, hear) = mpsc::channel();
    let mut writer = topic.writer().unwrap();
    let writing = thread::spawn(move || {
        for n in 0..25_u64 {
            writer.append(0, record(b"x")).unwrap();
            told.send(n + 1).unwrap();
        }
        writer.flush().unwrap();
    });
    let limit = Duration::from_millis(300);
    let mut appended = 0;
    while let Ok(count) = hear.recv_timeout(limit) {
        appended = count;
    }
    assert_eq!(appended, 10, "the queue is bounded");
    cluster.broker_up(1).unwrap();
    writing.join().unwrap();
    assert_eq!(hear.try_iter().last(), Some(25));
}

#[test]
fn an_offset_beyond_the_end_waits_for_it() {
    let (_cluster, url) = cluster();
    let topic = open(&url).unwrap();
    write(&topic, 0, &["a", "b"]);
    let mut reader = topic.reader(0, 3).unwrap();
    until("it knows the end", || !reader.unread().unwrap());
    assert_eq!(reader.position(), 3);
    write(&topic, 0, &["c", "d"]);
    until("the record shows", || reader.peek().unwrap().is_some());
    assert_eq!(read_all(&mut *reader), [(3, b"d".to_vec())]);
}
