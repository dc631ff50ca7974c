//! The connection breaks at every single message: whatever the store says then, what it holds is right.

use flow_sinks::{Applied, Sink};

use crate::database::Database;
use crate::given::{Flows, block, flow};
use crate::proxy::{Cut, Proxy};
use crate::support::given::{Given, delta, row};

/// Cuts are tried from the first message on until one is beyond the last.
const MOST: u64 = 400;

/// The follower's rule: after an error the cursors are read again, and what is missing is written.
fn follow(sink: &mut dyn Sink, to: u64, rows: &Given) -> (bool, bool) {
    let first = sink.apply(&delta(to - 1, to, rows));
    if first.is_ok() {
        assert_eq!(first, Ok(Applied::Done { rows: 2 }));
        return (true, false);
    }
    let error = first.unwrap_err();
    assert!(error.is_retry(), "{error}");
    loop {
        match sink.cursors() {
            Ok(cursors) if cursors.of(0) == to => return (false, true),
            Ok(cursors) => {
                assert_eq!(cursors.of(0), to - 1);
                match sink.apply(&delta(to - 1, to, rows)) {
                    // The first COMMIT ended after the cursors were read.
                    Ok(Applied::CursorMoved) => continue,
                    again => assert_eq!(again, Ok(Applied::Done { rows: 2 })),
                }
                return (false, false);
            }
            Err(error) => assert!(error.is_retry(), "{error}"),
        }
    }
}

#[test]
fn a_delta_is_there_once_wherever_the_connection_breaks() {
    let Some(database) = Database::new() else {
        return;
    };
    let proxy = Proxy::start(&database.server);
    let url = database.url_at(proxy.port);
    let mut sink = flow_sinks::open(&url).unwrap().rollups.unwrap();
    let (mut to, mut unknown) = (0, 0);
    for after in [false, true] {
        let mut beyond = false;
        for messages in 0..MOST {
            to += 1;
            // A row of its own, and one that grows.
            let rows = Given::new(
                vec![row(300, 7, to), row(600, u32::try_from(to).unwrap(), to)],
                to,
            );
            proxy.cut(Cut { messages, after });
            let (whole, came_through) = follow(&mut *sink, to, &rows);
            unknown += u64::from(came_through);
            beyond = !proxy.heal();
            assert_eq!(
                database.session.value(
                    "SELECT bytes FROM rollup_5m WHERE src_as = 7 AND slot = to_timestamp(300)"
                ),
                to.to_string()
            );
            if beyond {
                assert!(whole, "no cut, and yet an error");
                break;
            }
        }
        assert!(beyond, "a delta takes more than {MOST} messages");
    }
    eprintln!("{to} deltas, {unknown} of them written although their answer was lost");
    assert!(unknown > 0, "no COMMIT was cut off from its answer");
    let sums = database.session.query(
        "SELECT count(*), sum(bytes), min(revision) FROM rollup_5m WHERE slot = to_timestamp(600)",
    );
    assert_eq!(
        sums,
        [[to.to_string(), (to * (to + 1) / 2).to_string(), "1".into()]]
    );
}

#[test]
fn a_block_is_there_once_wherever_the_connection_breaks() {
    let Some(database) = Database::new() else {
        return;
    };
    let proxy = Proxy::start(&database.server);
    let url = database.url_at(proxy.port);
    let mut raw = flow_sinks::open(&url).unwrap().raw.unwrap();
    let flows = Flows {
        flows: (90..120).map(flow).collect(),
        before: None,
    };
    let (mut to, mut unknown) = (0u64, 0);
    for after in [false, true] {
        let mut beyond = false;
        for messages in 0..MOST {
            let from = Some(to).filter(|n| *n > 0);
            to += 1;
            proxy.cut(Cut { messages, after });
            let mut applied = raw.apply(&block(from, to, &flows));
            let mut failed = false;
            // The COMMIT of one that failed may end after the cursors were read.
            while applied.is_err() || failed && applied == Ok(Applied::CursorMoved) {
                failed = true;
                if let Err(error) = &applied {
                    assert!(error.is_retry(), "{error}");
                }
                applied = match raw.cursors() {
                    Ok(cursors) if cursors.by_partition.get(&3) == Some(&to) => {
                        unknown += 1;
                        Ok(Applied::Done { rows: 30 })
                    }
                    Ok(cursors) => {
                        assert_eq!(cursors.by_partition.get(&3).copied(), from);
                        raw.apply(&block(from, to, &flows))
                    }
                    Err(error) => Err(error),
                };
            }
            assert_eq!(applied, Ok(Applied::Done { rows: 30 }));
            beyond = !proxy.heal();
            if beyond {
                break;
            }
        }
        assert!(beyond, "a block takes more than {MOST} messages");
    }
    eprintln!("{to} blocks, {unknown} of them written although their answer was lost");
    assert!(unknown > 0, "no COMMIT was cut off from its answer");
    let count = |table: &str| {
        database
            .session
            .value(&format!("SELECT count(*) FROM {table}"))
    };
    assert_eq!(count("flows"), (29 * to).to_string());
    assert_eq!(count("flows_implausible"), to.to_string());
}

#[test]
fn an_administrator_ends_the_session_in_the_middle() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut store = database.open("");
    let mut sink = store.rollups.take().unwrap();
    let (mut rows, killer) = (
        Given::new((0..5).map(|n| row(300, n, 1)).collect(), 1),
        Database::new().unwrap(),
    );
    let (name, server) = (database.name.clone(), killer);
    rows.before = Some(Box::new(move |n| {
        if n == 3 {
            let sql = format!(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}' AND application_name = 'flow-pipeline'"
            );
            assert!(!server.session.query(&sql).is_empty());
        }
    }));
    let error = sink.apply(&delta(0, 1, &rows)).unwrap_err();
    assert!(error.is_retry(), "{error}");
    assert_eq!(sink.cursors().unwrap().of(0), 0);
    rows.before = None;
    assert_eq!(
        sink.apply(&delta(0, 1, &rows)).unwrap(),
        Applied::Done { rows: 5 }
    );
    assert!(database.kill_sink_sessions() > 0);
    assert!(sink.cursors().unwrap_err().is_retry());
    assert_eq!(sink.cursors().unwrap().of(0), 1);
}
