//! Headers between librdkafka's form and the one that `RecordRef` lends.
//!
//! Law 9: what another producer has put there harms nobody. rdkafka 0.39 panics at a header whose name is no
//! UTF-8 (which Kafka's protocol forbids and no broker checks), so that panic is caught here, and told apart from
//! others by `a_panic_is_expected`, for the process's panic hook.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedHeaders, Header, Headers as _, OwnedHeaders};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread, now, is caught and counted instead of ending anything.
pub fn a_panic_is_expected() -> bool {
    EXPECTED.get()
}

/// Appends headers in their stored form; returns how many could not be taken: a name that is no UTF-8 or above
/// 255 bytes, a value above 65535.
pub(super) fn store(headers: &BorrowedHeaders, bytes: &mut Vec<u8>) -> u64 {
    let mut left_out = 0;
    for index in 0..headers.count() {
        EXPECTED.set(true);
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
        EXPECTED.set(false);
        let stored = match header {
            Ok(Some(header)) => push(bytes, header.key, header.value.unwrap_or_default()),
            _ => false,
        };
        left_out += u64::from(!stored);
    }
    left_out
}

fn push(bytes: &mut Vec<u8>, name: &str, value: &[u8]) -> bool {
    let (Ok(name_length), Ok(length)) = (u8::try_from(name.len()), u16::try_from(value.len()))
    else {
        return false;
    };
    bytes.push(name_length);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(value);
    true
}

/// For a record to write. `None` in: a header that no reader of ours could show.
pub(super) fn owned(headers: &[(&str, &[u8])]) -> Option<OwnedHeaders> {
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for (name, value) in headers {
        if name.len() > usize::from(u8::MAX) || value.len() > usize::from(u16::MAX) {
            return None;
        }
        owned = owned.insert(Header {
            key: name,
            value: Some(*value),
        });
    }
    Some(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let given: [(&str, &[u8]); 3] = [("a", b"1"), ("empty", b""), ("a", b"2")];
        let mut bytes = Vec::new();
        assert_eq!(store(owned(&given).unwrap().as_borrowed(), &mut bytes), 0);
        let seen: Vec<_> = crate::Headers(&bytes).iter().collect();
        let wanted = given.map(|(name, value)| (name.as_bytes(), value));
        assert_eq!(seen, wanted);
    }

    #[test]
    fn what_has_no_stored_form_is_left_out() {
        assert!(owned(&[(&"n".repeat(256), b"")]).is_none());
        assert!(owned(&[("n", &[0; 65_536])]).is_none());
        let long = "n".repeat(256);
        let foreign = OwnedHeaders::new()
            .insert(Header {
                key: &long,
                value: Some("x"),
            })
            .insert(Header {
                key: "null",
                value: None::<&str>,
            })
            .insert(Header {
                key: "large",
                value: Some(&[0_u8; 65_536][..]),
            });
        let mut bytes = Vec::new();
        assert_eq!(store(foreign.as_borrowed(), &mut bytes), 2);
        let seen: Vec<_> = crate::Headers(&bytes).iter().collect();
        assert_eq!(seen, [(&b"null"[..], &b""[..])]);
    }
}
