//! A job of several processes: finds the others, and goes by one plan with them.
//!
//! Law 1: process 0 decides where the job begins; the others wait for its plan. What would make rows depend on the process
//! that computes them (other options, another build, another topic or state) is refused before anything is read.

use std::sync::atomic::AtomicBool;

use flow_dataflow::{JobConfig, JobError, Plan};
use flow_peers::{Cluster, Hosts, Sockets, Token};

use crate::cli;
use crate::failure::{Exit, Failure};

/// Where this process stands among those of its job.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// A connection to each other process; empty: there is none.
    pub(crate) peers: Sockets,
    /// What process 0 has decided; `None` in process 0.
    pub(crate) plan: Option<Plan>,
    /// Where each process is, for messages.
    pub(crate) addresses: Vec<String>,
}

/// The hosts and the token, if there is more than one process.
///
/// # Errors
/// A file that can't be read, or does not fit.
pub(crate) fn given(options: &cli::Cluster) -> Result<Option<(Hosts, Token)>, Failure> {
    let (processes, process) = (options.processes, options.process);
    if process >= processes {
        let what = format!("--process {process} of --processes {processes}: they count from 0 on");
        return Err(
            Failure::new(Exit::Usage, what).hint("give each process a number below --processes")
        );
    }
    if processes == 1 {
        return Ok(None);
    }
    let needs = |flag: &str| {
        let what = format!("--processes {} needs {flag} FILE", options.processes);
        Failure::new(Exit::Usage, what).hint("the command's --help shows what stands in it")
    };
    let hosts = options.hosts.as_ref().ok_or_else(|| needs("--hosts"))?;
    let hosts = Hosts::read(hosts, options.processes)?;
    let token = options.token_file.as_ref();
    let token = Token::read(token.ok_or_else(|| needs("--token-file"))?)?;
    Ok(Some((hosts, token)))
}

/// Waits for the other processes, and in all but process 0 for the plan. `None`: a signal has asked for the end before they
/// were there.
///
/// # Errors
/// If this process can't be part of the job.
pub(crate) fn join(
    options: &cli::Run,
    config: &JobConfig,
    topic: &str,
    asked: &AtomicBool,
) -> Result<Option<Place>, Failure> {
    let Some((hosts, token)) = given(&options.cluster)? else {
        return Ok(Some(Place::default()));
    };
    let process = options.cluster.process;
    let addresses = addresses(&hosts);
    let Some(mut peers) = connect((&hosts, &token), process, alike(config, topic), asked)? else {
        return Ok(None);
    };
    let mut plan = None;
    if process > 0
        && let Some(Some(first)) = peers.first_mut()
    {
        let lost = |error| {
            JobError::Peer(format!(
                "process 0 has gone before it had a plan for the job ({error})"
            ))
        };
        plan = Some(flow_dataflow::receive(first).map_err(lost)?);
    }
    Ok(Some(Place {
        peers,
        plan,
        addresses,
    }))
}

/// Where each process is, for messages.
pub(crate) fn addresses(hosts: &Hosts) -> Vec<String> {
    (0..hosts.count()).map(|p| hosts.of(p).to_owned()).collect()
}

/// A connection to each other process, all of which say the same of `alike`. `None`: a signal came first.
///
/// # Errors
/// If this process can't be one of them.
pub(crate) fn connect(
    (hosts, token): (&Hosts, &Token),
    process: usize,
    alike: String,
    asked: &AtomicBool,
) -> Result<Option<Sockets>, Failure> {
    tracing::info!(
        process,
        address = hosts.of(process),
        "waiting for the other processes of the job"
    );
    let program = std::env::current_exe()?;
    let cluster = Cluster {
        hosts: hosts.clone(),
        process,
        token: token.clone(),
        build: flow_peers::digest(&program)?,
        options: alike,
    };
    Ok(flow_peers::connect(cluster, asked)?)
}

/// What must be alike in every process, a line each.
fn alike(config: &JobConfig, topic: &str) -> String {
    let mut lines = vec![
        format!("processes={}", config.processes),
        format!("workers={}", config.workers),
        format!("until-end={}", config.until_end),
        format!("accept-gap={}", config.accept_gap),
        format!("topic={topic}"),
    ];
    let rows = config.rows.recorded();
    lines.extend(rows.iter().map(|(key, value)| format!("{key}={value}")));
    lines.join("\n")
}
