//! One rollup: the table of its name, the dimensions of its key, its window, and the finer rollup that feeds it.
//!
//! A handle that is copied as freely as a number: a process has one set of rollups, configured once, and hands it to
//! every store and operator. Law: two handles are equal if and only if they say the same.

use std::fmt;

use crate::dimension::Dimension;

/// A rollup of a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rollup(pub(crate) &'static Spec);

/// What a rollup is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Spec {
    pub(crate) number: u16,
    pub(crate) table: &'static str,
    pub(crate) dimensions: &'static [Dimension],
    pub(crate) window_secs: u64,
    pub(crate) feed: Option<Feed>,
}

/// What a rollup is fed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feed {
    /// Number of the finer rollup.
    pub finer: u16,
    /// Of each word of the key, the finer rollup's word that it is.
    pub words: &'static [u8],
}

impl Rollup {
    /// `rollup_5m`: source AS, destination AS, EtherType.
    pub const AS: Rollup = Rollup(&Spec {
        number: 0,
        table: "rollup_5m",
        dimensions: &[Dimension::SrcAs, Dimension::DstAs, Dimension::Etype],
        window_secs: 300,
        feed: None,
    });

    /// `rollup_5m_country`: source country, destination country, EtherType.
    pub const COUNTRY: Rollup = Rollup(&Spec {
        number: 1,
        table: "rollup_5m_country",
        dimensions: &[
            Dimension::SrcCountry,
            Dimension::DstCountry,
            Dimension::Etype,
        ],
        window_secs: 300,
        feed: None,
    });

    /// Its number, by which records name it.
    pub const fn number(self) -> u16 {
        self.0.number
    }

    /// Name of its table in every store.
    pub const fn table(self) -> &'static str {
        self.0.table
    }

    /// The dimensions of its key, in their order.
    pub const fn dimensions(self) -> &'static [Dimension] {
        self.0.dimensions
    }

    /// Length of its slots.
    pub const fn window_secs(self) -> u64 {
        self.0.window_secs
    }

    /// The finer rollup whose sums are its own; `None`: it sums flows.
    pub const fn feed(self) -> Option<Feed> {
        self.0.feed
    }

    /// Words of its key. A record may have more: they are zero.
    pub fn words(self) -> usize {
        self.0.dimensions.iter().map(|one| one.words()).sum()
    }

    /// The slot of this rollup that holds a time.
    pub fn slot_of(self, secs: u64) -> u64 {
        secs - secs % self.0.window_secs
    }

    /// Where its slot ends that starts there.
    pub fn end(self, slot_secs: u64) -> u64 {
        slot_secs.saturating_add(self.0.window_secs)
    }

    /// Whether it has rows only of flows that met a table of countries.
    pub fn needs_country(self) -> bool {
        self.0.dimensions.iter().any(|one| one.is_country())
    }

    /// A key's words by dimension; none of those that a shorter key lacks.
    pub fn values(self, key: &[u32]) -> impl Iterator<Item = (Dimension, &[u32])> {
        let mut rest = key;
        self.0.dimensions.iter().map_while(move |one| {
            let (words, after) = rest.split_at_checked(one.words())?;
            rest = after;
            Some((*one, words))
        })
    }

    /// The finer rollup's words of which this one's key is made; `None` if it does not follow from the finer one.
    pub(crate) fn words_of_finer(self, finer: Rollup) -> Option<Vec<u8>> {
        let is_coarser = self.0.window_secs.is_multiple_of(finer.0.window_secs)
            && (self.0.window_secs, finer.0.dimensions.len())
                != (finer.0.window_secs, self.0.dimensions.len())
            // Without a table of countries the finer one has no rows.
            && self.needs_country() == finer.needs_country();
        let mut words = Vec::new();
        for dimension in self.0.dimensions {
            let before = finer
                .0
                .dimensions
                .iter()
                .take_while(|one| *one != dimension);
            let at: usize = before.map(|one| one.words()).sum();
            let is_there = finer.0.dimensions.contains(dimension);
            let range = (at..at + dimension.words()).filter(|_| is_there && is_coarser);
            words.extend(range.filter_map(|word| u8::try_from(word).ok()));
        }
        (words.len() == self.words()).then_some(words)
    }
}

impl fmt::Debug for Rollup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.table)
    }
}

/// As it is configured: `rollup_1h=src_as,dst_as@1h`.
impl fmt::Display for Rollup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.dimensions.iter().map(|one| one.name()).collect();
        let secs = self.0.window_secs;
        let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let fits = units.iter().find(|(unit, _)| secs.is_multiple_of(*unit));
        let (unit, letter) = fits.copied().unwrap_or((1, "s"));
        write!(
            f,
            "{}={}@{}{letter}",
            self.0.table,
            names.join(","),
            secs / unit
        )
    }
}
