//! scratch
mod oracle;
use prost::Message;
#[test]
fn trial() {
    for i in 0..3000u64 {
        let t = (1_700_000_100 + (i * 977) % 100_000) * 1_000_000_000;
        let f = flow_proto::Flow { time_received_ns: 1_700_000_100_000_000_000 + i * 1_000_000, time_flow_end_ns: t, bytes: 7, packets: 1, ..Default::default() };
        let mut out = vec![];
        f.encode_delimited(flow_proto::Dialect::Goflow2, &mut out);
        let a = oracle::message::Message::decode_length_delimited(&out[..]);
        if a.is_err() { eprintln!("{i} {:02x?} {a:?}", out); break; }
    }
}
