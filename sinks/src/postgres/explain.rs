//! From PostgreSQL's errors to ours.
//!
//! Law 6: what may pass by itself is tried again, what an operator must change ends the job in one line that says what
//! to change. So the decision is made here, by SQLSTATE (PostgreSQL's appendix A), and nowhere else.

use std::error::Error as Cause;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::{SinkError, SinkErrorKind};

const FULL: &str = "make room on its disk";

/// Where PostgreSQL has no SQLSTATE for a full disk, its words tell, and some of them hardly: a session's first statement
/// in a database writes the file that they name.
fn full(message: &str) -> bool {
    message.contains("No space left on device") || message == "could not write init file"
}

/// What is done about a SQLSTATE, and what the reader can do.
fn verdict(state: &str) -> (SinkErrorKind, &'static str) {
    use SinkErrorKind::{Fatal, Refused, Retry};
    match state {
        "28P01" | "28000" => (
            Refused,
            "check user and password (PGPASSWORD, password_file=FILE, passfile=FILE) and the server's pg_hba.conf",
        ),
        "3D000" => (Refused, "create the database, or name another one"),
        "42501" => (
            Refused,
            "this user lacks a right: `flow-pipeline check --connect run` names the statements that give those a job needs",
        ),
        "25006" => (
            Retry,
            "the server takes no writes: a standby, or a disk that ran full",
        ),
        "53100" => (Retry, FULL),
        "53300" => (Retry, "raise max_connections, or end other clients"),
        "55P03" | "55006" => (Retry, "another session holds a lock: let it finish"),
        "57014" => (
            Retry,
            "the statement took too long: see statement_timeout in the URL",
        ),
        "42P07" | "42710" => (
            Refused,
            "this is not ours to change: rename it, or name another schema by schema=NAME",
        ),
        "23505" | "23514" => (Retry, "another session changed the tables meanwhile"),
        "XX001" | "XX002" => (Fatal, "the database is damaged: restore it from a copy"),
        _ => match state.get(..2).unwrap_or_default() {
            "08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX" => (Retry, "it is tried again"),
            "0A" | "3F" | "42" => (
                Refused,
                "the tables are not as they should be: see `flow-pipeline schema diff`",
            ),
            _ => (Fatal, "this is a bug or a foreign change of the database"),
        },
    }
}

/// The line for an error.
pub(super) fn explain(sink: &str, error: &Error) -> SinkError {
    let (kind, line) = match error.as_db_error() {
        Some(db) => {
            let (kind, mut advice) = verdict(db.code().code());
            if full(db.message()) {
                advice = FULL;
            }
            (kind, format!("{}; {advice}", told(db)))
        }
        None => {
            let (kind, advice) = local(error);
            (kind, format!("{}; {advice}", chain(error)))
        }
    };
    made(kind, format!("sink {sink}: {line}"))
}

/// No answer came in time.
pub(super) fn too_slow(sink: &str, limit_secs: u64) -> SinkError {
    SinkError::retry(format!(
        "sink {sink}: no answer within {limit_secs} s; the connection is given up and made anew"
    ))
}

/// What answers there does not do so as a PostgreSQL does.
pub(super) fn unknown(sink: &str, what: &str) -> SinkError {
    SinkError::retry(format!(
        "sink {sink}: {what}; see whether a PostgreSQL listens at this host and port"
    ))
}

fn made(kind: SinkErrorKind, line: String) -> SinkError {
    let line = line.replace('\n', " ");
    match kind {
        SinkErrorKind::Retry => SinkError::retry(line),
        SinkErrorKind::Refused => SinkError::refused(line),
        SinkErrorKind::Fatal => SinkError::fatal(line),
    }
}

fn told(db: &DbError) -> String {
    let detail = db
        .detail()
        .map_or(String::new(), |detail| format!(": {detail}"));
    format!("{}{detail} (SQLSTATE {})", db.message(), db.code().code())
}

/// What the client itself says: the crate keeps its kinds to itself, their texts are all there is.
fn local(error: &Error) -> (SinkErrorKind, &'static str) {
    let text = error.to_string();
    // OpenSSL wraps a broken connection in its own error.
    let broken = |e: &(dyn Cause + 'static)| {
        e.is::<std::io::Error>() || e.to_string().contains("unexpected EOF")
    };
    let from_io = causes(error).into_iter().skip(1).any(broken);
    if text.starts_with("error performing TLS handshake") && !from_io {
        return (
            SinkErrorKind::Refused,
            "the server has no certificate that stands: see sslmode and sslrootcert",
        );
    }
    if text.starts_with("invalid configuration") || text.starts_with("authentication error") {
        return (
            SinkErrorKind::Refused,
            "give a password by PGPASSWORD, password_file=FILE or passfile=FILE",
        );
    }
    (
        SinkErrorKind::Retry,
        "is the server up, and are host and port right?",
    )
}

/// The error and what is behind it.
fn causes(error: &Error) -> Vec<&(dyn Cause + 'static)> {
    let mut last: &(dyn Cause + 'static) = error;
    let mut causes = vec![last];
    while let Some(next) = last.source() {
        causes.push(next);
        last = next;
    }
    causes
}

fn chain(error: &Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in causes(error) {
        let part = part.to_string();
        // Some errors repeat what they wrap.
        if !parts.iter().any(|said| said.contains(&part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use SinkErrorKind::{Fatal, Refused, Retry};

    #[test]
    fn what_passes_is_retried_and_what_an_operator_must_change_is_refused() {
        // From appendix A of PostgreSQL's manual.
        for (state, kind) in [
            ("53100", Retry),   // disk_full
            ("53200", Retry),   // out_of_memory
            ("53300", Retry),   // too_many_connections
            ("55P03", Retry),   // lock_not_available
            ("40P01", Retry),   // deadlock_detected
            ("40001", Retry),   // serialization_failure
            ("57P01", Retry),   // admin_shutdown
            ("57P03", Retry),   // cannot_connect_now
            ("57014", Retry),   // query_canceled
            ("25P03", Retry),   // idle_in_transaction_session_timeout
            ("08006", Retry),   // connection_failure
            ("58030", Retry),   // io_error
            ("42501", Refused), // insufficient_privilege
            ("42703", Refused), // undefined_column
            ("42P01", Refused), // undefined_table
            ("3D000", Refused), // invalid_catalog_name
            ("28P01", Refused), // invalid_password
            ("22003", Fatal),   // numeric_value_out_of_range
            ("XX001", Fatal),   // data_corrupted
        ] {
            assert_eq!(verdict(state).0, kind, "{state}");
        }
    }
}
