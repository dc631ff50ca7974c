//! `schema/flow.proto` and the field table say the same, and so does the schema with GoFlow's names.

use std::collections::BTreeMap;

use flow_proto::{Dialect, schema_proto};
use protox::prost_reflect::{Cardinality, DescriptorPool, Kind};

/// Of the table: number to name and kind.
macro_rules! table {
    ($($number:literal $name:ident: $kind:ty, $json:literal, $doc:literal;)*) => {
        [$(($number, $json, stringify!($kind)),)*]
    };
}

/// A kind of the table as the schema writes it.
fn type_of(kind: &str) -> String {
    match kind {
        "u32" => "uint32",
        "u64" | "Mac" => "uint64",
        "bool" => "bool",
        "str" => "string",
        "Addr" => "bytes",
        "FlowType" => "enum",
        list if list.starts_with("List") => "repeated uint32",
        other => panic!("no type for {other}"),
    }
    .to_owned()
}

/// The fields of a schema's `FlowMessage`: number to name and type.
fn fields(text: &str) -> BTreeMap<u32, (String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("flow.proto"), text).expect("written");
    let compiled = protox::compile(["flow.proto"], [folder.path()]).expect("the schema compiles");
    let pool = DescriptorPool::from_file_descriptor_set(compiled).expect("a valid schema");
    let message = pool
        .all_messages()
        .find(|message| message.name() == "FlowMessage")
        .expect("FlowMessage");
    message
        .fields()
        .map(|field| {
            let kind = match field.kind() {
                Kind::Enum(_) => "enum".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            let repeated = field.cardinality() == Cardinality::Repeated;
            let kind = if repeated {
                format!("repeated {kind}")
            } else {
                kind
            };
            (field.number(), (field.name().to_owned(), kind))
        })
        .collect()
}

#[test]
fn goflows_names_are_the_same_fields() {
    let (ours, goflow) = (
        fields(&schema_proto(Dialect::Goflow2)),
        fields(&schema_proto(Dialect::Goflow)),
    );
    let types = |all: &BTreeMap<u32, (String, String)>| -> Vec<(u32, String)> {
        all.iter()
            .map(|(n, (_, kind))| (*n, kind.clone()))
            .collect()
    };
    assert_eq!(types(&ours), types(&goflow));
    // From cloudflare/flow-pipeline's schema, which its ClickHouse tables are made for.
    for (number, name) in [
        (1, "Type"),
        (2, "TimeReceived"),
        (3, "SamplingRate"),
        (4, "SequenceNum"),
        (5, "TimeFlowEnd"),
        (6, "SrcAddr"),
        (7, "DstAddr"),
        (9, "Bytes"),
        (10, "Packets"),
        (11, "SamplerAddress"),
        (12, "NextHop"),
        (13, "NextHopAS"),
        (14, "SrcAS"),
        (15, "DstAS"),
        (16, "SrcNet"),
        (17, "DstNet"),
        (18, "InIf"),
        (19, "OutIf"),
        (20, "Proto"),
        (21, "SrcPort"),
        (22, "DstPort"),
        (23, "IPTos"),
        (24, "ForwardingStatus"),
        (25, "IPTTL"),
        (26, "TCPFlags"),
        (27, "SrcMac"),
        (28, "DstMac"),
        (29, "VlanId"),
        (30, "Etype"),
        (31, "IcmpType"),
        (32, "IcmpCode"),
        (33, "SrcVlan"),
        (34, "DstVlan"),
        (35, "FragmentId"),
        (36, "FragmentOffset"),
        (37, "IPv6FlowLabel"),
        (38, "TimeFlowStart"),
        (39, "IngressVrfID"),
        (40, "EgressVrfID"),
        (42, "FlowDirection"),
        // Ours and goflow2's have none there.
        (110, "TimeReceivedNs"),
        (1010, "SamplingRateAssumed"),
    ] {
        assert_eq!(goflow[&number].0, name);
    }
}

#[test]
fn schema_and_table_are_equal() {
    let schema = fields(&schema_proto(Dialect::Goflow2));
    // What depends on the dialect stands beside the table.
    let apart = [
        (2, "time_received", "u64"),
        (5, "time_flow_end", "u64"),
        (38, "ip_flags", "u64"),
        (110, "time_received_ns", "u64"),
        (111, "time_flow_start_ns", "u64"),
        (112, "time_flow_end_ns", "u64"),
        // Of enriched flows.
        (1011, "src_country", "str"),
        (1012, "dst_country", "str"),
        (1013, "table_version", "u32"),
        (1014, "refused", "str"),
        (1015, "slot", "u64"),
        (1016, "src_customer", "str"),
        (1017, "dst_customer", "str"),
        (1018, "exporter_name", "str"),
        (1019, "in_if_name", "str"),
        (1020, "out_if_name", "str"),
    ];
    let table: BTreeMap<u32, (String, String)> = flow_proto::flow_fields!(table)
        .into_iter()
        .chain(apart)
        .map(|(number, name, kind)| (number, (name.to_owned(), type_of(kind))))
        .collect();
    assert_eq!(schema, table);
}
