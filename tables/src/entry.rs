//! Entries of the compiled tables: 32 bits that hold a value, or where to go on.
//!
//! The value stands in the table, which saves a cache miss per look-up; only values of 2^30 and more, which
//! need all 32 bits, stand in a list of their own.

/// Bits that hold a value or an index.
const PAYLOAD: u32 = (1 << 30) - 1;

/// What an entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The value, below 2^30.
    Value(u32),
    /// Index of a finer block.
    Finer(u32),
    /// Index into the list of large values.
    Large(u32),
}

impl Entry {
    /// Splits the two tag bits from the payload.
    #[inline]
    pub(crate) fn of(bits: u32) -> Entry {
        match bits >> 30 {
            0 => Entry::Value(bits),
            1 => Entry::Finer(bits & PAYLOAD),
            _ => Entry::Large(bits & PAYLOAD),
        }
    }

    /// Whether `bits` is a value as it stands: one comparison.
    #[inline]
    pub(crate) fn is_value(bits: u32) -> bool {
        bits <= PAYLOAD
    }

    /// The entry for finer block `index`, which is below 2^30: there are at most 2^24 of them in IPv4, and a
    /// table file of the size that is read has fewer rows.
    pub(crate) fn finer(index: usize) -> u32 {
        1 << 30 | (u32::try_from(index).unwrap_or(PAYLOAD) & PAYLOAD)
    }
}

/// Values of 2^30 and more, in the order of use.
#[derive(Clone, Debug, Default)]
pub(crate) struct LargeValues(Vec<u32>);

impl LargeValues {
    /// The entry for a value.
    pub(crate) fn entry(&mut self, value: u32) -> u32 {
        if value <= PAYLOAD {
            return value;
        }
        if self.0.last() != Some(&value) {
            self.0.push(value);
        }
        2 << 30 | (u32::try_from(self.0.len() - 1).unwrap_or(PAYLOAD) & PAYLOAD)
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> u32 {
        self.0[index as usize]
    }
}
