//! Processes of a job find each other on real sockets, in any order, whoever else knocks at their doors.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flow_peers::{Cluster, Hosts, PeersError, Sockets, Token, connect};

/// The magic and a nonce: all that a stranger ever hears.
const GREETING: usize = 24;
const TOKEN: &str = "the token of this test";
/// Between two looks at what other threads have done.
const LOOK: Duration = Duration::from_millis(1);
/// A start that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Free ports, one for each process. Below those that the system gives to whoever connects: from one of these, a call to a
/// process that is not there yet could reach itself.
fn hosts(count: usize) -> Hosts {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 11_000 + u16::try_from(std::process::id() % 150).unwrap() * 100;
    let free = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed))
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let lines: Vec<String> = free.take(count).map(|p| format!("127.0.0.1:{p}")).collect();
    listed(lines.iter().map(String::as_str))
}

/// As a file lists them.
fn listed<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Hosts {
    let lines = addresses.into_iter().collect::<Vec<_>>();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.join("\n").as_bytes()).unwrap();
    Hosts::read(file.path(), lines.len()).unwrap()
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

/// What all of them have in the end. One that fails is the test's failure at once, whoever else waits for it.
fn sockets<const N: usize>(starts: [Start; N]) -> [Sockets; N] {
    let since = Instant::now();
    let mut starts = starts.map(Some);
    let mut ended = [const { None }; N];
    while ended.iter().any(Option::is_none) {
        for (start, end) in starts.iter_mut().zip(&mut ended) {
            if let Some(start) = start.take_if(|start| start.is_finished()) {
                let sockets = start.join().unwrap().unwrap();
                *end = Some(sockets.expect("nobody has asked for the end"));
            }
        }
        assert!(since.elapsed() < PATIENCE, "who has come: {ended:?}");
        thread::park_timeout(LOOK);
    }
    ended.map(Option::unwrap)
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
    let since = Instant::now();
    loop {
        match TcpStream::connect(hosts.of(process)) {
            Ok(stream) => return stream,
            Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
        }
        thread::park_timeout(LOOK);
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
        let mut started = order.map(|process| (process, start(cluster(&hosts, process)).0));
        started.sort_by_key(|(process, _)| *process);
        each_reaches_each(&mut sockets(started.map(|(_, start)| start)));
    }
}

#[test]
fn strangers_are_turned_away_and_the_start_goes_on() {
    let hosts = hosts(2);
    let (first, _) = start(cluster(&hosts, 0));
    let page = knock(&hosts, 0);
    assert_eq!(hears(page, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), GREETING);
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
        stranger.shutdown(Shutdown::Read).unwrap();
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
    each_reaches_each(&mut sockets([first, second]));
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
    each_reaches_each(&mut sockets([first, second, third]));
}

#[test]
fn a_second_one_of_the_same_number_is_refused() {
    let three = hosts(3);
    let (first, end) = start(cluster(&three, 0));
    let (second, end_second) = start(cluster(&three, 1));
    // The same number from another port: as by a copied unit file on another host.
    let moved = listed([three.of(0), hosts(1).of(0), three.of(2)]);
    let (copy, end_copy) = start(cluster(&moved, 1));
    // Which of the two came first is open: the other one is refused.
    let since = Instant::now();
    while !second.is_finished() && !copy.is_finished() {
        assert!(since.elapsed() < PATIENCE, "nobody is refused");
        thread::park_timeout(LOOK);
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

/// Passes calls on to `to` and says when one has been answered with more than a greeting.
fn passing(to: &str) -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, to) = (listener.local_addr().unwrap().to_string(), to.to_owned());
    let (say, answered) = channel();
    thread::spawn(move || {
        for caller in listener.incoming() {
            let (caller, called) = (caller.unwrap(), TcpStream::connect(&to).unwrap());
            let [mut from, mut into] = [&caller, &called].map(|stream| stream.try_clone().unwrap());
            thread::spawn(move || {
                drop(std::io::copy(&mut from, &mut into));
                drop(into.shutdown(Shutdown::Both));
            });
            let say = say.clone();
            thread::spawn(move || {
                let (mut heard, mut bytes) = (0, [0; 256]);
                while let Ok(more @ 1..) = (&called).read(&mut bytes) {
                    (&caller).write_all(&bytes[..more]).unwrap();
                    heard += more;
                    if (GREETING + 1..=GREETING + more).contains(&heard) {
                        say.send(()).unwrap_or_default();
                    }
                }
                drop(caller.shutdown(Shutdown::Both));
            });
        }
    });
    (at, answered)
}

#[test]
fn one_that_was_started_again_waits_until_its_place_is_free() {
    let three = hosts(3);
    let (first, _) = start(cluster(&three, 0));
    drop(knock(&three, 0));
    let (over, answered) = passing(three.of(0));
    let heard = || answered.recv_timeout(PATIENCE).unwrap();
    let (lost, end) = start(cluster(&listed([&*over, three.of(1), three.of(2)]), 1));
    heard();
    let elsewhere = hosts(1);
    let moved = listed([&*over, elsewhere.of(0), three.of(2)]);
    let (again, _) = start(cluster(&moved, 1));
    // It has heard that process 1 is there already; now that one is noticed to be gone.
    heard();
    end.store(true, Ordering::Release);
    assert!(lost.join().unwrap().unwrap().is_none());
    let (third, _) = start(cluster(&moved, 2));
    each_reaches_each(&mut sockets([first, again, third]));
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
