//! `topic.meta`: what a topic was made with. Its presence makes a directory a topic.
//!
//! Why text: a person who finds the directory can read what it is. Law: the file is replaced as a whole
//! (written aside, synced, renamed), and a version or key that this program does not know is refused.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::directory::{ALTER_LOCK, WRITER_LOCK};
use super::directory::{META, META_NEW, PARTITION_PREFIX, sync_directory};
use super::options::{Options, Retention};
use crate::{Timestamps, TopicError};

const TITLE: &str = "flow-pipeline topic";
const VERSION: u32 = 1;

fn foreign(url: &str, what: String) -> TopicError {
    TopicError::Foreign {
        url: url.to_owned(),
        what,
    }
}

/// Reads the options of the topic in `path`.
pub(super) fn read(url: &str, path: &Path) -> Result<Options, TopicError> {
    let file = path.join(META);
    match std::fs::read_to_string(&file) {
        Ok(text) => parse(url, &text),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(foreign(
            url,
            format!("{} is not text: not a topic of ours", file.display()),
        )),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            check_free(url, path)?;
            Err(TopicError::Missing {
                url: url.to_owned(),
            })
        }
        Err(e) => Err(TopicError::io("read", &file, e)),
    }
}

/// That `path` is absent, empty, or the unfinished beginning of a topic.
pub(super) fn check_free(url: &str, path: &Path) -> Result<(), TopicError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(foreign(url, "this is not a directory".to_owned()));
        }
        Err(e) => return Err(TopicError::io("list", path, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| TopicError::io("list", path, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = [META, META_NEW, ALTER_LOCK, WRITER_LOCK, "lost+found"].contains(&&*name);
        if !ours && !name.starts_with(PARTITION_PREFIX) {
            let what = format!(
                "not a topic: the directory holds {name:?} and no {META}; give another one"
            );
            return Err(foreign(url, what));
        }
        if !ours && holds_records(&entry.path()) {
            return Err(foreign(
                url,
                format!("{name} holds records, but there is no {META}"),
            ));
        }
    }
    Ok(())
}

fn holds_records(partition: &Path) -> bool {
    let entries = std::fs::read_dir(partition).into_iter().flatten().flatten();
    let mut logs = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "log"));
    logs.any(|entry| entry.metadata().map_or(true, |metadata| metadata.len() > 0))
}

fn parse(url: &str, text: &str) -> Result<Options, TopicError> {
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(foreign(
            url,
            format!("{META} does not begin with {TITLE:?}: not a topic of ours"),
        ));
    }
    let mut options = Options {
        partitions: 0,
        retention: Retention::default(),
        ..Options::default()
    };
    let mut version = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let bad = || {
            foreign(
                url,
                format!("{META}: {line:?} is not understood (another version?)"),
            )
        };
        let (key, value) = line.split_once('=').ok_or_else(bad)?;
        let number = value.parse::<u64>();
        match key {
            "version" => {
                version = Some(value);
                if value != VERSION.to_string() {
                    let what = format!("format version {value}, this program knows {VERSION}");
                    return Err(foreign(url, what));
                }
            }
            "partitions" => options.partitions = value.parse().map_err(|_| bad())?,
            "timestamps" if value == "append" => options.timestamps = Timestamps::Append,
            "timestamps" if value == "create" => options.timestamps = Timestamps::Create,
            "segment_bytes" => options.segment_bytes = number.map_err(|_| bad())?,
            "record_limit_bytes" => {
                options.record_limit_bytes = value.parse().map_err(|_| bad())?;
            }
            "retention_bytes" => options.retention.bytes = Some(number.map_err(|_| bad())?),
            "retention_age_millis" => {
                options.retention.age_millis = Some(value.parse().map_err(|_| bad())?);
            }
            _ => return Err(bad()),
        }
    }
    if version.is_none() {
        return Err(foreign(url, format!("{META} names no format version")));
    }
    options
        .check(url)
        .map_err(|e| foreign(url, format!("{META}: {e}")))?;
    Ok(options)
}

fn text(options: &Options) -> String {
    let timestamps = match options.timestamps {
        Timestamps::Append => "append",
        Timestamps::Create => "create",
    };
    let mut text = format!(
        "{TITLE}\nversion={VERSION}\npartitions={}\ntimestamps={timestamps}\nsegment_bytes={}\nrecord_limit_bytes={}\n",
        options.partitions, options.segment_bytes, options.record_limit_bytes
    );
    // Writing to a String cannot fail.
    if let Some(bytes) = options.retention.bytes {
        let _ = writeln!(text, "retention_bytes={bytes}");
    }
    if let Some(millis) = options.retention.age_millis {
        let _ = writeln!(text, "retention_age_millis={millis}");
    }
    text
}

/// Replaces the options of the topic in `path`, durably. The caller holds the alter lock.
pub(super) fn write(path: &Path, options: &Options) -> Result<(), TopicError> {
    let aside = path.join(META_NEW);
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(text(options).as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| TopicError::io("write", &aside, e))?;
    let meta = path.join(META);
    std::fs::rename(&aside, &meta).map_err(|e| TopicError::io("replace", &meta, e))?;
    sync_directory(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_the_round_trip() {
        let retention = Retention {
            bytes: Some(7),
            age_millis: Some(9),
        };
        for timestamps in [Timestamps::Append, Timestamps::Create] {
            for retention in [retention, Retention::default()] {
                let options = Options {
                    partitions: 3,
                    timestamps,
                    retention,
                    ..Options::default()
                };
                assert_eq!(parse("u", &text(&options)).unwrap(), options);
            }
        }
    }

    #[test]
    fn another_format_is_refused_and_named() {
        let good = text(&Options::default());
        for (bad, word) in [
            (
                good.replace("version=1", "version=2"),
                "format version 2, this program knows 1",
            ),
            (good.replace(TITLE, "something else"), "not a topic of ours"),
            (good.replace("version=1\n", ""), "no format version"),
            (good.clone() + "compression=zstd\n", "compression=zstd"),
            (good.replace("partitions=4", "partitions=0"), "0 partitions"),
            (
                good.replace("=append", "=sometimes"),
                "timestamps=sometimes",
            ),
            (String::new(), "does not begin"),
        ] {
            let error = parse("dir:///x", &bad).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
