//! What is looked at for each command.
//!
//! Law: flags first, then what they point to, and that only with `--connect`.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use flow_tables::{Place, SourceSpec, TableSet};
use flow_topic::{Timestamps, Topic};

use super::finding::Findings;
use super::{flags, reach, stores};
use crate::cli::{self, Cli, Command};
use crate::failure::{Exit, Failure};
use crate::{run, settings};

/// What is found of one command, given as on the command line.
pub(super) fn findings(command: &[OsString], config: Option<&Path>, connect: bool) -> Findings {
    let mut arguments: Vec<OsString> = vec!["flow-pipeline".into()];
    if let Some(path) = config {
        arguments.extend(["--config".into(), path.into()]);
    }
    arguments.extend_from_slice(command);
    let mut found = Findings::default();
    match settings::parse::<Cli>(arguments, std::env::vars_os()) {
        Err(failure) if failure.exit() == Exit::Success => {} // --help was printed
        Err(failure) => found.wrong(failure),
        Ok(line) => match line.command {
            Command::Run(options) => job(&options, connect, &mut found),
            Command::Collect(options) => {
                found = flags::collector(&options);
                if connect {
                    live(reach::topic(&options.topic, true, &mut found), &mut found);
                }
            }
            Command::Mock(options) => {
                found = flags::mock(&options);
                if let (true, Some(url)) = (connect, &options.topic) {
                    let topic = reach::topic(url, true, &mut found);
                    simulated(&options, topic.as_deref(), &mut found);
                }
            }
            _ => {
                let what = "only collect, mock and run have something to check";
                found.wrong(Failure::new(Exit::Usage, what));
            }
        },
    }
    found
}

fn job(options: &cli::Run, connect: bool, found: &mut Findings) {
    *found = flags::job(options);
    // What stands elsewhere is looked at with --connect alone.
    let is_at_hand = |spec: &&SourceSpec| connect || matches!(spec.place, Place::Path(_));
    let sources: Vec<_> = options
        .tables
        .table
        .iter()
        .filter(is_at_hand)
        .cloned()
        .collect();
    match TableSet::load(&sources, &crate::tables::fetch) {
        Err(error) => found.wrong(error),
        Ok((_, report)) => {
            for table in report.tables {
                let line = format!("table {}: {} rows", table.name, table.rows);
                match table.bad.first() {
                    None => found.good(line),
                    Some(bad) => {
                        found.doubtful(format!("{line}, {} kept out, as {bad}", table.bad_rows));
                    }
                }
            }
        }
    }
    if !connect {
        return;
    }
    let Ok(config) = run::config(options) else {
        return; // told with the flags
    };
    let topic = reach::topic(&options.topic, !options.until_end, found);
    let state = reach::state(&options.state, &config, topic.as_deref(), found);
    live(topic, found);
    // Whose the stores are is no matter then.
    let state = state.filter(|_| !options.adopt);
    let readable = |url: &&String| flow_sinks::url::shape(url).is_ok();
    for url in options.sink.iter().filter(readable) {
        reach::store((url, config.rows.rollups), state.as_ref(), found);
    }
    found.add(stores::apart(&options.sink));
}

/// Simulated time needs a topic that keeps it.
fn simulated(options: &cli::Mock, topic: Option<&dyn Topic>, found: &mut Findings) {
    if let Some(topic) = topic
        && options.from.is_some()
        && topic.timestamps() == Timestamps::Append
    {
        let what = format!("--from: topic {} has append timestamps", topic.url());
        found.wrong(Failure::new(Exit::Config, what).hint("mock into a topic made with create"));
    }
}

/// What a topic of live flows should be.
fn live(topic: Option<Arc<dyn Topic>>, found: &mut Findings) {
    if let Some(line) = topic.as_deref().and_then(reach::timestamps) {
        found.doubtful(line);
    }
}
