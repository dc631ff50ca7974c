//! Processes of a job find each other on real sockets, in any order, whoever else knocks at their doors.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use flow_peers::{Cluster, Hosts, PeersError, Sockets, Token, connect};

const TOKEN: &str = "the token of this test";

/// Free ports, one for each process.
fn hosts(count: usize) -> Hosts {
    let held: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let lines: Vec<String> = held
        .iter()
        .map(|l| l.local_addr().unwrap().to_string())
        .collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.join("\n").as_bytes()).unwrap();
    Hosts::read(file.path(), count).unwrap()
}

fn cluster(hosts: &Hosts, process: usize) -> Cluster {
    Cluster {
        hosts: hosts.clone(),
        process,
        token: Token::new(TOKEN).unwrap(),
        build: [1; 32],
        options: "workers=2\nslot-time=received".to_owned(),
    }
}

type Start = JoinHandle<Result<Option<Sockets>, PeersError>>;

fn start(cluster: Cluster) -> (Start, Arc<AtomicBool>) {
    let asked = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&asked);
    (thread::spawn(move || connect(cluster, &raised)), asked)
}

fn sockets(start: Start) -> Sockets {
    start
        .join()
        .unwrap()
        .unwrap()
        .expect("nobody has asked for the end")
}

/// Every process greets every other one over its connection.
fn each_reaches_each(all: &mut [Sockets]) {
    let count = all.len();
    for (me, sockets) in all.iter_mut().enumerate() {
        assert_eq!(sockets.len(), count);
        assert!(sockets[me].is_none());
        for (other, socket) in sockets.iter_mut().enumerate().filter(|(_, s)| s.is_some()) {
            let greeting = [u8::try_from(me).unwrap(), u8::try_from(other).unwrap()];
            socket.as_mut().unwrap().write_all(&greeting).unwrap();
        }
    }
    for (me, sockets) in all.iter_mut().enumerate() {
        for (other, socket) in sockets.iter_mut().enumerate().filter(|(_, s)| s.is_some()) {
            let mut greeting = [0; 2];
            socket.as_mut().unwrap().read_exact(&mut greeting).unwrap();
            assert_eq!(greeting.map(usize::from), [other, me]);
        }
    }
}

/// Waits until somebody listens there.
fn knock(hosts: &Hosts, process: usize) -> TcpStream {
    loop {
        match TcpStream::connect(hosts.of(process)) {
            Ok(stream) => return stream,
            Err(_) => thread::yield_now(),
        }
    }
}

/// What a stranger hears until it is hung up on.
fn hears(mut stream: TcpStream, says: &[u8]) -> usize {
    stream.write_all(says).unwrap();
    let mut heard = Vec::new();
    // The other side may reset a connection that it has not read to the end.
    drop(stream.read_to_end(&mut heard));
    heard.len()
}

#[test]
fn the_order_of_starts_is_free() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let hosts = hosts(3);
        let mut started: Vec<_> = order
            .iter()
            .map(|process| (*process, start(cluster(&hosts, *process)).0))
            .collect();
        started.sort_by_key(|(process, _)| *process);
        let mut all: Vec<Sockets> = started.into_iter().map(|(_, s)| sockets(s)).collect();
        each_reaches_each(&mut all);
    }
}

#[test]
fn strangers_are_turned_away_and_the_start_goes_on() {
    let hosts = hosts(2);
    let (first, _) = start(cluster(&hosts, 0));
    let greeting = 24; // the magic and a nonce: all that a stranger ever hears
    let page = knock(&hosts, 0);
    assert_eq!(hears(page, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), greeting);
    let silent = knock(&hosts, 0);
    let mut noise = 7u64;
    for _ in 0..100 {
        let bytes: Vec<u8> = (0..noise % 300)
            .map(|i| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(i);
                noise.to_le_bytes()[5]
            })
            .collect();
        noise = noise.wrapping_add(1);
        let stranger = knock(&hosts, 0);
        stranger.shutdown(std::net::Shutdown::Read).unwrap();
        // A reset may come before all is sent.
        drop((&stranger).write_all(&bytes));
    }
    let (stranger, asked) = start(Cluster {
        token: Token::new("the token of another job").unwrap(),
        ..cluster(&hosts, 1)
    });
    let turned_away = |other: Cluster, says: &str| {
        let error = start(other).0.join().unwrap().unwrap_err();
        assert!(matches!(error, PeersError::TurnedAway { process: 0, .. }));
        assert!(error.to_string().contains(says), "{error}");
    };
    // The one with the other token goes on calling and is not heard; it has the port of process 1 until then.
    asked.store(true, Ordering::Release);
    assert!(stranger.join().unwrap().unwrap().is_none());
    let other_build = Cluster {
        build: [2; 32],
        ..cluster(&hosts, 1)
    };
    turned_away(other_build, "another build");
    let other_options = Cluster {
        options: "workers=3\nslot-time=received".to_owned(),
        ..cluster(&hosts, 1)
    };
    turned_away(other_options, "process 1 has workers 3, process 0 has 2");
    let (second, _) = start(cluster(&hosts, 1));
    let mut all = [sockets(first), sockets(second)];
    each_reaches_each(&mut all);
    drop(silent);
}

#[test]
fn one_that_goes_away_is_waited_for_again() {
    let hosts = hosts(3);
    let (first, _) = start(cluster(&hosts, 0));
    for _ in 0..3 {
        let (second, asked) = start(cluster(&hosts, 1));
        // It is there, and seen from process 2's place as well; then it goes.
        drop(knock(&hosts, 1));
        asked.store(true, Ordering::Release);
        assert!(second.join().unwrap().unwrap().is_none());
    }
    let (third, _) = start(cluster(&hosts, 2));
    let (second, _) = start(cluster(&hosts, 1));
    let mut all = [sockets(first), sockets(second), sockets(third)];
    each_reaches_each(&mut all);
}

#[test]
fn a_second_one_of_the_same_number_is_refused() {
    let three = hosts(3);
    let (first, end) = start(cluster(&three, 0));
    let (second, end_second) = start(cluster(&three, 1));
    // The same number from another port: as by a copied unit file on another host.
    let elsewhere = hosts(1).of(0).to_owned();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let lines = [three.of(0), &elsewhere, three.of(2)].join("\n");
    file.write_all(lines.as_bytes()).unwrap();
    let moved = Hosts::read(file.path(), 3).unwrap();
    let (copy, end_copy) = start(cluster(&moved, 1));
    // Which of the two came first is open: the other one is refused.
    while !second.is_finished() && !copy.is_finished() {
        thread::yield_now();
    }
    let (refused, stays) = match second.is_finished() {
        true => (second, copy),
        false => (copy, second),
    };
    let error = refused.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("there already"), "{error}");
    for end in [end, end_second, end_copy] {
        end.store(true, Ordering::Release);
    }
    for start in [first, stays] {
        assert!(start.join().unwrap().unwrap().is_none());
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let hosts = hosts(2);
    let _holder = TcpListener::bind(hosts.of(1)).unwrap();
    let error = start(cluster(&hosts, 1)).0.join().unwrap().unwrap_err();
    let line = error.to_string();
    assert!(
        line.contains(hosts.of(1)) && line.contains("line 2 of --hosts"),
        "{line}"
    );
}
