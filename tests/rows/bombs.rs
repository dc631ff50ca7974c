//! Records that are small on the wire and large in memory: a megabyte of nothing packs into a few bytes, and a byte of it
//! is a message without a field. The job counts and leaves out, or ends with one line; its memory stays within bounds.

use std::fs::File;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::admin;
use crate::own::{Live, until};
use crate::servers::Servers;
use crate::world::World;
use crate::{generator, write};

const FLOWS: u64 = 40_000;
const MIB: usize = 1 << 20;

/// Writes a record of so many zeros, as a producer of someone else would.
fn drop_zeros(url: &str, bytes: usize) {
    let (broker, topic) = admin::parts(url);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("compression.type", "zstd")
        .set("message.max.bytes", "1000000000")
        .create()
        .expect("a producer");
    let zeros = vec![0; bytes];
    // Between flows of the same time.
    let stamp = i64::try_from(crate::BEGIN_NS / 1_000_000).expect("a time");
    let record = BaseRecord::<(), [u8]>::to(topic)
        .partition(0)
        .timestamp(stamp)
        .payload(&zeros);
    producer.send(record).map_err(|(e, _)| e).expect("queued");
    producer.flush(Duration::from_secs(60)).expect("taken");
}

#[test]
fn a_record_of_a_million_messages_without_a_field_is_left_out() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let mut peaks = Vec::new();
    for mebibytes in [0, 64] {
        let world = World::on("bombs", servers.topic("bombs"));
        let mut flows = generator(144_000, 47);
        write(&world, &mut flows, FLOWS);
        if mebibytes > 0 {
            drop_zeros(world.url(), mebibytes * MIB);
        }
        write(&world, &mut flows, FLOWS);
        let job = world.job("bombs");
        let told = world.path("told");
        let file = File::create(&told).expect("a file");
        let live = Live::start(world.run(&job, "1", &[]).stderr(file));
        until("all is read", || crate::gaps::lag(&world, &job) == Some(0));
        peaks.push(live.peak_mib());
        assert!(live.end().success());
        let said = std::fs::read_to_string(&told).expect("text");
        let lines = said.lines().filter(|line| line.contains("no FlowMessage"));
        println!(
            "{mebibytes} MiB of zeros: peak {} MiB; {said}",
            peaks[peaks.len() - 1]
        );
        assert_eq!(lines.count(), usize::from(mebibytes > 0), "{said}");
        println!("{}", world.compare(&job));
    }
    let [without, with] = peaks[..] else {
        panic!("{peaks:?}");
    };
    assert!(with < without + 200, "peaks {peaks:?} MiB");
}

#[test]
fn a_record_above_what_a_client_takes_ends_the_job_in_one_line() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::on("bomb", servers.topic("bomb"));
    write(&world, &mut generator(144_000, 47), FLOWS);
    drop_zeros(world.url(), 150 * MIB);
    let job = world.job("bomb");
    let ran = world.run(&job, "1", &[]).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    println!("{said}");
    assert_eq!(ran.status.code(), Some(74), "{said}");
    let mut lines = said.lines();
    let line = lines.find(|line| line.starts_with("flow-pipeline: "));
    let line = line.expect("a line");
    assert!(line.contains("partition 0: record at offset"), "{line}");
}
