//! `run`: the job over a topic, into sinks.
//!
//! Wiring only: URLs and files to parts, parts to a running job, its status to the terminal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use flow_dataflow::{Beginning, JobConfig, Metrics, RowConfig, Snapshot, Status, Waiting};
use flow_peers::Token;
use flow_proto::{Rollup, Rollups};
use flow_topic::Context;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::check;
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::http::{self, Page};
use crate::opened::{self, Opened};
use crate::progress::{self, LiveLine};
use crate::running::{Parts, Running};
use crate::tables::reload::{Parts as Reload, Reloader};
use crate::{clock, signals, status, tables, telemetry};

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
    let reloads = tables::metrics::Metrics::register(&mut registry);
    let hangup = signals::hangup()?;
    let token = options.reload.admin_token_file.as_deref();
    let token = token.map(admin_token).transpose()?;
    let context = Context {
        metrics: flow_topic::Metrics::register(&mut registry),
        ..Context::default()
    };
    let (config, context) = (config(options)?, (context, &*stop));
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
    let reload = Reload {
        sources: options.tables.clone(),
        options: options.reload.clone(),
        state: state.clone(),
        tables: tables.clone(),
        metrics: reloads,
        hangup,
        leads: config.process == 0,
    };
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
    let reloader = Reloader::start(reload, Arc::clone(&running.published))?;
    let tables = http::Tables::new(Arc::clone(&running.published), reloader.orders(), token);
    let page = Page {
        tables: Some(tables),
        ..page(options, registry, status, (counted, names))
    };
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

/// The token of requests that change something.
fn admin_token(file: &Path) -> Result<Token, Failure> {
    Token::read(file).map_err(|error| {
        let what = format!("--admin-token-file {}: {error}", file.display());
        Failure::new(Exit::Config, what)
    })
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
        last_hour: database(options),
        ready: Arc::new(move || running.look().tick > 0),
        tables: None,
    }
}

/// The file of an SQLite sink, for the page's tables, if it has the rollup that they are made of.
fn database(options: &cli::Run) -> Option<PathBuf> {
    let rollups = rollups(&options.rollup).ok()?;
    let shown = rollups.named(Rollup::AS.table())?;
    let wanted = (Rollup::AS.dimensions(), Rollup::AS.window_secs());
    if (shown.dimensions(), shown.window_secs()) != wanted {
        return None;
    }
    let mut paths = options.sink.iter();
    let path = paths.find_map(|url| url.strip_prefix("sqlite://")?.split('?').next());
    path.map(PathBuf::from)
}

/// The job's configuration.
///
/// # Errors
/// Rollups that cannot be.
pub(crate) fn config(options: &cli::Run) -> Result<JobConfig, Failure> {
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
    config.rows.rollups = rollups(&options.rollup)?;
    Ok(config)
}

/// `--rollup NAME=DIMENSIONS[@WINDOW]`, all of them.
///
/// # Errors
/// What cannot be, named.
pub(crate) fn rollups(given: &[String]) -> Result<Rollups, Failure> {
    let base_secs = RowConfig::default().window_secs;
    Rollups::parse(given, base_secs)
        .map_err(|error| Failure::new(Exit::Config, format!("--rollup: {error}")))
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
    fn lateness_is_whole_windows() {
        assert!(lateness("1h").is_ok() && lateness("7m").is_err() && lateness("24h").is_err());
    }
}
