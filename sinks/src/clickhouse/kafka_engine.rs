//! The Kafka-engine object `flows` of cloudflare/flow-pipeline, which lets ClickHouse itself read our topic.
//!
//! It is printed only, never made: whoever attaches a view to it takes part in consuming the topic. Law: its columns are
//! that project's, named as in `flow-pipeline schema proto --dialect goflow`.

use super::server::{qualified, quoted};

/// Our records are chains of length-delimited messages: `Protobuf`. A topic of bare messages is `ProtobufSingle`.
pub(super) fn kafka_engine(database: &str, brokers: &str, topic: &str) -> String {
    format!(
        "-- flow-pipeline schema proto --dialect goflow > flow.proto, in the server's format_schema_path\n\
         CREATE TABLE {flows} (\n    \
             TimeReceived UInt64, TimeFlowStart UInt64, SequenceNum UInt32, SamplingRate UInt64,\n    \
             SamplerAddress FixedString(16), SrcAddr FixedString(16), DstAddr FixedString(16),\n    \
             SrcAS UInt32, DstAS UInt32, EType UInt32, Proto UInt32, SrcPort UInt32, DstPort UInt32,\n    \
             Bytes UInt64, Packets UInt64\n\
         ) ENGINE = Kafka\n\
         SETTINGS kafka_broker_list = {brokers}, kafka_topic_list = {topic},\n    \
             kafka_group_name = 'clickhouse', kafka_format = 'Protobuf',\n    \
             kafka_schema = 'flow.proto:FlowMessage'",
        flows = qualified(database, "flows"),
        brokers = quoted(brokers),
        topic = quoted(topic),
    )
}
