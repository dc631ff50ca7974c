//! Flows that are written while something happens, and how far a store has come meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use flow_ingest::mock::{Disorder, TopicWriter};
use flow_proto::Dialect;

use crate::store::Store;
use crate::world::World;

/// A second of real time is so many of simulated time.
const SPEED: u64 = 100;

/// Ends the writing, also when the test fails.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Writes flows until told to stop, so many in a second of simulated time; returns their number.
pub(crate) fn write_until(world: &World, stop: &AtomicBool, rate: u64) -> u64 {
    let topic = world.topic();
    let mut writer = TopicWriter::open(topic.as_ref(), true, Dialect::default()).expect("a writer");
    let disorder = Disorder {
        late_ppm: 20_000,
        implausible_ppm: 1_000,
        ..Disorder::default()
    };
    let mut generator = crate::disordered(rate * 7_200, 5, disorder);
    let (begun, mut written) = (Instant::now(), 0);
    while !stop.load(Ordering::Acquire) {
        let due = u64::try_from(begun.elapsed().as_millis()).expect("short") * rate * SPEED / 1_000;
        while written < due {
            let flow = generator.next().expect("without end");
            writer.write(&flow, generator.now_ns()).expect("written");
            written += 1;
        }
        writer.flush().expect("durable");
        thread::yield_now();
    }
    writer.finish(generator.now_ns()).expect("durable");
    written
}

/// Number of slots with rows.
pub(crate) fn complete(store: &Store) -> u64 {
    let sql = "select count(*) from slots where rollup = 'rollup_5m' and state in ('complete', 'retired')";
    store.query(sql)[0][0].parse().expect("a number")
}
