//! The shapes of cloudflare/flow-pipeline: column types, and the answers to its dashboard's queries.

use flow_proto::{Addr, Verdict};

use crate::database::Database;
use crate::raw::{Flows, START_NS, block, flow, open};

/// Its tables' columns.
const FLOWS_RAW: &str = "Date Date, TimeReceived DateTime, TimeFlowStart DateTime, SequenceNum UInt32, \
    SamplingRate UInt64, SamplerAddress FixedString(16), SrcAddr FixedString(16), DstAddr FixedString(16), \
    SrcAS UInt32, DstAS UInt32, EType UInt32, Proto UInt32, SrcPort UInt32, DstPort UInt32, Bytes UInt64, Packets UInt64";
const FLOWS_5M: &str = "Date Date, Timeslot DateTime, SrcAS UInt32, DstAS UInt32, \
    ETypeMap Nested (EType UInt32, Bytes UInt64, Packets UInt64, Count UInt64), \
    Bytes UInt64, Packets UInt64, Count UInt64";
/// The time filter of its dashboard.
const FILTER: &str = "Date >= toDate(1700000100) AND TimeFlowStart >= toDateTime(1700000100)";

#[test]
fn columns_have_the_same_names_and_types() {
    let (Some(ours), Some(theirs)) = (Database::new(), Database::new()) else {
        return;
    };
    drop(open(&ours, ""));
    theirs.sql("CREATE DATABASE {db}");
    for (table, columns) in [("flows_raw", FLOWS_RAW), ("flows_5m", FLOWS_5M)] {
        theirs.sql(&format!(
            "CREATE TABLE {{db}}.{table} ({columns}) ENGINE = MergeTree ORDER BY Date"
        ));
        let columns = format!(
            "SELECT name, type FROM system.columns WHERE database = '{{db}}' AND table = '{table}' ORDER BY position"
        );
        assert_eq!(ours.sql(&columns), theirs.sql(&columns));
    }
}

/// A minute of flows: IPv4 and IPv6, unknown rate, no start, refused ones.
fn flows() -> Flows {
    let minute = 60_000_000_000;
    let mut all: Vec<_> = (1..=6)
        .map(|n| {
            let mut flow = flow(n, START_NS + n * 1_000_000_000);
            flow.flow.etype = 0x0800;
            flow.flow.src_addr = Addr::v4([192, 0, 2, 10]);
            flow.flow.dst_addr = Addr::v4([203, 0, 113, 0]);
            flow.flow.src_port = 443;
            flow.flow.sampling_rate = 1000;
            flow.flow.time_flow_start_ns = flow.received_ns;
            flow
        })
        .collect();
    all[1].flow.etype = 0x86dd;
    all[1].flow.src_addr = "2001:db8::1".parse::<std::net::IpAddr>().unwrap().into();
    all[1].flow.dst_addr = "2001:db8::".parse::<std::net::IpAddr>().unwrap().into();
    all[2].flow.sampling_rate = 0;
    all[2].flow.src_port = 53;
    all[3].verdict = Verdict::Implausible;
    all[3].flow.bytes = u64::MAX;
    all[4].verdict = Verdict::TooLate;
    all[4].flow.time_flow_start_ns += minute;
    all[5].flow.time_flow_start_ns = 0;
    all[5].flow.sampler_address = Addr::v4([10, 0, 0, 1]);
    Flows(all)
}

#[test]
fn its_dashboard_gets_the_right_answers_from_flows_raw() {
    let Some(database) = Database::new() else {
        return;
    };
    open(&database, "")
        .apply(&block(None, 1, &flows()))
        .unwrap();
    let ask = |select: &str, end: &str| {
        let sql = format!(
            "SELECT {select}, sum(Bytes*SamplingRate) AS sumbytes FROM {{db}}.flows_raw WHERE {FILTER} {end}"
        );
        database.sql(&sql).replace('\t', " ")
    };
    // 1, 2 and 6 at rate 1000, 3 of unknown rate; 4 is implausible; 5 starts a minute later; 6 has no start.
    assert_eq!(
        ask(
            "toUInt64(toStartOfMinute(TimeFlowStart))*1000 as t",
            "GROUP BY t ORDER BY t"
        ),
        "1700000100000 900300\n1700000160000 500000"
    );
    let address = |column: &str| {
        let select = format!(
            "if(EType = 0x800, IPv4NumToString(reinterpretAsUInt32(substring(reverse({column}), 13,4))), \
             IPv6NumToString({column})) as ip"
        );
        ask(&select, "GROUP BY ip ORDER BY sumbytes DESC")
    };
    assert_eq!(address("SrcAddr"), "192.0.2.10 1200300\n2001:db8::1 200000");
    assert_eq!(address("DstAddr"), "203.0.113.0 1200300\n2001:db8:: 200000");
    assert_eq!(
        ask("SrcPort as port", "GROUP BY port ORDER BY sumbytes DESC"),
        "443 1400000\n53 300"
    );
    let other = "SELECT SamplingRate, hex(SamplerAddress), TimeReceived = TimeFlowStart FROM {db}.flows_raw \
                 WHERE Bytes IN (300, 600) ORDER BY Bytes";
    assert_eq!(
        database.sql(other).replace('\t', " "),
        "1 00000000000000000000000000000000 1\n1000 0A000001000000000000000000000000 1"
    );
    assert_eq!(database.sql("SELECT count() FROM {db}.flows_raw"), "5");
}

#[test]
fn its_five_minute_table_is_there_with_its_map() {
    let Some(database) = Database::new() else {
        return;
    };
    drop(open(&database, ""));
    // Two revisions of one row: the older one must not be summed.
    for (etype, bytes, revision) in [(2048, 10, 1), (2048, 15, 2), (34525, 7, 1)] {
        database.sql(&format!(
            "INSERT INTO {{db}}.rollup_5m_rows (slot, src_as, dst_as, etype, bytes, packets, flows, revision) \
             VALUES (1700000100, 64500, 64501, {etype}, {bytes}, 3, 2, {revision})"
        ));
    }
    assert_eq!(
        database.sql(
            "SELECT Date, toUnixTimestamp(Timeslot), SrcAS, sumMap(ETypeMap.EType, ETypeMap.Bytes), sum(Bytes), \
             sum(Packets), sum(Count) FROM {db}.flows_5m WHERE Date = toDate(1700000100) GROUP BY Date, Timeslot, SrcAS"
        ),
        "2023-11-14\t1700000100\t64500\t([2048,34525],[15,7])\t22\t6\t4"
    );
    assert_eq!(
        database.sql(
            "SELECT `ETypeMap.EType`, sum(`ETypeMap.Bytes`), sum(`ETypeMap.Packets`), sum(`ETypeMap.Count`) \
             FROM {db}.flows_5m ARRAY JOIN `ETypeMap.EType`, `ETypeMap.Bytes`, `ETypeMap.Packets`, `ETypeMap.Count` \
             GROUP BY 1 ORDER BY 1"
        ),
        "2048\t15\t3\t2\n34525\t7\t3\t2"
    );
    // The filter by day reaches the partitions: other days are not read.
    let plan = database.sql(
        "EXPLAIN indexes = 1 SELECT sum(Bytes) FROM {db}.flows_5m WHERE Timeslot >= toDateTime(1800000000)",
    );
    assert!(
        plan.contains("Parts: 0/3") || plan.contains("ReadFromPreparedSource"),
        "{plan}"
    );
}
