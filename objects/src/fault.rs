//! From what an object store says to one line: what it was, and what to do.
//!
//! Law 5: `Existed` is told for an answered precondition alone; a time-out, a lost connection or a 5xx is an error, and
//! its outcome unknown.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use flow_state::{Fault, FaultKind};
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// Longest answer of a server that is repeated.
const SAID: usize = 300;

/// The system's form of an error.
pub(crate) fn of(error: &Error) -> io::Error {
    let said = said(error);
    let code = between(&said, "<Code>", "</Code>").unwrap_or_default();
    let (kind, advice) = match (error, code) {
        (_, "NoSuchBucket") => (
            FaultKind::Refused,
            "there is no such bucket; make it, or correct the URL",
        ),
        (Error::NotFound { .. }, _) => return ErrorKind::NotFound.into(),
        (
            _,
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "IllegalLocationConstraintException",
        ) => (FaultKind::Refused, REGION),
        _ if said.contains("incorrectly configured region") => (FaultKind::Refused, REGION),
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => (
            FaultKind::Refused,
            "access denied; check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role) and \
             their rights: get, put, delete, list",
        ),
        _ if said.contains("http://169.254.") => (
            FaultKind::Refused,
            "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the machine has a role",
        ),
        _ => match (http(error), said.contains("status code: 5")) {
            (Some(_), _) => (
                FaultKind::Unreachable,
                "no connection; does the store run, at this endpoint?",
            ),
            (None, true) => (FaultKind::Unreachable, "the store has a fault of its own"),
            (None, false) if code.is_empty() && NO_S3.iter().any(|no| said.contains(no)) => (
                FaultKind::Refused,
                "the endpoint does not answer as S3 does; correct endpoint= in its URL",
            ),
            (None, false) => (FaultKind::Failed, "the store has refused it"),
        },
    };
    Fault {
        kind,
        said: format!("{advice} ({})", short(&said)),
    }
    .into()
}

/// What the client says of answers without S3's XML, or without its headers: those of a web server or a proxy. Not of a 408
/// or a 429, which a proxy may give for a while.
const NO_S3: [&str; 7] = [
    "non-2xx status code: 400",
    "non-2xx status code: 404",
    "non-2xx status code: 405",
    "non-partial response",
    "Content-Range header not present",
    "Header missing from response",
    "invalid list response",
];

const REGION: &str = "the bucket is in another region; give ?region=, or AWS_REGION";

/// Whether the condition of a put was answered: the name was taken. A conflict of two requests is no such answer, though
/// the client reports both alike.
pub(crate) fn is_precondition(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. }) && !said(error).contains("status code: 409")
}

/// No answer in time.
pub(crate) fn no_answer(secs: u64) -> io::Error {
    Fault {
        kind: FaultKind::Unreachable,
        said: format!(
            "no answer within {secs} s; does the store run, and is the network fast enough?"
        ),
    }
    .into()
}

/// The connection's own error, if it was that and no answer.
fn http(error: &Error) -> Option<HttpErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(http.kind()).filter(|kind| *kind != HttpErrorKind::Decode);
        }
        source = error.source();
    }
    None
}

/// Everything that the chain of errors says, in one line.
fn said(error: &Error) -> String {
    let mut all = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !all.contains(&next) {
            all.push_str(": ");
            all.push_str(&next);
        }
        source = error.source();
    }
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The server's own message where there is one, else the beginning of all.
fn short(said: &str) -> String {
    let code = between(said, "<Code>", "</Code>");
    let message = between(said, "<Message>", "</Message>");
    match (code, message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => said.split_once(" - ").map_or(said, |(_, rest)| rest).into(),
    }
    .chars()
    .take(SAID)
    .collect()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found)
}
