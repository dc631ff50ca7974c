//! Logs: to standard error, for people on a terminal, as JSON lines elsewhere.
//!
//! Standard output is for data. Law: nothing is logged per flow or per datagram; repeats are limited where they
//! are logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::failure::{Exit, Failure};
use prometheus_client::registry::Registry;

/// The registry of all metrics of a process; rooms declare theirs in it.
pub(crate) fn registry() -> Registry {
    Registry::with_prefix("flow_pipeline")
}

/// Starts logging at `filter`: a level (`info`), or tracing's directives (`warn,flow_ingest=debug`).
pub(crate) fn init(filter: &str) -> Result<(), Failure> {
    // That client tells of each try it makes; what has failed in the end is told by us. Naming it in --log shows it.
    let directives = format!("object_store=error,{filter}");
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        Failure::new(Exit::Usage, format!("--log {filter}: {error}"))
            .hint("a level: error, warn, info, debug or trace")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would tell of a standard error that is full or closed on standard error, and panic.
        .log_internal_errors(false)
        .with_target(false);
    if std::io::stderr().is_terminal() {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        builder.compact().with_ansi(colour).init();
    } else {
        builder.json().flatten_event(true).init();
    }
    Ok(())
}
