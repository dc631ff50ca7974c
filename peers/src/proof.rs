//! Proof: who knows the token of the job, shown without saying it.
//!
//! Both sides prove themselves with an HMAC-SHA256 (RFC 2104) over numbers that the other one has drawn for this very
//! connection, so that nothing that was overheard can be used again. Law: a comparison takes as long for a wrong proof as
//! for a right one.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::PeersError;

/// A shorter one can be guessed.
const LEAST_BYTES: usize = 16;

/// What all processes of a job know and nobody else.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl Token {
    /// As it was given, without white space around it.
    ///
    /// # Errors
    /// `Token`, if it is too short.
    pub fn new(text: &str) -> Result<Token, PeersError> {
        let text = text.trim();
        if text.len() < LEAST_BYTES {
            return Err(PeersError::Token(format!(
                "it has {} bytes, give at least {LEAST_BYTES} (as from `openssl rand -hex 32`)",
                text.len()
            )));
        }
        Ok(Token(text.as_bytes().to_vec()))
    }

    /// From a file.
    ///
    /// # Errors
    /// `Token`, if it can't be read or is too short.
    pub fn read(path: &Path) -> Result<Token, PeersError> {
        let text = fs::read_to_string(path)
            .map_err(|error| PeersError::Token(format!("{}: {error}", path.display())))?;
        Token::new(&text)
    }

    /// Whether this is the token; takes as long for a wrong one.
    pub fn is(&self, given: &str) -> bool {
        let given = Token(given.trim().as_bytes().to_vec());
        self.accepts(&[], &given.prove(&[]))
    }

    /// The proof over some parts, each with its length, so that no two lists of parts look alike.
    pub(crate) fn prove(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether a proof is right.
    pub(crate) fn accepts(&self, parts: &[&[u8]], proof: &[u8]) -> bool {
        self.mac(parts).verify_slice(proof).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // A key of one block, whatever the token's length (RFC 2104, section 2).
        let mut key = [0; 64];
        let digest = Sha256::digest(&self.0);
        key.iter_mut().zip(digest).for_each(|(k, d)| *k = d);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Sixteen bytes that nobody could foresee.
pub(crate) fn nonce() -> io::Result<[u8; 16]> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(nonce)
}

/// Tells one build from another: SHA-256 of the program's own file.
///
/// # Errors
/// If it can't be read.
pub fn digest(program: &Path) -> io::Result<[u8; 32]> {
    let mut file = fs::File::open(program)?;
    let mut digest = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(digest.finalize().into()),
            n => digest.update(part.get(..n).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_fits_its_token_and_parts_only() {
        let token = Token::new("0123456789abcdef\n").expect("long enough");
        let proof = token.prove(&[b"ab", b"c"]);
        assert!(token.accepts(&[b"ab", b"c"], &proof));
        assert!(!token.accepts(&[b"a", b"bc"], &proof));
        let other = Token::new("0123456789abcdeg").expect("long enough");
        assert!(!other.accepts(&[b"ab", b"c"], &proof));
        assert!(!token.accepts(&[b"ab", b"c"], &proof[..31]));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn a_short_token_is_refused() {
        let error = Token::new(" secret ").expect_err("six bytes");
        assert!(error.to_string().contains("6 bytes"), "{error}");
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(nonce().expect("random"), nonce().expect("random"));
    }
}
