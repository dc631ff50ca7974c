//! Checks of what becomes of records.

use super::{Broken, Kept, Outcome, Subject, append_all, ensure, expect, numbered};
use crate::{NewRecord, Timestamps, TopicError};

pub(super) fn offsets_are_dense_and_ordered(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let records = numbered(1_000);
    let mut writer = topic.writer()?;
    for some in records.chunks(37) {
        append_all(&mut *writer, 0, some)?;
        writer.flush()?;
        writer.flush()?;
    }
    expect(&mut *topic.reader(0, 0)?, 0, &records)
}

pub(super) fn records_are_kept_as_given(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let every_byte: Vec<u8> = (0..=255).collect();
    let headers = |pairs: &[(&str, &[u8])]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect()
    };
    let records = [
        Kept {
            timestamp_millis: 1_700_000_000_000,
            headers: headers(&[
                ("flow-pipeline", b"1"),
                ("empty", b""),
                ("same", b"a"),
                ("same", b"b"),
            ]),
            payload: every_byte.clone(),
        },
        Kept {
            timestamp_millis: 1_600_000_000_000,
            headers: headers(&[("n", &every_byte)]),
            payload: b"x".to_vec(),
        },
        Kept {
            timestamp_millis: 1,
            headers: headers(&[("long", &[7; 5_000])]),
            payload: vec![0; 70_000],
        },
        Kept::new(1_700_000_000_001, "no header"),
    ];
    let mut writer = topic.writer()?;
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    let mut reader = topic.reader(0, 0)?;
    let first = super::next(&mut *reader)?.1;
    let by_name = reader
        .peek()?
        .and_then(|record| record.headers.get("same").map(<[u8]>::to_vec));
    ensure(by_name.as_deref() == Some(b"a"), || {
        format!("header by name: {by_name:?} of {first:?}")
    })?;
    expect(&mut *reader, 0, &records)
}

pub(super) fn empty_payload(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let records = [Kept::new(1, ""), Kept::new(2, "full"), Kept::new(3, "")];
    let mut writer = topic.writer()?;
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    expect(&mut *topic.reader(0, 0)?, 0, &records)
}

pub(super) fn the_first_millisecond(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let records = [Kept::new(5, "x"), Kept::new(0, "1970-01-01T00:00:00.000Z")];
    let mut writer = topic.writer()?;
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    expect(&mut *topic.reader(0, 0)?, 0, &records)
}

/// 900 KiB: what fits Kafka's default limit.
pub(super) fn large_record(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let large = |seed: u32| -> Vec<u8> {
        (0..900 << 10)
            .map(|n: u32| (n.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect()
    };
    let records = [
        Kept::new(1, "before"),
        Kept::new(2, large(1)),
        Kept::new(3, large(2)),
        Kept::new(4, "after"),
    ];
    let mut writer = topic.writer()?;
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    expect(&mut *topic.reader(0, 0)?, 0, &records)
}

pub(super) fn too_large_is_refused(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let mut writer = topic.writer()?;
    let records = [Kept::new(1, "before"), Kept::new(2, "after")];
    records[0].append(&mut *writer, 0)?;
    match Kept::new(1, vec![0; 64 << 20]).append(&mut *writer, 0) {
        Err(TopicError::TooLarge { .. }) => {}
        other => return Err(Broken(format!("64 MiB: {other:?}"))),
    }
    records[1].append(&mut *writer, 0)?;
    writer.flush()?;
    expect(&mut *topic.reader(0, 0)?, 0, &records)
}

pub(super) fn nothing_is_visible_before_flush(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let mut writer = topic.writer()?;
    let mut reader = topic.reader(0, 0)?;
    // Large enough that a writer's buffers overflow.
    let records: Vec<Kept> = (0..60)
        .map(|n| Kept::new(n + 1, vec![n as u8; 100_000]))
        .collect();
    for record in &records {
        record.append(&mut *writer, 0)?;
        let seen = reader.peek()?.map(|record| record.offset);
        ensure(seen.is_none(), || {
            format!("offset {seen:?} is visible before flush")
        })?;
        let end = topic.bounds(0)?.end;
        ensure(end == 0, || format!("the end is {end} before flush"))?;
    }
    writer.flush()?;
    expect(&mut *reader, 0, &records)
}

pub(super) fn partitions_are_independent(subject: &Subject<'_>) -> Outcome {
    const PARTITIONS: u32 = 17;
    let topic = subject.make(Timestamps::Create, PARTITIONS);
    ensure(topic.partitions()? == PARTITIONS, || {
        "the number of partitions differs".to_owned()
    })?;
    let mut writer = topic.writer()?;
    let mut kept = vec![Vec::new(); PARTITIONS as usize];
    for n in 0..400_u32 {
        // Partition 3 stays empty.
        let partition = n * n % PARTITIONS;
        if partition != 3 {
            let record = Kept::new(i64::from(n) + 1, format!("{partition}/{n}"));
            record.append(&mut *writer, partition)?;
            kept[partition as usize].push(record);
        }
    }
    writer.flush()?;
    for (partition, records) in (0..).zip(&kept) {
        expect(&mut *topic.reader(partition, 0)?, 0, records)?;
    }
    let none = NewRecord {
        timestamp_millis: 0,
        headers: &[],
        payload: b"",
    };
    for (what, outcome) in [
        ("reader", topic.reader(PARTITIONS, 0).map(drop)),
        ("bounds", topic.bounds(PARTITIONS).map(drop)),
        ("offset_at", topic.offset_at(PARTITIONS, 0).map(drop)),
        ("append", writer.append(PARTITIONS, none)),
    ] {
        let refused = matches!(outcome, Err(TopicError::NoPartition { .. }));
        ensure(refused, || {
            format!("{what} of a partition that does not exist: {outcome:?}")
        })?;
    }
    Ok(())
}

pub(super) fn one_writer_at_a_time(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let writer = topic.writer()?;
    match topic.writer() {
        Err(TopicError::Locked { .. }) => {}
        Err(e) => return Err(e.into()),
        Ok(_) => return Err(Broken("a second writer was let in".to_owned())),
    }
    drop(writer);
    topic.writer().map(drop).map_err(Broken::from)
}

pub(super) fn a_reopened_topic_goes_on(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 2);
    let records = numbered(50);
    for (number, some) in records.chunks(10).enumerate() {
        let again = crate::url::open(&topic.url(), None)?;
        let same = again.timestamps() == Timestamps::Create && again.partitions()? == 2;
        ensure(same, || {
            "a reopened topic differs in partitions or timestamps".to_owned()
        })?;
        let mut writer = again.writer()?;
        append_all(&mut *writer, 1, some)?;
        writer.flush()?;
        drop(writer);
        expect(&mut *topic.reader(1, 0)?, 0, &records[..number * 10 + 10])?;
        expect(&mut *again.reader(1, 0)?, 0, &records[..number * 10 + 10])?;
    }
    Ok(())
}
