//! Templates outlive the collector in a file; one that is damaged is set aside.

use std::net::UdpSocket;
use std::path::Path;

use flow_ingest::metrics::Totals;
use flow_ingest::udp::CollectError;

use crate::datagrams::{ipfix, set, template};
use crate::{config, embedded, start, try_start};

/// A collector's life with `datagrams`, keeping templates in `state`.
fn live(state: Option<&Path>, datagrams: &[Vec<u8>]) -> Totals {
    let (_folder, topic) = embedded();
    let mut config = config(&["netflow://127.0.0.1:0"]);
    config.state = state.map(Path::to_owned);
    let collector = start(&config, &topic);
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a sender");
    for datagram in datagrams {
        let to = collector.local_addrs()[0];
        sender.send_to(datagram, to).expect("sent");
    }
    let totals = collector.stop();
    assert!(totals.balance(), "{totals:?}");
    totals
}

fn learned() -> Vec<u8> {
    ipfix(1, 0, &[set(2, &template(300, &[(8, 4), (12, 4)]))])
}

fn data() -> Vec<u8> {
    ipfix(1, 0, &[set(300, &[10, 0, 0, 1, 10, 0, 0, 2])])
}

#[test]
fn after_a_restart_data_is_decoded_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("templates");
    assert_eq!(live(Some(&state), &[learned()]).flows_written, 0);
    let again = live(Some(&state), &[data(), data()]);
    assert_eq!((again.flows_written, again.waiting_sets), (2, 0));
    // And once more, with what was restored and not learned.
    assert_eq!(live(Some(&state), &[data()]).flows_written, 1);
    let without = live(None, &[data()]);
    assert_eq!((without.flows_written, without.waiting_sets), (0, 1));
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["templates"], "nothing is left beside it");
}

#[test]
fn a_damaged_file_is_set_aside_and_the_collector_starts_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("templates");
    live(Some(&state), &[learned()]);
    let mut content = std::fs::read(&state).expect("the file");
    let last = content.len() - 1;
    content[last] ^= 1;
    std::fs::write(&state, &content).expect("written");
    let totals = live(Some(&state), &[data()]);
    assert_eq!((totals.flows_written, totals.waiting_sets), (0, 1));
    let aside = std::fs::read(folder.path().join("templates.damaged")).expect("set aside");
    assert!(aside == content, "as it was found");
    live(Some(&state), &[learned()]);
    assert_eq!(live(Some(&state), &[data()]).flows_written, 1);
}

#[test]
fn a_file_that_cannot_be_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_topic_folder, topic) = embedded();
    for name in ["", "no/such/folder/templates"] {
        let mut config = config(&["netflow://127.0.0.1:0"]);
        config.state = Some(folder.path().join(name));
        let error = try_start(&config, &topic).expect_err("no file can be there");
        assert!(matches!(error, CollectError::State { .. }), "{error:?}");
    }
}
