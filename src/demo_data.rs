//! What the demo is made of: its directory, its topic, the last hour, the exporters.
//!
//! Nothing here is special to the demo but the numbers: mock, collector, topic and job are those of the commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use flow_ingest::mock::{
    AddressBlock, Device, Generator, MockError, Options, Sent, TopicWriter, UdpExporter, Written,
    encoder,
};
use flow_proto::{Dialect, FlowType, Framing, messages};
use flow_state::StateStore;
use flow_tables::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV, DEMO_OWN_ASNS, Kind, Source, TableSet};
use flow_topic::{Context, Metrics, Timestamps, Topic};

use crate::clock;
use crate::failure::{Exit, Failure};

/// Flows per second of all exporters together, in the last hour and live.
pub(crate) const FLOWS_PER_SECOND: u64 = 500;
/// Two of each protocol.
const EXPORTERS: [FlowType; 8] = [
    FlowType::Sflow5,
    FlowType::NetflowV5,
    FlowType::NetflowV9,
    FlowType::Ipfix,
    FlowType::Sflow5,
    FlowType::NetflowV5,
    FlowType::NetflowV9,
    FlowType::Ipfix,
];
/// How far the back-fill goes back.
const HOUR_NS: u64 = 3_600 * 1_000_000_000;

/// The directory: the given one, or a new one under the system's for temporary files.
pub(crate) fn directory(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = given.map_or_else(
        || {
            std::env::temp_dir().join(format!(
                "flow-pipeline-demo-{}",
                clock::now_ns() / 1_000_000
            ))
        },
        Path::to_path_buf,
    );
    std::fs::create_dir_all(&path).map_err(|error| {
        Failure::new(Exit::Io, format!("cannot make {}: {error}", path.display()))
            .hint("give --data a directory that can be written")
    })?;
    Ok(std::path::absolute(&path)?)
}

/// The topic in it, with timestamps `create`: the last hour is simulated time.
pub(crate) fn topic(directory: &Path, metrics: Metrics) -> Result<Arc<dyn Topic>, Failure> {
    let url = format!("dir://{}", directory.join("flows").display());
    let options = flow_topic::Options {
        timestamps: Timestamps::Create,
        ..flow_topic::Options::default()
    };
    let context = Context {
        metrics,
        ..Context::default()
    };
    Ok(flow_topic::url::open_with(&url, Some(options), context)?)
}

/// The tables that ship with the program.
pub(crate) fn tables() -> Result<TableSet, Failure> {
    let (set, _) = TableSet::load_sources(&[
        (
            Kind::Asn,
            Source::Text("demo asn.csv", DEMO_ASN_CSV.as_bytes()),
        ),
        (
            Kind::Country,
            Source::Text("demo country.csv", DEMO_COUNTRY_CSV.as_bytes()),
        ),
    ])?;
    Ok(set)
}

/// The networks of those tables, as the mock draws its flows from.
pub(crate) fn blocks() -> Result<Vec<AddressBlock>, Failure> {
    AddressBlock::parse(DEMO_ASN_CSV, &DEMO_OWN_ASNS)
        .map_err(|error| Failure::from_error(Exit::Bug, &error))
}

/// Writes the last hour up to `now_ns` into the topic, or what of it is missing there.
pub(crate) fn back_fill(
    topic: &dyn Topic,
    now_ns: u64,
    stop: &AtomicBool,
) -> Result<Written, Failure> {
    let from_ns = newest_ns(topic)?.max(now_ns.saturating_sub(HOUR_NS));
    let options = Options {
        seed: now_ns / HOUR_NS,
        exporters: EXPORTERS.len() as u32,
        flows_per_second: FLOWS_PER_SECOND,
        from_ns,
        ..Options::default()
    };
    let mut generator = Generator::new(options, &blocks()?);
    let mut writer = TopicWriter::open(topic, true, Dialect::default())?;
    while generator.now_ns() < now_ns && !stop.load(Ordering::Relaxed) {
        let Some(flow) = generator.next() else { break };
        writer.write(&flow, generator.now_ns())?;
    }
    Ok(writer.finish(now_ns)?)
}

/// Flows in the topic that the state has not read: what an earlier demo left when it was killed.
pub(crate) fn backlog(topic: &dyn Topic, state: &StateStore) -> Result<u64, Failure> {
    let cut = state
        .newest()?
        .map(|checkpoint| checkpoint.cut)
        .unwrap_or_default();
    let mut flows = 0;
    for partition in 0..topic.partitions()? {
        let earliest = topic.bounds(partition)?.earliest;
        let offset = cut.get(&partition).map_or(earliest, |at| at.offset);
        let mut reader = topic.reader(partition, offset)?;
        while let Some(record) = reader.peek()? {
            let all = messages(record.payload, true, Framing::Auto);
            flows += all.map_or(0, |all| all.count() as u64);
            reader.advance();
        }
    }
    Ok(flows)
}

/// Timestamp of the topic's newest record, ns since 1970; 0: it is empty.
fn newest_ns(topic: &dyn Topic) -> Result<u64, Failure> {
    let mut newest = 0;
    for partition in 0..topic.partitions()? {
        let bounds = topic.bounds(partition)?;
        if bounds.end > bounds.earliest
            && let Some(record) = topic.reader(partition, bounds.end - 1)?.peek()?
        {
            newest = newest.max(u64::try_from(record.timestamp_millis).unwrap_or(0));
        }
    }
    Ok(newest * 1_000_000)
}

impl From<MockError> for Failure {
    fn from(error: MockError) -> Failure {
        match error {
            MockError::Topic(error) => error.into(),
            error => Failure::from_error(Exit::Config, &error),
        }
    }
}

/// The exporters, each with its thread.
pub(crate) struct Exporters {
    sent: Vec<Arc<Sent>>,
    threads: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Exporters {
    /// Starts them towards the collector's addresses: sFlow to the first, the others to the second.
    pub(crate) fn start(
        sflow: SocketAddr,
        netflow: SocketAddr,
        stop: &Arc<AtomicBool>,
    ) -> Result<Exporters, Failure> {
        let mut exporters = Exporters {
            sent: Vec::new(),
            threads: Vec::new(),
        };
        let rate = FLOWS_PER_SECOND / EXPORTERS.len() as u64;
        for (index, protocol) in (0u32..).zip(EXPORTERS) {
            let started_ns = clock::now_ns();
            let options = Options {
                seed: started_ns ^ u64::from(index),
                exporters: 1,
                first_exporter: index,
                protocol: Some(protocol),
                flows_per_second: rate,
                from_ns: started_ns,
                ..Options::default()
            };
            let device = Device {
                address: Generator::address(index),
                domain: index,
                sampling_rate: Generator::rate(&options, 0).unwrap_or(0),
                started_ns,
            };
            let Some(encoder) = encoder(protocol, device) else {
                continue;
            };
            let target = if protocol == FlowType::Sflow5 {
                sflow
            } else {
                netflow
            };
            let mut exporter = UdpExporter::open(target, index, encoder)?;
            exporters.sent.push(exporter.sent());
            let mut generator = Generator::new(options, &blocks()?);
            let stop = Arc::clone(stop);
            let thread = thread::Builder::new().name(format!("exporter-{index}"));
            exporters.threads.push(
                thread.spawn(move || exporter.run(&mut generator, rate, &clock::now_ns, &stop))?,
            );
        }
        Ok(exporters)
    }

    /// Datagrams and flows sent so far.
    pub(crate) fn sent(&self) -> (u64, u64) {
        let datagrams = self.sent.iter().map(|sent| sent.datagrams()).sum();
        (datagrams, self.sent.iter().map(|sent| sent.flows()).sum())
    }

    /// Waits for them after `stop` was set.
    pub(crate) fn join(self) -> Result<(u64, u64), Failure> {
        for thread in self.threads {
            thread
                .join()
                .map_err(|_| Failure::new(Exit::Bug, "an exporter has died"))??;
        }
        let datagrams = self.sent.iter().map(|sent| sent.datagrams()).sum();
        Ok((datagrams, self.sent.iter().map(|sent| sent.flows()).sum()))
    }
}
