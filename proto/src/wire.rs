//! Protobuf's wire format as far as flow messages need it: varints, tags, skipping.
//!
//! Law: accepts what prost accepts and refuses what prost refuses, in fields that are skipped, too.

/// Why a message can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A varint of more than 64 bits, or one that is cut.
    #[error("a number is malformed")]
    Varint,
    /// A field number of 0, or a tag above 32 bits.
    #[error("a tag is malformed")]
    Tag,
    /// A known field with the wire type of another kind, or a wire type that does not exist.
    #[error("a field has the wrong type")]
    WireType,
    /// A length beyond the message's end.
    #[error("a field runs past the end of its message")]
    Truncated,
    /// Groups nested deeper than any message of ours.
    #[error("groups are nested too deeply")]
    Nesting,
}

/// Bytes that are read from the front.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
}

/// A field's wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Bytes,
    GroupStart,
    GroupEnd,
    Fixed32,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            [first, second, rest @ ..] if *second < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.wide_varint(),
        }
    }

    /// Three bytes and more, eight at a time: nanoseconds take nine.
    fn wide_varint(&mut self) -> Result<u64, DecodeError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<8>() else {
            return self.long_varint();
        };
        let word = u64::from_le_bytes(*head);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            // The lowest byte without the mark that more follow is the last one.
            let bits = ends.trailing_zeros() + 1;
            let length = usize::try_from(bits / 8).unwrap_or(8);
            self.rest = self.rest.get(length..).unwrap_or(&[]);
            return Ok(sevens(word & (u64::MAX >> (64 - bits))));
        }
        let low = sevens(word);
        match tail {
            [ninth, rest @ ..] if *ninth < 0x80 => {
                self.rest = rest;
                Ok(low | u64::from(*ninth) << 56)
            }
            // The tenth byte has one bit left.
            [ninth, tenth @ 0..=1, rest @ ..] => {
                self.rest = rest;
                Ok(low | u64::from(*ninth & 0x7f) << 56 | u64::from(*tenth) << 63)
            }
            _ => Err(DecodeError::Varint),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            if at == 9 && *byte > 1 {
                return Err(DecodeError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = self.rest.get(at + 1..).unwrap_or(&[]);
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// Field number and wire type; `None` at the end.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<Option<(u32, WireType)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = u32::try_from(self.varint()?).map_err(|_| DecodeError::Tag)?;
        let kind = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            3 => WireType::GroupStart,
            4 => WireType::GroupEnd,
            5 => WireType::Fixed32,
            _ => return Err(DecodeError::WireType),
        };
        if tag >> 3 == 0 {
            Err(DecodeError::Tag)
        } else {
            Ok(Some((tag >> 3, kind)))
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn fixed(&mut self, length: usize) -> Result<(), DecodeError> {
        self.rest = self.rest.get(length..).ok_or(DecodeError::Truncated)?;
        Ok(())
    }

    /// Steps over a field's value.
    pub(crate) fn skip(&mut self, number: u32, kind: WireType) -> Result<(), DecodeError> {
        self.skip_nested(number, kind, 100)
    }

    fn skip_nested(&mut self, number: u32, kind: WireType, depth: u32) -> Result<(), DecodeError> {
        // prost's limit is counted the same way: the outermost group is at depth 100.
        let depth = depth.checked_sub(1).ok_or(DecodeError::Nesting)?;
        match kind {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed(8),
            WireType::Fixed32 => self.fixed(4),
            WireType::Bytes => self.bytes().map(drop),
            WireType::GroupEnd => Err(DecodeError::WireType),
            WireType::GroupStart => loop {
                match self.tag()? {
                    None => return Err(DecodeError::Truncated),
                    Some((n, WireType::GroupEnd)) if n == number => return Ok(()),
                    Some((_, WireType::GroupEnd)) => return Err(DecodeError::WireType),
                    Some((n, kind)) => self.skip_nested(n, kind, depth)?,
                }
            },
        }
    }
}

/// The low seven bits of each byte, side by side.
#[inline]
fn sevens(word: u64) -> u64 {
    let word = word & 0x7f7f_7f7f_7f7f_7f7f;
    let pairs = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// As protobuf does with a value above the field's 32 bits: the low ones count.
#[inline]
pub(crate) fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

/// Appends a varint.
#[inline]
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    // Filled in place and appended at once: one check of the vector's room instead of one a byte.
    let mut bytes = [0u8; 10];
    let mut length = 0;
    for byte in &mut bytes {
        length += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        // Seven bits and the mark that more follow.
        *byte = (value & 0x7f) as u8 | 0x80;
        value >>= 7;
    }
    out.extend_from_slice(bytes.get(..length).unwrap_or(&[]));
}

/// Bytes of a varint of at most 32 bits.
pub(crate) fn varint_len(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// Appends a varint field unless it is zero, which proto3 leaves out.
#[inline]
pub(crate) fn put_varint_field(number: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        put_tag(number, 0, out);
        put_varint(value, out);
    }
}

/// Appends a field of bytes.
#[inline]
pub(crate) fn put_bytes_field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a tag; all our numbers are below 2048, so that it takes one byte or two.
#[inline]
pub(crate) fn put_tag(number: u32, kind: u32, out: &mut Vec<u8>) {
    let tag = number << 3 | kind;
    if tag < 0x80 {
        out.push(tag as u8);
    } else {
        out.extend_from_slice(&[(tag & 0x7f) as u8 | 0x80, (tag >> 7) as u8]);
    }
}
