//! What can be said of a job of several processes without asking any of them.
//!
//! Law: what lies on one machine's disk can't be shared by processes on several, and is refused before they start.

use super::finding::Findings;
use super::stores::shown;
use crate::cli;
use crate::cluster;
use crate::failure::{Exit, Failure};

/// The flags of `run` that have to do with other processes.
pub(super) fn flags(options: &cli::Run, found: &mut Findings) {
    let cli::Cluster {
        processes, process, ..
    } = options.cluster;
    let hosts = match cluster::given(&options.cluster) {
        Ok(None) => return,
        Ok(Some((hosts, _))) => hosts,
        Err(failure) => {
            found.wrong(failure);
            return;
        }
    };
    found.good(format!(
        "process {process} of {processes}, listens on {}",
        hosts.of(process)
    ));
    if hosts.on_one_machine() {
        return;
    }
    let local = |url: &&String| url.starts_with("dir:") || url.starts_with("sqlite:");
    for url in [&options.topic]
        .into_iter()
        .chain(&options.sink)
        .filter(local)
    {
        let what = format!(
            "{}: lies on one machine, the processes on several ({hosts})",
            shown(url)
        );
        found.wrong(
            Failure::new(Exit::Config, what)
                .hint("several machines need Kafka, and PostgreSQL or ClickHouse"),
        );
    }
}
