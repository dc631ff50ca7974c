//! Mocked flows in an embedded topic, read back: exact totals, times, refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use flow_ingest::mock::{
    Generator, GeneratorOptions, MockError, WriteOptions, blocks_from_csv, write_topic,
};
use flow_ingest::udp::Clock;
use flow_proto::{Flow, Framing, PACK_HEADER, messages};
use flow_topic::{EmbeddedTopic, NewRecord, Options, Timestamps, Topic, TopicError, Writer};

const FROM_NS: u64 = 1_700_000_000_000_000_000;

fn generator(options: GeneratorOptions) -> Generator {
    let own: Vec<u32> = (64496..=64503).collect();
    let csv = include_str!("../../tables/demo/asn.csv");
    let blocks = blocks_from_csv(csv, &own).expect("the demo table");
    Generator::new(options, &blocks).expect("blocks")
}

fn simulation() -> Generator {
    generator(GeneratorOptions {
        from_ns: FROM_NS,
        sampling_rates: vec![100, 0],
        ..GeneratorOptions::default()
    })
}

fn topic(folder: &tempfile::TempDir, timestamps: Timestamps) -> EmbeddedTopic {
    let options = Options {
        partitions: 3,
        timestamps,
        ..Options::default()
    };
    EmbeddedTopic::create(folder.path().join("topic"), options).expect("a topic")
}

/// Partition, record timestamp and flow of everything in the topic.
fn read(topic: &dyn Topic) -> Vec<(u32, i64, Flow)> {
    let mut all = Vec::new();
    for partition in 0..topic.partitions().expect("readable") {
        let mut reader = topic.reader(partition, 0).expect("readable");
        while let Some(record) = reader.peek().expect("readable") {
            assert_eq!(record.headers.get(PACK_HEADER.0), Some(PACK_HEADER.1));
            for message in messages(record.payload, true, Framing::Auto).expect("readable") {
                let flow = Flow::decode(message).expect("readable");
                all.push((partition, record.timestamp_millis, flow));
            }
            reader.advance();
        }
    }
    all
}

fn fixed_clock(now_ns: u64) -> Clock {
    Arc::new(move || now_ns)
}

#[test]
fn simulated_flows_are_in_the_topic_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let topic = topic(&folder, Timestamps::Create);
    let options = WriteOptions {
        count: Some(20_001),
        simulated: true,
        ..WriteOptions::default()
    };
    let stop = AtomicBool::new(false);
    let totals = write_topic(&topic, &mut simulation(), &options, &fixed_clock(5), &stop).unwrap();
    let seen = read(&topic);
    assert_eq!(totals.flows, 20_001);
    assert_eq!(seen.len(), 20_001);
    assert_eq!(
        totals.bytes,
        seen.iter().map(|(_, _, flow)| flow.bytes).sum::<u64>()
    );
    assert_eq!(
        totals.packets,
        seen.iter().map(|(_, _, flow)| flow.packets).sum::<u64>()
    );
    let packs: u64 = (0..3).map(|p| topic.bounds(p).unwrap().end).sum();
    assert_eq!(totals.packs, packs);

    let mut again = simulation();
    let mut expected: Vec<Flow> = (0..20_001).map(|_| again.next()).collect();
    expected.iter_mut().for_each(flow_ingest::wire::assume_rate);
    assert!(expected.iter().any(|flow| flow.sampling_rate_assumed));
    let mut flows: Vec<Flow> = seen.iter().map(|(_, _, flow)| flow.clone()).collect();
    // One flow each 0.1 ms: the receive time orders them.
    flows.sort_by_key(|flow| flow.time_received_ns);
    assert!(flows == expected);
    for (_, millis, flow) in &seen {
        let age_ms = millis - (flow.time_received_ns / 1_000_000) as i64;
        assert!(
            (0..=50).contains(&age_ms),
            "{age_ms} ms between flow and record"
        );
    }
    for partition in 0..3 {
        let share = seen.iter().filter(|(p, _, _)| *p == partition).count();
        assert!(
            (6_300..7_000).contains(&share),
            "{share} flows in partition {partition}"
        );
    }
}

#[test]
fn simulated_time_needs_a_topic_that_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let topic = topic(&folder, Timestamps::Append);
    let options = WriteOptions {
        simulated: true,
        count: Some(1),
        ..WriteOptions::default()
    };
    let stop = AtomicBool::new(false);
    let error =
        write_topic(&topic, &mut simulation(), &options, &fixed_clock(5), &stop).unwrap_err();
    assert!(matches!(error, MockError::AppendTopic { .. }), "{error}");
    assert!(read(&topic).is_empty());
}

#[test]
fn live_flows_carry_the_clock_and_keep_the_pace() {
    let folder = tempfile::tempdir().unwrap();
    let topic = topic(&folder, Timestamps::Append);
    // Every look at the clock takes 1 ms: 10 flows at 10,000 a second.
    let now = Arc::new(AtomicU64::new(FROM_NS * 2));
    let ticking = Arc::clone(&now);
    let clock: Clock = Arc::new(move || ticking.fetch_add(1_000_000, Ordering::Relaxed));
    let options = WriteOptions {
        count: Some(2_000),
        speed: Some(1.0),
        ..WriteOptions::default()
    };
    let stop = AtomicBool::new(false);
    let totals = write_topic(&topic, &mut simulation(), &options, &clock, &stop).unwrap();
    assert_eq!(totals.flows, 2_000);
    let flows = read(&topic);
    assert_eq!(flows.len(), 2_000);
    let received = flows.iter().map(|(_, _, flow)| flow.time_received_ns);
    let (first, last) = (received.clone().min().unwrap(), received.max().unwrap());
    assert!(first >= FROM_NS * 2);
    assert!(
        (195..=205).contains(&((last - first) / 1_000_000)),
        "{first} to {last}"
    );
}

#[test]
fn a_stop_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let topic = topic(&folder, Timestamps::Append);
    let stop = AtomicBool::new(true);
    let options = WriteOptions::default();
    let totals = write_topic(&topic, &mut simulation(), &options, &fixed_clock(5), &stop).unwrap();
    assert_eq!(totals.flows, 0);
}

/// A topic that keeps nothing: what packs cost without a disk.
#[derive(Debug)]
struct Nowhere;

impl Writer for Nowhere {
    fn append(&mut self, _: u32, _: NewRecord<'_>) -> Result<(), TopicError> {
        Ok(())
    }
    fn flush(&mut self) -> Result<(), TopicError> {
        Ok(())
    }
}

#[test]
fn it_is_fast_enough_to_fill_a_topic() {
    let mut packer =
        flow_ingest::pack::Packer::new(3, Default::default(), flow_proto::Dialect::Goflow2);
    let mut generator = simulation();
    let begun = Instant::now();
    let mut bytes = 0u64;
    for _ in 0..500_000 {
        bytes = bytes.wrapping_add(generator.next().bytes);
    }
    let generated = begun.elapsed();
    for _ in 0..500_000 {
        let flow = generator.next();
        packer
            .push(&flow, flow.time_received_ns, &mut Nowhere)
            .unwrap();
    }
    let packed = begun.elapsed() - generated;
    println!(
        "{:.2} M flows/s generated, {:.2} M flows/s packed ({} bytes a flow, sum {bytes})",
        0.5 / generated.as_secs_f64(),
        0.5 / packed.as_secs_f64(),
        packer.bytes() / 500_000
    );
    // Other processes share the machine: only what is absurdly slow fails.
    assert!(packed.as_secs_f64() < 30.0);
}
