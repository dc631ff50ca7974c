//! `check`: whether a configuration would start, without starting it.
//!
//! For the hand that edits a configuration, and for a supervisor before it starts the service. Law: it refuses what
//! the command would refuse, by the same functions, and changes nothing.

pub(crate) mod finding;
pub(crate) mod flags;
pub(crate) mod reach;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use flow_tables::TableSet;

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure};
use crate::{cli, run, settings};
use finding::Findings;

/// Commands that a configuration is made for.
const CHECKED: [&str; 3] = ["collect", "mock", "run"];

/// Checks the command given, or each that the configuration has settings for.
pub(crate) fn run(options: &cli::Check, config: Option<&Path>) -> Result<(), Failure> {
    let mut commands: Vec<Vec<OsString>> = Vec::new();
    if options.command.is_empty() {
        let sections = settings::sections::<Cli>(config, std::env::vars_os())?;
        let known = sections
            .into_iter()
            .filter(|s| CHECKED.contains(&s.as_str()));
        commands.extend(known.map(|section| vec![section.into()]));
    } else {
        commands.push(options.command.clone());
    }
    if commands.is_empty() {
        let what = "nothing to check: no settings of collect, mock or run";
        return Err(Failure::new(Exit::Usage, what)
            .hint("name the file with --config, or give a command: check run --topic URL …"));
    }
    let out = &mut io::stdout().lock();
    let mut exits = Vec::new();
    for command in &commands {
        let name = command
            .first()
            .map(|name| name.to_string_lossy().into_owned());
        let mut found = findings(command, config, options.connect);
        if options.command.is_empty() {
            found.blame_configuration();
        }
        found.print(&name.unwrap_or_default(), out)?;
        exits.extend(found.exits());
    }
    // What has to be changed comes before what may pass by itself.
    let worst = [Exit::Usage, Exit::Config];
    let exit = worst.iter().find(|exit| exits.contains(exit));
    match exit.or(exits.first()) {
        None => Ok(()),
        Some(exit) => Err(Failure::new(*exit, format!("errors: {}", exits.len()))),
    }
}

/// What is found of one command, given as on the command line.
fn findings(command: &[OsString], config: Option<&Path>, connect: bool) -> Findings {
    let mut arguments: Vec<OsString> = vec!["flow-pipeline".into()];
    if let Some(path) = config {
        arguments.extend(["--config".into(), path.into()]);
    }
    arguments.extend_from_slice(command);
    let mut found = Findings::default();
    match settings::parse::<Cli>(arguments, std::env::vars_os()) {
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
    let sources: Vec<_> = options
        .table
        .iter()
        .map(|(kind, path)| (*kind, path.as_path()))
        .collect();
    match TableSet::load(&sources) {
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
    let topic = reach::topic(&options.topic, !options.until_end, found);
    let checkpoint = reach::state(
        &options.state,
        &run::config(options),
        topic.as_deref(),
        found,
    );
    live(topic, found);
    let readable = |url: &&String| flow_sinks::url::check(url).is_ok();
    for url in options.sink.iter().filter(readable) {
        reach::store(url, checkpoint.as_ref(), found);
    }
}

/// Simulated time needs a topic that keeps it.
fn simulated(options: &cli::Mock, topic: Option<&dyn flow_topic::Topic>, found: &mut Findings) {
    if let Some(topic) = topic
        && options.from.is_some()
        && topic.timestamps() == flow_topic::Timestamps::Append
    {
        let what = format!("--from: topic {} has append timestamps", topic.url());
        found.wrong(Failure::new(Exit::Config, what).hint("mock into a topic made with create"));
    }
}

/// What a topic of live flows should be.
fn live(topic: Option<std::sync::Arc<dyn flow_topic::Topic>>, found: &mut Findings) {
    if let Some(line) = topic.as_deref().and_then(reach::timestamps) {
        found.doubtful(line);
    }
}
