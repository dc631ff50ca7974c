//! From a sink's URL to the sink.
//!
//! Law: an unknown scheme is refused by naming those there are; nothing is guessed.

use std::path::Path;

use crate::sqlite::{self, SqliteOptions};
use crate::stdout::Stdout;
use crate::{Sink, SinkError};

/// The schemes there are, for help texts and messages.
pub const SCHEMES: &str = "sqlite:///FILE[?retention=30d], stdout:";

/// Shortest retention: a slot must not be deleted while late flows may still correct it.
const MIN_RETENTION_SECS: u64 = 86_400;

/// Opens the store of a URL and makes sure that it can be written.
///
/// # Errors
/// `Refused` for a URL or a database that does not fit, `Retry` if the database is locked, `Fatal` for I/O.
pub fn open(url: &str) -> Result<Box<dyn Sink>, SinkError> {
    if matches!(url, "stdout:" | "stdout://") {
        return Ok(Box::new(Stdout::new(Box::new(std::io::stdout()))));
    }
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Err(SinkError::refused(format!(
            "sink {url}: unknown scheme; there are: {SCHEMES}"
        )));
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return Err(SinkError::refused(format!(
            "sink {url}: no file named; write sqlite:///path/to/file"
        )));
    }
    let mut options = SqliteOptions::default();
    for (name, value) in query
        .split('&')
        .filter(|q| !q.is_empty())
        .map(|q| q.split_once('=').unwrap_or((q, "")))
    {
        match name {
            "retention" => options.retention_secs = Some(retention(url, value)?),
            _ => {
                return Err(SinkError::refused(format!(
                    "sink {url}: unknown option `{name}`; there is: retention"
                )));
            }
        }
    }
    Ok(Box::new(sqlite::Sqlite::open(Path::new(path), options)?))
}

fn retention(url: &str, value: &str) -> Result<u64, SinkError> {
    let wrong = || {
        SinkError::refused(format!(
            "sink {url}: retention `{value}` is not a whole number of days from 1d on, as in retention=30d"
        ))
    };
    let days: u64 = value
        .strip_suffix('d')
        .and_then(|d| d.parse().ok())
        .ok_or_else(wrong)?;
    days.checked_mul(86_400)
        .filter(|secs| *secs >= MIN_RETENTION_SECS)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SinkErrorKind;

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.db");
        let good = format!("sqlite://{}?retention=30d", file.display());
        assert!(open(&good).unwrap().name().ends_with("f.db"));
        for (url, words) in [
            ("oracle://db", "there are: sqlite:///FILE"),
            ("f.db", "unknown scheme"),
            ("sqlite://", "no file named"),
            ("sqlite:///f.db?retention=1h", "retention=30d"),
            ("sqlite:///f.db?retention=0d", "retention=30d"),
            (
                "sqlite:///f.db?retention=99999999999999999999d",
                "retention=30d",
            ),
            ("sqlite:///f.db?mode=ro", "`mode`"),
        ] {
            let Err(error) = open(url) else {
                panic!("{url} was taken")
            };
            assert_eq!(error.kind, SinkErrorKind::Refused);
            let line = error.to_string();
            assert!(
                line.contains(words) && line.contains(url) && !line.contains('\n'),
                "{line}"
            );
        }
    }
}
