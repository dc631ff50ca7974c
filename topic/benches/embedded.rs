//! The embedded log beside plain files: the same bytes, the same fdatasync calls, in interleaved pairs.
//!
//! `cargo bench -p flow-topic --bench embedded [-- PAIRS]`. A ratio is plain time / our time, so 1 is "as fast as
//! plain files". The plain writer gathers 1 MiB per file, writes and syncs exactly where ours does. There are two
//! plain readers, with our chunk size: one takes a crc32 over every byte (what ours owes too: it never lends an
//! unchecked byte), one only adds all bytes up; beside the latter ours also adds up every payload byte, on top of
//! its checksum. All files are in the page cache. CPU is of the one thread at work.

// A benchmark's output is its purpose, and it may stop at the first error.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use flow_topic::{EmbeddedTopic, NewRecord, Options, Timestamps, Topic};

const PARTITIONS: u32 = 4;
const CHUNK_BYTES: usize = 256 << 10;
const FRAME_HEAD_BYTES: usize = 28 + 3 + 13 + 1;

#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    payload_bytes: usize,
    records: usize,
    /// Records between two flushes.
    flush_every: usize,
}

const LOADS: &[Load] = &[
    Load {
        name: "packs of 16 KiB, flush every 1 MiB",
        payload_bytes: 16_384,
        records: 8_192,
        flush_every: 64,
    },
    Load {
        name: "packs of 16 KiB, flush every 32 MiB",
        payload_bytes: 16_384,
        records: 16_384,
        flush_every: 2_048,
    },
    Load {
        name: "records of 200 B, flush every 6 MiB",
        payload_bytes: 200,
        records: 600_000,
        flush_every: 30_000,
    },
];

#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

/// Time this thread has been on a processor.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn cost(work: impl FnOnce()) -> Cost {
    let (cpu_before, begun) = (cpu(), Instant::now());
    work();
    Cost {
        wall: begun.elapsed(),
        cpu: cpu() - cpu_before,
    }
}

/// A payload that differs from record to record without costing time to make.
fn payload(noise: &[u8], load: Load, number: usize) -> &[u8] {
    let from = number * 7_919 % (noise.len() - load.payload_bytes);
    &noise[from..from + load.payload_bytes]
}

fn write_ours(path: &Path, load: Load, noise: &[u8]) {
    let options = Options {
        partitions: PARTITIONS,
        timestamps: Timestamps::Create,
        ..Options::default()
    };
    let topic = EmbeddedTopic::create(path, options).unwrap();
    let mut writer = topic.writer().unwrap();
    for number in 0..load.records {
        let record = NewRecord {
            timestamp_millis: number as i64,
            headers: &[("flow-pipeline", b"1")],
            payload: payload(noise, load, number),
        };
        writer.append(number as u32 % PARTITIONS, record).unwrap();
        if (number + 1).is_multiple_of(load.flush_every) {
            writer.flush().unwrap();
        }
    }
    writer.flush().unwrap();
}

fn plain_path(path: &Path, number: usize) -> std::path::PathBuf {
    path.join(number.to_string())
}

fn write_plain(path: &Path, load: Load, noise: &[u8]) {
    std::fs::create_dir(path).unwrap();
    let create = |number| File::create(plain_path(path, number)).unwrap();
    let mut files: Vec<BufWriter<File>> = (0..PARTITIONS as usize)
        .map(|number| BufWriter::with_capacity(1 << 20, create(number)))
        .collect();
    let head = [7; FRAME_HEAD_BYTES];
    let sync = |files: &mut [BufWriter<File>]| {
        files.iter_mut().for_each(|file| file.flush().unwrap());
        files
            .iter()
            .for_each(|file| file.get_ref().sync_data().unwrap());
    };
    for number in 0..load.records {
        let file = &mut files[number % PARTITIONS as usize];
        file.write_all(&head).unwrap();
        file.write_all(payload(noise, load, number)).unwrap();
        if (number + 1).is_multiple_of(load.flush_every) {
            sync(&mut files);
        }
    }
    if !load.records.is_multiple_of(load.flush_every) {
        sync(&mut files);
    }
}

fn add_up(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0_u64, |sum, word| {
        sum.wrapping_add(u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(words, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

fn read_ours(path: &Path, load: Load, touch: bool) {
    let topic = EmbeddedTopic::open(path).unwrap();
    let mut records = 0;
    let mut sum = 0_u64;
    for partition in 0..PARTITIONS {
        let mut reader = topic.reader(partition, 0).unwrap();
        while let Some(record) = reader.peek().unwrap() {
            sum = sum.wrapping_add(if touch {
                add_up(record.payload)
            } else {
                record.offset
            });
            records += 1;
            reader.advance();
        }
    }
    assert_eq!(records, load.records);
    black_box(sum);
}

fn read_plain(path: &Path, mut take: impl FnMut(&[u8])) {
    let mut buffer = vec![0; CHUNK_BYTES];
    for number in 0..PARTITIONS as usize {
        let mut file = File::open(plain_path(path, number)).unwrap();
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => break,
                count => take(&buffer[..count]),
            }
        }
    }
}

fn read_plain_crc(path: &Path) {
    let mut hasher = crc32fast::Hasher::new();
    read_plain(path, |bytes| hasher.update(bytes));
    black_box(hasher.finalize());
}

fn read_plain_sum(path: &Path) {
    let mut sum = 0_u64;
    read_plain(path, |bytes| sum = sum.wrapping_add(add_up(bytes)));
    black_box(sum);
}

/// Runs plain and ours in turns, each first in every other pair, and prints the ratios.
fn compare(
    what: &str,
    bytes: usize,
    pairs: usize,
    mut plain: impl FnMut(usize),
    mut ours: impl FnMut(usize),
) {
    let mut ratios = [Vec::new(), Vec::new()];
    let mut walls = Vec::new();
    for pair in 0..pairs {
        let (plain_cost, our_cost) = if pair % 2 == 0 {
            let plain_cost = cost(|| plain(pair));
            (plain_cost, cost(|| ours(pair)))
        } else {
            let our_cost = cost(|| ours(pair));
            (cost(|| plain(pair)), our_cost)
        };
        ratios[0].push(plain_cost.wall.as_secs_f64() / our_cost.wall.as_secs_f64());
        ratios[1].push(plain_cost.cpu.as_secs_f64() / our_cost.cpu.as_secs_f64());
        walls.push(bytes as f64 / our_cost.wall.as_secs_f64() / 1e6);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[0])
    };
    let [(wall, wall_min), (cpu, cpu_min)] = ratios.each_mut().map(median);
    let speed = median(&mut walls).0;
    println!(
        "  {what:<34} wall {wall:.2} (min {wall_min:.2})   cpu {cpu:.2} (min {cpu_min:.2})   ours {speed:.0} MB/s"
    );
}

fn main() {
    let pairs = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(7);
    let mut noise = vec![0; 1 << 20];
    let mut state = 20_261_124_u64;
    for byte in &mut noise {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    println!("{PARTITIONS} partitions, {pairs} interleaved pairs, plain / ours, median (min)");
    for load in LOADS {
        let folder = tempfile::tempdir().unwrap();
        let at = |kind: &str, pair: usize| folder.path().join(format!("{kind}{pair}"));
        let bytes = load.records * (load.payload_bytes + FRAME_HEAD_BYTES);
        println!("{} ({} MB)", load.name, bytes / 1_000_000);
        let remove = |path: &Path| {
            if path.exists() {
                std::fs::remove_dir_all(path).unwrap();
            }
        };
        compare(
            "write",
            bytes,
            pairs,
            |pair| write_plain(&at("plain", pair), *load, &noise),
            |pair| write_ours(&at("ours", pair), *load, &noise),
        );
        let (plain, ours) = (at("plain", 0), at("ours", 0));
        for pair in 1..pairs {
            remove(&at("plain", pair));
            remove(&at("ours", pair));
        }
        let pairs = 3 * pairs;
        compare(
            "read (plain: crc32)",
            bytes,
            pairs,
            |_| read_plain_crc(&plain),
            |_| read_ours(&ours, *load, false),
        );
        compare(
            "read, adding up (plain: no crc32)",
            bytes,
            pairs,
            |_| read_plain_sum(&plain),
            |_| {
                read_ours(&ours, *load, true);
            },
        );
        let open = cost(|| drop(EmbeddedTopic::open(&ours).unwrap().writer().unwrap()));
        println!(
            "  open for writing: {:.1} ms",
            open.wall.as_secs_f64() * 1e3
        );
    }
}
