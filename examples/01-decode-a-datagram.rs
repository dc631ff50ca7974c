//! Decode a datagram: bytes in, flows as JSON lines out. Here one NetFlow v5 record after its header.
#![expect(clippy::print_stdout, reason = "an example prints")]

use flow_ingest::wire::{Decoder, Limits};
use flow_proto::Addr;

const HEADER: &str = "0005 0001 0000ea60 6553f1d4 00000000 0000002a 0000 4064";
const RECORD: &str = "c0000201 c6336401 00000000 0001 0002 0000000a 00003a98 0000c350 \
                      0000ea60 d431 01bb 00 18 06 00 fbf0 fbf4 18 18 0000";

fn main() {
    let digits = format!("{HEADER}{RECORD}").replace(' ', "");
    let byte = |n| u8::from_str_radix(&digits[n..n + 2], 16);
    let datagram: Result<Vec<u8>, _> = (0..digits.len()).step_by(2).map(byte).collect();
    let datagram = datagram.expect("pairs of hexadecimal digits");

    let mut decoder = Decoder::new(Limits::default()); // keeps templates and sampling rates
    let (exporter, received_ns) = (Addr::v4([203, 0, 113, 7]), 1_700_000_212_000_000_000);
    let mut flows = Vec::new();
    let outcome = decoder.decode(exporter, received_ns, &datagram, &mut flows);
    assert_eq!(
        (outcome.flows, outcome.reasons().count()),
        (1, 0),
        "one flow, no complaint"
    );

    let mut line = String::new();
    flows[0].write_json(&mut line);
    println!("{line}");
}
