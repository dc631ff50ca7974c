//! What dashboards written for cloudflare/flow-pipeline and GoFlow ask, on stores and metrics of ours.
//!
//! Why: they are to go on when only the parts behind them are replaced. Law: their queries stand here as those
//! dashboards have them, and their sums equal what our own tables say of the same flows.

use crate::macros::{self, Range};
use crate::stores::Store;

/// Panels of its dashboard for PostgreSQL: instant traffic, and the tops by address, port and protocol.
const POSTGRESQL: [&str; 5] = [
    "SELECT\n  (cast(extract(epoch from time_flow) as integer)/30)*30 AS \"time\",\n  sum(bytes*sampling_rate*8)/30\n\
     FROM flows\nWHERE\n  $__timeFilter(date_inserted)\nGROUP BY \"time\"\nORDER BY \"time\"",
    "SELECT src_ip, count(*), sum(bytes) AS sumBytes FROM flows GROUP BY src_ip",
    "SELECT dst_ip, count(*), sum(bytes) AS sumBytes FROM flows GROUP BY dst_ip",
    "SELECT src_port, count(*), sum(bytes) AS sumBytes FROM flows GROUP BY src_port",
    "SELECT dst_port, count(*), sum(bytes) AS sumBytes FROM flows GROUP BY dst_port",
];

/// Panels of its dashboard for ClickHouse.
const CLICKHOUSE: [&str; 5] = [
    "SELECT\n    toUInt64(toStartOfMinute($dateTimeCol))*1000 as t,\n    sum(Bytes*SamplingRate) as sumbytes\nFROM $table\n\
     WHERE $timeFilter\nGROUP BY t\nORDER BY t",
    "SELECT\n    if(EType = 0x800, IPv4NumToString(reinterpretAsUInt32(substring(reverse(SrcAddr), 13,4))), \
     IPv6NumToString(SrcAddr)) as srcip,\n    sum(Bytes*SamplingRate) AS sumbytes\nFROM $table\nWHERE $timeFilter\n\
     GROUP BY srcip\nORDER BY sumbytes DESC",
    "SELECT\n    if(EType = 0x800, IPv4NumToString(reinterpretAsUInt32(substring(reverse(DstAddr), 13,4))), \
     IPv6NumToString(DstAddr)) as dstip,\n    sum(Bytes*SamplingRate) AS sumbytes\nFROM $table\nWHERE $timeFilter\n\
     GROUP BY dstip\nORDER BY sumbytes DESC",
    "SELECT\n    SrcPort as port,\n    sum(Bytes*SamplingRate) AS sumbytes\nFROM $table\nWHERE $timeFilter\nGROUP BY port\n\
     ORDER BY sumbytes DESC",
    "SELECT\n    DstPort as port,\n    sum(Bytes*SamplingRate) AS sumbytes\nFROM $table\nWHERE $timeFilter\nGROUP BY port\n\
     ORDER BY sumbytes DESC",
];

/// What its documentation shows.
const FIVE_MINUTES: [&str; 2] = [
    "SELECT Date,TimeReceived,IPv6NumToString(SrcAddr), IPv6NumToString(DstAddr), Bytes, Packets FROM flows_raw",
    "SELECT Timeslot, SrcAS, sum(Bytes), sum(Packets), sum(Count), sumMap(`ETypeMap.EType`, `ETypeMap.Bytes`) \
     FROM flows_5m GROUP BY Timeslot, SrcAS",
];

/// GoFlow's names as its performance dashboards use them.
pub(crate) const GOFLOW: [&str; 10] = [
    "sum(rate(udp_traffic_bytes[5m])) by (type) * 8",
    "sum(rate(udp_traffic_packets[5m])) by (remote_ip, type)",
    "sum(rate(flow_traffic_bytes[5m])) by (remote_ip) * 8",
    "sum(rate(flow_traffic_packets[5m])) by (remote_ip)",
    "sum(rate(flow_decoder_count[5m])) by (worker, name)",
    "flow_summary_decoding_time_us{quantile=\"0.5\"}",
    "sum(rate(flow_process_nf_flowset_records_sum[5m])) by (router, version, type)",
    "sum(flow_process_nf_templates_count) by (router)",
    "sum(rate(flow_process_sf_samples_sum[5m])) by (router, type)",
    "sum(rate(flow_process_sf_samples_records_sum[5m])) by (router, type)",
];

/// Runs theirs for PostgreSQL.
pub(crate) fn on_postgresql(store: &Store, range: Range) {
    let all = POSTGRESQL.map(|sql| store.query(&macros::postgres(sql, range)));
    assert!(
        all[0].len() > 60,
        "an hour in half minutes: {}",
        all[0].len()
    );
    let bits: f64 = sum(&all[0], 1) * 30.0;
    let ours = store.query("select sum(bytes * sampling_rate) * 8 from flows");
    close(bits, sum(&ours, 0), "bits by half minutes");
    let plain = sum(&store.query("select sum(bytes) from flows"), 0);
    for rows in &all[1..] {
        close(sum(rows, 2), plain, "bytes by top");
    }
    let retired_or_complete = "select sum(scaled_bytes) from rollup_5m";
    let below = "select sum(bytes * sampling_rate) from flows f where exists (select from slots s where s.rollup = \
                 'rollup_5m' and s.state <> 'open' and floor(extract(epoch from f.time_flow) / 300) * 300 = \
                 extract(epoch from s.slot))";
    let (rows, flows) = (store.query(retired_or_complete), store.query(below));
    close(
        sum(&rows, 0),
        sum(&flows, 0),
        "rows and the flows of their slots",
    );
}

/// Runs theirs for ClickHouse.
pub(crate) fn on_clickhouse(store: &Store, range: Range) {
    let all = CLICKHOUSE.map(|sql| store.query(&macros::vertamedia(sql, "flows_raw", range)));
    assert!(all[0].len() > 30, "an hour in minutes: {}", all[0].len());
    let total = sum(
        &store.query("select sum(Bytes * SamplingRate) from flows_raw"),
        0,
    );
    for rows in &all {
        close(sum(rows, 1), total, "bytes by panel");
    }
    assert!(
        all[1].iter().any(|row| row[0].contains('.')),
        "an IPv4 address"
    );
    assert!(
        all[1].iter().any(|row| row[0].contains(':')),
        "an IPv6 address"
    );
    let shown = FIVE_MINUTES.map(|sql| store.query(sql));
    assert!(shown.iter().all(|rows| rows.len() > 5));
    let rows = store.query("select sum(bytes), sum(packets), sum(flows) from rollup_5m");
    for (theirs, ours) in [(2, 0), (3, 1), (4, 2)] {
        close(
            sum(&shown[1], theirs),
            sum(&rows, ours),
            "flows_5m and rollup_5m",
        );
    }
}

fn sum(rows: &[Vec<String>], column: usize) -> f64 {
    let number = |row: &Vec<String>| row[column].parse::<f64>().expect("a number");
    rows.iter().map(number).sum()
}

/// As near as numbers of this size come through text.
fn close(theirs: f64, ours: f64, what: &str) {
    println!("{what}: theirs {theirs}, ours {ours}");
    let near = (theirs - ours).abs() <= ours * 1e-12;
    assert!(ours > 0.0 && near, "{what}: {theirs}, {ours}");
}
