//! Blocks of raw flows: once, however often they come; split by day; values as they were.

use flow_proto::{Addr, Coordinate, EnrichedFlow, Flow, Verdict, country_number};
use flow_sinks::{Applied, RawBlock, RawSink, SinkErrorKind};

use crate::database::Database;
pub(crate) use crate::support::raw_read_back::Flows;

pub(crate) const DAY_NS: u64 = 86_400_000_000_000;
/// 2023-11-14 22:15:00 UTC.
pub(crate) const START_NS: u64 = 1_700_000_100_000_000_000;

/// A flow of partition 3.
pub(crate) fn flow(offset: u64, received_ns: u64) -> EnrichedFlow {
    EnrichedFlow {
        flow: Flow {
            bytes: offset * 100,
            packets: 2,
            ..Flow::default()
        },
        at: Coordinate {
            partition: 3,
            offset,
            index: 1,
        },
        received_ns,
        slot_secs: received_ns / 300_000_000_000 * 300,
        ..EnrichedFlow::default()
    }
}

pub(crate) fn block(from: Option<u64>, to: u64, rows: &Flows) -> RawBlock<'_> {
    let offsets = || rows.0.iter().map(|flow| flow.at.offset);
    RawBlock {
        job: "a",
        topic: "dir:///t",
        partition: 3,
        from,
        to,
        first_offset: offsets().min().unwrap_or(0),
        end_offset: offsets().max().unwrap_or(0) + 1,
        rows,
        now_secs: 9,
        watermark_secs: rows.0.last().map(|flow| flow.received_ns / 1_000_000_000),
    }
}

pub(crate) fn open(database: &Database, options: &str) -> Box<dyn RawSink> {
    flow_sinks::open(&format!("{}{options}", database.url))
        .unwrap()
        .raw
        .unwrap()
}

#[test]
fn a_block_that_comes_again_is_stored_once() {
    let Some(database) = Database::new() else {
        return;
    };
    // Six days, more than one walk writes, in no order.
    let flows = Flows(
        (0..60)
            .map(|n| flow(n, START_NS + n * 7 % 6 * DAY_NS))
            .collect(),
    );
    let count = "SELECT count(), uniqExact(topic_offset), uniqExact(toDate(time_received)) FROM {db}.raw_flows";
    let mut sink = open(&database, "");
    assert_eq!(
        sink.apply(&block(None, 4, &flows)).unwrap(),
        Applied::Done { rows: 60 }
    );
    assert_eq!(database.sql(count), "60\t60\t6");
    assert_eq!(
        sink.apply(&block(None, 4, &flows)).unwrap(),
        Applied::CursorMoved
    );
    // Died after the rows, before the cursor; and merges meanwhile.
    for _ in 0..2 {
        database.forget_cursor("flow_pipeline_raw_cursors", 4);
        database.sql("OPTIMIZE TABLE {db}.raw_flows FINAL");
        let mut again = open(&database, "");
        assert_eq!(again.cursors().unwrap().by_partition.get(&3), None);
        assert_eq!(
            again.apply(&block(None, 4, &flows)).unwrap(),
            Applied::Done { rows: 60 }
        );
        assert_eq!(database.sql(count), "60\t60\t6");
    }
    // The negative control: another token, and the same flows are stored again by who has no reason to count them.
    let mut other = block(None, 4, &flows);
    other.end_offset += 1;
    let mut sure = open(&database, "");
    for block in [&block(None, 4, &flows), &other] {
        database.forget_cursor("flow_pipeline_raw_cursors", 4);
        sure.apply(block).unwrap();
    }
    assert_eq!(database.sql(count), "120\t60\t6");
}

#[test]
fn a_block_of_which_only_the_token_was_stored_is_written_anew() {
    let Some(database) = Database::new() else {
        return;
    };
    let flows = Flows(
        (0..60)
            .map(|n| flow(n, START_NS + n * DAY_NS / 20))
            .collect(),
    );
    let count = "SELECT count(), uniqExact(topic_offset) FROM {db}.raw_flows";
    let mut sink = open(&database, "");
    sink.apply(&block(None, 4, &flows)).unwrap();
    let lose = |rows: &str| {
        database.sql(&format!(
            "ALTER TABLE {{db}}.raw_flows DELETE WHERE {rows} SETTINGS mutations_sync = 2"
        ));
        database.forget_cursor("flow_pipeline_raw_cursors", 4);
    };
    // The negative control: nothing has failed, so that it is taken for stored.
    lose("1");
    sink.apply(&block(None, 4, &flows)).unwrap();
    assert_eq!(database.sql(count), "0\t0");
    // Begun anew, and after an error: counted. A piece of it is as good as nothing.
    for (now_secs, rows) in [(9, "1"), (10, "topic_offset < 20")] {
        lose(rows);
        let again = RawBlock {
            now_secs,
            ..block(None, 4, &flows)
        };
        open(&database, "").apply(&again).unwrap();
        assert_eq!(database.sql(count), "60\t60");
    }
    // Twice there, by whatever: once again.
    let twice = "INSERT INTO {db}.raw_flows SELECT * FROM {db}.raw_flows";
    database.sql(twice);
    assert_eq!(database.sql(count), "120\t60");
    database.forget_cursor("flow_pipeline_raw_cursors", 4);
    let again = RawBlock {
        now_secs: 11,
        ..block(None, 4, &flows)
    };
    open(&database, "").apply(&again).unwrap();
    assert_eq!(database.sql(count), "60\t60");
}

#[test]
fn cursors_are_compared_and_other_jobs_refused() {
    let Some(database) = Database::new() else {
        return;
    };
    let (mut sink, none) = (open(&database, ""), Flows(vec![]));
    assert_eq!(
        sink.apply(&block(Some(1), 2, &none)).unwrap(),
        Applied::CursorMoved
    );
    assert_eq!(
        sink.apply(&block(None, 2, &none)).unwrap(),
        Applied::Done { rows: 0 }
    );
    let cursors = sink.cursors().unwrap();
    assert_eq!(cursors.job.as_deref(), Some("a"));
    assert_eq!(cursors.by_partition.get(&3), Some(&2));
    let other = RawBlock {
        job: "b",
        ..block(Some(2), 3, &none)
    };
    assert_eq!(sink.apply(&other).unwrap_err().kind, SinkErrorKind::Refused);
}

#[test]
fn values_are_those_of_the_flow() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut full = flow(u64::MAX - 1, START_NS + 7);
    full.verdict = Verdict::TooLate;
    full.flow.time_flow_end_ns = u64::MAX;
    full.flow.bytes = u64::MAX;
    full.flow.src_addr = Addr::v4([192, 0, 2, 1]);
    full.flow.dst_addr = "2001:db8::7".parse::<std::net::IpAddr>().unwrap().into();
    full.flow.src_port = 443;
    (full.src_as, full.src_country) = (4_200_000_000, country_number("DE"));
    let flows = Flows(vec![full]);
    open(&database, "").apply(&block(None, 1, &flows)).unwrap();
    let row = database.sql(
        "SELECT topic_partition, topic_offset, flow_index, slot, counted, refused, time_received, time_flow_start, \
         time_flow_end, sampling_rate, unknown_rate, sampler_address, src_addr, dst_addr, src_as, src_country, dst_country, \
         src_port, bytes, packets FROM {db}.raw_flows",
    );
    assert_eq!(
        row.replace('\t', " "),
        "3 18446744073709551614 1 2023-11-14 22:15:00 false too_late 2023-11-14 22:15:00.000000007 \\N \
         2262-04-11 23:47:16.854775807 1 true \\N ::ffff:192.0.2.1 2001:db8::7 4200000000 DE  443 18446744073709551615 2"
    );
}

#[test]
fn retention_of_raw_flows_is_its_own() {
    let Some(database) = Database::new() else {
        return;
    };
    let flows = Flows((0..5).map(|n| flow(n, START_NS + n * DAY_NS)).collect());
    let mut sink = open(&database, "?retention=1d&raw_retention=3d");
    sink.apply(&block(None, 1, &flows)).unwrap();
    let kept = database.sql("SELECT arraySort(groupArray(topic_offset)) FROM {db}.raw_flows");
    assert_eq!(kept, "[1,2,3,4]");
}

#[test]
fn raw_flows_are_read_back_as_they_were_and_replaced() {
    if let Some(database) = Database::new() {
        crate::support::raw_read_back::read_back(&database.url);
    }
}
