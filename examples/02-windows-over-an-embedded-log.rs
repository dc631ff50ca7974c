//! Windows over an embedded log: packs go in, the job runs to the log's end, complete rows come out as JSON lines.
//!
//! Everything lies in a temporary folder. Run it with `cargo run --release --example 02-windows-over-an-embedded-log`.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use flow_dataflow::{Job, JobConfig, TableShelf};
use flow_proto::{Addr, Dialect, Flow, PACK_HEADER, PackBuilder, Rollups};
use flow_sinks::{Backoff, Follower, FollowerConfig, Share};
use flow_state::{Acks, Published, StateStore};
use flow_topic::{EmbeddedTopic, NewRecord, Options, Timestamps, Topic};

/// A full five minutes, and then some: 2023-11-14 22:15:00 UTC.
const START_SECS: u64 = 1_700_000_100;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;

    // 1. A topic with simulated time, so timestamps are the producer's.
    let options = Options {
        partitions: 2,
        timestamps: Timestamps::Create,
        ..Options::default()
    };
    let topic = Arc::new(EmbeddedTopic::create(folder.path().join("flows"), options)?);
    fill(topic.as_ref())?;

    // 2. What job and stores share: the state directory, news of checkpoints, and how far each store has come.
    let state = StateStore::open(folder.path().join("state"))?;
    let (published, acks) = (Published::new(), Acks::new(1));

    // 3. A store that follows the checkpoints on a thread of its own.
    let following = FollowerConfig {
        job: "example".to_owned(),
        base: 0,
        shards: (0..64).collect(),
        rollups: Rollups::STANDARD,
        share: Share::default(),
        backoff: Backoff::default(),
        now_secs: Arc::new(|| START_SECS),
    };
    let shared = (Arc::clone(&acks), 0);
    let store = flow_sinks::open("stdout:")?;
    let sink = store.rollups.ok_or("stdout: takes rollups")?;
    let follower = Follower::new(
        sink,
        state.clone(),
        Arc::clone(&published),
        shared,
        following,
    );
    let follower = std::thread::spawn(move || follower.run());

    // 4. The job: two workers, to the end of the log.
    let job = Job {
        config: JobConfig {
            workers: 2,
            until_end: true,
            ..JobConfig::default()
        },
        topic,
        tables: TableShelf::new(state.clone(), Arc::default()),
        state,
        published,
        acks,
        metrics: flow_dataflow::Metrics::default(),
        status: Arc::default(),
        clock: Arc::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, nanoseconds)
        }),
        id: "example".to_owned(),
        attempt: 1,
        stop: Arc::new(AtomicBool::new(false)),
    };
    let end = job.run()?;
    follower.join().map_err(|_| "the follower panicked")??;
    let flows: u64 = end.slots.values().map(|slot| slot.flows).sum();
    assert_eq!(
        flows, 600,
        "every flow is in a row, of a complete slot or of an open one"
    );
    Ok(())
}

/// Twenty minutes of traffic: a flow every two seconds, in packs of ten, spread over both partitions.
fn fill(topic: &dyn Topic) -> Result<(), Box<dyn Error>> {
    let mut writer = topic.writer()?;
    let mut pack = PackBuilder::new(16 << 10, Dialect::Goflow2);
    for n in 0..60_u32 {
        let time_secs = START_SECS + u64::from(n) * 20;
        for second in 0..10_u32 {
            pack.push(&Flow {
                time_received_ns: (time_secs + u64::from(second) * 2) * 1_000_000_000,
                sampling_rate: 1000,
                bytes: 1500,
                packets: 1,
                src_addr: Addr::v4([192, 0, 2, 1]),
                dst_addr: Addr::v4([198, 51, 100, 1]),
                src_as: 64_496,
                dst_as: 64_500 + second % 2,
                etype: 0x0800,
                ..Flow::default()
            });
        }
        let timestamp_millis = i64::try_from(time_secs * 1000)?;
        pack.take(|payload| {
            let record = NewRecord {
                timestamp_millis,
                headers: &[PACK_HEADER],
                payload,
            };
            writer.append(n % 2, record)
        })?;
    }
    Ok(writer.flush()?)
}

fn nanoseconds(since: std::time::Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
