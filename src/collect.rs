//! `collect`: UDP datagrams into a topic.
//!
//! Wiring only: the collector is `flow_ingest::udp`. The first SIGINT or SIGTERM drains; the totals printed at the
//! end balance, and flows that the topic did not take in time are a failure.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use flow_ingest::metrics::{Metrics, Totals};
use flow_ingest::udp::{CollectError, Collector, Config, Listen};
use flow_topic::{Context, Options};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::http::{self, Page};
use crate::progress::LiveLine;
use crate::{check, cli, clock, signals, status, telemetry};

/// Between two looks at the collector.
const LOOK: Duration = Duration::from_millis(200);

/// Collects until a signal comes.
pub(crate) fn run(options: &cli::Collect) -> Result<(), Failure> {
    check::flags::collector(options).or_refuse()?;
    let bound = http::bind_at(options.http)?;
    let stop = signals::install()?;
    let mut registry = telemetry::registry();
    let metrics = Metrics::register(&mut registry);
    let context = Context {
        metrics: flow_topic::Metrics::register(&mut registry),
        ..Context::default()
    };
    let config = config(options)?;
    let made = Options {
        partitions: options.partitions,
        ..Options::default()
    };
    let topic = flow_topic::url::open_with(&options.topic, Some(made), context)?;
    if let Some(doubt) = check::reach::timestamps(topic.as_ref()) {
        tracing::warn!("{doubt}");
    }
    let counted = metrics.clone();
    let page = Page {
        goflow: Some(metrics.goflow.clone()),
        registry: Arc::new(registry),
        status: Arc::new(move || json!({ "stages": status::collector(&counted.totals()) })),
        last_hour: None,
        tables: None,
        ready: Arc::new(|| true),
    };
    let _server = http::serve_at(bound, page)?;
    let url = topic.url();
    let collector = Collector::start(&config, topic, metrics, clock::system())?;
    let mut line = LiveLine::new();
    let (mut before, mut at) = (0, Instant::now());
    let mut rate = 0.0;
    while !stop.load(Ordering::Acquire) {
        thread::sleep(LOOK); // the collector has its own threads; this one only shows what they do
        let totals = collector.totals();
        let elapsed = at.elapsed();
        if elapsed >= Duration::from_secs(1) {
            rate = per_second(totals.flows_decoded - before, elapsed);
            (before, at) = (totals.flows_decoded, Instant::now());
        }
        line.show(|| format!("{rate:.0} flows/s; {}", describe(&totals)));
    }
    let before = collector.totals().topic_drops;
    let totals = collector.stop();
    line.end(&describe(&totals));
    match totals.topic_drops - before {
        0 => Ok(()),
        left => Err(left_over(left, &url)),
    }
}

/// The topic did not take everything at the end.
fn left_over(flows: u64, url: &str) -> Failure {
    let what = format!(
        "{flows} flows could not be handed over: topic {url} did not confirm them within {} s of the signal",
        signals::DRAIN.as_secs()
    );
    Failure::new(Exit::Unavailable, what).hint(
        "an earlier line says why; they count as dropped by the topic, though a few may be there",
    )
}

fn config(options: &cli::Collect) -> Result<Config, CollectError> {
    let listen = options.listen.iter().map(|url| url.parse::<Listen>());
    Ok(Config {
        listen: listen.collect::<Result<_, _>>()?,
        receive_buffer_bytes: options.receive_buffer,
        queue_bytes: options.queue,
        pack_bytes: options.pack_size,
        pack_wait: options.pack_wait,
        sockets: usize::from(options.sockets),
        shape: options.shape.into(),
        state: options.state.clone(),
        stop_wait: signals::DRAIN,
        ..Config::default()
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown to people, without decimals"
)]
fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// The collector in one line: what came in, what went out, what was lost where.
pub(crate) fn describe(totals: &Totals) -> String {
    let errors: u64 = totals.errors.iter().map(|(_, count)| count).sum();
    let mut text = format!(
        "datagrams {}, flows {}, written {}; dropped: kernel {}, queue {}, topic {}",
        totals.datagrams_received,
        totals.flows_decoded,
        totals.flows_written,
        totals.kernel_drops,
        totals.queue_drops,
        totals.topic_drops
    );
    for (name, count) in [
        ("missing by sequence", totals.sequence_missing),
        ("sets waiting for templates", totals.waiting_sets),
        ("undecodable parts", errors),
        ("flows of unknown rate", totals.unknown_rate_flows),
    ] {
        if count > 0 {
            text.push_str(&format!(", {name} {count}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow_ingest::wire::Reason;

    #[test]
    fn losses_are_told_where_they_happened() {
        let mut totals = Totals {
            datagrams_received: 9,
            kernel_drops: 2,
            ..Totals::default()
        };
        assert_eq!(
            describe(&totals),
            "datagrams 9, flows 0, written 0; dropped: kernel 2, queue 0, topic 0"
        );
        totals.errors = vec![(Reason::BadHeader, 3), (Reason::BadSample, 4)];
        totals.waiting_sets = 5;
        assert!(describe(&totals).ends_with(", sets waiting for templates 5, undecodable parts 7"));
    }
}
