//! `mock --udp`: synthetic exporters, each with its socket.
//!
//! Law: exporters of one run differ; the same exporter of two runs with one seed sends the same flows.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use flow_ingest::mock::{AddressBlock, Device, Generator, Options, Pace, UdpExporter, encoder};
use flow_proto::{Flow, FlowType};

use super::{STEP, generator_options};
use crate::failure::{Exit, Failure};
use crate::progress::LiveLine;
use crate::{cli, clock, demo_data};

/// Sends until the count is reached or `stop` is set.
pub(super) fn send(url: &str, options: &cli::Mock, stop: &AtomicBool) -> Result<(), Failure> {
    if options.from.is_some() || options.speed.is_some() {
        return Err(Failure::new(Exit::Usage, "--from and --speed need --topic")
            .hint("over UDP the receive time is the collector's"));
    }
    let shape = flow_ingest::pack::Shape::from(options.shape);
    if shape != flow_ingest::pack::Shape::default() {
        let what = "--framing, --dialect and --partition-by need --topic";
        return Err(Failure::new(Exit::Usage, what).hint("over UDP they are the collector's"));
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
        Failure::new(Exit::Config, format!("{}: {what}", flow_topic::shown(url)))
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
