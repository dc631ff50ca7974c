//! The table archive: each version of the enrichment tables, under the hash of its bytes.
//!
//! Every process loads its tables from here, so that a row's table version means the same bytes for ever (law 3).
//! Law: what is read has the hash that it was asked for by.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::{StateDir, StateError, files};

/// The name under which bytes are archived: SHA-256 in lower-case hex.
pub fn table_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl StateDir {
    /// Archives a table version under its hash; durable when it returns. One that is there already is left alone.
    ///
    /// # Errors
    /// `Unfit` if the hash is not that of the bytes, `Io`.
    pub fn archive_table(&self, hash: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.table_path(hash);
        if table_hash(bytes) != hash {
            return Err(StateError::Unfit {
                path,
                what: "the hash is not that of the bytes".into(),
            });
        }
        match self.read_table(hash) {
            Ok(_) => return Ok(()),
            // A damaged one is replaced: its name says what it has to hold.
            Err(StateError::Missing { .. } | StateError::Damaged { .. }) => (),
            Err(error) => return Err(error),
        }
        let temporary = files::write_temporary(&path, u64::from(std::process::id()), &[bytes])?;
        files::place_over(&temporary, &path)
    }

    /// The bytes of a table version.
    ///
    /// # Errors
    /// `Missing` if it was never archived, `Damaged` if its hash is another one, `Io`.
    pub fn read_table(&self, hash: &str) -> Result<Vec<u8>, StateError> {
        let path = self.table_path(hash);
        let bytes = fs::read(&path).map_err(StateError::io("read", &path))?;
        if table_hash(&bytes) == hash {
            Ok(bytes)
        } else {
            Err(StateError::damaged(&path, "its hash is not its name"))
        }
    }

    fn table_path(&self, hash: &str) -> PathBuf {
        // A name from a damaged or hostile checkpoint must not lead out of the folder.
        let safe: String = hash
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(64)
            .collect();
        self.tables().join(safe)
    }
}
