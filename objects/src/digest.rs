//! The digests that S3 requests are signed with, from the crates that the tree has: no second crypto library.

use hmac::{Hmac, KeyInit, Mac};
use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm,
};
use object_store::{Error, Result};
use sha2::{Digest, Sha256};

/// SHA-256 and HMAC over it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digests;

impl CryptoProvider for Digests {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Running {
                state: Sha256::new(),
                out: Vec::new(),
            })),
            _ => Err(unknown()),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Running {
                // HMAC takes a key of any length.
                state: Hmac::<Sha256>::new_from_slice(secret).map_err(|_| unknown())?,
                out: Vec::new(),
            })),
            _ => Err(unknown()),
        }
    }

    fn sign(&self, _: SigningAlgorithm, _: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unknown())
    }
}

fn unknown() -> Error {
    Error::NotSupported {
        source: "S3 signs by SHA-256 alone".into(),
    }
}

struct Running<T> {
    state: T,
    out: Vec<u8>,
}

impl DigestContext for Running<Sha256> {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.state, data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.out = self.state.finalize_reset().to_vec();
        Ok(&self.out)
    }
}

impl HmacContext for Running<Hmac<Sha256>> {
    fn update(&mut self, data: &[u8]) {
        Mac::update(&mut self.state, data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.out = self.state.clone().finalize().into_bytes().to_vec();
        Ok(&self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// FIPS 180-2, appendix B.1; RFC 4231, test case 2.
    #[test]
    fn they_are_those_of_the_standards() {
        let mut digest = Digests.digest(DigestAlgorithm::Sha256).expect("known");
        digest.update(b"a");
        digest.update(b"bc");
        assert_eq!(
            hex(digest.finish().expect("whole")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut hmac = Digests
            .hmac(DigestAlgorithm::Sha256, b"Jefe")
            .expect("known");
        hmac.update(b"what do ya want for nothing?");
        assert_eq!(
            hex(hmac.finish().expect("whole")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
