//! What exporters taught the collector outlives its sudden end.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::process::{Collecting, records};

/// Far above a second, below the half minute after which the file is written in any case.
const SOON: Duration = Duration::from_secs(10);

/// An IPFIX message with one set (RFC 7011 3.1, 3.3).
fn ipfix(sequence: u32, id: u16, words: &[u16]) -> Vec<u8> {
    let set_bytes = u16::try_from(4 + 2 * words.len()).expect("short");
    let mut message = Vec::new();
    for word in [10, 16 + set_bytes] {
        message.extend(u16::to_be_bytes(word));
    }
    for word in [1_700_000_000, sequence, 7] {
        message.extend(u32::to_be_bytes(word));
    }
    for word in [&[id, set_bytes][..], words].concat() {
        message.extend(word.to_be_bytes());
    }
    message
}

#[test]
fn templates_learned_a_moment_before_a_kill_are_known_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = format!("dir://{}", folder.path().join("flows").display());
    let state = folder.path().join("templates");
    let flags = [
        "--listen",
        "flow://127.0.0.1:0",
        "--topic",
        &topic,
        "--state",
    ];
    let flags = [&flags[..], &[state.to_str().expect("utf-8")]].concat();
    let exporter = UdpSocket::bind("127.0.0.1:0").expect("a socket");

    let collecting = Collecting::with(&flags);
    let length = || std::fs::metadata(&state).map_or(0, |file| file.len());
    let empty = length();
    // Template 300: source and destination address, four bytes each.
    let template = ipfix(0, 2, &[300, 2, 8, 4, 12, 4]);
    exporter
        .send_to(&template, collecting.address())
        .expect("sent");
    let begun = Instant::now();
    while length() <= empty {
        assert!(begun.elapsed() < SOON, "not saved after {SOON:?}");
        std::thread::yield_now();
    }
    collecting.kill();

    let collecting = Collecting::with(&flags);
    let data = ipfix(0, 300, &[0x0a00, 1, 0x0a00, 2]);
    exporter.send_to(&data, collecting.address()).expect("sent");
    let end = collecting.terminate();
    assert!(
        end.stderr.contains("datagrams 1, flows 1, written 1;"),
        "{end:?}"
    );
    assert_eq!(
        records(&topic)
            .iter()
            .map(|record| record.flows)
            .sum::<usize>(),
        1
    );
}
