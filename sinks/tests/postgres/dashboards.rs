//! The queries of cloudflare/flow-pipeline's dashboards (compose/grafana/dashboards) on tables that we have written.
//!
//! `$__timeFilter(x)` is put in as Grafana does it for PostgreSQL: `x BETWEEN 'RFC 3339' AND 'RFC 3339'`.

use std::collections::BTreeMap;

use crate::database::Database;
use crate::given::{Flows, block, flow};
use crate::schema::THEIRS;

/// Panel "Instant traffic".
const INSTANT: &str = "SELECT
  (cast(extract(epoch from time_flow) as integer)/30)*30 AS \"time\",
  sum(bytes*sampling_rate*8)/30
FROM flows
WHERE
  $__timeFilter(date_inserted)
GROUP BY \"time\"
ORDER BY \"time\"";
/// Panels "Top …": theirs asks for `src_ip`; the same for what the other panels are called.
const TOP: &str = "SELECT src_ip, count(*), sum(bytes) AS sumBytes FROM flows GROUP BY src_ip";

fn asked(database: &Database, sql: &str, from: &str, to: &str) -> Vec<Vec<String>> {
    let filter = format!("date_inserted BETWEEN '{from}' AND '{to}'");
    database
        .session
        .query(&sql.replace("$__timeFilter(date_inserted)", &filter))
}

fn ask(theirs: bool) {
    let Some(database) = Database::new() else {
        return;
    };
    if theirs {
        database.session.query(THEIRS);
    }
    let given = Flows {
        flows: (0..5000).map(flow).collect(),
        before: None,
    };
    let mut raw = database.open("").raw.unwrap();
    raw.apply(&block(None, 1, &given)).unwrap();

    let mut bits: BTreeMap<u64, u64> = BTreeMap::new();
    let mut sources: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for flow in given
        .flows
        .iter()
        .filter(|f| f.verdict.refused().is_empty())
    {
        // To the nearest second, as the cast to integer rounds.
        let at = (flow.received_ns + 500_000_000) / 1_000_000_000 / 30 * 30;
        *bits.entry(at).or_default() += flow.flow.bytes * flow.flow.sampling_rate.max(1) * 8;
        let source = sources.entry(flow.flow.src_addr.to_string()).or_default();
        *source = (source.0 + 1, source.1 + flow.flow.bytes);
    }
    let found = asked(
        &database,
        INSTANT,
        "2026-02-28T11:00:00Z",
        "2026-02-28T12:00:00Z",
    );
    assert_eq!(found.len(), bits.len());
    assert!(bits.len() > 5, "{bits:?}");
    for (row, (at, bits)) in found.iter().zip(&bits) {
        assert_eq!(row[0], at.to_string());
        let rate: f64 = row[1].parse().unwrap();
        let expected = u32::try_from(*bits / 1000).map(f64::from).unwrap() * 1000.0 / 30.0;
        assert!(
            (rate - expected).abs() <= 1000.0 / 30.0 + 1.0,
            "{row:?}: {expected}"
        );
    }
    assert_eq!(
        asked(
            &database,
            INSTANT,
            "2026-02-28T12:00:01Z",
            "2026-02-28T13:00:00Z"
        )
        .len(),
        0
    );

    let found: BTreeMap<String, (u64, u64)> = database
        .session
        .query(TOP)
        .into_iter()
        .map(|row| {
            (
                row[0].clone(),
                (row[1].parse().unwrap(), row[2].parse().unwrap()),
            )
        })
        .collect();
    assert_eq!(found, sources);
    for column in ["dst_ip", "src_port", "dst_port", "src_as", "proto"] {
        let rows = database.session.query(&TOP.replace("src_ip", column));
        let flows: u64 = rows.iter().map(|row| row[1].parse::<u64>().unwrap()).sum();
        assert_eq!(flows, 4950, "{column}");
    }
}

#[test]
fn their_dashboards_read_our_table() {
    ask(false);
}

#[test]
fn their_dashboards_go_on_reading_their_own() {
    ask(true);
}

#[test]
fn every_statement_of_our_page_runs() {
    let Some(database) = Database::new() else {
        return;
    };
    drop(database.open(""));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/postgresql.md");
    let text = std::fs::read_to_string(page).unwrap();
    let blocks = text.split("```sql\n").skip(1);
    let statements: Vec<&str> = blocks.filter_map(|b| b.split("```").next()).collect();
    assert!(statements.len() >= 3, "{statements:?}");
    for statement in statements {
        database.session.query(statement);
    }
    let unknown = database.session.try_query("SELECT weather FROM rollup_5m");
    assert!(unknown.is_err(), "a statement that names no column runs");
}
