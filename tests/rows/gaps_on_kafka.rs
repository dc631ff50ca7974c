//! Records that are gone from a real broker before the job has read them, and a start at a time: as on the embedded log.

use crate::admin::Admin;
use crate::gaps::{FIRST, MORE, Pair, partial_where_told, refused};
use crate::servers::Servers;
use crate::world::{self, World};

/// Deletes half of what a job that stands at its newest checkpoint has not read.
fn expire_half(pair: &Pair, read: &[u64]) {
    let topic = pair.world.topic();
    let below = (0u32..).zip(read).map(|(partition, at)| {
        let end = topic.bounds(partition).expect("bounds").end;
        (partition, at + (end - at) / 2)
    });
    Admin::of(pair.world.url()).expire(below);
}

#[test]
fn records_deleted_on_a_broker_are_refused_and_with_leave_declared() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let mut pair = Pair::over(World::on("gap-kafka", servers.topic("gap")), "gap-kafka");
    let mut job = pair.world.job("gap");
    job.stores.push(servers.postgres(""));
    job.stores.push(servers.clickhouse(""));
    pair.write(FIRST);
    pair.world.run_to_end(&job, "2");
    let topic = pair.world.topic();
    let read = [0, 1, 2, 3].map(|p| topic.bounds(p).expect("bounds").end);
    pair.write(MORE);
    expire_half(&pair, &read);
    assert!(pair.lost());
    let number = pair.world.newest(&job, "checkpoints");
    refused(&mut pair.world.run(&job, "1", &["--until-end"]));
    assert_eq!(pair.world.newest(&job, "checkpoints"), number);
    let went_on = pair
        .world
        .run(&job, "2", &["--until-end", "--accept-gap"])
        .status();
    assert!(went_on.expect("it runs").success());
    pair.compare(&job);
    // It is on record: the next start needs no leave.
    pair.world.run_to_end(&job, "1");
    pair.compare(&job);
    let base = world::base_rows(&pair.whole.expected(&job));
    for store in &job.stores[1..] {
        assert!(store.raw_sums() == base, "raw flows of {}", store.url());
    }
}

#[test]
fn a_start_at_a_time_of_a_broker_s_topic_is_partial_in_its_first_slot() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    partial_where_told(&World::on("start-kafka", servers.topic("start")));
}
