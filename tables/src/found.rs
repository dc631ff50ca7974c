//! What a reader of one format hands over, row by row: a range, and the text of its value.
//!
//! One form for every format, so that checks, values and reports are written once. Law: a row that can't be taken harms no
//! other; it is handed over as such, with its place and a reason.

use crate::parse::Family;

/// A row as it stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) family: Family,
    /// First address of the range.
    pub(crate) first: u128,
    /// Last address of the range, which is part of it.
    pub(crate) last: u128,
    /// Text of the value, as `13335`, `AS13335`, `AU`; empty: no value.
    pub(crate) value: &'a [u8],
}

/// What stands at one place of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A row.
    Row(Found<'a>),
    /// What ought to be a row and is none: counts against the source.
    Bad(String),
    /// A row that is right and can't be used (an AS set as origin): named, and not counted against the source.
    Odd(String),
}

/// Takes what a reader finds: place in the source (line from 1 on; number of the record where there are no lines), item.
/// A reader's own `Err(reason)` refuses the source as a whole.
pub(crate) type Take<'t> = dyn FnMut(u64, Item<'_>) + 't;
