//! Brokers for tests: addresses, topics with unique names, plain clients beside the code under test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flow_topic::{Reader, Topic};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;

/// How long anything may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The address in an environment variable; tells what is skipped without it.
pub(crate) fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable)
        .ok()
        .filter(|address| !address.is_empty());
    if address.is_none() {
        eprintln!("SKIPPED: {variable} is not set: no broker to test with");
    }
    address
}

pub(crate) fn kafka() -> Option<String> {
    address("FLOW_PIPELINE_TEST_KAFKA")
}

/// A topic's name that no other test, and no earlier run, has used.
pub(crate) fn unique(what: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{}-{count}", std::process::id(), now.as_nanos())
}

pub(crate) fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

pub(crate) fn admin(address: &str) -> AdminClient<DefaultClientContext> {
    client(address).create().unwrap()
}

/// Looks until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(5)); // polling a server that tells nobody
    }
}

/// Everything there is from the reader's place on: offsets and payloads.
pub(crate) fn read_all(reader: &mut dyn Reader) -> Vec<(u64, Vec<u8>)> {
    let mut records = Vec::new();
    while reader.wait(PATIENCE).unwrap() {
        let record = reader.peek().unwrap().unwrap();
        records.push((record.offset, record.payload.to_vec()));
        reader.advance();
    }
    records
}

/// Appends and flushes.
pub(crate) fn write(topic: &dyn Topic, partition: u32, payloads: &[&str]) {
    let mut writer = topic.writer().unwrap();
    for payload in payloads {
        writer
            .append(partition, record(payload.as_bytes()))
            .unwrap();
    }
    writer.flush().unwrap();
}

pub(crate) fn record(payload: &[u8]) -> flow_topic::NewRecord<'_> {
    flow_topic::NewRecord {
        timestamp_millis: 1_700_000_000_000,
        headers: &[],
        payload,
    }
}
