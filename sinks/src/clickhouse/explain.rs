//! From ClickHouse's errors to ours: what waiting helps against, and what an operator has to change.
//!
//! Law: a server that is down, full or overloaded is tried again without end; what only a person can change is said in
//! one line that names it.

use std::error::Error as _;

use clickhouse::error::Error;

use crate::{SinkError, SinkErrorKind};

/// Longest part of the server's own words that a line takes.
const WORDS: usize = 300;

/// The numbers are ClickHouse's (`src/Common/ErrorCodes.cpp`).
const KNOWN: &[(&[u32], SinkErrorKind, &str)] = &[
    (
        &[192, 193, 194, 516],
        SinkErrorKind::Refused,
        "user or password is wrong: see the URL's user, password_file= and CLICKHOUSE_PASSWORD",
    ),
    (
        &[291, 497],
        SinkErrorKind::Refused,
        "grant this user what docs/clickhouse.md lists",
    ),
    (
        &[81],
        SinkErrorKind::Refused,
        "the database is gone: make it, then flow-pipeline schema apply",
    ),
    (
        &[8, 10, 16, 47, 53, 57, 60, 181],
        SinkErrorKind::Refused,
        "its tables are not ours: see flow-pipeline schema diff, bring them up with flow-pipeline schema apply",
    ),
    (
        &[115],
        SinkErrorKind::Refused,
        "the server is too old: 23.2 or newer is needed",
    ),
    (&[252], SinkErrorKind::Retry, "its merges are behind: wait"),
    (
        &[241],
        SinkErrorKind::Retry,
        "it is out of memory: wait, or give it more",
    ),
    (&[243], SinkErrorKind::Retry, "make room on its disk"),
    (
        &[242],
        SinkErrorKind::Retry,
        "its table is read-only for now",
    ),
    (&[201, 202], SinkErrorKind::Retry, "it is busy"),
    (&[159, 209, 210], SinkErrorKind::Retry, "it takes too long"),
    (
        &[6, 26, 27, 36, 42, 43, 46, 48, 62, 117],
        SinkErrorKind::Fatal,
        "this is a bug, or the server is of a kind that was not tried",
    ),
];
/// `READONLY`: the user's profile does not let it write.
const READONLY: u32 = 164;

/// Ours for `error` of the store `name`. At the start (`opening`) a user that may only read is refused; later it is
/// tried again, since an operator may have switched it for a while.
pub(super) fn explain(name: &str, opening: bool, error: &Error) -> SinkError {
    let (kind, words, advice) = match error {
        Error::BadResponse(text) => of_server(text, opening),
        Error::TimedOut => (
            SinkErrorKind::Retry,
            "no answer in time".to_owned(),
            "see whether it runs",
        ),
        Error::Network(_) => of_network(error),
        Error::Compression(_) | Error::Decompression(_) => (
            SinkErrorKind::Retry,
            chain(error),
            "see that no proxy changes what it says",
        ),
        _ => (SinkErrorKind::Fatal, chain(error), "this is a bug"),
    };
    let line = format!("sink {name}: {words}; {advice}");
    match kind {
        SinkErrorKind::Retry => SinkError::retry(line),
        SinkErrorKind::Refused => SinkError::refused(line),
        SinkErrorKind::Fatal => SinkError::fatal(line),
    }
}

/// No answer came in time.
pub(super) fn too_slow(name: &str, limit_secs: u64) -> SinkError {
    SinkError::retry(format!(
        "sink {name}: no answer within {limit_secs} s; see whether it runs, and whether this is its port for HTTP (8123)"
    ))
}

fn of_server(text: &str, opening: bool) -> (SinkErrorKind, String, &'static str) {
    let words = one_line(text);
    let number = text
        .split_once("Code: ")
        .map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits?.parse::<u32>().ok());
    let Some(number) = number else {
        let advice =
            "this is no ClickHouse that answers, or a proxy before it: see host, port and secure=1";
        return (SinkErrorKind::Retry, words, advice);
    };
    if number == READONLY {
        let kind = if opening {
            SinkErrorKind::Refused
        } else {
            SinkErrorKind::Retry
        };
        return (kind, words, "this user may not write");
    }
    let known = KNOWN.iter().find(|(numbers, ..)| numbers.contains(&number));
    known.map_or(
        (SinkErrorKind::Retry, words.clone(), "see the server's log"),
        |(_, kind, advice)| (*kind, words, advice),
    )
}

fn of_network(error: &Error) -> (SinkErrorKind, String, &'static str) {
    let words = chain(error);
    let about = |part: &str| words.contains(part);
    if about("certificate verify failed") || about("Hostname mismatch") {
        let advice = "its certificate is not believed: name its authority with ca=FILE, and the host as it is certified";
        return (SinkErrorKind::Refused, words, advice);
    }
    let advice = if about("wrong version number") || about("packet length too long") {
        "this port speaks no TLS: leave secure=1 out, or name the port of https (8443)"
    } else if about("connection closed before message completed") || about("unexpected EOF") {
        "see whether this is a ClickHouse, and its port for HTTP (8123, with secure=1 8443)"
    } else {
        "see whether it runs and can be reached"
    };
    (SinkErrorKind::Retry, words, advice)
}

/// The error and what caused it.
fn chain(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = next.source();
    }
    one_line(&words)
}

/// The server's words without its stack trace and version, cut where they get long.
fn one_line(text: &str) -> String {
    let text = text.split(" (version ").next().unwrap_or(text);
    let text = text.split("Stack trace").next().unwrap_or(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= WORDS {
        line
    } else {
        line.chars().take(WORDS).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str, opening: bool) -> SinkErrorKind {
        let error = explain("x", opening, &Error::BadResponse(text.into()));
        assert!(!error.to_string().contains('\n'), "{error}");
        error.kind
    }

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_refused() {
        for (code, expected) in [
            (252, SinkErrorKind::Retry),
            (241, SinkErrorKind::Retry),
            (159, SinkErrorKind::Retry),
            (243, SinkErrorKind::Retry),
            (242, SinkErrorKind::Retry),
            (999, SinkErrorKind::Retry),
            (516, SinkErrorKind::Refused),
            (497, SinkErrorKind::Refused),
            (60, SinkErrorKind::Refused),
            (16, SinkErrorKind::Refused),
            (62, SinkErrorKind::Fatal),
        ] {
            let text = format!("Code: {code}. DB::Exception: words.\nStack trace: 0.");
            assert_eq!(kind(&text, true), expected, "{code}");
        }
        let readonly = "Code: 164. DB::Exception: Cannot execute query in readonly mode.";
        assert_eq!(kind(readonly, true), SinkErrorKind::Refused);
        assert_eq!(kind(readonly, false), SinkErrorKind::Retry);
        assert_eq!(kind("502 Bad Gateway", false), SinkErrorKind::Retry);
    }

    #[test]
    fn long_words_are_cut() {
        let text = format!("Code: 60. {}", "ä".repeat(5_000));
        let line = explain("x", false, &Error::BadResponse(text)).to_string();
        assert!(line.chars().count() < WORDS + 200, "{}", line.len());
    }
}
