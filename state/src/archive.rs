//! The table archive: each version of the enrichment tables, under the hash of its bytes.
//!
//! Every process loads its tables from here, so that a row's table version means the same bytes for ever (law 3).
//! Law: what is read has the hash that it was asked for by.

use sha2::{Digest, Sha256};

use crate::layout::TABLES;
use crate::{StateError, StateStore};

/// The name under which bytes are archived: SHA-256 in lower-case hex.
pub fn table_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl StateStore {
    /// Archives a table version under its hash; durable when it returns. One that is there already is left alone.
    ///
    /// # Errors
    /// `Unfit` if the hash is not that of the bytes, `Io`.
    pub fn archive_table(&self, hash: &str, bytes: &[u8]) -> Result<(), StateError> {
        let name = table_name(hash);
        if table_hash(bytes) != hash {
            return Err(StateError::Unfit {
                path: self.shown(&name),
                what: "the hash is not that of the bytes".into(),
            });
        }
        match self.read_table(hash) {
            Ok(_) => return Ok(()),
            // A damaged one is replaced: its name says what it has to hold.
            Err(StateError::Missing { .. } | StateError::Damaged { .. }) => (),
            Err(error) => return Err(error),
        }
        let put = self
            .objects()
            .put(&name, u64::from(std::process::id()), &[bytes]);
        put.map_err(StateError::io("write", &self.shown(&name)))
    }

    /// The bytes of a table version.
    ///
    /// # Errors
    /// `Missing` if it was never archived, `Damaged` if its hash is another one, `Io`.
    pub fn read_table(&self, hash: &str) -> Result<Vec<u8>, StateError> {
        let name = table_name(hash);
        let path = self.shown(&name);
        let bytes = self
            .objects()
            .get(&name)
            .map_err(StateError::io("read", &path))?;
        if table_hash(&bytes) == hash {
            Ok(bytes)
        } else {
            Err(StateError::damaged(&path, "its hash is not its name"))
        }
    }
}

/// The object of a table version.
fn table_name(hash: &str) -> String {
    // A name from a damaged or hostile checkpoint must not lead out of the folder.
    let safe: String = hash
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(64)
        .collect();
    format!("{TABLES}/{safe}")
}
