//! Rows, cursors, generations, retention: one delta at a time.

use flow_proto::Rollup;
use flow_sinks::{Applied, Delta, Sink, SinkErrorKind, SlotRow, SlotState};
use flow_state::SlotCounts;

use crate::database::{Database, Session};
use crate::support::given::{Given, delta, row};

fn sink(database: &Database) -> Box<dyn Sink> {
    database.open("").rollups.unwrap()
}

fn bytes(database: &Database) -> Vec<String> {
    let rows = database
        .session
        .query("SELECT bytes FROM rollup_5m ORDER BY slot, src_as");
    rows.into_iter().flatten().collect()
}

fn slot(slot_secs: u64, generation: u64, counts: Option<u64>) -> SlotRow {
    SlotRow {
        rollup: Rollup::AS,
        slot_secs,
        state: SlotState::Complete,
        partial: false,
        generation,
        written_secs: Some(1_800_000_000 + generation),
        counts: counts.map(|flows| SlotCounts {
            flows,
            ..SlotCounts::default()
        }),
        missing_partitions: vec![3, 5],
        complete_through_secs: None,
    }
}

#[test]
fn a_delta_is_written_once_and_only_from_where_the_store_stands() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = sink(&database);
    let first = Given::new(vec![row(300, 1, 10), row(300, 2, 20)], 3);
    assert_eq!(
        sink.apply(&delta(0, 3, &first)).unwrap(),
        Applied::Done { rows: 2 }
    );
    assert_eq!(
        sink.apply(&delta(0, 3, &first)).unwrap(),
        Applied::CursorMoved
    );
    assert_eq!(sink.cursors().unwrap().of(0), 3);
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
    assert_eq!(
        sink.apply(&delta(5, 6, &first)).unwrap(),
        Applied::Done { rows: 2 }
    );
    assert_eq!(bytes(&database), ["11", "20"]);
}

#[test]
fn several_revisions_of_a_new_slot_in_one_delta_leave_the_newest() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = sink(&database);
    let mut rows = Given::new(vec![row(300, 2, 20), row(300, 1, 10)], 3);
    rows.rows.extend([
        (row(300, 1, 11), 4),
        (row(300, 3, 30), 4),
        (row(300, 1, 12), 5),
    ]);
    assert_eq!(
        sink.apply(&delta(0, 5, &rows)).unwrap(),
        Applied::Done { rows: 5 }
    );
    assert_eq!(bytes(&database), ["12", "20", "30"]);
    let revisions = database
        .session
        .query("SELECT revision FROM rollup_5m ORDER BY src_as");
    assert_eq!(revisions.concat(), ["5", "3", "4"]);
}

#[test]
fn a_zombie_waits_and_finds_the_cursor_moved() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut live = sink(&database);
    let url = database.url();
    let session = Session::open(&url);
    let (started, outcome) = std::sync::mpsc::channel();
    let mut rows = Given::new(vec![row(300, 1, 10)], 1);
    // While the live transaction is open, the zombie begins the same delta, and comes as far as its cursor.
    rows.before = Some(Box::new(move |_| {
        let (url, started) = (url.clone(), started.clone());
        std::thread::spawn(move || {
            let mut sink = flow_sinks::open(&url).unwrap().rollups.unwrap();
            let rows = Given::new(vec![row(300, 1, 666)], 1);
            started
                .send(sink.apply(&delta(0, 1, &rows)).unwrap())
                .unwrap();
        });
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while session.value(waiting) == "0" {
            std::thread::yield_now();
        }
    }));
    assert_eq!(
        live.apply(&delta(0, 1, &rows)).unwrap(),
        Applied::Done { rows: 1 }
    );
    assert_eq!(outcome.recv().unwrap(), Applied::CursorMoved);
    assert_eq!(bytes(&database), ["10"]);
}

#[test]
fn the_generation_of_a_slot_is_a_floor_for_rows_and_for_its_own_row() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = sink(&database);
    let none = Given::new(Vec::new(), 0);
    let slots = [slot(600, 1, Some(5))];
    let first = Delta {
        slots: &slots,
        ..delta(0, 1, &none)
    };
    sink.apply(&first).unwrap();
    let rows = Given::new(vec![row(300, 1, 10), row(600, 1, 10)], 2);
    let older = [slot(600, 0, Some(4)), slot(300, 0, None)];
    let second = Delta {
        slots: &older,
        ..delta(1, 2, &rows)
    };
    assert_eq!(sink.apply(&second).unwrap(), Applied::Done { rows: 1 });
    let rows = Given::new(vec![row(600, 1, 12)], 1 << 48 | 3);
    assert_eq!(
        sink.apply(&delta(2, 3, &rows)).unwrap(),
        Applied::Done { rows: 1 }
    );
    assert_eq!(bytes(&database), ["10", "12"]);
    let found = database
        .session
        .query("SELECT generation, flows, missing_partitions FROM slots");
    assert_eq!(found, [["1", "5", "[3, 5]"]]);
    // Without counts a row that is there keeps them, and the rest is new.
    let last = [slot(600, 1, None)];
    let none = Given::new(Vec::new(), 0);
    sink.apply(&Delta {
        slots: &last,
        retired_through: &[(Rollup::AS, 600)],
        ..delta(3, 4, &none)
    })
    .unwrap();
    let found = database.session.query("SELECT state, flows FROM slots");
    assert_eq!(found, [["retired", "5"]]);
}

#[test]
fn a_number_too_large_names_its_row_and_leaves_the_store_as_it_was() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = sink(&database);
    let rows = Given::new(vec![row(300, 1, 10), row(300, 7, 1 << 63)], 1);
    let error = sink.apply(&delta(0, 1, &rows)).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Fatal);
    assert!(
        error
            .to_string()
            .contains("rollup_5m slot 300 key [7, 0, 2048]"),
        "{error}"
    );
    assert_eq!(database.content(), Default::default());
    assert_eq!(sink.cursors().unwrap().job, None);
}

#[test]
fn retention_deletes_a_day_at_a_time_by_the_watermark_and_keeps_elsewhere() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut sink = database.open("&retention=1d").rollups.unwrap();
    let rows = Given::new(
        (0..10).map(|day| row(300 + day * 43_200, 1, 1)).collect(),
        1,
    );
    let slots = [slot(0, 0, Some(1)), slot(300, 0, Some(1))];
    sink.apply(&Delta {
        slots: &slots,
        ..delta(0, 1, &rows)
    })
    .unwrap();
    assert_eq!(bytes(&database).len(), 10);
    let none = Given::new(Vec::new(), 0);
    let mut left = Vec::new();
    for n in 1..6 {
        let watermark_secs = Some(10 * 43_200);
        sink.apply(&Delta {
            watermark_secs,
            ..delta(n, n + 1, &none)
        })
        .unwrap();
        left.push(bytes(&database).len());
    }
    // Rows stand every half day from 300 s on; those that start before 345600 s (the watermark less a day) go.
    assert_eq!(left, [8, 6, 4, 2, 2]);
    assert_eq!(
        database
            .session
            .query("SELECT extract(epoch FROM slot)::int FROM slots"),
        [["0"]]
    );
}
