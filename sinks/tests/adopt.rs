//! What an adoption does in SQLite: rows, cursors, raw flows; who has written before is refused from then on.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flow_proto::Rollup;
use flow_sinks::{
    Adoption, Applied, Delta, Follower, Held, SinkErrorKind, SlotRow, SlotState, Step, Store,
};
use flow_state::SlotCounts;
use rusqlite::Connection;
use support::Chance;
use support::given::{Given, delta, row};
use support::job::Job;
use support::reader;

fn open(path: &Path) -> Store {
    flow_sinks::open(&format!("sqlite://{}?raw=on", path.display())).unwrap()
}

fn adoption() -> Adoption {
    Adoption {
        job: "b".to_owned(),
        number: 9,
        known: BTreeMap::new(),
        cuts: BTreeMap::from([(9, BTreeMap::from([(0, 5), (1, 0)]))]),
        now_secs: 0,
    }
}

fn slot(slot_secs: u64, state: SlotState, written: bool) -> SlotRow {
    SlotRow {
        rollup: Rollup::AS,
        slot_secs,
        state,
        partial: false,
        generation: 1,
        written_secs: written.then_some(50),
        counts: Some(SlotCounts::default()),
        missing_partitions: Vec::new(),
        complete_through_secs: None,
    }
}

/// Key and bytes of each row.
fn rows(path: &Path) -> Vec<(String, String)> {
    let rows = reader::read(path).rows;
    let pair = |(key, values): (&Vec<String>, &Vec<String>)| {
        (format!("{} {}", key[1], key[2]), values[0].clone())
    };
    rows.iter().map(pair).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, bytes): &(&str, &str)| ((*key).to_owned(), (*bytes).to_owned());
    all.iter().map(owned).collect()
}

#[test]
fn old_rows_stay_until_their_slot_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut sink = open(&path).rollups.unwrap();
    let before = Given::new(vec![row(300, 1, 10), row(300, 2, 20), row(600, 1, 30)], 4);
    let old = SlotRow {
        generation: 0,
        ..slot(300, SlotState::Complete, true)
    };
    let slots = [old];
    let first = Delta {
        slots: &slots,
        ..delta(0, 4, &before)
    };
    sink.apply(&first).unwrap();
    let held = sink.held().unwrap();
    assert_eq!((held.highest, held.generation), (4, 0));
    assert!(held.is_strange("b", 9) && held.is_strange("a", 3) && !held.is_strange("a", 4));

    sink.adopt(&adoption()).unwrap();
    let cursors = sink.cursors().unwrap();
    assert_eq!((cursors.job.as_deref(), cursors.of(0)), (Some("b"), 9));
    let all = pairs(&[("300 1", "10"), ("300 2", "20"), ("600 1", "30")]);
    assert_eq!(rows(&path), all);
    // The slot is open again, and known of: nothing goes.
    let none = Given::new(Vec::new(), 10);
    let slots = [slot(300, SlotState::Open, false)];
    let open_again = Delta {
        job: "b",
        slots: &slots,
        ..delta(9, 10, &none)
    };
    sink.apply(&open_again).unwrap();
    assert_eq!(rows(&path), all);
    assert_eq!(sink.held().unwrap().generation, 0);
    // It is complete: the key that no flow has any more goes with its old rows.
    let anew = Given::new(vec![row(300, 1, 11)], 1 << 48 | 11);
    let slots = [slot(300, SlotState::Complete, true)];
    let complete = Delta {
        job: "b",
        slots: &slots,
        ..delta(10, 11, &anew)
    };
    assert_eq!(sink.apply(&complete).unwrap(), Applied::Done { rows: 1 });
    assert_eq!(rows(&path), pairs(&[("300 1", "11"), ("600 1", "30")]));
    assert_eq!(sink.held().unwrap().generation, 1);
    // Retired later, without rows of it: the floor stays where it is.
    let slots = [SlotRow {
        counts: None,
        ..slot(300, SlotState::Retired, false)
    }];
    let retired = Delta {
        job: "b",
        slots: &slots,
        ..delta(11, 12, &none)
    };
    sink.apply(&retired).unwrap();
    assert_eq!(rows(&path).len(), 2);
}

#[test]
fn who_has_written_before_is_refused_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let (mut before, mut after) = (open(&path), open(&path));
    let given = Given::new(vec![row(300, 1, 10)], 4);
    let zombie = before.rollups.as_mut().unwrap();
    zombie.apply(&delta(0, 4, &given)).unwrap();
    after.rollups.as_mut().unwrap().adopt(&adoption()).unwrap();
    let later = Given::new(vec![row(300, 1, 12)], 5);
    let error = zombie.apply(&delta(4, 5, &later)).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Refused);
    assert_eq!(rows(&path), pairs(&[("300 1", "10")]));
}

#[test]
fn raw_flows_from_the_cut_on_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut raw = open(&path).raw.unwrap();
    let connection = Connection::open(&path).unwrap();
    let columns = "topic_partition, topic_offset, flow_index";
    let mut statement = connection
        .prepare("SELECT name FROM pragma_table_info('raw_flows') WHERE \"notnull\"")
        .unwrap();
    let names: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let rest: Vec<&str> = names[3..].iter().map(String::as_str).collect();
    let zeros = vec!["0"; rest.len()].join(", ");
    for (partition, offset) in [(0, 4), (0, 5), (0, 6), (1, 0), (2, 1)] {
        let insert = format!(
            "INSERT INTO raw_flows ({columns}, {}) VALUES ({partition}, {offset}, 0, {zeros})",
            rest.join(", ")
        );
        connection.execute(&insert, []).unwrap();
    }
    raw.adopt(&adoption()).unwrap();
    let left = || -> u64 {
        let count = "SELECT count(*) FROM raw_flows";
        connection.query_row(count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(left(), 5, "nobody has written any");
    assert_eq!(raw.held().unwrap(), Held::default());
    connection
        .execute_batch("INSERT INTO flow_pipeline_raw_cursors VALUES (0, 7, 'a'), (1, 7, 'a')")
        .unwrap();
    raw.adopt(&adoption()).unwrap();
    // Partition 2 is none of the topic's any more: what is there stays.
    assert_eq!(left(), 2);
    let cursors = raw.cursors().unwrap();
    assert_eq!(cursors.job.as_deref(), Some("b"));
    assert_eq!(cursors.by_partition, BTreeMap::from([(0, 9), (1, 9)]));
}

#[test]
fn a_running_job_whose_store_another_one_adopts_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut job = Job::new(&folder.path().join("state"), 1);
    let (mut chance, config) = (Chance(6), job.config());
    let (published, acks) = (Arc::clone(&job.published), Arc::clone(&job.acks));
    let sink = open(&path).rollups.unwrap();
    let mut follower = Follower::new(sink, job.state.clone(), published, (acks, 0), config);
    job.checkpoint(&mut chance);
    while follower.step().unwrap() != Step::CaughtUp {}
    open(&path).rollups.unwrap().adopt(&adoption()).unwrap();
    job.checkpoint(&mut chance);
    let error = follower.run().unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Refused);
    let words = "job b has written it meanwhile, this is job job-a";
    assert!(error.to_string().contains(words), "{error}");
}
