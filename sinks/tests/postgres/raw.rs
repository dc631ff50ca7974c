//! Raw flows: every one once, in the columns of the project we replace and in ours, in daily partitions.

use flow_sinks::{Applied, RawBlock, RawSink};

use crate::database::Database;
use crate::given::{Flows, NOON, block, flow};
use crate::schema::THEIRS;

const DAY: u64 = 86_400;

fn flows(numbers: std::ops::Range<u64>) -> Flows {
    Flows {
        flows: numbers.map(flow).collect(),
        before: None,
    }
}

fn raw(database: &Database, options: &str) -> Box<dyn RawSink> {
    database.open(options).raw.unwrap()
}

fn partitions(database: &Database) -> Vec<String> {
    let sql = "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE c.relkind = 'r'
               AND inhparent = 'flows'::regclass ORDER BY 1";
    database.session.query(sql).concat()
}

#[test]
fn a_block_is_written_once_and_every_column_holds_its_value() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut raw = raw(&database, "");
    let given = flows(0..1000);
    assert_eq!(raw.cursors().unwrap(), Default::default());
    assert_eq!(
        raw.apply(&block(None, 4, &given)).unwrap(),
        Applied::Done { rows: 1000 }
    );
    assert_eq!(
        raw.apply(&block(None, 4, &given)).unwrap(),
        Applied::CursorMoved
    );
    assert_eq!(
        raw.apply(&block(Some(3), 4, &given)).unwrap(),
        Applied::CursorMoved
    );
    let none = flows(0..0);
    assert_eq!(
        raw.apply(&block(Some(4), 9, &none)).unwrap(),
        Applied::Done { rows: 0 }
    );
    assert_eq!(raw.cursors().unwrap().by_partition.get(&3), Some(&9));
    let foreign = RawBlock {
        job: "b",
        ..block(Some(9), 10, &none)
    };
    assert!(!raw.apply(&foreign).unwrap_err().is_retry());

    let value = |sql: &str| database.session.value(sql);
    assert_eq!(value("SELECT count(*) FROM flows"), "990");
    assert_eq!(
        value(
            "SELECT count(*) FROM flows_implausible WHERE refused = 'implausible' AND NOT counted"
        ),
        "10"
    );
    let bytes: u64 = given
        .flows
        .iter()
        .filter(|f| f.verdict.refused().is_empty())
        .map(|f| f.flow.bytes)
        .sum();
    assert_eq!(value("SELECT sum(bytes) FROM flows"), bytes.to_string());
    assert_eq!(
        value("SELECT count(DISTINCT (topic_partition, topic_offset, flow_index)) FROM flows"),
        "990"
    );
    // Flow 14: its rate is unknown, its AS is above 2^31.
    let row = database.session.query(
        "SELECT date_inserted, time_flow, type, sampling_rate, src_as, dst_as, src_ip, dst_ip, bytes, packets, etype, proto,
                src_port, dst_port, topic_partition, topic_offset, flow_index, extract(epoch FROM slot)::bigint, counted,
                refused, unknown_rate, time_flow_start, sampler_address, src_country, dst_country, table_version
         FROM flows WHERE src_port = 14",
    );
    let expected = [
        "2026-02-28 12:00:00",
        "2026-02-28 11:55:14",
        "0",
        "1",
        "4294967281",
        "64500",
        "10.0.1.4",
        "2001:db8::6",
        "114",
        "5",
        "2048",
        "6",
        "14",
        "443",
        "3",
        "1",
        "4",
        "1772279700",
        "t",
        "",
        "t",
        "null",
        "null",
        "",
        "DE",
        "2",
    ];
    assert_eq!(row, [expected]);
}

#[test]
fn partitions_are_made_ahead_and_dropped_whole() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut raw = raw(&database, "&raw_retention=2d");
    let given = flows(0..10);
    let mut from = None;
    let mut days = Vec::new();
    for day in 0..5 {
        let now_secs = NOON + day * DAY;
        let to = day + 1;
        let block = RawBlock {
            now_secs,
            watermark_secs: Some(now_secs),
            ..block(from, to, &given)
        };
        assert_eq!(raw.apply(&block).unwrap(), Applied::Done { rows: 10 });
        from = Some(to);
        days.push(partitions(&database));
    }
    assert_eq!(days[0], ["flows_20260228", "flows_20260301"]);
    assert_eq!(
        days[2],
        [
            "flows_20260228",
            "flows_20260301",
            "flows_20260302",
            "flows_20260303"
        ]
    );
    assert_eq!(
        days[4],
        [
            "flows_20260302",
            "flows_20260303",
            "flows_20260304",
            "flows_20260305"
        ]
    );
    assert_eq!(database.session.value("SELECT count(*) FROM flows"), "30");
    // A reader keeps a partition from being dropped, not the writer from writing.
    let reader = crate::database::Session::open(&database.url());
    reader.query("BEGIN; SELECT count(*) FROM flows");
    let now_secs = NOON + 9 * DAY;
    let late = RawBlock {
        now_secs,
        watermark_secs: Some(now_secs),
        ..block(from, 9, &given)
    };
    assert_eq!(raw.apply(&late).unwrap(), Applied::Done { rows: 10 });
    assert!(partitions(&database).contains(&"flows_20260302".to_owned()));
    reader.query("COMMIT");
    let later = RawBlock {
        now_secs,
        watermark_secs: Some(now_secs),
        ..block(Some(9), 10, &given)
    };
    assert_eq!(raw.apply(&later).unwrap(), Applied::Done { rows: 10 });
    assert_eq!(partitions(&database), ["flows_20260309", "flows_20260310"]);
    // A watermark ahead of the clock drops nothing.
    let ahead = RawBlock {
        now_secs,
        watermark_secs: Some(now_secs + 99 * DAY),
        ..block(Some(10), 11, &given)
    };
    assert_eq!(raw.apply(&ahead).unwrap(), Applied::Done { rows: 10 });
    assert_eq!(partitions(&database).len(), 2);
}

#[test]
fn a_table_of_theirs_is_written_with_its_columns_and_after_extension_with_ours() {
    let Some(database) = Database::new() else {
        return;
    };
    database.session.query(THEIRS);
    database
        .session
        .query("INSERT INTO flows (date_inserted, bytes) VALUES ('2020-01-01', 7)");
    let mut sink = raw(&database, "");
    let mut given = flows(0..100);
    given.flows[1].flow.sampling_rate = 1 << 40;
    assert_eq!(
        sink.apply(&block(None, 1, &given)).unwrap(),
        Applied::Done { rows: 100 }
    );
    let value = |sql: &str| database.session.value(sql);
    assert_eq!(
        value("SELECT count(*) FROM flows WHERE date_inserted = '2026-02-28 12:00'"),
        "99"
    );
    assert_eq!(value("SELECT count(*) FROM flows_implausible"), "1");
    assert_eq!(
        value("SELECT sampling_rate FROM flows WHERE src_port = 1"),
        i32::MAX.to_string()
    );
    assert_eq!(value("SELECT max(src_as) FROM flows"), u32::MAX.to_string());
    drop(sink);

    let done = flow_sinks::schema(&database.url())
        .unwrap()
        .apply(true)
        .unwrap();
    assert_eq!(done.len(), 1, "{done:?}");
    let mut sink = raw(&database, "&raw_retention=30d");
    assert_eq!(
        sink.apply(&block(Some(1), 2, &given)).unwrap(),
        Applied::Done { rows: 100 }
    );
    assert_eq!(
        value("SELECT count(*) FROM flows WHERE dst_country = 'DE'"),
        "99"
    );
    assert_eq!(
        value("SELECT count(*) FROM flows"),
        "198",
        "the row of 2020 is beyond the retention"
    );
}

#[test]
fn no_raw_flows_no_tables_of_them() {
    let Some(database) = Database::new() else {
        return;
    };
    assert!(database.open("&raw=off").raw.is_none());
    assert_eq!(
        database.session.value("SELECT to_regclass('flows')"),
        "null"
    );
}

#[test]
fn a_table_of_others_in_place_of_a_partition_is_refused() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut raw = raw(&database, "");
    database
        .session
        .query("CREATE TABLE flows_20260228 (mine int)");
    let error = raw.apply(&block(None, 4, &flows(0..10))).unwrap_err();
    let line = error.to_string();
    assert!(!error.is_retry(), "{line}");
    assert!(line.contains("\"flows_20260228\" already exists"), "{line}");
    assert!(line.contains("not ours to change: rename it"), "{line}");
    assert_eq!(partitions(&database), Vec::<String>::new());
    database.session.query("DROP TABLE flows_20260228");
    let done = raw.apply(&block(None, 4, &flows(0..10))).unwrap();
    assert_eq!(done, Applied::Done { rows: 10 });
}

#[test]
fn raw_flows_are_read_back_as_they_were_and_replaced_in_their_day() {
    let Some(database) = Database::new() else {
        return;
    };
    crate::support::raw_read_back::read_back(&database.url());
    // Replaced nine days later, they stand where dashboards look for them.
    let days = "SELECT count(DISTINCT date_inserted::date), count(*) FROM flows";
    assert_eq!(database.session.query(days), [["1", "16"]]);
    // A table of theirs does not say which flow a row is.
    let theirs = format!("{}&raw=off", database.url());
    let error = flow_sinks::raw_look(&theirs).unwrap_err().to_string();
    assert!(
        error.contains("has no raw flows (its URL says raw=off)"),
        "{error}"
    );
    database
        .session
        .query("ALTER TABLE flows DROP COLUMN topic_offset");
    let error = flow_sinks::raw_look(&database.url())
        .unwrap_err()
        .to_string();
    assert!(error.contains("lacks topic_offset"), "{error}");
}
