//! The same topic on a real Kafka through the job into all three stores: rows equal the oracle's and each other.
//!
//! And an engine that shares nothing with us: ClickHouse reads the same topic by its own Kafka engine and protobuf
//! format, packs included, and groups in SQL.

use std::time::{Duration, Instant};

use flow_ingest::mock::Disorder;
use flow_proto::Dialect;

use crate::servers::Servers;
use crate::store::Store;
use crate::world::{self, World};
use crate::{generator, write_as};

#[test]
fn five_million_mock_flows_in_three_stores() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::on("stores", servers.topic("stores"));
    let flows = 5_000_000;
    write_as(&world, &mut generator(flows, 7), flows, Dialect::default());
    let mut job = world.job("stores");
    job.stores.push(servers.postgres("?raw=off"));
    job.stores.push(servers.clickhouse("?raw=off"));
    let status = world
        .run(&job, "2", &["--until-end"])
        .status()
        .expect("it runs");
    assert!(status.success(), "{status}");
    let expected = world.expected(&job);
    let contents: Vec<_> = job.stores.iter().map(Store::content).collect();
    assert!(
        contents.iter().all(|c| *c == contents[0]),
        "the stores differ"
    );
    for (store, content) in job.stores.iter().zip(contents) {
        let compared = world::compare(&expected, content);
        println!("{}: {compared}", store.url());
        assert!(compared.rows > 10_000 && compared.refused > 0, "{compared}");
    }
}

/// What ClickHouse makes of the topic by itself.
const OWN_GROUPING: &str = "select toUnixTimestamp(toStartOfFiveMinutes(toDateTime(TimeReceived, 'UTC'))) as slot, \
     SrcAS, DstAS, Etype, sum(Bytes), sum(Packets), count(), sum(Bytes * greatest(SamplingRate, 1)), \
     sum(Packets * greatest(SamplingRate, 1)) from own group by all order by all format TabSeparated";

/// The same from our rows, as text.
const OUR_ROWS: &str = "select toUnixTimestamp(slot), src_as, dst_as, etype, bytes, packets, flows, scaled_bytes, \
     scaled_packets from rollup_5m order by all format TabSeparated";

#[test]
fn clickhouse_reads_the_topic_by_itself_and_finds_the_same_rows() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let topic = servers.topic("own");
    let world = World::on("own", topic.clone()).without_tables();
    // Late flows, none so late that it does not count: SQL knows nothing of partition clocks.
    let disorder = Disorder {
        late_ppm: 50_000,
        ..Disorder::default()
    };
    let flows = 1_000_000;
    let mut generator = crate::disordered(flows, 3, disorder);
    write_as(&world, &mut generator, flows / 2, Dialect::Goflow2);
    write_as(&world, &mut generator, flows / 2, Dialect::Goflow);
    let mut job = world.job("own");
    job.stores = vec![servers.clickhouse("?raw=off")];
    let status = world
        .run(&job, "2", &["--until-end"])
        .status()
        .expect("it runs");
    assert!(status.success(), "{status}");

    let schema = std::env::temp_dir().join(format!("own-{}.proto", std::process::id()));
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
        .args(["schema", "proto", "--dialect", "goflow"])
        .output()
        .expect("it prints");
    assert!(printed.status.success());
    std::fs::write(&schema, printed.stdout).expect("a file");
    let store = &job.stores[0];
    let columns = "TimeReceived UInt64, SamplingRate UInt64, SrcAS UInt32, DstAS UInt32, Etype UInt32, Bytes UInt64, \
                   Packets UInt64";
    let name = topic.rsplit('/').next().expect("a name");
    let engine = format!(
        "create table own_queue ({columns}) engine = Kafka settings kafka_broker_list = '{}', kafka_topic_list = \
         '{name}', kafka_group_name = '{name}', kafka_format = 'Protobuf', kafka_schema = '{}:FlowMessage', \
         kafka_flush_interval_ms = 500",
        servers.broker(),
        schema.display()
    );
    for statement in [
        format!("create table own ({columns}) engine = MergeTree order by TimeReceived"),
        engine,
        "create materialized view own_reader to own as select * from own_queue".to_owned(),
    ] {
        store.query(&statement);
    }
    let begun = Instant::now();
    let count = || {
        store.query("select count() from own")[0][0]
            .parse::<u64>()
            .expect("a number")
    };
    while count() < flows {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{} rows after two minutes",
            count()
        );
        std::thread::yield_now();
    }
    store.query("drop table own_reader");
    std::fs::remove_file(&schema).expect("removed");
    let open = store.query("select toString(toUnixTimestamp(slot)) from slots where state = 'open' and rollup = 'rollup_5m'");
    let open: Vec<&String> = open.iter().map(|row| &row[0]).collect();
    let mut own = store.query(OWN_GROUPING);
    own.retain(|row| !open.contains(&&row[0]));
    let ours = store.query(OUR_ROWS);
    let first = own.iter().zip(&ours).find(|(a, b)| a != b);
    assert_eq!(first, None, "ClickHouse's own row, ours");
    assert_eq!(own.len(), ours.len());
    println!(
        "{} rows of {flows} flows equal ClickHouse's own grouping; the first: {:?}",
        ours.len(),
        ours[0]
    );
    assert!(ours.len() > 5_000);
}
