//! Deltas by hand: cursors, generations, retention, what cannot be written.

use flow_proto::Rollup;
use flow_sinks::{Applied, Delta, Sink, SinkErrorKind, SlotRow, SlotState};
use flow_state::SlotCounts;

use crate::database::Database;
use crate::support::given::{self, Given, row};

fn delta<'a>(from: u64, to: u64, rows: &'a Given) -> Delta<'a> {
    Delta {
        shards: &[0, 1],
        ..given::delta(from, to, rows)
    }
}

fn slot(slot_secs: u64, generation: u64) -> SlotRow {
    SlotRow {
        rollup: Rollup::AS,
        slot_secs,
        state: SlotState::Complete,
        partial: false,
        generation,
        written_secs: Some(9),
        counts: Some(SlotCounts {
            flows: 5,
            ..SlotCounts::default()
        }),
        missing_partitions: vec![3, 4],
        complete_through_secs: Some(9),
    }
}

fn open(database: &Database, options: &str) -> Box<dyn Sink> {
    flow_sinks::open(&format!("{}{options}", database.url))
        .unwrap()
        .rollups
        .unwrap()
}

fn bytes(database: &Database) -> String {
    database
        .sql("SELECT slot, src_as, bytes FROM (SELECT toUnixTimestamp(slot) AS slot, src_as, bytes FROM {db}.rollup_5m) \
              ORDER BY slot, src_as")
        .replace('\t', " ")
}

#[test]
fn a_delta_is_written_only_from_where_the_store_stands() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = open(&database, "");
    database.stop_merges();
    let first = Given::new(vec![row(300, 1, 10), row(300, 2, 20)], 3);
    assert_eq!(
        sink.apply(&delta(0, 3, &first)).unwrap(),
        Applied::Done { rows: 2 }
    );
    assert_eq!(
        sink.apply(&delta(0, 3, &first)).unwrap(),
        Applied::CursorMoved
    );
    let cursors = open(&database, "").cursors().unwrap();
    assert_eq!((cursors.of(0), cursors.of(1), cursors.of(2)), (3, 3, 0));
    assert_eq!(cursors.job.as_deref(), Some("a"));
    let later = Given::new(vec![row(300, 1, 11)], 5);
    let other = Delta {
        job: "b",
        ..delta(3, 5, &later)
    };
    assert_eq!(sink.apply(&other).unwrap_err().kind, SinkErrorKind::Refused);
    assert_eq!(
        sink.apply(&delta(3, 5, &later)).unwrap(),
        Applied::Done { rows: 1 }
    );
    // A lower revision never replaces a higher one, even where the cursor would let it.
    sink.apply(&delta(5, 6, &first)).unwrap();
    assert_eq!(bytes(&database), "300 1 11\n300 2 20");
    database.merge();
    assert_eq!(bytes(&database), "300 1 11\n300 2 20");
    // Not a row is held twice after the merges: the engine dropped what was superseded.
    assert_eq!(database.sql("SELECT count() FROM {db}.rollup_5m_rows"), "2");
}

#[test]
fn the_generation_of_a_slot_is_a_floor() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = open(&database, "");
    let first = Given::new(vec![row(300, 1, 10), row(600, 1, 10), row(600, 2, 10)], 1);
    let slots = [slot(300, 0), slot(600, 0)];
    let raised = [slot(600, 1)];
    let with = |delta, slots| Delta { slots, ..delta };
    sink.apply(&with(delta(0, 1, &first), &slots)).unwrap();
    assert_eq!(bytes(&database), "300 1 10\n600 1 10\n600 2 10");
    let replaced = Given::new(vec![row(600, 1, 12)], 1 << 48 | 2);
    sink.apply(&with(delta(1, 2, &replaced), &raised)).unwrap();
    assert_eq!(bytes(&database), "300 1 10\n600 1 12");
    // The live job's generation 0 is below the floor, in rows and in slots.
    let live = Given::new(vec![row(600, 1, 99), row(600, 3, 99)], 3);
    sink.apply(&with(delta(2, 3, &live), &slots)).unwrap();
    assert_eq!(bytes(&database), "300 1 10\n600 1 12");
    assert_eq!(
        database.sql("SELECT toUnixTimestamp(slot), generation, flows, missing_partitions FROM {db}.slots ORDER BY 1"),
        "300\t0\t5\t[3,4]\n600\t1\t5\t[3,4]"
    );
    database.merge();
    assert_eq!(bytes(&database), "300 1 10\n600 1 12");
}

/// An older replacement that wakes up clears what nobody has recorded, and leaves what a later one has written that has not
/// come to its floor.
#[test]
fn a_replacement_leaves_the_rows_of_another() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = open(&database, "");
    let first = Given::new(vec![row(600, 1, 10), row(600, 2, 10)], 1);
    let slots = [slot(600, 0)];
    let with = |delta, slots| Delta { slots, ..delta };
    sink.apply(&with(delta(0, 1, &first), &slots)).unwrap();
    let recorded = |slot_secs, revision| {
        assert_eq!(slot_secs, 600);
        Ok([1 << 48 | 1, 2 << 48 | 1].contains(&revision))
    };
    let later = Given::new(vec![row(600, 1, 20), row(600, 2, 20)], 2 << 48 | 1);
    let nobodys = Given::new(vec![row(600, 3, 99)], 3 << 48 | 7);
    for rows in [&later, &nobodys] {
        sink.replace(&with(delta(0, 1, rows), &[]), &recorded)
            .unwrap();
    }
    let older = Given::new(vec![row(600, 1, 12)], 1 << 48 | 1);
    let slots = [slot(600, 1)];
    sink.replace(&with(delta(0, 1, &older), &slots), &recorded)
        .unwrap();
    assert_eq!(bytes(&database), "600 1 20\n600 2 20");
    let (none, slots) = (Given::new(Vec::new(), 0), [slot(600, 2)]);
    sink.replace(&with(delta(0, 1, &none), &slots), &recorded)
        .unwrap();
    assert_eq!(bytes(&database), "600 1 20\n600 2 20");
}

#[test]
fn retention_drops_whole_days_below_the_watermark() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = open(&database, "?retention=2d");
    let day = |n: u64| n * 86_400;
    let rows = Given::new((10..15).map(|n| row(day(n), 1, n)).collect(), 1);
    let slots: Vec<SlotRow> = [0, day(10), day(13)].map(|at| slot(at, 0)).to_vec();
    sink.apply(&Delta {
        slots: &slots,
        watermark_secs: Some(day(14)),
        ..delta(0, 1, &rows)
    })
    .unwrap();
    let kept = "SELECT arraySort(groupArray(bytes)) FROM {db}.rollup_5m";
    assert_eq!(database.sql(kept), "[12,13,14]");
    let slots = "SELECT arraySort(groupArray(toUnixTimestamp(slot))) FROM {db}.slots";
    assert_eq!(database.sql(slots), format!("[0,{}]", day(13)));
    let none = Given::new(vec![], 2);
    let next = |from, watermark| Delta {
        watermark_secs: Some(watermark),
        ..delta(from, from + 1, &none)
    };
    sink.apply(&next(1, day(15) - 1)).unwrap();
    assert_eq!(database.sql(kept), "[12,13,14]");
    sink.apply(&next(2, day(15))).unwrap();
    assert_eq!(database.sql(kept), "[13,14]");
}

#[test]
fn a_slot_beyond_the_calendar_is_named() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = open(&database, "");
    let rows = Given::new(vec![row(300, 1, 10), row(1 << 32, 7, 1)], 1);
    let error = sink.apply(&delta(0, 1, &rows)).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Fatal);
    assert!(
        error.to_string().contains("rollup_5m slot 4294967296"),
        "{error}"
    );
    assert_eq!(sink.cursors().unwrap().job, None);
    assert_eq!(bytes(&database), "");
}

#[test]
fn more_days_than_an_insert_is_allowed_by_default() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = open(&database, "");
    let rows = Given::new((0..150).map(|n| row(n * 86_400, 1, n)).collect(), 1);
    sink.apply(&delta(0, 1, &rows)).unwrap();
    assert_eq!(database.sql("SELECT count() FROM {db}.rollup_5m"), "150");
}
