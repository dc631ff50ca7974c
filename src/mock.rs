//! `mock`: seeded flows, straight into a topic or as datagrams of synthetic exporters.
//!
//! Wiring only: flows and datagrams are `flow_ingest::mock`'s, networks those of the demo's tables. The same seed and
//! the same `--from` write the same flows. Law: simulated time needs a topic that keeps it; over UDP the receive time
//! is the collector's, so that there is none.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_ingest::mock::{
    AddressBlock, Device, Generator, Options, Pace, TopicWriter, UdpExporter, encoder,
};
use flow_proto::{Dialect, Flow, FlowType};
use flow_topic::Timestamps;

use crate::failure::{Exit, Failure};
use crate::progress::LiveLine;
use crate::{cli, clock, demo_data, signals};

/// Between two looks at what is due.
const STEP: Duration = Duration::from_millis(5);
/// A live writer makes its packs durable so often.
const FLUSH: Duration = Duration::from_millis(50);
/// Flows between two looks at the stop flag and the live line.
const BATCH: u64 = 256;

/// Runs until the count is reached, simulated time has caught up with the present, or a signal comes.
pub(crate) fn run(options: &cli::Mock) -> Result<(), Failure> {
    let stop = signals::install()?;
    match (&options.topic, &options.udp) {
        (Some(url), None) => to_topic(url, options, &stop),
        (None, Some(url)) => to_udp(url, options, &stop),
        _ => Err(Failure::new(Exit::Usage, "mock needs one target")
            .hint("give either --topic URL or --udp URL")),
    }
}

fn generator_options(options: &cli::Mock, from_ns: u64) -> Options {
    Options {
        seed: options.seed,
        exporters: options.exporters,
        flows_per_second: options.flows_per_second,
        from_ns,
        ..Options::default()
    }
}

fn to_topic(url: &str, options: &cli::Mock, stop: &AtomicBool) -> Result<(), Failure> {
    let now_ns = clock::now_ns();
    let from_ns = options.from.map_or(now_ns, |from| from.resolve_ns(now_ns));
    let simulated = options.from.is_some();
    if from_ns > now_ns {
        return Err(Failure::new(Exit::Usage, "--from lies in the future"));
    }
    let timestamps = if simulated {
        Timestamps::Create
    } else {
        Timestamps::Append
    };
    let made = flow_topic::Options {
        partitions: options.partitions,
        timestamps,
        ..flow_topic::Options::default()
    };
    let topic = flow_topic::url::open(url, Some(made))?;
    let writer = TopicWriter::open(topic.as_ref(), simulated, Dialect::default())?;
    // Live flows are paced by the clock; simulated ones only if a speed is given.
    let speed = options.speed.or((!simulated).then_some(1.0));
    let until_ns = if simulated { now_ns } else { u64::MAX };
    let generator = Generator::new(generator_options(options, from_ns), &demo_data::blocks()?);
    let count = options.count.unwrap_or(u64::MAX);
    Writing {
        generator,
        writer,
        from_ns,
        until_ns,
        count,
        speed,
    }
    .run(stop)
}

/// Flows on their way into a topic.
struct Writing {
    generator: Generator,
    writer: TopicWriter,
    from_ns: u64,
    until_ns: u64,
    count: u64,
    /// Simulated seconds per second; `None`: as fast as can be.
    speed: Option<f64>,
}

impl Writing {
    fn run(mut self, stop: &AtomicBool) -> Result<(), Failure> {
        let began = Instant::now();
        let mut flushed = began;
        let mut line = LiveLine::new();
        let mut written = 0;
        while written < self.count && self.generator.now_ns() < self.until_ns {
            if written % BATCH == 0 || self.speed.is_some() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                line.show(|| format!("{written} flows written"));
            }
            let Some(flow) = self.generator.next() else {
                break;
            };
            self.wait(began, &mut flushed, stop)?;
            self.writer.write(&flow, self.generator.now_ns())?;
            written += 1;
        }
        let end_ns = self.generator.now_ns();
        let written = self.writer.finish(end_ns)?;
        line.end(&format!(
            "wrote {} flows in {} packs, {} bytes",
            written.flows, written.packs, written.bytes
        ));
        Ok(())
    }

    /// Waits until the newest flow is due.
    fn wait(
        &mut self,
        began: Instant,
        flushed: &mut Instant,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let Some(speed) = self.speed else {
            return Ok(());
        };
        let ahead = Duration::from_nanos(self.generator.now_ns() - self.from_ns).div_f64(speed);
        while began.elapsed() + STEP < ahead && !stop.load(Ordering::Acquire) {
            if flushed.elapsed() >= FLUSH {
                *flushed = Instant::now();
                self.writer.flush()?;
            }
            thread::sleep(STEP);
        }
        Ok(())
    }
}

fn to_udp(url: &str, options: &cli::Mock, stop: &AtomicBool) -> Result<(), Failure> {
    if options.from.is_some() || options.speed.is_some() {
        return Err(Failure::new(Exit::Usage, "--from and --speed need --topic")
            .hint("over UDP the receive time is the collector's"));
    }
    let (protocol, target) = target(url)?;
    let blocks = demo_data::blocks()?;
    let mut exporters = (0..options.exporters)
        .map(|index| Exporter::open(protocol, target, index, (options, &blocks)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut line = LiveLine::new();
    let mut pace = Pace::new(options.flows_per_second, clock::now_ns());
    let mut left = options.count.unwrap_or(u64::MAX);
    let mut turn = (0..exporters.len()).cycle();
    while left > 0 && !stop.load(Ordering::Acquire) {
        let now_ns = clock::now_ns();
        let due = pace.due(now_ns).min(left);
        left -= due;
        for at in turn
            .by_ref()
            .take(usize::try_from(due).unwrap_or(usize::MAX))
        {
            exporters[at].step(now_ns, 1)?;
        }
        for exporter in &mut exporters {
            exporter.step(now_ns, 0)?;
        }
        line.show(|| totals(&exporters));
        thread::sleep(STEP);
    }
    for exporter in &mut exporters {
        exporter.udp.flush(clock::now_ns())?;
    }
    line.end(&totals(&exporters));
    Ok(())
}

fn totals(exporters: &[Exporter]) -> String {
    let sum = |of: fn(&Exporter) -> u64| exporters.iter().map(of).sum::<u64>();
    let datagrams = sum(|exporter| exporter.udp.sent().datagrams());
    let flows = sum(|exporter| exporter.udp.sent().flows());
    format!("{datagrams} datagrams sent, {flows} flows")
}

/// An exporter and its flows.
struct Exporter {
    udp: UdpExporter,
    generator: Generator,
    /// One rate for all its flows: sFlow tells it with each, the others once.
    sampling_rate: u64,
}

impl Exporter {
    fn open(
        protocol: FlowType,
        target: SocketAddr,
        index: u32,
        (mock, blocks): (&cli::Mock, &[AddressBlock]),
    ) -> Result<Exporter, Failure> {
        let started_ns = clock::now_ns();
        let options = Options {
            // Exporters of one run differ; the same exporter of two runs does not.
            seed: mock.seed.wrapping_add(u64::from(index) << 32),
            exporters: 1,
            first_exporter: index,
            protocol: Some(protocol),
            ..generator_options(mock, started_ns)
        };
        let sampling_rate = Generator::rate(&options, index).unwrap_or(0);
        let device = Device {
            address: Generator::address(index),
            domain: index,
            sampling_rate,
            started_ns,
        };
        let encoder = encoder(protocol, device)
            .ok_or_else(|| Failure::new(Exit::Bug, "no encoder for a protocol of ours"))?;
        let udp = UdpExporter::open(target, index, encoder).map_err(|error| {
            Failure::new(
                Exit::Io,
                format!("exporter {index}: no socket to {target}: {error}"),
            )
            .hint("each exporter has a socket: fewer --exporters, or a higher `ulimit -n`")
        })?;
        Ok(Exporter {
            udp,
            generator: Generator::new(options, blocks),
            sampling_rate,
        })
    }

    fn step(&mut self, now_ns: u64, due: u64) -> Result<(), Failure> {
        let sampling_rate = self.sampling_rate;
        let mut flows = self.generator.by_ref().map(|flow| Flow {
            sampling_rate,
            ..flow
        });
        match self.udp.step(now_ns, due, &mut flows) {
            Ok(_) => Ok(()),
            // On loopback: nobody listens (yet). An exporter goes on, as real ones do.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// `sflow://HOST:PORT` and the like.
fn target(url: &str) -> Result<(FlowType, SocketAddr), Failure> {
    let wrong = |what: String| {
        Failure::new(Exit::Config, format!("{url}: {what}"))
            .hint("give sflow://HOST:PORT, netflow-v5://…, netflow-v9://… or ipfix://…")
    };
    let (scheme, address) = url
        .split_once("://")
        .ok_or_else(|| wrong("no scheme".to_owned()))?;
    let protocol = match scheme {
        "sflow" => FlowType::Sflow5,
        "netflow-v5" => FlowType::NetflowV5,
        "netflow-v9" => FlowType::NetflowV9,
        "ipfix" => FlowType::Ipfix,
        _ => return Err(wrong("unknown scheme".to_owned())),
    };
    let mut found = address
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?;
    let target = found
        .next()
        .ok_or_else(|| wrong("the host has no address".to_owned()))?;
    Ok((protocol, target))
}
