//! The rollups of a job: as configured, which of them feeds which, and how wide a key is at most.
//!
//! A rollup that follows from a finer one is fed by it, so that a flow is looked at once for both and their sums agree
//! at every moment. Law 1: the set decides rows, so it is recorded; its text leads back to it. Law 8: sets are kept for
//! the life of the process, each text once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use crate::dimension::Dimension;
use crate::record::Width;
use crate::rollup::{Feed, Rollup, Spec};

/// Rollups of a set.
const MOST_ROLLUPS: usize = 64;
/// Seconds of the longest window.
const DAY_SECS: u64 = 86_400;
/// A name is part of the names of temporary tables, of which PostgreSQL takes 63 letters.
const MOST_LETTERS: usize = 40;

/// A set of rollups, in the order of their numbers; never empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rollups(&'static [Rollup]);

/// Why a set of rollups cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RollupError {
    /// No `NAME=DIMENSIONS`.
    #[error(
        "rollup {0:?}: give NAME=DIMENSIONS or NAME=DIMENSIONS@WINDOW, as rollup_1h=src_as,dst_as@1h"
    )]
    Form(String),
    /// Not a name for a table.
    #[error(
        "rollup {0:?}: a name is rollup_ and then small letters, digits and _, 40 in all, and ends in neither _rows nor _readable"
    )]
    Name(String),
    /// Twice the same name.
    #[error("rollup {0}: is there twice")]
    Twice(String),
    /// An unknown dimension, or one that comes twice.
    #[error("rollup {name}: dimension {dimension:?} {}", known_dimensions(.dimension))]
    Dimension {
        /// The rollup.
        name: String,
        /// What was given.
        dimension: String,
    },
    /// A window that does not fit.
    #[error(
        "rollup {name}: window {window:?}: give a multiple of {base_secs} s that divides a day, as 1h"
    )]
    Window {
        /// The rollup.
        name: String,
        /// What was given.
        window: String,
        /// The base window.
        base_secs: u64,
    },
    /// The first one does not hold every flow.
    #[error(
        "rollup {0}: the first rollup counts every flow of a slot: name one first that has no country and no longer window"
    )]
    First(String),
    /// More than there may be.
    #[error("there are at most {MOST_ROLLUPS} rollups")]
    TooMany,
}

fn known_dimensions(given: &str) -> String {
    if Dimension::from_name(given).is_some() {
        return "comes twice".to_owned();
    }
    let names = Dimension::ALL.map(Dimension::name).join(", ");
    format!("is unknown; there are: {names}")
}

impl Default for Rollups {
    fn default() -> Rollups {
        Rollups::STANDARD
    }
}

impl Rollups {
    /// What a job has that is told nothing else.
    pub const STANDARD: Rollups = Rollups(&[Rollup::AS, Rollup::COUNTRY]);

    /// As configured: `NAME=DIMENSIONS[@WINDOW]` each. None: the standard ones.
    ///
    /// # Errors
    /// What cannot be, named.
    pub fn parse(given: &[impl AsRef<str>], base_secs: u64) -> Result<Rollups, RollupError> {
        let mut drafts = Vec::new();
        for text in given
            .iter()
            .flat_map(|text| text.as_ref().split_whitespace())
        {
            drafts.push(Draft::parse(text, base_secs)?);
        }
        if drafts.len() > MOST_ROLLUPS {
            return Err(RollupError::TooMany);
        }
        let Some(first) = drafts.first() else {
            return Ok(Rollups::STANDARD);
        };
        let is_whole =
            first.window_secs == base_secs && !first.dimensions.iter().any(|one| one.is_country());
        if !is_whole {
            return Err(RollupError::First(first.name.clone()));
        }
        for (n, draft) in drafts.iter().enumerate() {
            if drafts[..n].iter().any(|other| other.name == draft.name) {
                return Err(RollupError::Twice(draft.name.clone()));
            }
        }
        Ok(kept(&drafts))
    }

    /// The set that its text names; `None` if this release knows it not.
    pub fn of_recorded(text: &str, base_secs: u64) -> Option<Rollups> {
        Rollups::parse(&[text], base_secs).ok()
    }

    /// Each of them.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Rollup> + ExactSizeIterator {
        self.0.iter().copied()
    }

    /// From its number.
    pub fn get(self, number: u16) -> Option<Rollup> {
        self.0.get(usize::from(number)).copied()
    }

    /// From the name of its table.
    pub fn named(self, table: &str) -> Option<Rollup> {
        self.iter().find(|one| one.table() == table)
    }

    /// The first: every flow that counts is in it, in a slot of the base window.
    pub fn base(self) -> Rollup {
        self.0.first().copied().unwrap_or(Rollup::AS)
    }

    /// The longest window. Seconds.
    pub fn longest_secs(self) -> u64 {
        self.iter().map(Rollup::window_secs).max().unwrap_or(0)
    }

    /// All windows, ascending.
    pub fn windows_secs(self) -> Vec<u64> {
        let mut windows: Vec<u64> = self.iter().map(Rollup::window_secs).collect();
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    /// Words of the widest key.
    pub fn words(self) -> usize {
        self.iter().map(Rollup::words).max().unwrap_or(0)
    }

    /// Where a slot of a rollup ends; of an unknown one as of the base.
    pub fn end(self, number: u16, slot_secs: u64) -> u64 {
        self.get(number).unwrap_or(self.base()).end(slot_secs)
    }

    /// The width of the records that hold their rows.
    pub fn width(self) -> Width {
        Width::of(self.words())
    }

    /// Whether any of them has this dimension.
    pub fn any(self, has: impl Fn(Dimension) -> bool) -> bool {
        self.iter()
            .any(|one| one.dimensions().iter().any(|d| has(*d)))
    }
}

impl fmt::Debug for Rollups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As it is recorded: each as it is configured, in their order.
impl fmt::Display for Rollups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.iter().map(|one| one.to_string()).collect();
        f.write_str(&all.join(" "))
    }
}

/// One rollup as configured.
struct Draft {
    name: String,
    dimensions: Vec<Dimension>,
    window_secs: u64,
}

impl Draft {
    fn parse(text: &str, base_secs: u64) -> Result<Draft, RollupError> {
        let form = || RollupError::Form(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(form)?;
        let (list, window) = match rest.split_once('@') {
            Some((list, window)) => (list, Some(window)),
            None => (rest, None),
        };
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let own = name.strip_prefix("rollup_").unwrap_or_default();
        let ends = name.ends_with("_rows") || name.ends_with("_readable");
        if own.is_empty() || ends || name.len() > MOST_LETTERS || !name.chars().all(is_letter) {
            return Err(RollupError::Name(name.to_owned()));
        }
        let mut dimensions = Vec::new();
        for given in list.split(',') {
            match Dimension::from_name(given) {
                Some(one) if !dimensions.contains(&one) => dimensions.push(one),
                _ => {
                    return Err(RollupError::Dimension {
                        name: name.to_owned(),
                        dimension: given.to_owned(),
                    });
                }
            }
        }
        let fits = |secs: &u64| {
            *secs > 0 && secs.is_multiple_of(base_secs) && DAY_SECS.is_multiple_of(*secs)
        };
        let window_secs = match window {
            None => base_secs,
            Some(window) => secs(window)
                .filter(fits)
                .ok_or_else(|| RollupError::Window {
                    name: name.to_owned(),
                    window: window.to_owned(),
                    base_secs,
                })?,
        };
        Ok(Draft {
            name: name.to_owned(),
            dimensions,
            window_secs,
        })
    }
}

/// `300s`, `5m`, `1h`, `1d`.
fn secs(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => DAY_SECS,
        _ => return None,
    };
    let number: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    number.checked_mul(unit)
}

/// Sets that were configured or read, by what they say.
static KEPT: Mutex<BTreeMap<String, Rollups>> = Mutex::new(BTreeMap::new());

/// The set of these drafts, which lives as long as the process does: tables, columns and operators name its parts.
fn kept(drafts: &[Draft]) -> Rollups {
    let drafted = drafts.iter().zip(0..).map(|(draft, number)| Spec {
        number,
        table: String::leak(draft.name.clone()),
        dimensions: Vec::leak(draft.dimensions.clone()),
        window_secs: draft.window_secs,
        feed: None,
    });
    let text: Vec<String> = drafts.iter().map(Draft::text).collect();
    let mut sets = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let set = sets.entry(text.join(" ")).or_insert_with(|| {
        let alone: Vec<Rollup> = drafted
            .map(|spec| Rollup(Box::leak(Box::new(spec))))
            .collect();
        let fed = alone.iter().map(|one| fed(*one, &alone));
        Rollups(Vec::leak(fed.collect()))
    });
    *set
}

impl Draft {
    fn text(&self) -> String {
        let names: Vec<&str> = self.dimensions.iter().map(|one| one.name()).collect();
        format!("{}={}@{}", self.name, names.join(","), self.window_secs)
    }
}

/// A rollup with what feeds it: of those that it follows from, the one with the longest window and the fewest words, since
/// that has the fewest rows.
fn fed(one: Rollup, all: &[Rollup]) -> Rollup {
    let finer = all.iter().filter_map(|finer| {
        let words = one.words_of_finer(*finer)?;
        Some((
            finer.window_secs(),
            usize::MAX - finer.words(),
            finer.number(),
            words,
        ))
    });
    let Some((_, _, finer, words)) = finer.max() else {
        return one;
    };
    let feed = Feed {
        finer,
        words: Vec::leak(words),
    };
    Rollup(Box::leak(Box::new(Spec {
        feed: Some(feed),
        ..*one.0
    })))
}

#[cfg(test)]
#[path = "rollups_tests.rs"]
mod tests;
