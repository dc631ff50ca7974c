//! What can be said of a command's flags without touching anything they point to.
//!
//! Law: asked by `check` and at the command's own start, so that neither lets pass what the other refuses.

use std::collections::BTreeSet;

use flow_ingest::udp::Listen;

use super::cluster;
use super::finding::Findings;
use super::stores::{given_twice, keeps_raw, shown, store};
use crate::failure::{Exit, Failure};
use crate::{cli, run};

/// `run`.
pub(crate) fn job(options: &cli::Run) -> Findings {
    let mut found = Findings::default();
    topic(&options.topic, &mut found);
    let mut seen = BTreeSet::new();
    for url in &options.sink {
        found.take(flow_sinks::url::shape(url), |_| {
            format!("sink {}", shown(url))
        });
        if !seen.insert(store(url)) {
            found.wrong(given_twice(url));
        }
        if store(url) == store(&options.topic) {
            let what = format!("sink {}: is the topic that the job reads", shown(url));
            found.wrong(Failure::new(Exit::Config, what).hint("name another one"));
        }
        if keeps_raw(url) {
            found.doubtful(format!(
                "sink {}: its raw flows are kept for ever; give raw_retention=7d, or raw_retention=forever if that is meant",
                shown(url)
            ));
        }
    }
    found.take(flow_objects::Place::of(&options.state), |place| {
        format!("state {}", place.shown().display())
    });
    if let Err(error) = run::rollups(&options.rollup) {
        found.wrong(error);
    }
    cluster::flags(options, &mut found);
    if options.emit_delay > options.allowed_lateness {
        let what = "--emit-delay is longer than --allowed-lateness: a slot would be over before it is first written";
        found.wrong(Failure::new(Exit::Config, what).hint("make the emit delay shorter"));
    }
    found
}

/// `collect`.
pub(crate) fn collector(options: &cli::Collect) -> Findings {
    let mut found = Findings::default();
    let mut seen = Vec::new();
    for url in &options.listen {
        let Some(listen) = found.take(url.parse::<Listen>(), |listen| {
            format!("listen {}", listen.address)
        }) else {
            continue;
        };
        if listen.address.port() != 0 && seen.contains(&listen.address) {
            let what = format!("{url}: given twice; one listener takes every protocol");
            found.wrong(Failure::new(Exit::Config, what).hint("leave one of them out"));
        }
        seen.push(listen.address);
    }
    topic(&options.topic, &mut found);
    found
}

/// `mock`.
pub(super) fn mock(options: &cli::Mock) -> Findings {
    let mut found = Findings::default();
    match (&options.topic, &options.udp) {
        (Some(url), None) => topic(url, &mut found),
        (None, Some(url)) => found.good(format!("target {}", shown(url))),
        _ => found.wrong(crate::mock::one_target()),
    }
    found
}

fn topic(url: &str, found: &mut Findings) {
    found.take(flow_topic::url::check(url), |()| {
        format!("topic {}", shown(url))
    });
}
