//! An adoption in ClickHouse: raw flows go and come again, and one that is cut short is taken by nobody.

use std::collections::BTreeMap;

use flow_sinks::{Adoption, Applied, Delta, RawBlock, SinkErrorKind};

use crate::database::Database;
use crate::raw::{Flows, START_NS, block, flow, open};
use crate::support::given::{Given, delta, row};

fn adoption(job: &str, number: u64) -> Adoption {
    Adoption {
        job: job.to_owned(),
        number,
        known: BTreeMap::from([("b".to_owned(), 9)]),
        cuts: BTreeMap::from([(number, BTreeMap::from([(3, 4)]))]),
        now_secs: 0,
    }
}

fn flows(offsets: std::ops::Range<u64>) -> Flows {
    Flows(offsets.map(|n| flow(n, START_NS)).collect())
}

#[test]
fn raw_flows_are_deleted_and_written_again() {
    let Some(database) = Database::new() else {
        return;
    };
    let all = || database.sql("SELECT count(), uniqExact(topic_offset) FROM {db}.raw_flows");
    let (first, second) = (flows(0..4), flows(4..10));
    let mut zombie = open(&database, "");
    zombie.apply(&block(None, 4, &first)).unwrap();
    zombie.apply(&block(Some(4), 5, &second)).unwrap();
    assert_eq!(all(), "10\t10");
    // Cut short: it had only begun.
    database.sql("INSERT INTO {db}.flow_pipeline_raw_cursors VALUES (3, 0, 'b')");
    let mut sink = open(&database, "");
    let error = sink.cursors().unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Refused);
    assert!(error.to_string().contains("finish it with --adopt"));
    let third = flows(10..12);
    let error = zombie.apply(&block(Some(5), 6, &third)).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Refused);
    assert_eq!(sink.held().unwrap().jobs.len(), 2);

    sink.adopt(&adoption("c", 12)).unwrap();
    assert_eq!(all(), "4\t4", "from the cut on they are gone");
    let cursors = sink.cursors().unwrap();
    assert_eq!(cursors.job.as_deref(), Some("c"));
    assert_eq!(cursors.by_partition, BTreeMap::from([(3, 12)]));
    let error = zombie.apply(&block(Some(5), 6, &third)).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Refused);
    // The same block as before, and once more after a crash.
    let again = RawBlock {
        job: "c",
        ..block(Some(12), 13, &second)
    };
    assert_eq!(sink.apply(&again).unwrap(), Applied::Done { rows: 6 });
    assert_eq!(all(), "10\t10", "it is not taken for what was there");
    database.sql(
        "ALTER TABLE {db}.flow_pipeline_raw_cursors DELETE WHERE checkpoint = 13 SETTINGS mutations_sync = 2",
    );
    database.sql("INSERT INTO {db}.flow_pipeline_raw_cursors VALUES (3, 12, 'c')");
    sink.apply(&again).unwrap();
    assert_eq!(all(), "10\t10", "written twice, it is there once");
}

#[test]
fn numbers_of_rows_ahead_of_their_cursor_count() {
    let Some(database) = Database::new() else {
        return;
    };
    let store = flow_sinks::open(&database.url).unwrap();
    let mut sink = store.rollups.unwrap();
    let rows = Given::new(vec![row(300, 1, 10)], 2 << 48 | 4);
    sink.apply(&delta(0, 4, &rows)).unwrap();
    // Its writer died before slot and cursor.
    database.sql(
        "INSERT INTO {db}.rollup_5m_rows SELECT * REPLACE (bitShiftLeft(toUInt64(3), 48) + 6 AS revision) FROM {db}.rollup_5m_rows",
    );
    let held = sink.held().unwrap();
    assert_eq!((held.highest, held.generation), (6, 3));
    assert!(held.is_strange("a", 5) && !held.is_strange("a", 6));
    sink.adopt(&adoption("c", 12)).unwrap();
    let cursors = sink.cursors().unwrap();
    assert_eq!((cursors.job.as_deref(), cursors.of(0)), (Some("c"), 12));
    let error = sink.apply(&delta(4, 5, &rows)).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Refused);
    let none = Given::new(Vec::new(), 13);
    let next = Delta {
        job: "c",
        ..delta(12, 13, &none)
    };
    assert_eq!(sink.apply(&next).unwrap(), Applied::Done { rows: 0 });
}
