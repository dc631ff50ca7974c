//! Several sockets share a port: what comes in is the same as with one, whoever learned the templates.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;

use flow_proto::{Flow, Framing, messages};
use flow_topic::Topic;

use crate::captures::{Captured, units};
use crate::datagrams::{ipfix, set, template};
use crate::{config, embedded, start, until};

/// All flows of a topic, without what depends on the time they came in.
fn flows(topic: &Arc<dyn Topic>) -> Vec<String> {
    let mut all = Vec::new();
    for partition in 0..topic.partitions().expect("partitions") {
        let mut reader = topic.reader(partition, 0).expect("a reader");
        while let Some(record) = reader.peek().expect("readable") {
            for message in messages(record.payload, true, Framing::Auto).expect("a chain") {
                let mut flow = Flow::decode(message).expect("a flow");
                if flow.time_flow_start_ns == flow.time_received_ns {
                    (flow.time_flow_start_ns, flow.time_flow_end_ns) = (0, 0);
                }
                flow.time_received_ns = 0;
                all.push(format!("{flow:?}"));
            }
            reader.advance();
        }
    }
    all.sort_unstable();
    all
}

/// Sends all captures, each exporter of each from an address of its own; the flows.
fn collect(sockets: usize, units: &[(String, Vec<Captured>)]) -> Vec<String> {
    let (_folder, topic) = embedded();
    let mut config = config(&["flow://127.0.0.1:0"]);
    config.sockets = sockets;
    let collector = start(&config, &topic);
    let to = collector.local_addrs()[0];
    let mut sent = 0;
    for (number, (_, datagrams)) in (1_u16..).zip(units) {
        let mut senders = BTreeMap::new();
        for datagram in datagrams {
            let next = u8::try_from(senders.len() + 1).expect("few exporters");
            let sender = senders.entry(datagram.source).or_insert_with(|| {
                let [high, low] = number.to_be_bytes();
                let address = Ipv4Addr::new(127, 1 + high, low, next);
                UdpSocket::bind((IpAddr::V4(address), 0)).expect("a sender on loopback")
            });
            sender.send_to(&datagram.payload, to).expect("sent");
            sent += 1;
            // Loopback is faster than any decoder: what is lost in the kernel proves nothing here.
            if sent % 64 == 0 {
                until(&collector, "received", |t| t.datagrams_received >= sent);
            }
        }
    }
    let totals = collector.stop();
    assert!(totals.balance() && totals.kernel_drops == 0, "{totals:?}");
    assert_eq!(totals.datagrams_received, sent);
    flows(&topic)
}

#[test]
fn captures_through_three_sockets_give_the_flows_of_one() {
    let units = units();
    let (one, three) = (collect(1, &units), collect(3, &units));
    assert!(units.is_empty() || one.len() > 1_000, "{}", one.len());
    assert!(one == three, "{} flows and {}", one.len(), three.len());
    eprintln!("{} flows each", one.len());
}

#[test]
fn a_template_that_came_to_one_socket_serves_all() {
    let (_folder, topic) = embedded();
    let mut config = config(&["netflow://127.0.0.1:0"]);
    config.sockets = 4;
    let collector = start(&config, &topic);
    let to = collector.local_addrs()[0];
    let sender = || UdpSocket::bind("127.0.0.1:0").expect("a sender");
    let learned = ipfix(1, 0, &[set(2, &template(300, &[(8, 4), (12, 4)]))]);
    sender().send_to(&learned, to).expect("sent");
    until(&collector, "the template", |t| t.datagrams_decoded == 1);
    // The kernel spreads source ports over the sockets.
    let senders: Vec<_> = (0..64).map(|_| sender()).collect();
    for sender in &senders {
        let data = ipfix(1, 0, &[set(300, &[10, 0, 0, 1, 10, 0, 0, 2])]);
        sender.send_to(&data, to).expect("sent");
    }
    until(&collector, "the data", |t| t.datagrams_decoded == 65);
    let goflow = collector.metrics().goflow.clone();
    let totals = collector.stop();
    assert_eq!((totals.flows_written, totals.waiting_sets), (64, 0));
    let text = goflow.text(0);
    let workers = text
        .lines()
        .filter(|line| line.starts_with("flow_decoder_count{"))
        .count();
    assert!(workers > 1, "all at one socket: {text}");
}
