//! The columns of raw flows, once: each store's DDL and inserts are generated from here.
//!
//! Law: a table's columns, their order and their meaning are the same in all stores, and `values` gives one value for
//! each of them. A new column goes to the end, with a migration in every store.

use flow_proto::{Addr, EnrichedFlow, TextWords, Verdict, country_code, text_shown};

use crate::columns::{Column, Kind, Table, Value};

/// Name of the table of raw flows.
pub const RAW_FLOWS: &str = "raw_flows";
/// Name of the table of its cursors.
pub const RAW_CURSORS: &str = "flow_pipeline_raw_cursors";

/// A column and how its value is taken from a flow.
struct Raw {
    column: Column,
    take: fn(&EnrichedFlow) -> Value,
}

macro_rules! raw_columns {
    ($($name:literal $kind:ident $(($property:ident))?: $take:expr;)*) => {
        const RAW: &[Raw] = &[$(Raw {
            column: Column {
                name: $name,
                kind: Kind::$kind,
                key: raw_columns!(@ key $($property)?),
                nullable: raw_columns!(@ optional $($property)?),
            },
            take: $take,
        }),*];
    };
    (@ key key) => { true };
    (@ optional optional) => { true };
    (@ $asked:ident $($other:ident)?) => { false };
}

raw_columns! {
    "topic_partition" U32 (key): |f| number(f.at.partition);
    "topic_offset" U64 (key): |f| Value::Number(f.at.offset);
    "flow_index" U32 (key): |f| number(f.at.index);
    "slot" Seconds: |f| Value::Number(f.slot_secs);
    "counted" Boolean: |f| Value::Boolean(f.verdict == Verdict::Counts);
    "refused" Text: |f| Value::Text(f.verdict.refused().to_owned());
    "time_received" Nanoseconds: |f| Value::Number(f.received_ns);
    "time_flow_start" Nanoseconds (optional): |f| time(f.flow.time_flow_start_ns);
    "time_flow_end" Nanoseconds (optional): |f| time(f.flow.time_flow_end_ns);
    "type" U32: |f| Value::Number(f.flow.type_ as u64);
    "sequence_num" U32: |f| number(f.flow.sequence_num);
    "sampling_rate" Counter: |f| Value::Number(f.rate());
    "unknown_rate" Boolean: |f| Value::Boolean(f.flow.sampling_rate == 0);
    "sampler_address" Address (optional): |f| address(f.flow.sampler_address);
    "observation_domain_id" U32: |f| number(f.flow.observation_domain_id);
    "src_addr" Address (optional): |f| address(f.flow.src_addr);
    "dst_addr" Address (optional): |f| address(f.flow.dst_addr);
    "next_hop" Address (optional): |f| address(f.flow.next_hop);
    "src_as" U32: |f| number(f.src_as);
    "dst_as" U32: |f| number(f.dst_as);
    "next_hop_as" U32: |f| number(f.flow.next_hop_as);
    "src_country" Country: |f| Value::Text(country_code(f.src_country));
    "dst_country" Country: |f| Value::Text(country_code(f.dst_country));
    "table_version" U32: |f| number(f.table_version);
    "src_net" U32: |f| number(f.flow.src_net);
    "dst_net" U32: |f| number(f.flow.dst_net);
    "in_if" U32: |f| number(f.flow.in_if);
    "out_if" U32: |f| number(f.flow.out_if);
    "etype" U32: |f| number(f.flow.etype);
    "proto" U32: |f| number(f.flow.proto);
    "src_port" U32: |f| number(f.flow.src_port);
    "dst_port" U32: |f| number(f.flow.dst_port);
    "ip_tos" U32: |f| number(f.flow.ip_tos);
    "ip_ttl" U32: |f| number(f.flow.ip_ttl);
    "tcp_flags" U32: |f| number(f.flow.tcp_flags);
    "icmp_type" U32: |f| number(f.flow.icmp_type);
    "icmp_code" U32: |f| number(f.flow.icmp_code);
    "forwarding_status" U32: |f| number(f.flow.forwarding_status);
    "flow_direction" U32: |f| number(f.flow.flow_direction);
    "src_mac" U64: |f| Value::Number(f.flow.src_mac.0);
    "dst_mac" U64: |f| Value::Number(f.flow.dst_mac.0);
    "src_vlan" U32: |f| number(f.flow.src_vlan);
    "dst_vlan" U32: |f| number(f.flow.dst_vlan);
    "vlan_id" U32: |f| number(f.flow.vlan_id);
    "bytes" Counter: |f| Value::Number(f.flow.bytes);
    "packets" Counter: |f| Value::Number(f.flow.packets);
    "src_customer" Text: |f| text(f.src_customer);
    "dst_customer" Text: |f| text(f.dst_customer);
    "exporter_name" Text: |f| text(f.exporter_name);
    "in_if_name" Text: |f| text(f.in_if_name);
    "out_if_name" Text: |f| text(f.out_if_name);
}

/// Columns that tables of release 0.1 lack; the flows that stand in those have none.
pub(crate) const ADDED: [&str; 5] = [
    "src_customer",
    "dst_customer",
    "exporter_name",
    "in_if_name",
    "out_if_name",
];

/// The table of raw flows.
pub fn raw_flows() -> Table {
    Table {
        name: RAW_FLOWS,
        columns: RAW.iter().map(|raw| raw.column).collect(),
    }
}

/// A flow's values, in the order of `raw_flows`' columns, into `values`.
pub fn raw_values(flow: &EnrichedFlow, values: &mut Vec<Value>) {
    values.clear();
    values.extend(RAW.iter().map(|raw| (raw.take)(flow)));
}

/// The table of cursors: which checkpoint of which job each partition stands at.
pub fn raw_cursors() -> Table {
    let column = |name, kind, key| Column {
        name,
        kind,
        key,
        nullable: false,
    };
    Table {
        name: RAW_CURSORS,
        columns: vec![
            column("topic_partition", Kind::U32, true),
            column("checkpoint", Kind::U64, false),
            column("job", Kind::Text, false),
        ],
    }
}

fn number(number: u32) -> Value {
    Value::Number(u64::from(number))
}

fn text(words: TextWords) -> Value {
    Value::Text(text_shown(words).to_string())
}

fn time(ns: u64) -> Value {
    if ns == 0 {
        Value::Null
    } else {
        Value::Number(ns)
    }
}

fn address(address: Addr) -> Value {
    if address.is_set() {
        Value::Address(address)
    } else {
        Value::Null
    }
}
