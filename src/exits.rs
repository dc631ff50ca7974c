//! From the rooms' errors to exit codes.
//!
//! Law: one error has one exit code, whatever command meets it.

use flow_dataflow::JobError;
use flow_ingest::udp::CollectError;
use flow_peers::PeersError;
use flow_sinks::{SinkError, SinkErrorKind};
use flow_state::{Fault, FaultKind, StateError};
use flow_tables::TableError;
use flow_topic::TopicError;

use crate::failure::{Exit, Failure};

impl From<TopicError> for Failure {
    fn from(error: TopicError) -> Failure {
        let exit = match &error {
            TopicError::Locked { .. } => Exit::Taken,
            TopicError::Unreachable { .. } => Exit::Unavailable,
            TopicError::Io { .. } | TopicError::Damaged { .. } | TopicError::Gap { .. } => Exit::Io,
            _ => Exit::Config,
        };
        let failure = Failure::from_error(exit, &error);
        match next_step(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// For a topic that was deleted and made anew.
const OTHER_TOPIC: &str = "to begin with the new topic give --state a new place, and --sink new databases; or restore the \
                           old topic";

/// What to do about an error of the topic, where its line does not say it.
fn next_step(error: &TopicError) -> Option<String> {
    let hint = match error {
        TopicError::Missing { url } => {
            return Some(format!("flow-pipeline topic create {url} makes it"));
        }
        TopicError::Locked { .. } => {
            "a topic in a directory has one writer: stop the other collect or mock, or name another topic"
        }
        TopicError::Exists { .. } => "name another one, or go on with it as it is",
        TopicError::Damaged { .. } => {
            "the disk has changed it: restore the topic from a copy, or begin anew with another one"
        }
        TopicError::Replaced { .. } => OTHER_TOPIC,
        TopicError::Gap { .. } => "retention was faster: read from a later place on",
        TopicError::Unreachable { .. } => {
            "do the brokers run, at these addresses, and does their listener speak this security.protocol?"
        }
        TopicError::Untrusted { .. } => {
            "ssl.ca.location must hold the brokers' authority, and their certificate the host as it is written in the URL"
        }
        TopicError::TooLarge { .. } => "raise the topic's limit, or lower --pack-size",
        TopicError::Io { .. } => "check that the path is writable and the disk has room",
        _ => return None,
    };
    Some(hint.to_owned())
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Failure {
        let (exit, hint) = match error {
            CollectError::Topic(error) => return error.into(),
            CollectError::BadUrl { .. } => (
                Exit::Config,
                "listeners are given as sflow://:6343, netflow://:2055 or flow://HOST:PORT",
            ),
            CollectError::Bind { .. } => (
                Exit::Io,
                "--listen names the addresses; is another collector running?",
            ),
            _ => (Exit::Io, "the system refused it"),
        };
        Failure::from_error(exit, &error).hint(hint)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        Failure::from(&error)
    }
}

impl From<&StateError> for Failure {
    fn from(error: &StateError) -> Failure {
        let exit = match error {
            StateError::Taken { .. } => Exit::Taken,
            StateError::Foreign { .. } | StateError::Newer { .. } | StateError::Unusable { .. } => {
                Exit::Config
            }
            StateError::Remote { fault, .. } => of_fault(fault),
            _ => Exit::Io,
        };
        Failure::from_error(exit, error)
    }
}

fn of_fault(fault: &Fault) -> Exit {
    match fault.kind {
        FaultKind::Refused => Exit::Config,
        FaultKind::Unreachable => Exit::Unavailable,
        FaultKind::Failed => Exit::Io,
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Failure {
        let exit = match error.kind {
            SinkErrorKind::Retry => Exit::Unavailable,
            SinkErrorKind::Refused => Exit::Config,
            SinkErrorKind::Fatal if error.is_reader_gone() => Exit::Success,
            SinkErrorKind::Fatal => Exit::Io,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<TableError> for Failure {
    fn from(error: TableError) -> Failure {
        // What an object store says of a table has the code that it has of a state.
        let fault = match &error {
            TableError::Read { source, .. } => source.get_ref(),
            _ => None,
        };
        let fault = fault.and_then(|fault| fault.downcast_ref());
        Failure::from_error(fault.map_or(Exit::Config, of_fault), &error)
    }
}

impl From<PeersError> for Failure {
    fn from(error: PeersError) -> Failure {
        let exit = match &error {
            PeersError::Gone { .. } => Exit::PeerLost,
            PeersError::System(_) | PeersError::Listen { .. } => Exit::Io,
            _ => Exit::Config,
        };
        Failure::from_error(exit, &error)
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Failure {
        match error {
            JobError::Topic(error) => error.into(),
            JobError::State(error) => error.into(),
            JobError::Lost { .. } => Failure::from_error(Exit::Taken, &error),
            JobError::Peer(_) => Failure::from_error(Exit::PeerLost, &error),
            // A choice that a person has to make; starting again would meet the same gap.
            JobError::Gap { .. } => Failure::from_error(Exit::Config, &error).hint(
                "--accept-gap goes on at the first record there is and marks these slots in slots.missing_partitions; or \
                 begin anew with an empty state directory and a new database",
            ),
            JobError::OtherTopic { .. } => {
                Failure::from_error(Exit::Config, &error).hint(OTHER_TOPIC)
            }
            JobError::Retained { .. } => Failure::from_error(Exit::Config, &error)
                .hint("name later slots, give --partial, or restore the topic from a copy"),
            JobError::OtherConfig { .. } | JobError::OtherState | JobError::Tables { .. } => {
                Failure::from_error(Exit::Config, &error)
            }
            _ => Failure::from_error(Exit::Bug, &error),
        }
    }
}
