//! `schema/flow.proto` and the field table say the same.

use std::collections::BTreeMap;

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
        "Addr" => "bytes",
        "FlowType" => "enum",
        list if list.starts_with("List") => "repeated uint32",
        other => panic!("no type for {other}"),
    }
    .to_owned()
}

#[test]
fn schema_and_table_are_equal() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schema");
    let compiled = protox::compile(["flow.proto"], [folder]).expect("the schema compiles");
    let pool = DescriptorPool::from_file_descriptor_set(compiled).expect("a valid schema");
    let message = pool
        .get_message_by_name("flowpb.FlowMessage")
        .expect("FlowMessage");
    let schema: BTreeMap<u32, (String, String)> = message
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
        .collect();
    // What depends on the dialect stands beside the table.
    let apart = [
        (2, "time_received", "u64"),
        (5, "time_flow_end", "u64"),
        (38, "ip_flags", "u64"),
        (110, "time_received_ns", "u64"),
        (111, "time_flow_start_ns", "u64"),
        (112, "time_flow_end_ns", "u64"),
    ];
    let table: BTreeMap<u32, (String, String)> = flow_proto::flow_fields!(table)
        .into_iter()
        .chain(apart)
        .map(|(number, name, kind)| (number, (name.to_owned(), type_of(kind))))
        .collect();
    assert_eq!(schema, table);
}
