//! The collector on real sockets: what is sent is in the topic, or counted; nothing else is.
//!
//! Datagrams are NetFlow v5 built here, flows are counted in the topic by its reader. Loopback delivers a
//! datagram into the receiver's buffer before `send` returns, so that no test has to wait for one.

#[path = "../wire/captures.rs"]
mod captures;
#[path = "../wire/datagrams.rs"]
#[expect(dead_code, reason = "the tests of the decoders need more of them")]
mod datagrams;
mod goflow;
mod kept;
mod sockets;
mod topics;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flow_ingest::metrics::{Metrics, Totals};
use flow_ingest::udp::{Clock, CollectError, Collector, Config};
use flow_ingest::wire::Reason;
use flow_proto::{Framing, PACK_HEADER, messages};
use flow_topic::{EmbeddedTopic, Options, Topic, TopicError};
use prometheus_client::registry::Registry;

const START_NS: u64 = 1_700_000_000_000_000_000;

/// Moves on by 20 ms each time it is asked.
fn clock() -> Clock {
    let now = AtomicU64::new(START_NS);
    Arc::new(move || now.fetch_add(20_000_000, Ordering::Relaxed))
}

fn config(listen: &[&str]) -> Config {
    let listen = listen
        .iter()
        .map(|url| url.parse().expect("a URL"))
        .collect();
    Config {
        listen,
        ..Config::default()
    }
}

fn start(config: &Config, topic: &Arc<dyn Topic>) -> Collector {
    try_start(config, topic).expect("starts")
}

fn try_start(config: &Config, topic: &Arc<dyn Topic>) -> Result<Collector, CollectError> {
    Collector::start(
        config,
        Arc::clone(topic),
        Metrics::register(&mut Registry::default()),
        clock(),
    )
}

/// A v5 datagram of `flows` records (RFC-less; Cisco's layout: 24 bytes of header, 48 a record).
fn v5(flows: u16, sequence: u32) -> Vec<u8> {
    let mut bytes = vec![0, 5];
    bytes.extend(flows.to_be_bytes());
    bytes.extend(1000_u32.to_be_bytes());
    bytes.extend(1_700_000_000_u32.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 100]);
    for flow in 0..flows {
        let mut record = [0_u8; 48];
        record[..4].copy_from_slice(&[10, 0, 0, 1]);
        record[4..8].copy_from_slice(&[10, 0, 1, 1]);
        record[16..20].copy_from_slice(&1_u32.to_be_bytes());
        record[20..24].copy_from_slice(&u32::from(flow + 1).to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

/// Sends `count` datagrams of 30 flows to the collector's listeners in turn.
fn send(collector: &Collector, count: u32) {
    let senders: Vec<UdpSocket> = collector
        .local_addrs()
        .iter()
        .map(|to| {
            let socket = UdpSocket::bind((to.ip(), 0)).expect("a sender");
            socket.connect(to).expect("connects");
            socket
        })
        .collect();
    let each = u32::try_from(senders.len()).expect("few");
    for n in 0..count {
        let sender = &senders[usize::try_from(n % each).expect("few")];
        sender.send(&v5(30, n / each * 30)).expect("sent");
    }
}

/// Flows per partition in the topic; checks header, size and receive times of each pack.
fn flows_in(topic: &Arc<dyn Topic>) -> Vec<u64> {
    let of = |partition| {
        let mut reader = topic.reader(partition, 0).expect("a reader");
        let mut flows = 0;
        while let Some(record) = reader.peek().expect("readable") {
            assert_eq!(record.headers.get(PACK_HEADER.0), Some(PACK_HEADER.1));
            assert!(
                record.payload.len() <= 16 << 10,
                "{} bytes",
                record.payload.len()
            );
            let count = messages(record.payload, true, Framing::Auto)
                .expect("a chain")
                .count();
            assert!(count > 0);
            flows += u64::try_from(count).expect("few");
            reader.advance();
        }
        flows
    };
    (0..topic.partitions().expect("partitions"))
        .map(of)
        .collect()
}

fn embedded() -> (tempfile::TempDir, Arc<dyn Topic>) {
    let folder = tempfile::tempdir().expect("a folder");
    let topic =
        EmbeddedTopic::create(folder.path().join("t"), Options::default()).expect("a topic");
    (folder, Arc::new(topic))
}

/// Asks until it holds.
fn until(collector: &Collector, what: &str, holds: impl Fn(&Totals) -> bool) {
    for _ in 0..10_000 {
        if holds(&collector.totals()) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("not reached: {what}: {:?}", collector.totals());
}

#[test]
fn all_that_was_sent_is_in_the_topic_after_stop() {
    let (_folder, topic) = embedded();
    let collector = start(
        &config(&["netflow://127.0.0.1:0", "flow://127.0.0.1:0"]),
        &topic,
    );
    send(&collector, 2000);
    let totals = collector.stop();
    assert!(totals.balance(), "{totals:?}");
    assert_eq!(
        totals.datagrams_received + totals.kernel_drops,
        2000,
        "{totals:?}"
    );
    assert_eq!(totals.flows_decoded, totals.datagrams_decoded * 30);
    let flows = flows_in(&topic);
    assert_eq!(flows.iter().sum::<u64>(), totals.flows_written);
    assert!(
        totals.flows_written > 0 && totals.errors.is_empty() && totals.topic_drops == 0,
        "{totals:?}"
    );
    let (least, most) = (
        flows.iter().min().expect("four"),
        flows.iter().max().expect("four"),
    );
    assert!(
        *least > 0 && most - least < most / 2,
        "round robin: {flows:?}"
    );
}

#[test]
fn what_the_kernel_drops_is_measured() {
    let (_folder, topic) = embedded();
    let mut config = config(&["flow://127.0.0.1:0"]);
    config.receive_buffer_bytes = 4096;
    let collector = start(&config, &topic);
    send(&collector, 3000);
    let totals = collector.stop();
    assert!(totals.balance() && totals.kernel_drops > 0, "{totals:?}");
    assert_eq!(
        totals.datagrams_received + totals.kernel_drops,
        3000,
        "{totals:?}"
    );
}

#[test]
fn bad_datagrams_are_counted_and_harm_nobody() {
    let (_folder, topic) = embedded();
    let collector = start(&config(&["sflow://127.0.0.1:0"]), &topic);
    let to = collector.local_addrs()[0];
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a sender");
    for bad in [
        &b""[..],
        b"x",
        b"\0\x05",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 9000],
    ] {
        sender.send_to(bad, to).expect("sent");
    }
    sender.send_to(&v5(2, 0), to).expect("sent");
    let mut cut = v5(30, 2);
    cut.truncate(24 + 48 + 10);
    sender.send_to(&cut, to).expect("sent");
    let totals = collector.stop();
    assert!(totals.balance(), "{totals:?}");
    assert_eq!(
        (totals.datagrams_received, totals.flows_written),
        (7, 3),
        "{totals:?}"
    );
    let unknown = totals
        .errors
        .iter()
        .find(|(reason, _)| *reason == Reason::UnknownProtocol);
    assert_eq!(unknown, Some(&(Reason::UnknownProtocol, 4)), "{totals:?}");
    assert!(totals.errors.len() > 1, "{totals:?}");
}

#[test]
fn a_stuck_topic_makes_the_queue_drop_and_count() {
    let (_folder, inner) = embedded();
    let gated = Arc::new(topics::Gated::new(Arc::clone(&inner)));
    let topic: Arc<dyn Topic> = Arc::clone(&gated) as Arc<dyn Topic>;
    let mut config = config(&["flow://127.0.0.1:0"]);
    config.queue_bytes = 64 << 10;
    let collector = start(&config, &topic);
    // The queue of packs takes a megabyte; what follows has to go somewhere.
    for _ in 0..200 {
        send(&collector, 100);
        if collector.totals().queue_drops > 0 {
            break;
        }
    }
    until(&collector, "queue drops", |totals| totals.queue_drops > 0);
    gated.open();
    let totals = collector.stop();
    assert!(totals.balance() && totals.topic_drops == 0, "{totals:?}");
    assert_eq!(flows_in(&inner).iter().sum::<u64>(), totals.flows_written);
}

#[test]
fn a_failed_topic_loses_what_was_in_its_hands_and_the_rest_waits_for_it() {
    let (_folder, inner) = embedded();
    let failing = Arc::new(topics::Failing::new(Arc::clone(&inner)));
    let topic: Arc<dyn Topic> = Arc::clone(&failing) as Arc<dyn Topic>;
    let collector = start(&config(&["flow://127.0.0.1:0"]), &topic);
    failing.fail(true);
    send(&collector, 1);
    until(&collector, "the topic has failed", |t| t.topic_drops == 30);
    // The clock moves on while nothing arrives: the topic is tried again after a second of it, with one pack.
    send(&collector, 100);
    until(&collector, "all decoded", |t| t.flows_decoded == 3030);
    let refused = failing.refusals();
    until(&collector, "it is tried again", |_| {
        failing.refusals() > refused
    });
    failing.fail(false);
    until(&collector, "it is taken up again", Totals::balance);
    let totals = collector.stop();
    assert!(totals.balance(), "{totals:?}");
    let packs = u64::try_from(failing.refusals()).expect("few");
    // A pack of 16 KiB holds some two hundred of these flows.
    assert!(
        totals.topic_drops <= packs * 300,
        "{totals:?}, {packs} packs refused"
    );
    assert!(totals.flows_written > 0, "{totals:?}");
    assert_eq!(flows_in(&inner).iter().sum::<u64>(), totals.flows_written);
}

#[test]
fn a_topic_that_fails_to_the_end_holds_nobody_up_and_what_is_left_is_counted() {
    let (_folder, inner) = embedded();
    let failing = Arc::new(topics::Failing::new(inner));
    let topic: Arc<dyn Topic> = Arc::clone(&failing) as Arc<dyn Topic>;
    let mut config = config(&["flow://127.0.0.1:0"]);
    config.stop_wait = Duration::from_millis(10);
    let collector = start(&config, &topic);
    failing.fail(true);
    send(&collector, 1000);
    let totals = collector.stop();
    assert!(totals.balance() && totals.flows_written == 0, "{totals:?}");
    assert_eq!(totals.topic_drops, totals.flows_decoded, "{totals:?}");
    assert!(totals.topic_drops > 0, "{totals:?}");
}

#[test]
fn a_taken_port_or_topic_leaves_nothing_running() {
    let (_folder, topic) = embedded();
    let (_other_folder, other) = embedded();
    let first = start(&config(&["flow://127.0.0.1:0"]), &topic);
    let taken = format!("flow://{}", first.local_addrs()[0]);
    let error = try_start(&config(&["flow://127.0.0.1:0", &taken]), &other).expect_err("taken");
    assert!(matches!(error, CollectError::Bind { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("{taken}: cannot listen"));
    let error = try_start(&config(&["flow://127.0.0.1:0"]), &topic).expect_err("locked");
    assert!(
        matches!(error, CollectError::Topic(TopicError::Locked { .. })),
        "{error:?}"
    );
    first.stop();
    start(&config(&["flow://127.0.0.1:0", &taken]), &topic).stop();
    start(&config(&[&taken]), &other).stop();
}

#[test]
fn ipv6_and_all_addresses() {
    let (_folder, topic) = embedded();
    let collector = start(&config(&["flow://:0"]), &topic);
    let port = collector.local_addrs()[0].port();
    let mut sent = 0;
    for host in ["127.0.0.1", "::1"] {
        let Ok(sender) = UdpSocket::bind((host, 0)) else {
            eprintln!("SKIPPED: no {host} here");
            continue;
        };
        sender.send_to(&v5(3, 0), (host, port)).expect("sent");
        sent += 1;
    }
    let totals = collector.stop();
    assert!(sent > 0 && totals.balance(), "{totals:?}");
    assert_eq!(
        (totals.datagrams_received, totals.flows_written),
        (sent, sent * 3),
        "{totals:?}"
    );
}
