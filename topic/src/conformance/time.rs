//! Checks of timestamps and of the look-up by time, against a plain search through the records.

use super::{Kept, Outcome, Subject, append_all, ensure, next};
use crate::{Timestamps, Topic};

/// The first record at or after `millis`, found the slow way.
fn by_search(timestamps: &[i64], millis: i64) -> Option<u64> {
    (0..)
        .zip(timestamps)
        .find(|(_, timestamp)| **timestamp >= millis)
        .map(|(offset, _)| offset)
}

fn expect_offsets(
    topic: &dyn Topic,
    timestamps: &[i64],
    probes: impl Iterator<Item = i64>,
) -> Outcome {
    for millis in probes {
        let wanted = by_search(timestamps, millis);
        let seen = topic.offset_at(0, millis)?;
        ensure(seen == wanted, || {
            format!("offset at {millis} ms: {seen:?} instead of {wanted:?}")
        })?;
    }
    Ok(())
}

pub(super) fn offset_at_is_exact(subject: &Subject<'_>) -> Outcome {
    // In order with repetitions; out of order; all alike; from 1970 on.
    for timestamps in [
        vec![1_000, 1_010, 1_010, 1_010, 1_020, 1_500, 1_500, 2_000],
        vec![500, 900, 100, 900, 901, 1, 902, 300],
        vec![7; 9],
        vec![1, 1, 2, 5],
    ] {
        let topic = subject.make(Timestamps::Create, 1);
        let none = topic.offset_at(0, 0)?;
        ensure(none.is_none(), || {
            format!("offset {none:?} in an empty partition")
        })?;
        let mut writer = topic.writer()?;
        for (number, &millis) in timestamps.iter().enumerate() {
            Kept::new(millis, format!("{number}")).append(&mut *writer, 0)?;
            writer.flush()?;
            let so_far = &timestamps[..=number];
            let around = so_far
                .iter()
                .flat_map(|millis| [millis - 1, *millis, millis + 1]);
            let around = around.filter(|millis| *millis >= 0);
            expect_offsets(&*topic, so_far, around.chain([10_000]))?;
        }
    }
    Ok(())
}

pub(super) fn offset_at_in_a_long_partition(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let mut writer = topic.writer()?;
    let mut random = 20_261_124_u64;
    let mut timestamps = Vec::new();
    for number in 0..600_i64 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Grows by 10 ms a record, up to 2 s late.
        timestamps.push(5_000 + number * 10 - (random >> 33) as i64 % 2_000);
    }
    let records: Vec<Kept> = timestamps
        .iter()
        .map(|millis| Kept::new(*millis, vec![9; (*millis % 2_000) as usize]))
        .collect();
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    expect_offsets(&*topic, &timestamps, (2_900..11_200).step_by(7))
}

pub(super) fn append_timestamps_are_the_topics(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Append, 1);
    let mut writer = topic.writer()?;
    for given in [4_000_000_000_000, 5, 0, 3_000_000_000_000] {
        Kept::new(given, "x").append(&mut *writer, 0)?;
        writer.flush()?;
    }
    let mut reader = topic.reader(0, 0)?;
    let mut timestamps = Vec::new();
    for _ in 0..4 {
        timestamps.push(next(&mut *reader)?.1.timestamp_millis);
        reader.advance();
    }
    ensure(timestamps.is_sorted(), || {
        format!("timestamps go back: {timestamps:?}")
    })?;
    let own = timestamps
        .iter()
        .all(|millis| ![4_000_000_000_000, 5, 0].contains(millis));
    ensure(own, || {
        format!("the producer's timestamps were kept: {timestamps:?}")
    })?;
    expect_offsets(
        &*topic,
        &timestamps,
        timestamps
            .iter()
            .flat_map(|millis| [millis - 1, *millis, millis + 1]),
    )
}
