//! Far more keys pass than there is memory for: what the job holds is bounded by the slots that still accept flows.
//!
//! The system refuses the job more memory than it is given here, and a job that is refused memory ends. Every flow has a key of
//! its own; afterwards every row equals the oracle's.
//! `FLOW_PIPELINE_TEST_KEYS` sets how many keys, `FLOW_PIPELINE_TEST_MEMORY_MIB` the memory: 10,000,000 pass through 512.

use std::process::Command;

use flow_ingest::mock::{AddressBlock, Generator, Options, TopicWriter};
use flow_proto::Dialect;
use flow_tables::{DEMO_ASN_CSV, DEMO_OWN_ASNS};

use crate::BEGIN_NS;
use crate::world::World;

/// Each of them would take some 90 bytes, were it kept.
const KEYS: u64 = 3_000_000;
/// Slots of five minutes: thirteen of them accept flows at a time.
const SLOTS: u64 = 240;
/// Private memory, stacks included. A job that keeps all of these keys needs more than 288 MiB.
const LIMIT_MIB: u64 = 224;

#[test]
fn millions_of_keys_pass_through_little_memory() {
    let set = |name: &str, or: u64| {
        std::env::var(name).map_or(or, |number| number.parse().expect("a number"))
    };
    let keys = set("FLOW_PIPELINE_TEST_KEYS", KEYS);
    let mebibytes = set("FLOW_PIPELINE_TEST_MEMORY_MIB", LIMIT_MIB);
    let world = World::new("memory").without_tables();
    write(&world, keys);
    let job = world.job("memory");
    let run = world.run(&job, "2", &["--until-end"]);
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--data={}", mebibytes << 20));
    limited.arg(run.get_program()).args(run.get_args());
    let ended = limited.output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {said}", ended.status);
    let compared = world.compare(&job);
    println!("{mebibytes} MiB: {compared}");
    assert!(compared.rows as u64 > keys / 10 * 9, "{compared}");
}

/// Flows in order, each between two autonomous systems that no other flow is between.
fn write(world: &World, keys: u64) {
    let blocks = AddressBlock::parse(DEMO_ASN_CSV, &DEMO_OWN_ASNS).expect("the demo's table");
    let options = Options {
        seed: 29,
        flows_per_second: keys / (SLOTS * 300),
        from_ns: BEGIN_NS,
        ..Options::default()
    };
    let mut generator = Generator::new(options, &blocks);
    let topic = world.topic();
    let mut writer = TopicWriter::open(topic.as_ref(), true, Dialect::default()).expect("a writer");
    for number in 0..keys {
        let mut flow = generator.next().expect("without end");
        flow.src_as = u32::try_from(number / 1_000).expect("small") + 1;
        flow.dst_as = u32::try_from(number % 1_000).expect("small") + 4_200_000_000;
        writer.write(&flow, generator.now_ns()).expect("written");
    }
    let written = writer.finish(generator.now_ns()).expect("durable");
    assert_eq!(written.flows, keys);
}
