//! A capture file for exporters to read: flows of IPv4 and IPv6 with TCP and UDP, packet by packet.
//!
//! Why made here: the exporters must see the same packets at every run. The seed is fixed; nothing is left to chance.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// Flows in the capture; of every four, three are IPv4.
pub(crate) const FLOWS: u32 = 500;
/// 2023-11-14 22:13:20 UTC.
const BEGIN_SECS: u32 = 1_700_000_000;

/// The capture file's bytes, and the number of packets in it.
pub(crate) fn capture(seed: u64) -> (Vec<u8>, u32) {
    let mut chance = Pcg64Mcg::seed_from_u64(seed);
    let mut packets = Vec::new();
    for flow in 0..FLOWS {
        for _ in 0..=chance.next_u32() % 14 {
            let at_micros = chance.next_u32() % 60_000_000;
            packets.push((at_micros, frame(flow, chance.next_u32() % 1_200)));
        }
    }
    packets.sort();
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for (at, frame) in &packets {
        let length = u32::try_from(frame.len()).expect("short");
        let secs = BEGIN_SECS + at / 1_000_000;
        for word in [secs, at % 1_000_000, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(frame);
    }
    (file, u32::try_from(packets.len()).expect("few"))
}

/// An Ethernet frame of a flow with so many bytes of payload.
fn frame(flow: u32, payload: u32) -> Vec<u8> {
    let [_, _, high, low] = flow.to_be_bytes();
    let (source_port, tcp) = (1_024 + flow, flow.is_multiple_of(2));
    let mut segment = Vec::new();
    let port = |number: u32| u16::try_from(number).expect("a port").to_be_bytes();
    segment.extend(port(source_port));
    segment.extend(port(if tcp { 443 } else { 53 }));
    if tcp {
        segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 4, 0, 0, 0, 0, 0]);
    } else {
        segment.extend(port(8 + payload));
        segment.extend([0, 0]);
    }
    segment.resize(segment.len() + usize::try_from(payload).expect("small"), 0);
    let length = u16::try_from(segment.len()).expect("short");
    let protocol = if tcp { 6 } else { 17 };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if flow % 4 == 3 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([protocol, 64]);
        for (network, host) in [(0, [high, low]), (1, [0, 1])] {
            frame.extend([0x20, 1, 0x0d, 0xb8, 0, network, 0, 0, 0, 0, 0, 0, 0, 0]);
            frame.extend(host);
        }
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((length + 20).to_be_bytes());
        frame.extend([high, low, 0, 0, 64, protocol, 0, 0, 10, 0, high, low]);
        frame.extend([192, 0, 2, low % 200]);
        let header: Vec<u32> = frame[14..34]
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
            .collect();
        let sum: u32 = header.iter().sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded");
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    }
    frame.extend(segment);
    frame
}
