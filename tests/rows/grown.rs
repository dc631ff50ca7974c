//! A topic that is given more partitions while the job reads it: nothing of them is missed, in rows or raw flows.

use crate::admin::Admin;
use crate::own::{Live, until};
use crate::servers::Servers;
use crate::world::{self, World};

const FLOWS: u64 = 90_000;

#[test]
fn partitions_added_while_the_job_reads() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let url = servers.topic("grown");
    let world = World::on("grown", url.clone());
    let mut generator = crate::generator(720_000, 23);
    crate::write(&world, &mut generator, FLOWS);
    let before = world.topic().partitions().expect("a number");
    let mut job = world.job("grown");
    job.stores.push(servers.postgres(""));
    let live = Live::start(&mut world.run(&job, "2", &[]));
    let postgres = &job.stores[1];
    let raw = |condition: &str| {
        let sql = format!("select count(*) from flows where {condition}");
        postgres.query(&sql)[0][0].parse::<u64>().expect("a number")
    };
    let made = || {
        let sql = "select count(*) from pg_tables where tablename = 'flows'";
        postgres.query(sql)[0][0] != "0"
    };
    until("the job has begun", || made() && raw("true") > 0);

    Admin::of(&url).grow(before as usize + 2);
    until("the topic has more partitions", || {
        world.topic().partitions().expect("a number") == before + 2
    });
    crate::write(&world, &mut generator, FLOWS);
    let new = format!("topic_partition >= {before}");
    until("the new partitions are read", || raw(&new) > 0);
    drop(live); // kill -9

    crate::write(&world, &mut generator, FLOWS);
    world.run_to_end(&job, "1");
    let expected = world.expected(&job);
    let base = world::base_rows(&expected);
    assert!(postgres.raw_sums() == base, "raw flows");
    println!(
        "{} of {} raw flows from partitions added later",
        raw(&new),
        raw("true")
    );
    for store in &job.stores {
        let compared = world::compare(&expected, store.content());
        println!("{}: {compared}", store.url());
    }
}
