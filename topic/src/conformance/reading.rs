//! Checks of readers and bounds.

use super::{Outcome, Subject, append_all, ensure, expect, next, numbered};
use crate::{Bounds, Timestamps};

pub(super) fn peek_is_repeatable(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let records = numbered(20);
    let mut writer = topic.writer()?;
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    let mut reader = topic.reader(0, 0)?;
    for (offset, record) in (0..).zip(&records) {
        for time in 0..3 {
            let (seen_offset, seen) = next(&mut *reader)?;
            let same = seen_offset == offset && seen == *record && reader.position() == offset;
            ensure(same, || {
                format!("peek {time} at {offset}: offset {seen_offset}, {seen:?}")
            })?;
        }
        reader.advance();
    }
    expect(&mut *reader, 20, &[])
}

pub(super) fn seek_goes_anywhere(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let records = numbered(300);
    let mut writer = topic.writer()?;
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    let mut reader = topic.reader(0, 299)?;
    let mut target = 1_u64;
    for _ in 0..100 {
        target = target.wrapping_mul(48_271) % 2_147_483_647;
        let offset = target % 300;
        reader.seek(offset)?;
        ensure(reader.position() == offset, || {
            format!("position after seek({offset})")
        })?;
        for (offset, record) in (offset..300).zip(&records[offset as usize..]).take(3) {
            let (seen_offset, seen) = next(&mut *reader)?;
            let same = seen_offset == offset && seen == *record;
            ensure(same, || {
                format!("after seek, at {offset}: offset {seen_offset}, {seen:?}")
            })?;
            reader.advance();
        }
    }
    reader.seek(300)?;
    expect(&mut *reader, 300, &[])?;
    reader.seek(0)?;
    expect(&mut *reader, 0, &records)?;
    expect(&mut *topic.reader(0, 123)?, 123, &records[123..])
}

pub(super) fn bounds_follow_the_writer(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 2);
    let empty = Bounds {
        earliest: 0,
        end: 0,
    };
    let mut writer = topic.writer()?;
    let mut appended = 0;
    for end in [0_u64, 1, 5, 5, 100] {
        append_all(&mut *writer, 0, &numbered(end - appended))?;
        appended = end;
        writer.flush()?;
        let bounds = topic.bounds(0)?;
        ensure(bounds == Bounds { earliest: 0, end }, || {
            format!("{bounds:?}, the end is {end}")
        })?;
        let other = topic.bounds(1)?;
        ensure(other == empty, || {
            format!("{other:?} of an empty partition")
        })?;
    }
    Ok(())
}

pub(super) fn a_reader_follows_the_writer(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let records = numbered(200);
    let mut reader = topic.reader(0, 0)?;
    // Stands before an offset that does not exist yet.
    let mut ahead = topic.reader(0, 150)?;
    expect(&mut *reader, 0, &[])?;
    let mut writer = topic.writer()?;
    for (number, some) in records.chunks(10).enumerate() {
        append_all(&mut *writer, 0, some)?;
        writer.flush()?;
        expect(&mut *reader, number as u64 * 10, some)?;
        if number < 15 {
            expect(&mut *ahead, 150, &[])?;
        }
    }
    expect(&mut *ahead, 150, &records[150..])
}

pub(super) fn readers_are_independent(subject: &Subject<'_>) -> Outcome {
    let topic = subject.make(Timestamps::Create, 1);
    let records = numbered(100);
    let mut writer = topic.writer()?;
    append_all(&mut *writer, 0, &records)?;
    writer.flush()?;
    let mut one = topic.reader(0, 0)?;
    let mut other = topic.reader(0, 40)?;
    for offset in 0..60_u64 {
        for (reader, offset) in [(&mut one, offset), (&mut other, offset + 40)] {
            let (seen_offset, seen) = next(&mut **reader)?;
            let same = seen_offset == offset && seen == records[offset as usize];
            ensure(same, || {
                format!("at {offset}: offset {seen_offset}, {seen:?}")
            })?;
            reader.advance();
        }
    }
    expect(&mut *one, 60, &records[60..])?;
    expect(&mut *other, 100, &[])
}
