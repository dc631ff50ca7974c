//! Mock flows written to an embedded topic: all there, in packs, at their simulated times.

use flow_ingest::mock::{AddressBlock, Generator, MockError, Options, TopicWriter, Written};
use flow_proto::{Dialect, Flow, Framing, PACK_HEADER, messages};
use flow_topic::{EmbeddedTopic, Timestamps, Topic};

const FROM_NS: u64 = 1_700_000_000_000_000_000;
const FLOWS: u64 = 50_000;

fn topic(folder: &tempfile::TempDir, timestamps: Timestamps) -> EmbeddedTopic {
    let options = flow_topic::Options {
        timestamps,
        ..flow_topic::Options::default()
    };
    EmbeddedTopic::create(folder.path().join("flows"), options).expect("a new topic")
}

fn generator() -> Generator {
    let csv = "10.0.0.0,10.0.255.255,64496\n100.64.0.0,100.64.9.255,65001\n\
               2001:db8::,2001:db8::ffff,64496\n2001:db8:1::,2001:db8:1::ffff,65001";
    let blocks = AddressBlock::parse(csv, &(64_496..=64_503)).expect("blocks");
    let options = Options {
        from_ns: FROM_NS,
        flows_per_second: 10_000,
        ..Options::default()
    };
    Generator::new(options, &blocks)
}

/// All flows of a partition; asserts that packs stand at their time and within their limits.
fn read(topic: &dyn Topic, partition: u32) -> Vec<Flow> {
    let mut reader = topic.reader(partition, 0).expect("a reader");
    let (mut flows, mut last) = (Vec::new(), 0);
    while let Some(record) = reader.peek().expect("a readable topic") {
        assert_eq!(record.headers.get(PACK_HEADER.0), Some(PACK_HEADER.1));
        assert!(record.payload.len() <= 16 << 10);
        assert!(record.timestamp_millis >= last);
        last = record.timestamp_millis;
        for message in messages(record.payload, true, Framing::Auto).expect("a pack") {
            let flow = Flow::decode(message).expect("a flow");
            let received_millis =
                i64::try_from(flow.time_received_ns / 1_000_000).expect("a time of this era");
            assert!((0..=50).contains(&(record.timestamp_millis - received_millis)));
            flows.push(flow);
        }
        reader.advance();
    }
    flows
}

#[test]
fn every_flow_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let topic = topic(&folder, Timestamps::Create);
    let mut writer = TopicWriter::open(&topic, true, Dialect::Goflow2).unwrap();
    let mut flows = generator();
    for _ in 0..FLOWS {
        let flow = flows.next().unwrap();
        writer.write(&flow, flows.now_ns()).unwrap();
    }
    let written = writer.finish(flows.now_ns()).unwrap();
    let mut read: Vec<Flow> = (0..4)
        .map(|partition| read(&topic, partition))
        .inspect(|flows| assert!(flows.len() as u64 > FLOWS / 5, "{} flows", flows.len()))
        .flatten()
        .collect();
    assert_eq!((written.flows, read.len() as u64), (FLOWS, FLOWS));
    assert!(
        matches!(
            written,
            Written {
                packs: 400..,
                bytes: 1..,
                ..
            }
        ),
        "{written:?}"
    );
    read.sort_by_key(|flow| flow.time_received_ns);
    assert!(
        read.into_iter()
            .eq(generator().take(usize::try_from(FLOWS).unwrap()))
    );
}

#[test]
fn simulated_time_needs_a_topic_that_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let topic = topic(&folder, Timestamps::Append);
    let refused = TopicWriter::open(&topic, true, Dialect::Goflow2).err();
    let message = refused
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        matches!(refused, Some(MockError::AppendTimestamps { .. })),
        "{message}"
    );
    assert!(
        message.starts_with(&topic.url()) && !message.contains('\n'),
        "{message}"
    );
    TopicWriter::open(&topic, false, Dialect::Goflow2).unwrap();
}
