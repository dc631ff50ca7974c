//! A connection that breaks in the middle of an insert: nothing half, and once when it comes again.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use crate::database::Database;
use crate::raw::{Flows, START_NS, block, flow, open};

/// Passes bytes on to the server until the allowance is used up, then cuts; its port.
fn proxy(server: String, allowance: Arc<AtomicI64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || drop(std::io::copy(&mut back, &mut forth)));
            let allowance = Arc::clone(&allowance);
            thread::spawn(move || pass(client, server, &allowance));
        }
    });
    port
}

fn pass(mut client: TcpStream, mut server: TcpStream, allowance: &AtomicI64) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = client.read(&mut buffer) {
        let size = i64::try_from(n).unwrap();
        if allowance.fetch_sub(size, Ordering::SeqCst) < size
            || server.write_all(&buffer[..n]).is_err()
        {
            break;
        }
    }
    _ = client.shutdown(Shutdown::Both);
    _ = server.shutdown(Shutdown::Both);
}

#[test]
fn an_insert_that_is_cut_leaves_nothing_and_comes_again_once() {
    let Some(mut database) = Database::new() else {
        return;
    };
    let (server, url) = (database.server.clone(), database.url.clone());
    let allowance = Arc::new(AtomicI64::new(i64::MAX));
    let port = proxy(server.clone(), Arc::clone(&allowance));
    database.url = url.replace(&server, &format!("127.0.0.1:{port}"));
    let mut sink = open(&database, "");
    let mut state = 1u64;
    let flows: Vec<_> = (0..20_000)
        .map(|n| {
            let mut flow = flow(n, START_NS + n);
            // Noise, so that compression does not make one chunk of it all.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (flow.flow.bytes, flow.flow.src_mac.0) = (state, state.rotate_left(17));
            flow
        })
        .collect();
    let flows = Flows(flows);
    let count = "SELECT count() FROM {db}.raw_flows";
    for limit in [2_000, 50_000, 400_000] {
        allowance.store(limit, Ordering::SeqCst);
        let error = sink.apply(&block(None, 1, &flows)).unwrap_err();
        assert!(error.is_retry(), "{error}");
        assert_eq!(database.sql(count), "0", "cut after {limit} bytes");
    }
    allowance.store(i64::MAX, Ordering::SeqCst);
    sink.apply(&block(None, 1, &flows)).unwrap();
    assert_eq!(database.sql(count), "20000");
}
