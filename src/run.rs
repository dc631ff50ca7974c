//! `run`: the job over a topic, into sinks.
//!
//! Wiring only: URLs and files to parts, parts to a running job, its status to the terminal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use flow_dataflow::{Beginning, JobConfig, Metrics, Snapshot, Status, Waiting};
use flow_tables::Kind;
use flow_topic::Context;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::check;
use crate::cli;
use crate::failure::Failure;
use crate::http::{self, Page};
use crate::opened::{self, Opened};
use crate::progress::{self, LiveLine};
use crate::running::{Parts, Running};
use crate::{clock, signals, status, telemetry};

/// Between two looks at the job.
const LOOK: Duration = Duration::from_millis(200);

/// Runs until the topic's end, a signal or an error.
pub(crate) fn run(options: &cli::Run) -> Result<(), Failure> {
    check::flags::job(options).or_refuse()?;
    let bound = http::bind_at(options.http)?;
    let stop = signals::install()?;
    let mut registry = telemetry::registry();
    let job_metrics = flow_dataflow::Metrics::register(&mut registry);
    let sink_metrics = flow_sinks::Metrics::register(&mut registry);
    let context = Context {
        metrics: flow_topic::Metrics::register(&mut registry),
        ..Context::default()
    };
    let (config, context) = (config(options), (context, &*stop));
    let opened = match config.process {
        0 => opened::lead(options, &config, context)?,
        _ => opened::follow(options, &config, context)?,
    };
    let Some(Opened {
        topic,
        tables,
        state,
        stores,
        place,
    }) = opened
    else {
        tracing::info!("ended before the job had begun");
        return Ok(());
    };
    let names: Vec<String> = stores
        .iter()
        .filter_map(|store| store.rollups.as_ref())
        .map(|sink| sink.name().to_owned())
        .collect();
    let running = Running::start(Parts {
        config,
        topic,
        tables,
        state,
        stores,
        job_metrics: job_metrics.clone(),
        sink_metrics: sink_metrics.clone(),
        clock: clock::system(),
        place,
    })?;
    let status = Arc::clone(&running.status);
    let counted = (job_metrics.clone(), sink_metrics);
    let page = page(options, registry, status, (counted, names));
    let _server = http::serve_at(bound, page)?;
    let mut line = LiveLine::new();
    while !running.is_over() {
        if stop.load(Ordering::Acquire) {
            running.stop();
        }
        running.show_lags();
        line.show(|| describe(&running.status.look(), &job_metrics));
        thread::sleep(LOOK); // the job has its own threads; this one only shows what they do
    }
    let alone = options.sink.len() == 1;
    let last = running
        .join(&stop)
        .map_err(|failure| if alone { failure } else { failure.not_quiet() })?;
    line.end(&describe(&last, &job_metrics));
    Ok(())
}

type Counted = (flow_dataflow::Metrics, flow_sinks::Metrics);

/// What `--http` shows. Ready: the job has opened its first tick.
fn page(
    options: &cli::Run,
    registry: Registry,
    status: Arc<Status>,
    ((job, sinks), names): (Counted, Vec<String>),
) -> Page {
    let running = Arc::clone(&status);
    Page {
        goflow: None,
        registry: Arc::new(registry),
        status: Arc::new(move || {
            let look = status.look();
            let mut stages = vec![status::job_stage(&job)];
            stages.extend(
                names
                    .iter()
                    .map(|name| status::sink(name, sinks.rows_written(name))),
            );
            json!({ "stages": stages, "job": status::job(&look) })
        }),
        last_hour: options.sink.iter().find_map(|url| database(url)),
        ready: Arc::new(move || running.look().tick > 0),
    }
}

/// The file of an SQLite sink, for the page's tables.
fn database(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite://")?.split('?').next();
    path.map(PathBuf::from)
}

/// The job's configuration.
pub(crate) fn config(options: &cli::Run) -> JobConfig {
    let mut config = JobConfig {
        workers: options.workers,
        processes: options.cluster.processes,
        process: options.cluster.process,
        until_end: options.until_end,
        beginning: options.start.map_or(Beginning::Earliest, Beginning::from),
        accept_gap: options.accept_gap,
        emit_delay_secs: options.emit_delay.as_secs(),
        ..JobConfig::default()
    };
    config.rows.lateness_secs = options.allowed_lateness.as_secs();
    config.rows.slot_time = options.slot_time.into();
    config.rows.framing = options.framing.into();
    config
}

/// `--table KIND=FILE`.
pub(crate) fn table(text: &str) -> Result<(Kind, PathBuf), String> {
    let (kind, path) = text
        .split_once('=')
        .ok_or("give KIND=FILE, as asn=prefixes.csv")?;
    let kind = match kind {
        "asn" => Kind::Asn,
        "country" => Kind::Country,
        _ => return Err(format!("unknown table {kind:?}; there are: asn, country")),
    };
    Ok((kind, PathBuf::from(path)))
}

/// What it waits for, in words.
pub(crate) fn waiting(look: &Snapshot) -> String {
    match look.waiting {
        Waiting::Nothing => "reading".to_owned(),
        Waiting::FirstRecord => "waiting: the topic is empty".to_owned(),
        Waiting::SlotCompletes(secs) => format!("slot completes at {}", progress::time(secs)),
        Waiting::MoreRecords => "waiting for more records".to_owned(),
    }
}

/// The job in one line.
fn describe(look: &Snapshot, metrics: &Metrics) -> String {
    let (flows, accepted) = (metrics.flows.get(), metrics.accepted.get());
    let waits = waiting(look);
    let watermark = look
        .watermark_ns
        .and_then(|ns| u64::try_from(ns / 1_000_000_000).ok())
        .map_or_else(|| "-".to_owned(), progress::time);
    format!(
        "flows {flows}, accepted {accepted}, watermark {watermark}, keys {}, checkpoint {}; {waits}",
        look.open_keys, look.checkpoint
    )
}

/// At least one worker.
pub(crate) fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=64) => Ok(n),
        _ => Err("give 1 to 64".to_owned()),
    }
}

/// Whole windows only: L, R and slots are multiples of the window.
pub(crate) fn lateness(text: &str) -> Result<Duration, String> {
    let given = crate::units::duration(text)?;
    if given.subsec_nanos() == 0 && given.as_secs().is_multiple_of(300) && given.as_secs() <= 82_800
    {
        Ok(given)
    } else {
        Err("give a multiple of 5 minutes, at most 23 h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named() {
        assert_eq!(
            table("asn=a=b.csv"),
            Ok((Kind::Asn, PathBuf::from("a=b.csv")))
        );
        assert!(table("asn").is_err() && table("city=x.csv").is_err());
    }

    #[test]
    fn lateness_is_whole_windows() {
        assert!(lateness("1h").is_ok() && lateness("7m").is_err() && lateness("24h").is_err());
    }
}
