//! `mock`: seeded flows, straight into a topic or as datagrams of synthetic exporters.
//!
//! Wiring only: flows and datagrams are `flow_ingest::mock`'s, networks those of the demo's tables. The same seed and
//! the same `--from` write the same flows. Law: simulated time needs a topic that keeps it; over UDP the receive time
//! is the collector's, so that there is none.

mod topic;
mod udp;

use std::time::Duration;

use flow_ingest::mock::Options;

use crate::failure::{Exit, Failure};
use crate::{cli, signals};

/// Between two looks at what is due.
const STEP: Duration = Duration::from_millis(5);

/// Runs until the count is reached, simulated time has caught up with the present, or a signal comes.
pub(crate) fn run(options: &cli::Mock) -> Result<(), Failure> {
    let stop = signals::install()?;
    match (&options.topic, &options.udp) {
        (Some(url), None) => topic::write(url, options, stop),
        (None, Some(url)) => udp::send(url, options, &stop),
        _ => Err(one_target()),
    }
}

/// Neither a topic nor a collector was given, or both.
pub(crate) fn one_target() -> Failure {
    Failure::new(Exit::Usage, "mock needs one target").hint("give either --topic URL or --udp URL")
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
