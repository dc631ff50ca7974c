//! Every framing in either dialect: what was written is read back, by our decoders and by prost.
//!
//! prost knows nothing of ours: it reads a bare record as one message, a delimited one as a message with its length, a
//! pack as a chain of these, as consumers of GoFlow's and goflow2's topics do.

#[path = "../../proto/tests/oracle/mod.rs"]
mod oracle;

use flow_ingest::mock::{AddressBlock, Generator, Options, TopicWriter};
use flow_ingest::pack::{Form, Shape, Spread};
use flow_proto::{Dialect, Flow, Framing, PACK_HEADER, messages};
use flow_topic::{EmbeddedTopic, Timestamps, Topic};
use oracle::FlowMessage;
use prost::Message;

const FLOWS: usize = 3_000;
const FROM_NS: u64 = 1_700_000_000_000_000_000;

fn flows() -> Vec<Flow> {
    let csv = "10.0.0.0,10.0.255.255,64496\n100.64.0.0,100.64.9.255,65001\n\
               2001:db8::,2001:db8::ffff,64496\n2001:db8:1::,2001:db8:1::ffff,65001";
    let blocks = AddressBlock::parse(csv, &(64_496..=64_503)).expect("blocks");
    let options = Options {
        exporters: 12,
        from_ns: FROM_NS,
        ..Options::default()
    };
    Generator::new(options, &blocks).take(FLOWS).collect()
}

/// What is written of a flow in GoFlow's dialect: whole seconds, no `ip_flags`.
fn in_dialect(flow: &Flow, dialect: Dialect) -> Flow {
    let whole = |ns: u64| ns / 1_000_000_000 * 1_000_000_000;
    match dialect {
        Dialect::Goflow2 => flow.clone(),
        Dialect::Goflow => Flow {
            time_received_ns: whole(flow.time_received_ns),
            time_flow_start_ns: whole(flow.time_flow_start_ns),
            time_flow_end_ns: whole(flow.time_flow_end_ns),
            ip_flags: 0,
            ..flow.clone()
        },
    }
}

/// A record: its partition, whether it has our header, its payload.
struct Record(u32, bool, Vec<u8>);

fn written(flows: &[Flow], shape: Shape) -> Vec<Record> {
    let folder = tempfile::tempdir().expect("a folder");
    let options = flow_topic::Options {
        timestamps: Timestamps::Create,
        ..flow_topic::Options::default()
    };
    let topic = EmbeddedTopic::create(folder.path().join("t"), options).expect("a topic");
    let mut writer = TopicWriter::open(&topic, true, shape).expect("a writer");
    for flow in flows {
        writer.write(flow, flow.time_received_ns).expect("written");
    }
    writer.finish(u64::MAX).expect("finished");
    let mut records = Vec::new();
    for partition in 0..topic.partitions().expect("partitions") {
        let mut reader = topic.reader(partition, 0).expect("a reader");
        while let Some(record) = reader.peek().expect("readable") {
            let header = record.headers.get(PACK_HEADER.0) == Some(PACK_HEADER.1);
            records.push(Record(partition, header, record.payload.to_vec()));
            reader.advance();
        }
    }
    records
}

/// As a consumer that was told the framing reads it.
fn by_prost(record: &Record, form: Form) -> Vec<FlowMessage> {
    let mut rest = record.2.as_slice();
    if form == Form::Bare {
        return vec![FlowMessage::decode(rest).expect("one message")];
    }
    let mut all = Vec::new();
    while !rest.is_empty() {
        all.push(FlowMessage::decode_length_delimited(&mut rest).expect("a message"));
    }
    all
}

fn by_us(record: &Record, form: Form) -> Vec<Flow> {
    let framing = match form {
        Form::Packed => Framing::Auto,
        Form::Delimited => Framing::Delimited,
        Form::Bare => Framing::Bare,
    };
    let all = messages(&record.2, record.1, framing).expect("whole");
    all.map(|message| Flow::decode(message).expect("a flow"))
        .collect()
}

fn sorted(mut flows: Vec<Flow>) -> Vec<String> {
    let mut lines: Vec<String> = flows.drain(..).map(|flow| format!("{flow:?}")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_framing_and_dialect_is_read_back() {
    let flows = flows();
    for form in [Form::Packed, Form::Delimited, Form::Bare] {
        for dialect in [Dialect::Goflow2, Dialect::Goflow] {
            for spread in [Spread::RoundRobin, Spread::Exporter] {
                let shape = Shape {
                    form,
                    dialect,
                    spread,
                };
                let records = written(&flows, shape);
                let expected = flows.iter().map(|flow| in_dialect(flow, dialect)).collect();
                let ours: Vec<Flow> = records.iter().flat_map(|r| by_us(r, form)).collect();
                assert!(sorted(ours) == sorted(expected), "{shape:?}: by us");
                let prosts: Vec<_> = records.iter().flat_map(|r| by_prost(r, form)).collect();
                check_prost(&prosts, &flows, shape);
                assert!(records.iter().all(|r| r.1 == (form == Form::Packed)));
                assert_eq!(records.len() == FLOWS, form != Form::Packed, "{shape:?}");
            }
        }
    }
}

/// Field by field, where the dialects differ and where they do not.
fn check_prost(read: &[FlowMessage], flows: &[Flow], shape: Shape) {
    let secs = |ns: u64| ns / 1_000_000_000;
    let key = |m: &FlowMessage| (m.bytes, m.packets, m.src_port, m.dst_port, m.time_received);
    let mut found: Vec<_> = read.iter().map(key).collect();
    let mut expected: Vec<_> = flows
        .iter()
        .map(|f| {
            let received = secs(f.time_received_ns);
            (f.bytes, f.packets, f.src_port, f.dst_port, received)
        })
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found == expected, "{shape:?}: by prost");
    for message in read {
        let nanoseconds = shape.dialect == Dialect::Goflow2;
        assert_eq!(message.time_received_ns.is_some(), nanoseconds, "{shape:?}");
        // GoFlow's start in seconds stands where goflow2 has three bits.
        let start_secs = (1_600_000_000..1_800_000_000).contains(&message.flags_or_start);
        assert_eq!(start_secs, !nanoseconds, "{shape:?}: {message:?}");
    }
}

#[test]
fn an_exporter_stays_in_one_partition() {
    let flows = flows();
    let mut used = std::collections::BTreeSet::new();
    for form in [Form::Packed, Form::Bare] {
        let shape = Shape {
            form,
            spread: Spread::Exporter,
            ..Shape::default()
        };
        let mut homes = std::collections::BTreeMap::new();
        for record in written(&flows, shape) {
            for flow in by_us(&record, form) {
                let home = homes.entry(flow.sampler_address).or_insert(record.0);
                assert_eq!(*home, record.0, "{}", flow.sampler_address);
            }
        }
        assert_eq!(homes.len(), 12);
        used.extend(homes.values().copied());
    }
    assert!(used.len() > 1, "{used:?}");
}
