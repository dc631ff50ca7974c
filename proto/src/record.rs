//! The fixed-size records in which rows travel, in memory and in segments, and the view of one whose width is not known.
//!
//! A job's records are as wide as its widest key, rounded up to one of three widths: the code that handles every flow is
//! compiled for each of them, so that a job with short keys pays nothing for those that others may configure. Law: a record
//! holds absolute totals, never increments; it has no padding, and words beyond its rollup's key are zero.

use std::fmt::Debug;

use bytemuck::{Pod, Zeroable, cast_slice};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::rollup::Rollup;
use crate::row::Sums;

/// A key of some width.
pub trait Key:
    Copy + Debug + Default + Eq + Ord + AsRef<[u32]> + AsMut<[u32]> + Send + Sync + 'static
{
}

/// A record of some width.
pub trait Record:
    Pod + Debug + Default + Eq + Send + Sync + Serialize + DeserializeOwned + Unpin + 'static
{
    /// Its key.
    type Key: Key;

    /// Of a slot, a rollup and shard by their numbers, a key and totals.
    fn new(slot_secs: u64, of: (u16, u16), key: Self::Key, sums: Sums) -> Self;

    /// Its key.
    fn key(&self) -> Self::Key;

    /// Its totals.
    fn sums_mut(&mut self) -> &mut Sums;

    /// What it says.
    fn view(&self) -> RowView<'_>;
}

/// What a record says, whatever its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowView<'a> {
    /// Start of the slot: seconds since 1970, UTC.
    pub slot_secs: u64,
    /// The rollup's number.
    pub rollup: u16,
    /// Shard of the key.
    pub shard: u16,
    /// The key, and zeros if the record is wider.
    pub key: &'a [u32],
    /// Absolute totals.
    pub sums: &'a Sums,
}

/// Words of 64 bits of the sums in a record.
const SUMS_WORDS: usize = size_of::<Sums>() / 8;

impl<'a> RowView<'a> {
    /// A record from its words of 64 bits; `None` if they are too few.
    pub fn of_words(words: &'a [u64]) -> Option<RowView<'a>> {
        let (head, sums) = words.split_at_checked(words.len().checked_sub(SUMS_WORDS)?)?;
        let (slot_secs, rest) = head.split_first()?;
        let [rollup, shard, ..] = *cast_slice::<u64, u16>(rest) else {
            return None;
        };
        Some(RowView {
            slot_secs: *slot_secs,
            rollup,
            shard,
            key: cast_slice::<u64, u32>(rest).get(1..)?,
            sums: cast_slice::<u64, Sums>(sums).first()?,
        })
    }

    /// The words of the key that are its rollup's.
    pub fn key_of(&self, rollup: Rollup) -> &'a [u32] {
        self.key.get(..rollup.words()).unwrap_or(self.key)
    }
}

/// The width of a job's records: the narrowest that holds its widest key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// `RowRecord`.
    Narrow,
    /// `WideRecord`.
    Wide,
    /// `WidestRecord`.
    Widest,
}

impl Width {
    /// For keys of so many words.
    pub fn of(words: usize) -> Width {
        match words {
            0..=3 => Width::Narrow,
            4..=9 => Width::Wide,
            _ => Width::Widest,
        }
    }

    /// Bytes of its records.
    pub const fn record_bytes(self) -> usize {
        match self {
            Width::Narrow => size_of::<RowRecord>(),
            Width::Wide => size_of::<WideRecord>(),
            Width::Widest => size_of::<WidestRecord>(),
        }
    }

    /// Rows as its records stand in memory.
    pub fn bytes<'a>(self, rows: impl Iterator<Item = RowView<'a>>) -> Vec<u8> {
        match self {
            Width::Narrow => bytes::<RowRecord>(rows),
            Width::Wide => bytes::<WideRecord>(rows),
            Width::Widest => bytes::<WidestRecord>(rows),
        }
    }

    /// Rows from the words of its records.
    pub fn rows(self, words: &[u64]) -> impl Iterator<Item = RowView<'_>> {
        let records = words.chunks_exact(self.record_bytes() / size_of::<u64>());
        records.filter_map(RowView::of_words)
    }
}

fn bytes<'a, R: Record>(rows: impl Iterator<Item = RowView<'a>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        let mut key = R::Key::default();
        for (word, value) in key.as_mut().iter_mut().zip(row.key) {
            *word = *value;
        }
        let record = R::new(row.slot_secs, (row.rollup, row.shard), key, *row.sums);
        bytes.extend_from_slice(bytemuck::bytes_of(&record));
    }
    bytes
}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident: $words:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
        #[repr(C)]
        pub struct $name {
            /// Start of the slot: seconds since 1970, UTC.
            pub slot_secs: u64,
            /// The rollup's number.
            pub rollup: u16,
            /// Shard of the key.
            pub shard: u16,
            /// The key's words, in the order of its dimensions.
            pub key: [u32; $words],
            /// Absolute totals.
            pub sums: Sums,
        }

        impl Key for [u32; $words] {}

        impl Record for $name {
            type Key = [u32; $words];

            #[inline]
            fn new(slot_secs: u64, (rollup, shard): (u16, u16), key: Self::Key, sums: Sums) -> Self {
                $name { slot_secs, rollup, shard, key, sums }
            }

            #[inline]
            fn key(&self) -> Self::Key {
                self.key
            }

            #[inline]
            fn sums_mut(&mut self) -> &mut Sums {
                &mut self.sums
            }

            #[inline]
            fn view(&self) -> RowView<'_> {
                RowView {
                    slot_secs: self.slot_secs,
                    rollup: self.rollup,
                    shard: self.shard,
                    key: &self.key,
                    sums: &self.sums,
                }
            }
        }
    )*};
}

records! {
    /// One row of one slot with a key of up to three words, as the standard rollups have: 72 bytes.
    RowRecord: 3;
    /// One with a key of up to nine words: two networks and a number. 96 bytes.
    WideRecord: 9;
    /// One with a key of any dimensions: 168 bytes.
    WidestRecord: 27;
}

const _: () = assert!(
    size_of::<RowRecord>() == 72
        && size_of::<WideRecord>() == 96
        && size_of::<WidestRecord>() == 168,
    "segments on disk have these sizes"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dimension;

    fn read_back<R: Record>(of: impl Fn(usize) -> u32) {
        let mut key = R::Key::default();
        for (n, word) in key.as_mut().iter_mut().enumerate() {
            *word = of(n);
        }
        let sums = Sums::from_values([1, 2, 3, 4, 5, u64::MAX]);
        let record = R::new(1_200, (7, 63), key, sums);
        let words = cast_slice::<R, u64>(std::slice::from_ref(&record));
        assert_eq!(RowView::of_words(words), Some(record.view()));
        assert_eq!(record.view().key, key.as_ref());
    }

    #[test]
    fn a_view_of_words_says_what_the_record_says() {
        read_back::<RowRecord>(|n| u32::MAX - n as u32);
        read_back::<WideRecord>(|n| n as u32 + 1);
        read_back::<WidestRecord>(|n| n as u32 * 0x0101_0101);
        assert_eq!(RowView::of_words(&[0; 6]), None);
        assert_eq!(RowView::of_words(&[]), None);
    }

    #[test]
    fn the_widest_holds_every_dimension() {
        let all: usize = Dimension::ALL.into_iter().map(Dimension::words).sum();
        assert!(all <= 27, "{all} words");
    }
}
