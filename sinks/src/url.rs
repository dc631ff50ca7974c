//! From a sink's URL to the sink.
//!
//! Law: an unknown scheme is refused by naming those there are; nothing is guessed.

use flow_proto::Rollups;
use flow_topic::{Timestamps, shown};

use crate::{
    Look, RawLook, RawSink, Schema, Sink, SinkError, clickhouse, kafka, late, postgres, sqlite,
    stdout,
};

/// The schemes there are, for help texts and messages.
pub const SCHEMES: &str = "sqlite:///FILE[?retention=30d], postgres://USER@HOST/DATABASE, \
     clickhouse://USER@HOST:8123/DATABASE, kafka://HOST:9092/TOPIC, dir:///TOPIC, stdout:";

/// A store, opened: what writes its rollups and slots, and what writes its raw flows. Each has its own connection and
/// follows at its own pace.
pub struct Store {
    /// Rollups and slots; `None` for a store that has none.
    pub rollups: Option<Box<dyn Sink>>,
    /// Raw flows; `None` if they are off or the store has none.
    pub raw: Option<Box<dyn RawSink>>,
}

/// A store as its URL alone describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The URL without secrets, as messages and metrics have it.
    pub name: String,
    /// Whether it holds rollups and slots.
    pub rollups: bool,
    /// Whether it holds raw flows.
    pub raw: bool,
}

/// The store that a URL names, as far as its text and the files it names tell; nothing is opened.
///
/// # Errors
/// `Refused`, as `open`.
pub fn shape(url: &str) -> Result<Shape, SinkError> {
    match scheme(url)? {
        Scheme::Sqlite => sqlite::shape(url),
        Scheme::Postgres => postgres::shape(url),
        Scheme::Clickhouse => clickhouse::shape(url),
        Scheme::Topic => kafka::shape(url),
        Scheme::Stdout => Ok(Shape {
            name: "stdout:".to_owned(),
            rollups: true,
            raw: false,
        }),
    }
}

/// The topic that a job reads, and its rollups: what its stores are shaped like.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its URL.
    pub url: &'a str,
    /// How many partitions it has.
    pub partitions: u32,
    /// Who sets its timestamps.
    pub timestamps: Timestamps,
    /// What the job sums.
    pub rollups: Rollups,
}

/// Opens the store of a URL with the standard rollups and makes sure that it can be written; a topic must be there.
///
/// # Errors
/// `Refused` for a URL or a database that does not fit, `Retry` if the database is down or locked, `Fatal` for I/O.
pub fn open(url: &str) -> Result<Store, SinkError> {
    open_with(url, Rollups::STANDARD)
}

/// As `open`, with these rollups.
///
/// # Errors
/// As `open`.
pub fn open_with(url: &str, rollups: Rollups) -> Result<Store, SinkError> {
    open_store(url, rollups, None)
}

/// As `open`, beside the topic that the job reads: one for enriched flows is made like it if it is missing.
///
/// # Errors
/// As `open`; `Refused` for a topic with fewer partitions than the one that is read, and for that one itself.
pub fn open_beside(url: &str, source: &Source<'_>) -> Result<Store, SinkError> {
    open_store(url, source.rollups, Some(source))
}

/// As `open_beside`, for a job that goes on: a store that does not answer now is opened by its follower, later.
///
/// # Errors
/// As `open_beside`, but for `Retry`.
pub fn open_or_later(url: &str, source: &Source<'_>) -> Result<Store, SinkError> {
    match open_beside(url, source) {
        Err(error) if error.is_retry() => {
            tracing::warn!(%error, "the job starts without this store and tries again");
            late::later(url, source, &error)
        }
        opened => opened,
    }
}

fn open_store(
    url: &str,
    rollups: Rollups,
    source: Option<&Source<'_>>,
) -> Result<Store, SinkError> {
    match scheme(url)? {
        Scheme::Sqlite => sqlite::open(url, rollups),
        Scheme::Postgres => postgres::open(url, rollups),
        Scheme::Clickhouse => clickhouse::open(url, rollups),
        Scheme::Topic => kafka::open(url, source),
        Scheme::Stdout => Ok(Store {
            rollups: Some(Box::new(stdout::Stdout::new(
                Box::new(std::io::stdout()),
                rollups,
            ))),
            raw: None,
        }),
    }
}

/// The schema of the store of a URL, with the standard rollups.
///
/// # Errors
/// As `open`; `Refused` for a store without a schema.
pub fn schema(url: &str) -> Result<Box<dyn Schema>, SinkError> {
    schema_with(url, Rollups::STANDARD)
}

/// As `schema`, with these rollups.
///
/// # Errors
/// As `schema`.
pub fn schema_with(url: &str, rollups: Rollups) -> Result<Box<dyn Schema>, SinkError> {
    match scheme(url)? {
        Scheme::Sqlite => sqlite::schema(url, rollups),
        Scheme::Postgres => postgres::schema(url, rollups),
        Scheme::Clickhouse => clickhouse::schema(url, rollups),
        Scheme::Topic | Scheme::Stdout => Err(SinkError::refused(format!(
            "sink {}: has no schema",
            shown(url)
        ))),
    }
}

/// The store of a URL, to look at its cursors, slots and rows; nothing is changed.
///
/// # Errors
/// `Refused` for a URL that does not fit, a store without slots or one that may not be looked at, `Retry` if it cannot be
/// reached now.
pub fn look(url: &str) -> Result<Look, SinkError> {
    match scheme(url)? {
        Scheme::Sqlite => sqlite::look::look(url),
        Scheme::Postgres => postgres::look::look(url),
        Scheme::Clickhouse => clickhouse::look::look(url),
        Scheme::Topic | Scheme::Stdout => Err(SinkError::refused(format!(
            "sink {}: has no table of slots",
            shown(url)
        ))),
    }
}

/// The store of a URL, to look at its raw flows; nothing is changed.
///
/// # Errors
/// As `look`; `Refused` for one that has none.
pub fn raw_look(url: &str) -> Result<RawLook, SinkError> {
    match scheme(url)? {
        Scheme::Sqlite => sqlite::raw_look::raw_look(url),
        Scheme::Postgres => postgres::raw_look::raw_look(url),
        Scheme::Clickhouse => clickhouse::raw_look::raw_look(url),
        Scheme::Topic | Scheme::Stdout => Err(SinkError::refused(format!(
            "sink {}: has no table of raw flows",
            shown(url)
        ))),
    }
}

enum Scheme {
    Sqlite,
    Postgres,
    Clickhouse,
    Topic,
    Stdout,
}

fn scheme(url: &str) -> Result<Scheme, SinkError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => Ok(Scheme::Sqlite),
        Some(("postgres" | "postgresql", _)) => Ok(Scheme::Postgres),
        Some(("clickhouse", _)) => Ok(Scheme::Clickhouse),
        Some(("kafka" | "dir", _)) => Ok(Scheme::Topic),
        Some(("stdout", "" | "//")) => Ok(Scheme::Stdout),
        _ => Err(SinkError::refused(format!(
            "sink {}: unknown scheme; there are: {SCHEMES}",
            shown(url)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SinkErrorKind;

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.db");
        let good = format!(
            "sqlite://{}?retention=30d&raw_retention=forever",
            file.display()
        );
        let store = open(&good).unwrap();
        assert!(store.rollups.unwrap().name().ends_with("f.db"));
        for (url, words) in [
            ("oracle://db", "there are: sqlite:///FILE"),
            ("f.db", "unknown scheme"),
            ("sqlite:///f.db?raw=maybe", "neither on nor off"),
            ("sqlite://", "no file named"),
            ("sqlite:///f.db?retention=1h", "retention=30d"),
            ("sqlite:///f.db?retention=0d", "retention=30d"),
            (
                "sqlite:///f.db?retention=99999999999999999999d",
                "retention=30d",
            ),
            ("sqlite:///f.db?mode=ro", "`mode`"),
            (
                "dir:///x?frming=bare",
                "`frming`; there are: framing, dialect",
            ),
            (
                "dir:///x?framing=bare&foo",
                "unknown option; there are: framing, dialect",
            ),
        ] {
            let Err(error) = open(url) else {
                panic!("{url} was taken")
            };
            assert_eq!(error.kind, SinkErrorKind::Refused);
            let line = error.to_string();
            assert!(
                line.contains(words) && line.contains(&shown(url)) && !line.contains('\n'),
                "{line}"
            );
        }
    }
}
