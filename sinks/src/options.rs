//! What every store takes as options of its URL.
//!
//! Law: an option is written once, here; an unknown one is refused by naming those there are. What a store's own client
//! understands (TLS, time limits) is left in the query for the store to take.

use flow_proto::{Rollup, Rollups};
use flow_topic::shown::option_name;

use crate::SinkError;

/// Shortest retention: a slot must not be deleted while late flows may still correct it.
const MIN_RETENTION_SECS: u64 = 86_400;

/// Options of any store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// `retention=30d`: slots that start further than this below the watermark are deleted. Seconds; `None`: kept.
    pub retention_secs: Option<u64>,
    /// `raw_retention=7d`: raw flows further than this below the watermark are deleted. Seconds; `None`: kept.
    pub raw_retention_secs: Option<u64>,
    /// `raw=on|off`: whether raw flows are written; `None`: the store's default.
    pub raw: Option<bool>,
    /// The rollups that it holds: no part of a URL, since all stores of a job have the same.
    pub rollups: Rollups,
}

impl StoreOptions {
    /// Of each rollup, where slots must start to be kept. By a longer window they go with the last that lies within them.
    pub(crate) fn kept_from(&self, watermark_secs: Option<u64>) -> Vec<(Rollup, u64)> {
        let now = watermark_secs.zip(self.retention_secs);
        let line = now.and_then(|(now, keep)| now.checked_sub(keep));
        let base_secs = self.rollups.base().window_secs();
        let of = |rollup: Rollup| {
            let longer_secs = rollup.window_secs().saturating_sub(base_secs);
            Some((rollup, line?.checked_sub(longer_secs)?))
        };
        self.rollups.iter().filter_map(of).collect()
    }
}

/// A URL's query, taken apart: our options, and the pairs left for the store.
///
/// # Errors
/// `Refused` for a value that cannot be; `shown` is the URL without secrets.
pub fn take(query: &str, shown: &str) -> Result<(StoreOptions, Vec<(String, String)>), SinkError> {
    let mut options = StoreOptions::default();
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "retention" => options.retention_secs = retention(shown, name, value)?,
            "raw_retention" => options.raw_retention_secs = retention(shown, name, value)?,
            "raw" => {
                options.raw = Some(match value {
                    "on" => true,
                    "off" => false,
                    _ => {
                        return Err(SinkError::refused(format!(
                            "sink {shown}: raw `{value}` is neither on nor off"
                        )));
                    }
                });
            }
            _ => rest.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok((options, rest))
}

/// That nothing is left over.
///
/// # Errors
/// `Refused`, naming the options that there are; `own` are the store's.
pub fn nothing_left(rest: &[(String, String)], shown: &str, own: &[&str]) -> Result<(), SinkError> {
    match rest.first() {
        None => Ok(()),
        Some(_) => {
            let common = ["retention", "raw_retention", "raw"];
            let known: Vec<&str> = common.iter().chain(own).copied().collect();
            Err(unknown(rest, shown, &known))
        }
    }
}

/// What is said of the first option left over, where `known` are all that there are. Its name is told if it is one: a
/// password may have been cut at its `?` or `&`.
pub(crate) fn unknown(rest: &[(String, String)], shown: &str, known: &[&str]) -> SinkError {
    let name = rest
        .first()
        .filter(|(_, value)| !value.is_empty())
        .and_then(|(name, _)| option_name(name))
        .map_or(String::new(), |name| format!(" `{name}`"));
    SinkError::refused(format!(
        "sink {shown}: unknown option{name}; there are: {}",
        known.join(", ")
    ))
}

fn retention(shown: &str, name: &str, value: &str) -> Result<Option<u64>, SinkError> {
    if value == "forever" {
        return Ok(None);
    }
    let days: Option<u64> = value.strip_suffix('d').and_then(|days| days.parse().ok());
    days.and_then(|days| days.checked_mul(86_400))
        .filter(|secs| *secs >= MIN_RETENTION_SECS)
        .map(Some)
        .ok_or_else(|| {
            SinkError::refused(format!(
                "sink {shown}: {name} `{value}` is neither a whole number of days from 1d on nor forever, as in {name}=30d"
            ))
        })
}
