//! Packs and framings: how a topic's record is split into messages, and how a pack is built.
//!
//! Law: with our header a record is a chain of length-prefixed messages. Without: a chain if the prefixes end
//! exactly at the record's end, else one bare message. A chain that is cut is refused whole; an empty record holds
//! no message and is no error.

use crate::wire::Cursor;
use crate::{Dialect, Flow};

/// Header of a record that is a pack of ours.
pub const PACK_HEADER: (&str, &[u8]) = ("flow-pipeline", b"1");

/// How records without our header are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// A delimited chain if the prefixes end exactly at the record's end, else bare.
    #[default]
    Auto,
    /// Always a chain of length-prefixed messages.
    Delimited,
    /// Always one bare message.
    Bare,
}

/// The chain of messages is cut or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain of messages does not end where the record ends")]
pub struct FramingError;

/// The messages of a record, in order.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    bare: bool,
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        if self.bare {
            return Some(std::mem::take(&mut self.rest));
        }
        let mut cursor = Cursor::new(self.rest);
        // The whole chain was checked when the iterator was made.
        let message = cursor.bytes().ok();
        self.rest = cursor.rest;
        message
    }
}

/// Splits a record's payload.
///
/// # Errors
/// If it must be a chain, and is none.
pub fn messages(
    payload: &[u8],
    has_pack_header: bool,
    framing: Framing,
) -> Result<Messages<'_>, FramingError> {
    let bare = match (has_pack_header, framing) {
        (true, _) | (false, Framing::Delimited) => {
            if !is_chain(payload) {
                return Err(FramingError);
            }
            false
        }
        (false, Framing::Bare) => true,
        (false, Framing::Auto) => !is_chain(payload),
    };
    Ok(Messages {
        rest: payload,
        bare,
    })
}

fn is_chain(payload: &[u8]) -> bool {
    let mut cursor = Cursor::new(payload);
    while !cursor.rest.is_empty() {
        if cursor.bytes().is_err() {
            return false;
        }
    }
    true
}

/// A pack being built: messages with their lengths in front.
#[derive(Clone, Debug)]
pub struct PackBuilder {
    buffer: Vec<u8>,
    flows: u64,
    limit_bytes: usize,
    dialect: Dialect,
}

impl PackBuilder {
    /// A flow with all fields set takes no more bytes than this, its length in front included.
    pub const LARGEST_FLOW_BYTES: usize = 768;

    /// A pack is full at this size; one flow is about 120 bytes.
    pub fn new(limit_bytes: usize, dialect: Dialect) -> PackBuilder {
        PackBuilder {
            buffer: Vec::with_capacity(limit_bytes),
            flows: 0,
            limit_bytes,
            dialect,
        }
    }

    /// Appends a flow. True: the pack is full, take it before the next one.
    pub fn push(&mut self, flow: &Flow) -> bool {
        flow.encode_delimited(self.dialect, &mut self.buffer);
        self.flows += 1;
        self.buffer.len() + PackBuilder::LARGEST_FLOW_BYTES > self.limit_bytes
    }

    /// Bytes so far.
    pub fn len_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Flows so far.
    pub fn flows(&self) -> u64 {
        self.flows
    }

    /// Whether nothing was pushed since it was taken.
    pub fn is_empty(&self) -> bool {
        self.flows == 0
    }

    /// The pack's bytes; the builder is empty again, and keeps its memory.
    pub fn take<R>(&mut self, with: impl FnOnce(&[u8]) -> R) -> R {
        let result = with(&self.buffer);
        self.buffer.clear();
        self.flows = 0;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(payload: &[u8], header: bool, framing: Framing) -> Option<Vec<Vec<u8>>> {
        messages(payload, header, framing)
            .ok()
            .map(|all| all.map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn the_ambiguous_record_follows_the_option() {
        // Tag of field 1 is 08, and 8 bytes follow: bare by sense, a chain by its lengths.
        let record = [0x08, 0x01, 0x18, 0x01, 0x20, 0x01, 0x48, 0x01, 0x00];
        assert_eq!(
            split(&record, false, Framing::Auto),
            Some(vec![record[1..].to_vec()])
        );
        assert_eq!(
            split(&record, false, Framing::Bare),
            Some(vec![record.to_vec()])
        );
        assert_eq!(
            split(&record, true, Framing::Bare),
            Some(vec![record[1..].to_vec()])
        );
    }

    #[test]
    fn a_cut_chain_is_refused_whole() {
        let chain = [0x02, 0x18, 0x01, 0x02, 0x18, 0x02];
        assert_eq!(split(&chain, true, Framing::Auto).map(|m| m.len()), Some(2));
        for cut in [1, 2, 4, 5] {
            assert_eq!(
                split(&chain[..cut], true, Framing::Auto),
                None,
                "cut at {cut}"
            );
            assert_eq!(split(&chain[..cut], false, Framing::Delimited), None);
            assert_eq!(
                split(&chain[..cut], false, Framing::Auto).map(|m| m.len()),
                Some(1)
            );
        }
        assert_eq!(split(&[], true, Framing::Auto), Some(vec![]));
        assert_eq!(split(&[], false, Framing::Bare), Some(vec![]));
    }
}
