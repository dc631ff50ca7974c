//! Texts in keys: a text as two words, and the way back from the words to the text.
//!
//! The words are the first 64 bits of its SHA-256, so that a row's key does not depend on who has met which texts in which
//! order, and sums of one text meet whatever version of the tables said it. Law 1: the words are a function of the text
//! alone; a text whose words are those of another one is refused where it is met. Law 8: each text is kept once, for the
//! life of the process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use thiserror::Error;

/// A text as the words of a key; zeros: none.
pub type TextWords = [u32; 2];

/// Two texts with the same words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{new:?} has the same words in keys as {known:?}: rename one of them")]
pub struct TextClash {
    /// The text that was met first; empty: that there is none.
    pub known: String,
    /// The other one.
    pub new: String,
}

/// Texts that were met, by their words.
#[derive(Debug, Default)]
struct Known(HashMap<TextWords, Arc<str>>);

static KNOWN: RwLock<Option<Known>> = RwLock::new(None);

/// The words of a text; zeros of the empty one.
pub fn text_words(text: &str) -> TextWords {
    if text.is_empty() {
        return [0; 2];
    }
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(text));
    [[a, b, c, d], [e, f, g, h]].map(u32::from_be_bytes)
}

/// Keeps a text, so that `text_of` finds it.
///
/// # Errors
/// If its words are those of another text.
pub fn learn_text(text: &str) -> Result<TextWords, TextClash> {
    let words = text_words(text);
    if known(words).is_some_and(|known| *known == *text) {
        return Ok(words);
    }
    let mut all = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().learn(words, text)
}

/// The text of these words; `None` if nobody has met it.
pub fn text_of(words: TextWords) -> Option<Arc<str>> {
    known(words)
}

/// The words of a key that holds a text; none if there are not two.
pub fn words_of(words: &[u32]) -> TextWords {
    words.try_into().unwrap_or_default()
}

/// As `text_of`; what nobody has met is shown by its words.
pub fn text_shown(words: TextWords) -> Arc<str> {
    known(words).unwrap_or_else(|| format!("#{:08x}{:08x}", words[0], words[1]).into())
}

fn known(words: TextWords) -> Option<Arc<str>> {
    if words == [0; 2] {
        return Some(Arc::from(""));
    }
    let all = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    all.as_ref()?.0.get(&words).cloned()
}

impl Known {
    fn learn(&mut self, words: TextWords, text: &str) -> Result<TextWords, TextClash> {
        let clash = |known: &str| TextClash {
            known: known.to_owned(),
            new: text.to_owned(),
        };
        if words == [0; 2] && !text.is_empty() {
            return Err(clash(""));
        }
        let kept = self.0.entry(words).or_insert_with(|| text.into());
        if **kept == *text {
            Ok(words)
        } else {
            Err(clash(kept))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_beginning_of_the_hash() {
        let words = learn_text("abc").unwrap();
        assert_eq!(words, [0xba78_16bf, 0x8f01_cfea], "FIPS 180-2, B.1");
        assert_eq!(text_of(words).as_deref(), Some("abc"));
        assert_eq!(learn_text("abc"), Ok(words));
        assert_eq!(
            (text_words(""), text_of([0; 2]).as_deref()),
            ([0; 2], Some(""))
        );
        assert_eq!(text_of([1, 2]), None);
        assert_eq!(&*text_shown([1, 2]), "#0000000100000002");
    }

    #[test]
    fn a_clash_is_refused() {
        let mut known = Known::default();
        assert_eq!(known.learn([1, 1], "a"), Ok([1, 1]));
        assert_eq!(known.learn([1, 1], "a"), Ok([1, 1]));
        let refused = known.learn([1, 1], "b").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "\"b\" has the same words in keys as \"a\": rename one of them"
        );
        assert!(known.learn([0, 0], "c").is_err(), "that is no text");
        assert_eq!(known.0.len(), 1);
    }
}
