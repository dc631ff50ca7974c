//! What only the embedded log promises: retention, growth, foreign directories, options, fast opening.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use flow_topic::{
    Bounds, Context, EmbeddedTopic, Metrics, NewRecord, Options, Retention, Timestamps, Topic,
    TopicError, Writer,
};
use prometheus_client::registry::Registry;

fn append(writer: &mut dyn Writer, partition: u32, timestamp_millis: i64) {
    writer
        .append(
            partition,
            NewRecord {
                timestamp_millis,
                headers: &[],
                payload: &[3; 72],
            },
        )
        .unwrap();
}

/// Ten records of 100 bytes on disk to a segment.
fn options(retention: Retention) -> Options {
    Options {
        partitions: 1,
        segment_bytes: 1_000,
        retention,
        ..Options::default()
    }
}

fn logs(path: &Path) -> usize {
    let entries = std::fs::read_dir(path.join("partition-00000")).unwrap();
    entries
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "log")
        })
        .count()
}

fn bounds(earliest: u64, end: u64) -> Bounds {
    Bounds { earliest, end }
}

#[test]
fn retention_by_size_removes_whole_segments_and_readers_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows");
    let retention = Retention {
        bytes: Some(3_500),
        age_millis: None,
    };
    let mut registry = Registry::default();
    let context = Context {
        metrics: Metrics::register(&mut registry),
        ..Context::default()
    };
    let metrics = context.metrics.clone();
    let topic = EmbeddedTopic::create_with(&path, options(retention), context).unwrap();
    let mut behind = topic.reader(0, 5).unwrap();
    let mut writer = topic.writer().unwrap();
    for _ in 0..35 {
        append(&mut *writer, 0, 0);
    }
    writer.flush().unwrap();
    assert_eq!(topic.bounds(0).unwrap(), bounds(0, 35));
    assert_eq!(
        topic.reader(0, 0).unwrap().peek().unwrap().unwrap().offset,
        0
    );
    for _ in 0..10 {
        append(&mut *writer, 0, 0);
    }
    writer.flush().unwrap();
    // 45 records, 3500 bytes at most: the first segment goes.
    assert_eq!(topic.bounds(0).unwrap(), bounds(10, 45));
    assert_eq!(
        (logs(&path), metrics.retention_removed_bytes.get()),
        (4, 1_000)
    );
    assert_eq!(
        (metrics.appended_records.get(), metrics.appended_bytes.get()),
        (45, 4_500)
    );
    let gap = behind.peek().unwrap_err();
    assert!(
        matches!(
            gap,
            TopicError::Gap {
                offset: 5,
                earliest: 10,
                partition: 0,
                ..
            }
        ),
        "{gap}"
    );
    behind.seek(10).unwrap();
    assert_eq!(behind.peek().unwrap().unwrap().offset, 10);
    assert_eq!(topic.offset_at(0, i64::MIN).unwrap(), Some(10));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("topic_appended_records_total 45"), "{text}");
    assert!(text.contains("topic_flush_seconds_count 2"), "{text}");
}

#[test]
fn retention_by_age_keeps_what_is_young_and_the_segment_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows");
    let retention = Retention {
        bytes: None,
        age_millis: Some(1_000),
    };
    let now = Arc::new(AtomicI64::new(50_000));
    let clock = now.clone();
    let clock = Arc::new(move || clock.load(Ordering::Relaxed));
    let context = Context {
        clock,
        ..Context::default()
    };
    let topic = EmbeddedTopic::create_with(&path, options(retention), context).unwrap();
    let mut writer = topic.writer().unwrap();
    for step in 0..30 {
        now.store(50_000 + step * 10, Ordering::Relaxed);
        append(&mut *writer, 0, 0);
        writer.flush().unwrap();
    }
    // The newest record of the first segment is of 50090 ms.
    for (millis, earliest) in [
        (51_090, 0),
        (51_091, 10),
        (51_190, 10),
        (51_191, 20),
        (90_000, 20),
    ] {
        now.store(millis, Ordering::Relaxed);
        writer.flush().unwrap();
        assert_eq!(
            topic.bounds(0).unwrap(),
            bounds(earliest, 30),
            "at {millis}"
        );
    }
    assert_eq!(logs(&path), 1);
    // A reopened topic has not forgotten, nor do its timestamps go back.
    drop(writer);
    now.store(0, Ordering::Relaxed);
    let mut writer = topic.writer().unwrap();
    append(&mut *writer, 0, 0);
    writer.flush().unwrap();
    let mut reader = topic.reader(0, 30).unwrap();
    assert_eq!(reader.peek().unwrap().unwrap().timestamp_millis, 50_290);
    assert_eq!(topic.bounds(0).unwrap(), bounds(20, 31));
}

#[test]
fn partitions_are_added_while_a_writer_and_readers_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let topic =
        EmbeddedTopic::create(folder.path().join("t"), options(Retention::default())).unwrap();
    let mut writer = topic.writer().unwrap();
    append(&mut *writer, 0, 0);
    let other = EmbeddedTopic::open(topic.path()).unwrap();
    other.add_partitions(3).unwrap();
    assert!(matches!(
        other.add_partitions(2),
        Err(TopicError::BadOptions { .. })
    ));
    assert_eq!(topic.partitions().unwrap(), 3);
    append(&mut *writer, 2, 0);
    writer.flush().unwrap();
    assert_eq!(topic.bounds(2).unwrap(), bounds(0, 1));
    assert_eq!(
        other.reader(2, 0).unwrap().peek().unwrap().unwrap().offset,
        0
    );
    let error = topic.reader(3, 0).map(drop).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("partition 3 does not exist (it has 3)"),
        "{error}"
    );
}

#[test]
fn what_is_not_a_topic_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let make = |name: &str| EmbeddedTopic::create(at(name), Options::default());
    assert!(matches!(
        EmbeddedTopic::open(at("none")),
        Err(TopicError::Missing { .. })
    ));
    std::fs::create_dir(at("empty")).unwrap();
    assert!(matches!(
        EmbeddedTopic::open(at("empty")),
        Err(TopicError::Missing { .. })
    ));
    make("empty").unwrap();
    assert!(matches!(make("empty"), Err(TopicError::Exists { .. })));
    std::fs::create_dir(at("home")).unwrap();
    std::fs::write(at("home").join("letter.txt"), "dear").unwrap();
    std::fs::write(at("file"), "x").unwrap();
    make("headless").unwrap();
    std::fs::remove_file(at("headless").join("topic.meta")).unwrap();
    let mut writer = make("headless").unwrap().writer().unwrap();
    append(&mut *writer, 0, 0);
    writer.flush().unwrap();
    std::fs::remove_file(at("headless").join("topic.meta")).unwrap();
    for (name, word) in [
        ("home", "letter.txt"),
        ("file", "not a directory"),
        ("headless", "holds records"),
    ] {
        let error = EmbeddedTopic::open(at(name)).unwrap_err();
        assert!(matches!(error, TopicError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(make(name).is_err());
    }
    assert_eq!(
        std::fs::read_dir(at("home")).unwrap().count(),
        1,
        "nothing was left in it"
    );
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let good = Options::default();
    for bad in [
        Options {
            partitions: 0,
            ..good.clone()
        },
        Options {
            partitions: 1_025,
            ..good.clone()
        },
        Options {
            segment_bytes: 0,
            ..good.clone()
        },
        Options {
            record_limit_bytes: 0,
            ..good.clone()
        },
        Options {
            record_limit_bytes: (1 << 30) + 1,
            ..good
        },
    ] {
        let error = EmbeddedTopic::create(folder.path().join("t"), bad).unwrap_err();
        assert!(matches!(error, TopicError::BadOptions { .. }), "{error}");
    }
    assert!(!folder.path().join("t").exists());
}

#[test]
fn limits_of_a_record_are_exact_and_a_refusal_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let limit = Options {
        record_limit_bytes: 100,
        ..options(Retention::default())
    };
    let topic = EmbeddedTopic::create(folder.path().join("t"), limit).unwrap();
    let mut writer = topic.writer().unwrap();
    let long = [0_u8; 65_536];
    let name = "n".repeat(256);
    let mut try_append = |headers: &[(&str, &[u8])], payload: &[u8]| {
        writer.append(
            0,
            NewRecord {
                timestamp_millis: 0,
                headers,
                payload,
            },
        )
    };
    try_append(&[], &long[..100]).unwrap();
    try_append(&[("ab", b"c")], &long[..94]).unwrap();
    for (headers, payload) in [(&[][..], 101), (&[("ab", b"c".as_slice())][..], 95)] {
        let error = try_append(headers, &long[..payload]).unwrap_err();
        let right = matches!(
            error,
            TopicError::TooLarge {
                size_bytes: 101,
                limit_bytes: 100,
                ..
            }
        );
        assert!(right, "{error}");
    }
    for headers in [[("n", long.as_slice())], [(name.as_str(), b"v")]] {
        assert!(matches!(
            try_append(&headers, b""),
            Err(TopicError::BadHeader { .. })
        ));
    }
    writer.flush().unwrap();
    assert_eq!(topic.bounds(0).unwrap(), bounds(0, 2));
}

#[test]
fn of_several_that_make_a_topic_one_does_and_all_open_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let made =
                    EmbeddedTopic::open_or_create(&path, Options::default(), Context::default());
                assert_eq!(made.unwrap().partitions().unwrap(), 4);
            });
        }
    });
}

/// Of the first reboot after a power failure: other boot id, less published than there is.
#[test]
fn after_a_reboot_the_first_to_open_finds_what_was_durable() {
    let folder = tempfile::tempdir().unwrap();
    let timestamps = Timestamps::Create;
    let options = Options {
        timestamps,
        ..options(Retention::default())
    };
    let topic = EmbeddedTopic::create(folder.path().join("t"), options).unwrap();
    let published = topic.path().join("partition-00000/published");
    let mut writer = topic.writer().unwrap();
    append(&mut *writer, 0, 5);
    writer.flush().unwrap();
    let mut old = std::fs::read(&published).unwrap();
    for millis in 6..40 {
        append(&mut *writer, 0, millis);
    }
    writer.flush().unwrap();
    drop(writer);
    // Boot id in bytes 56 to 72 of a slot, its checksum behind it.
    for slot in old.chunks_mut(128).filter(|slot| slot.len() >= 76) {
        slot[56] ^= 1;
        let crc = crc32fast::hash(&slot[..72]);
        slot[72..76].copy_from_slice(&crc.to_le_bytes());
    }
    std::fs::write(&published, &old).unwrap();
    assert_eq!(topic.bounds(0).unwrap().end, 1, "the file tells of less");
    let reader_only = EmbeddedTopic::open(topic.path()).unwrap();
    assert_eq!(reader_only.bounds(0).unwrap(), bounds(0, 35));
    assert_eq!(reader_only.offset_at(0, 39).unwrap(), Some(34));
    let mut reader = reader_only.reader(0, 0).unwrap();
    for millis in 5..40 {
        assert_eq!(reader.peek().unwrap().unwrap().timestamp_millis, millis);
        reader.advance();
    }
    assert!(reader.peek().unwrap().is_none());
}
