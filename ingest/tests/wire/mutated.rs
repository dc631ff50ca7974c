//! Captures of real exporters, damaged at random: no panic, bounded output, bounded state, the same result
//! twice.
//!
//! Seeds are fixed and printed; `FLOW_PIPELINE_SEED` adds one. A seed that found a fault belongs into `SEEDS`.

use flow_ingest::wire::{Decoder, Limits, Outcome};
use flow_proto::Flow;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::captures::{Captured, units};

const SEEDS: [u64; 3] = [1, 0x5eed, 20_261_124];
/// Rounds over all captured datagrams (2,886) for each seed.
const ROUNDS: usize = 60;
/// Small enough that the tests reach them.
const TIGHT: Limits = Limits {
    exporters: 64,
    domains: 8,
    templates: 32,
    fields: 128,
    entries: 4_096,
    early_bytes: 4096,
    early_age_ns: 1_000_000_000,
};

fn below(random: &mut Pcg64Mcg, bound: usize) -> usize {
    let bound = u64::try_from(bound.max(1)).expect("64 bits");
    usize::try_from(random.next_u64() % bound).expect("64 bits")
}

/// Bits flipped, cut, numbers overwritten with extremes, a piece of another datagram put in.
fn damage(random: &mut Pcg64Mcg, datagram: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=below(random, 3) {
        let at = below(random, datagram.len());
        match below(random, 6) {
            0 => flip(datagram, at, below(random, 8)),
            1 => datagram.truncate(at),
            2 => overwrite(datagram, at & !1, &[0xff; 2]),
            3 => overwrite(
                datagram,
                at & !3,
                &[&[0xff; 4], &[0; 4], &[0x7f; 4]][below(random, 3)][..],
            ),
            // Lengths and counts of headers, sets, samples.
            4 => overwrite(datagram, 2, &random.next_u64().to_le_bytes()[..2]),
            _ => {
                let from = below(random, other.len());
                let piece = &other[from..from + below(random, other.len() - from)];
                datagram.splice(
                    at.min(datagram.len())..at.min(datagram.len()),
                    piece.iter().copied(),
                );
            }
        }
    }
}

fn flip(datagram: &mut [u8], at: usize, bit: usize) {
    if let Some(byte) = datagram.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

fn overwrite(datagram: &mut [u8], at: usize, with: &[u8]) {
    for (to, from) in datagram.iter_mut().skip(at).zip(with) {
        *to = *from;
    }
}

/// All datagrams of all units once more, damaged, through one decoder; a sum that tells runs apart.
fn run(seed: u64, limits: Limits, datagrams: &[Captured]) -> (u64, Outcome) {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut decoder = Decoder::new(limits);
    let (mut digest, mut sum) = (0_u64, Outcome::default());
    for round in 0..ROUNDS {
        for captured in datagrams {
            let other = &datagrams[below(&mut random, datagrams.len())].payload;
            let mut datagram = captured.payload.clone();
            // Every fourth is left whole: its templates and rates meet the damaged ones' data.
            if below(&mut random, 4) > 0 {
                damage(&mut random, &mut datagram, other);
            }
            let mut flows = Vec::new();
            let received_ns = u64::try_from(round).expect("small") * 1_000_000_000_000;
            let outcome = decoder.decode(captured.source, received_ns, &datagram, &mut flows);
            assert!(decoder.entries() <= limits.entries, "{}", decoder.entries());
            assert!(decoder.exporters() <= limits.exporters);
            bounded(&datagram, &flows, &outcome);
            for flow in &flows {
                digest = digest
                    .wrapping_mul(31)
                    .wrapping_add(flow.bytes ^ u64::from(flow.src_port));
            }
            sum.add(&outcome);
        }
    }
    (digest, sum)
}

fn bounded(datagram: &[u8], flows: &Vec<Flow>, outcome: &Outcome) {
    // The law of memory: no more than 16 flows and one for 8 bytes, and `Vec` holds at most twice of it.
    assert!(flows.len() <= 16 + datagram.len() / 8);
    assert!(flows.capacity() <= 32 + datagram.len() / 4);
    assert_eq!(usize::try_from(outcome.flows).expect("small"), flows.len());
    let nothing = flows.is_empty()
        && *outcome
            == Outcome {
                protocol: outcome.protocol,
                ..Outcome::default()
            };
    // A datagram of which nothing is told: one without samples or sets, or with padding only.
    assert!(
        !nothing || datagram.len() < 2_000,
        "{} bytes vanished",
        datagram.len()
    );
}

#[test]
fn damaged_captures_harm_nobody() {
    let datagrams: Vec<Captured> = units()
        .into_iter()
        .flat_map(|(_, datagrams)| datagrams)
        .collect();
    if datagrams.is_empty() {
        return;
    }
    let more = std::env::var("FLOW_PIPELINE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    for seed in SEEDS.into_iter().chain(more) {
        for limits in [TIGHT, Limits::default()] {
            let (digest, sum) = run(seed, limits, &datagrams);
            let refused: u32 = sum.errors.iter().sum();
            println!(
                "seed {seed}: digest {digest:x}, {} flows, {refused} refused",
                sum.flows
            );
            // The test must reach what it is about: most reasons come up.
            assert!(
                sum.flows > 50_000 && sum.reasons().count() >= 12,
                "seed {seed}: {sum:?}"
            );
        }
    }
    let again = || run(SEEDS[0], TIGHT, &datagrams);
    assert_eq!(again(), again(), "the same seed, the same result");
}

/// Damaged capture files: the reader neither panics nor runs away.
#[test]
fn damaged_files_harm_nobody() {
    let Some(folder) = crate::captures::folder() else {
        return;
    };
    let names = [
        "libnetflow9/nf9-malformed_2/malformed_2.pcap",
        "graylog-plugin-netflow/nf5-pmacctd",
    ];
    let mut files: Vec<Vec<u8>> = Vec::new();
    for name in names {
        let path = folder.join(name);
        let path = if path.is_dir() {
            path.join("pmacctd-netflow5.pcap")
        } else {
            path
        };
        files.push(
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        );
    }
    let mut random = Pcg64Mcg::seed_from_u64(7);
    let mut datagrams = 0;
    for _ in 0..4_000 {
        let mut file = files[below(&mut random, files.len())].clone();
        damage(&mut random, &mut file, &files[0]);
        let tally =
            flow_ingest::pcap::read(&file[..], &mut |_| Ok(())).expect("memory can be read");
        datagrams += tally.datagrams;
    }
    assert!(datagrams > 1_000, "{datagrams}");
}
