//! From a URL to a topic.
//!
//! Why one place: every command takes `--topic URL` and must know the same schemes and say the same when it
//! does not. Law: an unknown scheme is refused by naming those there are.

use std::path::Path;
use std::sync::Arc;

use crate::embedded::{Context, EmbeddedTopic, Options};
use crate::kafka::url::{Address, SCHEME as KAFKA};
use crate::{KafkaTopic, Topic, TopicError, shown};

/// The forms of a topic's URL.
const KNOWN: &str = "dir:///absolute/path, dir://relative/path or kafka://host:9092,host2:9092/topic?property=value";

/// Opens the topic that `url` names; with `create`, makes it if it is missing.
///
/// # Errors
/// `UnknownScheme` if it is no topic's URL, `Missing` if nothing is there and `create` is `None`.
pub fn open(url: &str, create: Option<Options>) -> Result<Arc<dyn Topic>, TopicError> {
    open_with(url, create, Context::default())
}

/// As `open`, with a clock and counters from outside.
///
/// # Errors
/// As `open`.
pub fn open_with(
    url: &str,
    create: Option<Options>,
    context: Context,
) -> Result<Arc<dyn Topic>, TopicError> {
    if url.starts_with(KAFKA) {
        return Ok(Arc::new(match create {
            Some(options) => KafkaTopic::open_or_create(url, &options, &context)?,
            None => KafkaTopic::open(url, &context)?,
        }));
    }
    let path = directory(url)?;
    let topic = match create {
        Some(options) => EmbeddedTopic::open_or_create(path, options, context)?,
        None => EmbeddedTopic::open_with(path, context)?,
    };
    Ok(Arc::new(topic))
}

/// Makes the topic that `url` names.
///
/// # Errors
/// `Exists` if it is there, `UnknownScheme` if it is no topic's URL, `BadOptions` for what it cannot be.
pub fn create(url: &str, options: Options) -> Result<Arc<dyn Topic>, TopicError> {
    if url.starts_with(KAFKA) {
        return Ok(Arc::new(KafkaTopic::create(
            url,
            &options,
            &Context::default(),
        )?));
    }
    Ok(Arc::new(EmbeddedTopic::create(directory(url)?, options)?))
}

/// Whether a URL names a topic, as far as its text tells; nothing is opened.
///
/// # Errors
/// `UnknownScheme`; `BadOptions` for a URL that cannot be, or names a secret's file that cannot be read.
pub fn check(url: &str) -> Result<(), TopicError> {
    if url.starts_with(KAFKA) {
        return Address::parse(url).map(drop);
    }
    directory(url).map(drop)
}

/// The directory of a `dir://` URL. What follows is a path as it is: nothing in it is decoded, and no option follows it.
pub fn directory(url: &str) -> Result<&Path, TopicError> {
    let rest = url.strip_prefix("dir://").unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(TopicError::UnknownScheme {
            url: shown(url),
            known: KNOWN,
        });
    }
    if !query.is_empty() {
        return Err(TopicError::BadOptions {
            url: shown(url),
            what: "a topic in a directory has no options, and its path no ?".to_owned(),
        });
    }
    Ok(Path::new(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_what_follows_the_scheme() {
        for (url, path) in [
            ("dir:///var/lib/flows", "/var/lib/flows"),
            ("dir://data/flows", "data/flows"),
            ("dir://./a b%20c", "./a b%20c"),
        ] {
            assert_eq!(directory(url).unwrap(), Path::new(path));
        }
    }

    #[test]
    fn an_unknown_scheme_names_those_there_are() {
        for url in [
            "",
            "flows",
            "/var/flows",
            "dir://",
            "dir:/x",
            "nats://x/y",
            "DIR:///x",
        ] {
            let error = open(url, None).unwrap_err();
            assert!(matches!(error, TopicError::UnknownScheme { .. }), "{error}");
            assert_eq!(
                error.to_string(),
                format!("{url}: topics are given as {KNOWN}")
            );
        }
    }

    #[test]
    fn a_urls_text_is_checked_without_opening_anything() {
        for url in ["dir:///no/where", "kafka://h:1,h:2/t?linger.ms=5"] {
            check(url).unwrap();
        }
        for url in [
            "nats://x/y",
            "kafka://h",
            "kafka://u:p@h/t",
            "dir:///x?frming=bare",
            "dir://?x",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_missing_topic_is_made_only_if_asked() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("dir://{}", folder.path().join("a/b").display());
        assert!(matches!(
            open(&url, None).unwrap_err(),
            TopicError::Missing { .. }
        ));
        assert_eq!(
            open(&url, Some(Options::default()))
                .unwrap()
                .partitions()
                .unwrap(),
            4
        );
        assert_eq!(open(&url, None).unwrap().url(), url);
    }
}
