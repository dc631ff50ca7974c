//! `FlowCore::decode` and `Flow::decode` beside prost's full decoder, and the encoder, on the same messages.
//!
//! Pairs of runs take turns, so that a busy machine disturbs all alike; what counts is the median of the ratios.
//! `cargo bench -p flow-proto`.

#[path = "../tests/oracle/mod.rs"]
mod oracle;

use std::hint::black_box;
use std::time::Instant;

use flow_proto::{Addr, Dialect, Flow, FlowCore, FlowType};

const MESSAGES: u32 = 4_000;
const PAIRS: usize = 41;

/// Flows such as an IPFIX exporter sends, all different.
fn flows() -> Vec<Flow> {
    (0..MESSAGES)
        .map(|n| {
            let spread = n.wrapping_mul(0x9e37_79b9);
            let [a, b, c, d] = spread.to_be_bytes();
            let received = 1_790_000_000_000_000_000 + u64::from(n) * 1_000_003;
            Flow {
                type_: FlowType::Ipfix,
                time_received_ns: received,
                time_flow_start_ns: received - 3_000_000_000,
                time_flow_end_ns: received - 500_000_000,
                sampling_rate: 1000,
                sequence_num: n,
                src_addr: Addr::v4([10, b, c, d]),
                dst_addr: Addr::v4([100, 64 | (a & 63), c, d]),
                sampler_address: Addr::v4([192, 0, 2, 1]),
                next_hop: Addr::v4([203, 0, 113, 1]),
                bytes: u64::from(spread % 100_000),
                packets: u64::from(1 + spread % 100),
                src_as: 64_496 + (spread & 7),
                dst_as: 65_000 + (spread & 127),
                src_net: 20,
                dst_net: 24,
                in_if: 17,
                out_if: 301,
                proto: 6,
                src_port: 32_768 + (spread & 0x3fff),
                dst_port: 443,
                tcp_flags: 0x1b,
                etype: 0x0800,
                observation_domain_id: 1,
                ..Flow::default()
            }
        })
        .collect()
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// Seconds that a decoder takes for all messages.
fn each<'m, T>(messages: &'m [Vec<u8>], decode: impl Fn(&'m [u8]) -> T) -> f64 {
    seconds(|| {
        for message in messages {
            black_box(decode(message));
        }
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[allow(clippy::print_stdout, reason = "a benchmark's output")]
fn main() {
    let flows = flows();
    let messages: Vec<Vec<u8>> = flows
        .iter()
        .map(|flow| {
            let mut bytes = Vec::new();
            flow.encode(Dialect::Goflow2, &mut bytes);
            bytes
        })
        .collect();
    let bytes: usize = messages.iter().map(Vec::len).sum();
    for (message, flow) in messages.iter().zip(&flows) {
        let theirs = oracle::decode(message).expect("a message");
        assert_eq!(FlowCore::decode(message), Ok(oracle::core(&theirs)));
        assert_eq!(Flow::decode(message).as_ref(), Ok(flow));
    }
    let (mut core, mut full, mut prost, mut encode) = (vec![], vec![], vec![], vec![]);
    let mut out = Vec::with_capacity(bytes * 2);
    for _ in 0..PAIRS {
        core.push(each(&messages, FlowCore::decode));
        prost.push(each(&messages, oracle::decode));
        full.push(each(&messages, Flow::decode));
        encode.push(seconds(|| {
            out.clear();
            flows
                .iter()
                .for_each(|flow| flow.encode_delimited(Dialect::Goflow2, &mut out));
            black_box(&out);
        }));
    }
    let ratio = |of: &[f64]| median(prost.iter().zip(of).map(|(p, o)| p / o).collect());
    let (core_ratio, full_ratio) = (ratio(&core), ratio(&full));
    let ns = |of: Vec<f64>| median(of) * 1e9 / f64::from(MESSAGES);
    println!(
        "{MESSAGES} messages of {} bytes on average",
        bytes / messages.len()
    );
    println!(
        "FlowCore::decode      {:7.1} ns/flow, {core_ratio:.2} x prost",
        ns(core)
    );
    println!(
        "Flow::decode          {:7.1} ns/flow, {full_ratio:.2} x prost",
        ns(full)
    );
    println!("prost                 {:7.1} ns/flow", ns(prost));
    println!("Flow::encode_delimited{:7.1} ns/flow", ns(encode));
}
