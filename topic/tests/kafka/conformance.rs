//! The conformance suite against real brokers; what a broker cannot promise by its nature is left out by name.

use std::sync::Arc;

use flow_topic::{KafkaTopic, Options, Topic, conformance};

use crate::broker::{address, unique};

/// Checks left out, and why.
const WITHOUT: &[(&str, &str)] = &[
    (
        "one writer at a time",
        "brokers take records from any number of producers",
    ),
    (
        "nothing is visible before flush",
        "a producer sends on its own once a batch is full; flush only waits for it",
    ),
    (
        "a record of the first millisecond keeps its time",
        "librdkafka takes a timestamp of 0 for `now`; it is written as 1",
    ),
];

fn conforms(variable: &str) {
    let Some(address) = address(variable) else {
        return;
    };
    let make = |timestamps, partitions| -> Arc<dyn Topic> {
        let url = format!(
            "kafka://{address}/{}?fetch.wait.max.ms=20",
            unique("conformance")
        );
        let options = Options {
            partitions,
            timestamps,
            ..Options::default()
        };
        Arc::new(KafkaTopic::create(&url, &options, &Default::default()).unwrap())
    };
    let names: Vec<_> = conformance::names().collect();
    for (check, why) in WITHOUT {
        assert!(names.contains(check), "no such check: {check}");
        eprintln!("without {check:?}: {why}");
    }
    let without: Vec<_> = WITHOUT.iter().map(|(check, _)| *check).collect();
    let failed = conformance::failures(make, &without);
    assert!(
        failed.is_empty(),
        "{variable} breaks the contract: {failed:#?}"
    );
}

#[test]
fn apache_kafka_conforms() {
    conforms("FLOW_PIPELINE_TEST_KAFKA");
}

#[test]
fn another_broker_conforms() {
    conforms("FLOW_PIPELINE_TEST_KAFKA2");
}
