//! Raw flows in SQLite by the real program: every flow of the topic once, and those that count sum up to the rows.

use std::collections::BTreeMap;
use std::process::Stdio;

use rusqlite::Connection;

use crate::oracle::{Key, Output, Slot, Sums};
use crate::world::{JobFiles, World};
use crate::{generator, write};

/// What the raw flows of a database make up.
struct Raw {
    flows: u64,
    counted: Slot,
    rows: BTreeMap<Key, Sums>,
}

/// Groups and counts in SQL. The key of the table has no doubles, so a flow that is there is there once.
fn read(path: &std::path::Path) -> Raw {
    let database = Connection::open(path).expect("a database");
    let count = |condition: &str| -> u64 {
        let sql = format!("SELECT count(*) FROM raw_flows WHERE {condition}");
        database
            .query_row(&sql, [], |row| row.get(0))
            .expect("a count")
    };
    let mut rows = BTreeMap::new();
    for (rollup, key) in [
        (0, ["src_as", "dst_as"]),
        (1, ["src_country", "dst_country"]),
    ] {
        let sql = format!(
            "SELECT slot, {0}, {1}, etype, sum(bytes), sum(packets), count(*), sum(bytes * sampling_rate),
                    sum(packets * sampling_rate), sum(unknown_rate)
             FROM raw_flows WHERE counted GROUP BY slot, {0}, {1}, etype",
            key[0], key[1]
        );
        let mut statement = database.prepare(&sql).expect("sql");
        let mut found = statement.query([]).expect("rows");
        while let Some(row) = found.next().expect("a row") {
            let part = |at: usize| match row.get_ref(at).expect("a column") {
                rusqlite::types::ValueRef::Text([a, b]) => u32::from(*a) * 256 + u32::from(*b),
                rusqlite::types::ValueRef::Text(_) => 0,
                number => u32::try_from(number.as_i64().expect("a number")).expect("32 bits"),
            };
            let key = [part(1), part(2), part(3)];
            let sums = [4, 5, 6, 7, 8, 9].map(|at| row.get(at).expect("a number"));
            rows.insert((rollup, row.get(0).expect("a slot"), key), sums);
        }
    }
    Raw {
        flows: count("1"),
        counted: Slot {
            flows: count("counted AND refused = ''"),
            too_early: count("NOT counted AND refused = 'too_early'"),
            too_late: count("NOT counted AND refused = 'too_late'"),
            implausible: count("NOT counted AND refused = 'implausible'"),
        },
        rows,
    }
}

/// Sum of the partitions' cursors; 0 while there is no table of them.
fn cursors(path: &std::path::Path) -> u64 {
    let sql = "SELECT coalesce(sum(checkpoint), 0) FROM flow_pipeline_raw_cursors";
    let read = Connection::open(path).and_then(|c| c.query_row(sql, [], |row| row.get(0)));
    read.unwrap_or(0)
}

fn compare(raw: &Raw, expected: &Output) {
    assert_eq!(raw.counted, expected.total(), "by reason: raw, oracle");
    assert_eq!(raw.flows, expected.flows);
    let difference = expected
        .rows
        .iter()
        .find(|(key, sums)| raw.rows.get(*key) != Some(sums));
    if let Some((key, sums)) = difference {
        panic!(
            "row {key:?}: oracle {sums:?}, raw flows {:?}",
            raw.rows.get(key)
        );
    }
    assert_eq!(
        raw.rows.len(),
        expected.rows.len(),
        "raw flows of other rows"
    );
    println!(
        "{} raw flows make up {} rows of the oracle; refused {:?}",
        raw.flows,
        raw.rows.len(),
        raw.counted
    );
}

/// The job's file, and the arguments that write raw flows into it.
fn with_raw(job: &mut JobFiles) -> (std::path::PathBuf, [String; 2]) {
    let url = job.stores.remove(0).url();
    let path = url.trim_start_matches("sqlite://").into();
    (path, ["--sink".to_owned(), format!("{url}?raw=on")])
}

#[test]
fn raw_flows_sum_up_to_the_rows() {
    let world = World::new("raw");
    write(&world, &mut generator(400_000, 5), 400_000);
    let mut job = world.job("raw");
    let (path, sink) = with_raw(&mut job);
    let more = ["--until-end", &sink[0], &sink[1]];
    let status = world.run(&job, "2", &more).status().expect("it runs");
    assert!(status.success(), "{status}");
    let raw = read(&path);
    compare(&raw, &world.expected(&job));
    assert!(raw.counted.implausible > 0, "refused ones are there, too");
}

#[test]
fn killed_at_any_moment_no_raw_flow_is_doubled_or_lost() {
    let world = World::new("raw-kill");
    let mut flows = generator(600_000, 13);
    let mut job = world.job("raw-kill");
    let (path, sink) = with_raw(&mut job);
    let rounds = 10;
    for round in 0..rounds {
        write(&world, &mut flows, 60_000);
        let mut child = world
            .run(&job, ["1", "2", "3"][round % 3], &[&sink[0], &sink[1]])
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // Killed after work, not time: when a checkpoint is there, or when a first block of it was written.
        let done = |world: &World| match round % 2 {
            0 => world.newest(&job, "checkpoints"),
            _ => cursors(&path),
        };
        let before = done(&world);
        while done(&world) == before {
            assert!(
                child.try_wait().expect("a child").is_none(),
                "it ended by itself"
            );
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    let more = ["--until-end", &sink[0], &sink[1]];
    let status = world.run(&job, "2", &more).status().expect("it runs");
    assert!(status.success(), "{status}");
    compare(&read(&path), &world.expected(&job));
}
