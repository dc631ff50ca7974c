//! ClickHouse's own reading of what is written into topics: packs and bare messages, in both dialects.

use flow_proto::{Addr, Dialect, Flow, PackBuilder, schema_proto};

use crate::database::Database;
use crate::support::Chance;

/// The columns of cloudflare/flow-pipeline's Kafka-engine object.
const COLUMNS: &str = "TimeReceived UInt64, TimeFlowStart UInt64, SequenceNum UInt32, SamplingRate UInt64, \
    SamplerAddress FixedString(16), SrcAddr FixedString(16), DstAddr FixedString(16), SrcAS UInt32, DstAS UInt32, \
    EType UInt32, Proto UInt32, SrcPort UInt32, DstPort UInt32, Bytes UInt64, Packets UInt64";

fn flows(chance: &mut Chance) -> Vec<Flow> {
    let mut some = |bound: u64| chance.below(bound);
    let number = |n: u64| u32::try_from(n).unwrap();
    (0..500)
        .map(|n| Flow {
            time_received_ns: (1_700_000_100 + some(900)) * 1_000_000_000 + some(1_000_000_000),
            time_flow_start_ns: (1_700_000_000 + some(90)) * 1_000_000_000,
            sequence_num: n,
            sampling_rate: some(3) * 1000,
            sampler_address: Addr::v4([10, 0, 0, 1]),
            src_addr: Addr::v4([192, 0, 2, u8::try_from(some(256)).unwrap()]),
            dst_addr: "2001:db8::9".parse::<std::net::IpAddr>().unwrap().into(),
            src_as: number(some(4)) + 4_200_000_000,
            dst_as: number(some(3)),
            etype: if some(2) == 0 { 0x0800 } else { 0x86dd },
            proto: 17,
            src_port: number(some(65_536)),
            dst_port: 53,
            bytes: some(1 << 40),
            packets: some(1 << 20),
            ..Flow::default()
        })
        .collect()
}

/// Every column of every flow, as text.
fn expected(flows: &[Flow], dialect: Dialect) -> String {
    let hex = |address: Addr| match address.as_v4() {
        Some(v4) => format!("{}{}", hex(&v4), "00".repeat(12)),
        None => hex(&address.0),
    };
    let line = |f: &Flow| {
        let start = match dialect {
            Dialect::Goflow => f.time_flow_start_ns / 1_000_000_000,
            // goflow2's start is in 111; 38 is ip_flags there.
            Dialect::Goflow2 => 0,
        };
        let numbers = [
            f.time_received_ns / 1_000_000_000,
            start,
            u64::from(f.sequence_num),
            // What of it is unknown is written as 1 by the collector, or left out.
            f.sampling_rate,
        ];
        let addresses = [f.sampler_address, f.src_addr, f.dst_addr];
        let rest = [f.src_as, f.dst_as, f.etype, f.proto, f.src_port, f.dst_port];
        let mut cells: Vec<String> = numbers.iter().map(u64::to_string).collect();
        cells.extend(addresses.map(hex));
        cells.extend(rest.iter().map(u32::to_string));
        cells.extend([f.bytes.to_string(), f.packets.to_string()]);
        cells.join("\t")
    };
    flows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn insert(database: &Database, format: &str, dialect: Dialect, data: &[u8]) {
    let schema = schema_proto(dialect)
        .replace('\\', "\\\\")
        .replace('\'', "\\'");
    let sql = format!(
        "INSERT INTO {}.read SETTINGS format_schema_source = 'string', format_schema = '{schema}', \
         format_schema_message_name = 'FlowMessage' FORMAT {format}",
        database.name
    );
    database.post("", &sql, data).unwrap();
}

#[test]
fn packs_and_bare_messages_are_read_in_both_dialects() {
    let Some(database) = Database::new() else {
        return;
    };
    database.sql("CREATE DATABASE {db}");
    let given = flows(&mut Chance(7));
    let read = "SELECT TimeReceived, TimeFlowStart, SequenceNum, SamplingRate, hex(SamplerAddress), hex(SrcAddr), \
                hex(DstAddr), SrcAS, DstAS, EType, Proto, SrcPort, DstPort, Bytes, Packets FROM {db}.read ORDER BY SequenceNum";
    for dialect in [Dialect::Goflow, Dialect::Goflow2] {
        database.sql(&format!(
            "CREATE OR REPLACE TABLE {{db}}.read ({COLUMNS}) ENGINE = Memory"
        ));
        let mut pack = PackBuilder::new(1 << 20, dialect);
        for flow in &given {
            pack.push(flow);
        }
        assert_eq!(pack.flows(), 500);
        pack.take(|bytes| insert(&database, "Protobuf", Dialect::Goflow, bytes));
        assert_eq!(
            database.sql(read),
            expected(&given, dialect),
            "{dialect:?}: a pack"
        );

        let mut bare = Vec::new();
        given[0].encode(dialect, &mut bare);
        database.sql("TRUNCATE TABLE {db}.read");
        insert(&database, "ProtobufSingle", Dialect::Goflow, &bare);
        assert_eq!(
            database.sql(read),
            expected(&given[..1], dialect),
            "{dialect:?}: bare"
        );
    }
}

#[test]
fn goflow2s_names_are_read_as_well() {
    let Some(database) = Database::new() else {
        return;
    };
    database.sql("CREATE DATABASE {db}");
    database.sql(
        "CREATE TABLE {db}.read (time_received_ns UInt64, time_flow_start_ns UInt64, src_as UInt32, bytes UInt64) \
         ENGINE = Memory",
    );
    let given = flows(&mut Chance(8));
    let mut chain = Vec::new();
    given
        .iter()
        .for_each(|flow| flow.encode_delimited(Dialect::Goflow2, &mut chain));
    insert(&database, "Protobuf", Dialect::Goflow2, &chain);
    let sums = given.iter().fold([0u128; 4], |mut sums, f| {
        let values = [
            f.time_received_ns,
            f.time_flow_start_ns,
            u64::from(f.src_as),
            f.bytes,
        ];
        sums.iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += u128::from(value));
        sums
    });
    let read = database.sql(
        "SELECT sum(toUInt128(time_received_ns)), sum(toUInt128(time_flow_start_ns)), sum(toUInt128(src_as)), \
         sum(toUInt128(bytes)) FROM {db}.read",
    );
    assert_eq!(read, sums.map(|sum| sum.to_string()).join("\t"));
}
