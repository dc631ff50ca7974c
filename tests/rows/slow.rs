//! Stores that answer, but late or not now: a lock, a slow network, too many parts.
//!
//! Law 6: each holds up itself alone, and afterwards holds what the others hold.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::flowing::{Stop, complete, write_until};
use crate::own::{Live, until};
use crate::servers::Servers;
use crate::store::Store;
use crate::world::{self, World};

/// Flows per second of simulated time.
const RATE: u64 = 60;
/// Each way, for every piece of what is sent: a hundred times what loopback takes, and more.
const LATE: Duration = Duration::from_millis(30);
/// So many slots complete in the other store meanwhile.
const SLOTS: u64 = 4;

/// Passes everything on to a server, late.
fn late(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    // They end with the process: a thread for the door, two for each connection.
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&server) else {
                continue;
            };
            let ways = [
                (client.try_clone(), server.try_clone()),
                (Ok(server), Ok(client)),
            ];
            for (from, to) in ways {
                let (from, to) = (from.expect("a socket"), to.expect("a socket"));
                thread::spawn(move || pass(from, to));
            }
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut piece) {
        thread::sleep(LATE);
        if to.write_all(&piece[..n]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

/// Holds a lock until it is dropped.
struct Lock(Child);

impl Lock {
    fn take(url: &str, table: &str) -> Lock {
        let mut child = Command::new("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", url])
            .stdin(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let input = child.stdin.as_mut().expect("piped");
        let sql = format!("begin; lock table {table} in access exclusive mode;\n");
        input.write_all(sql.as_bytes()).expect("taken");
        Lock(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The end of its input ends the session, and with it the transaction.
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// Runs a job over flows that are being written, while `meanwhile` happens; then everything must be equal.
fn flowing(world: &World, job: &world::JobFiles, meanwhile: impl FnOnce(&Live)) {
    let stop = AtomicBool::new(false);
    let live = Live::start(world.run(job, "2", &[]).stderr(Stdio::null()));
    thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(world, &stop, RATE));
        let ending = Stop(&stop);
        until("each store has its first slot", || {
            job.stores.iter().all(|store| complete(store) > 0)
        });
        meanwhile(&live);
        drop(ending);
        writing.join().expect("it has written all");
    });
    assert!(live.end().code().is_some(), "it ends by itself");
    world.run_to_end(job, "1");
    let expected = world.expected(job);
    for store in &job.stores {
        println!(
            "{}: {}",
            store.url(),
            world::compare(&expected, store.content())
        );
    }
}

#[test]
fn a_lock_and_a_slow_network_hold_up_their_own_store_alone() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::new("slow");
    drop(world.topic());
    let mut job = world.job("slow");
    let locked = servers.postgres("?raw=off");
    let Store::Postgres(url) = servers.postgres("?raw=off") else {
        unreachable!("it is PostgreSQL");
    };
    let (user, rest) = url
        .trim_start_matches("postgres://")
        .split_once('@')
        .expect("a user");
    let (server, database) = rest.split_once('/').expect("a database");
    let slow = Store::Postgres(format!(
        "postgres://{user}@{}/{database}",
        late(server.to_owned())
    ));
    job.stores.extend([locked, slow]);
    job.stores.iter().for_each(Store::apply_schema);
    flowing(&world, &job, |_| {
        let lock = Lock::take(
            job.stores[1].url().split('?').next().expect("a URL"),
            "rollup_5m",
        );
        let (held, begun) = (complete(&job.stores[0]), Instant::now());
        until("the others go on", || {
            [0, 2]
                .iter()
                .all(|other| complete(&job.stores[*other]) >= held + SLOTS)
        });
        println!(
            "locked for {:?}: the others have {SLOTS} slots more",
            begun.elapsed()
        );
        drop(lock);
        let goal = complete(&job.stores[0]);
        until("it catches up", || complete(&job.stores[1]) >= goal);
    });
}

#[test]
fn too_many_parts_are_waited_out() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::new("parts");
    drop(world.topic());
    let mut job = world.job("parts");
    job.stores.push(servers.clickhouse("?raw=off"));
    job.stores.iter().for_each(Store::apply_schema);
    flowing(&world, &job, |_| {
        let clickhouse = &job.stores[1];
        let setting = |value: &str| {
            clickhouse.query(&format!(
                "alter table rollup_5m_rows modify setting parts_to_throw_insert = {value}, parts_to_delay_insert = {value}"
            ));
        };
        clickhouse.query("system stop merges rollup_5m_rows");
        setting("1");
        let (before, others) = (complete(clickhouse), complete(&job.stores[0]));
        until("the other store goes on", || {
            complete(&job.stores[0]) >= others + SLOTS
        });
        assert!(
            complete(clickhouse) <= before + 1,
            "it took what it could not take"
        );
        setting("3000");
        clickhouse.query("system start merges rollup_5m_rows");
        let goal = complete(&job.stores[0]);
        until("it catches up", || complete(clickhouse) >= goal);
    });
}
