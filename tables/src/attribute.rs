//! `AttributeTable`: addresses to the values of an attribute that the user has named.
//!
//! The table holds 1 + the place of a value in the sorted list of those that are in use. Law: equal attributes have equal
//! tables, in whatever order their rows stood.

use std::sync::{Arc, OnceLock};

use crate::ranges::Ranges;
use crate::table::PrefixTable;
use crate::value::{Texts, ValueType};

/// An attribute's values, and where they hold.
#[derive(Debug)]
pub struct AttributeTable {
    /// What its values are.
    pub value_type: ValueType,
    /// The distinct values, ascending as text; integers in decimal.
    pub values: Vec<String>,
    /// Addresses to 1 + the index of their value; 0: none.
    pub table: Arc<PrefixTable>,
    pub(crate) digest: OnceLock<[u8; 32]>,
    tags: OnceLock<Vec<[u32; 2]>>,
}

impl AttributeTable {
    /// The value behind a number of the table.
    pub fn text(&self, number: u32) -> Option<&str> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.values.get(at).map(String::as_str)
    }

    /// What `tag` makes of each value, by the table's numbers: made once. `[0]` is that of no value.
    pub fn tags(&self, tag: impl Fn(&str) -> [u32; 2]) -> &[[u32; 2]] {
        self.tags.get_or_init(|| {
            let of_values = self.values.iter().map(|value| tag(value));
            std::iter::once([0; 2]).chain(of_values).collect()
        })
    }

    /// From ranges whose values are the numbers of `texts`.
    pub(crate) fn new(mut ranges: Ranges, texts: &Texts) -> AttributeTable {
        let by_number = texts.by_number();
        let mut is_used = vec![false; by_number.len()];
        for value in ranges.values_mut() {
            is_used[*value as usize] = true;
        }
        let used = by_number.iter().zip(0_u32..).zip(is_used);
        let mut used: Vec<(&str, u32)> = used
            .filter(|(_, is)| *is)
            .map(|((t, n), _)| (*t, n))
            .collect();
        used.sort_unstable();
        let mut renumbered = vec![0; by_number.len()];
        for ((_, number), new) in used.iter().zip(1..) {
            renumbered[*number as usize] = new;
        }
        for value in ranges.values_mut() {
            *value = renumbered[*value as usize];
        }
        let values = used.iter().map(|(text, _)| (*text).to_owned()).collect();
        AttributeTable::of(texts.value_type, values, PrefixTable::new(ranges))
    }

    pub(crate) fn of(
        value_type: ValueType,
        values: Vec<String>,
        table: PrefixTable,
    ) -> AttributeTable {
        AttributeTable {
            value_type,
            values,
            table: Arc::new(table),
            digest: OnceLock::new(),
            tags: OnceLock::new(),
        }
    }
}
