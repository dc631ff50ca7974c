//! Packed against single records through a broker: what librdkafka costs for a flow.
//!
//! `FLOW_PIPELINE_TEST_KAFKA=host:port cargo bench -p flow-topic --bench kafka [-- MEGABYTES]`. The same bytes are
//! written and read once as records of 120 B (one flow) and once as records of 16 KiB (a pack of about 136). CPU is
//! of this process, all threads: the broker's is not in it. Flows per CPU second are bytes / 120 / CPU.
//!
//! Then our reader beside a consumer of the same librdkafka that only drains, in interleaved pairs over the same topic,
//! with the same checks and fetches: ratios are its time / ours, medians of the pairs.

// A benchmark's output is its purpose, and it may stop at the first error.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::time::{Duration, Instant};

use flow_topic::{NewRecord, Options, Timestamps, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const FLOW_BYTES: usize = 120;
const PACK_BYTES: usize = 16 << 10;
const PARTITIONS: u32 = 4;
const PAIRS: usize = 7;

/// Time all threads of this process have been on a processor, in ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn measured(what: &str, flows: usize, work: impl FnOnce()) {
    let (cpu_before, begun) = (cpu(), Instant::now());
    work();
    let (cpu, wall) = (
        (cpu() - cpu_before).as_secs_f64(),
        begun.elapsed().as_secs_f64(),
    );
    let rate = flows as f64 / cpu / 1e6;
    println!("{what:24} {wall:6.2} s wall {cpu:6.2} s CPU {rate:6.2} M flows/CPU s");
}

fn write(topic: &dyn Topic, record_bytes: usize, records: usize, noise: &[u8]) {
    let mut writer = topic.writer().unwrap();
    for number in 0..records {
        let from = number * 7_919 % (noise.len() - record_bytes);
        let record = NewRecord {
            timestamp_millis: 1_700_000_000_000,
            headers: &[],
            payload: &noise[from..from + record_bytes],
        };
        writer.append(number as u32 % PARTITIONS, record).unwrap();
    }
    writer.flush().unwrap();
}

fn read(topic: &dyn Topic, records: usize) -> usize {
    let mut readers: Vec<_> = (0..PARTITIONS)
        .map(|partition| topic.reader(partition, 0).unwrap())
        .collect();
    let (mut seen, mut bytes) = (0, 0);
    while seen < records {
        let before = seen;
        for reader in &mut readers {
            while let Some(record) = reader.peek().unwrap() {
                bytes += record.payload.len();
                seen += 1;
                reader.advance();
            }
        }
        if seen == before {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    bytes
}

/// A plain consumer of all partitions, from the first record on.
fn drain(address: &str, name: &str, records: usize) -> usize {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config.set("group.id", "bench-drain");
    config.set("enable.auto.commit", "false");
    config.set("check.crcs", "true");
    config.set("fetch.queue.backoff.ms", "10");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let partition = i32::try_from(partition).unwrap();
        all.add_partition_offset(name, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&all).unwrap();
    let (mut seen, mut bytes) = (0, 0);
    while seen < records {
        if let Some(message) = consumer.poll(Duration::from_secs(10)) {
            bytes += message.unwrap().payload().map_or(0, <[u8]>::len);
            seen += 1;
        }
    }
    bytes
}

/// CPU and wall time.
fn timed(work: impl FnOnce()) -> [f64; 2] {
    let (cpu_before, begun) = (cpu(), Instant::now());
    work();
    [
        (cpu() - cpu_before).as_secs_f64(),
        begun.elapsed().as_secs_f64(),
    ]
}

fn beside(topic: &dyn Topic, (address, name): (&str, &str), (records, bytes): (usize, usize)) {
    let mut ratios = [Vec::new(), Vec::new()];
    for pair in 0..PAIRS {
        let ours = || timed(|| assert_eq!(read(topic, records), bytes));
        let theirs = || timed(|| assert_eq!(drain(address, name, records), bytes));
        let (ours, theirs) = match pair % 2 {
            0 => (ours(), theirs()),
            _ => {
                let theirs = theirs();
                (ours(), theirs)
            }
        };
        for ((ratio, ours), theirs) in ratios.iter_mut().zip(ours).zip(theirs) {
            ratio.push(theirs / ours);
        }
    }
    let [cpu, wall] = ratios.map(|mut ratios| {
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    });
    println!(
        "our reader beside one that drains: {cpu:.2} of its speed by CPU, {wall:.2} by the clock (medians of {PAIRS} pairs)"
    );
}

fn main() {
    let Ok(address) = std::env::var("FLOW_PIPELINE_TEST_KAFKA") else {
        eprintln!("SKIPPED: FLOW_PIPELINE_TEST_KAFKA is not set: no broker to measure with");
        return;
    };
    let given = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let total_bytes: usize = given.unwrap_or(240) << 20;
    let noise: Vec<u8> = (0..1 << 20_u32)
        .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let flows = total_bytes / FLOW_BYTES;
    for (name, record_bytes) in [("single", FLOW_BYTES), ("packed", PACK_BYTES)] {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let of_topic = format!("bench-{name}-{}", now.unwrap().as_nanos());
        let url = format!("kafka://{address}/{of_topic}");
        let options = Options {
            partitions: PARTITIONS,
            timestamps: Timestamps::Create,
            ..Options::default()
        };
        let topic = flow_topic::create(&url, options).unwrap();
        let records = total_bytes / record_bytes;
        measured(&format!("write {name}"), flows, || {
            write(&*topic, record_bytes, records, &noise);
        });
        measured(&format!("read {name}"), flows, || {
            assert_eq!(read(&*topic, records), records * record_bytes);
        });
        let all = (records, records * record_bytes);
        beside(&*topic, (&address, &of_topic), all);
    }
}
