//! `Reader`: takes big-endian numbers and slices off the front of a byte slice, never past its end.
//!
//! Every length on the wire is a claim by a stranger; here it is checked against the bytes that are there.
//! Law: nothing is read, and nothing allocated, beyond the slice.

/// The bytes not yet read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// The next `length` bytes; `None`, and nothing read, if there are fewer.
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
}

/// A big-endian unsigned number of any width (RFC 7011 6.2: reduced sizes are legal). Of more than eight
/// bytes the last eight count.
#[inline]
pub(crate) fn unsigned(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    }
}

/// A number in a 32-bit field; what does not fit is the largest there is, not a small one by accident.
#[inline]
pub(crate) fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A length or count on the wire as a length in memory.
pub(crate) fn length(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Whether nothing but zero fill is left.
pub(crate) fn zero_filled(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_past_the_end_is_not_taken() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.take(4), None);
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u16(), Some(0x0102));
        assert_eq!(reader.rest(), [3]);
    }

    #[test]
    fn numbers_of_every_width() {
        assert_eq!(unsigned(&[]), 0);
        assert_eq!(unsigned(&[0x12, 0x34, 0x56]), 0x123456);
        assert_eq!(unsigned(&[1, 2, 3, 4, 5, 6, 7, 8]), 0x0102_0304_0506_0708);
        assert_eq!(
            unsigned(&[9, 1, 2, 3, 4, 5, 6, 7, 8]),
            0x0102_0304_0506_0708
        );
        assert_eq!(saturated(1 << 32), u32::MAX);
    }
}
