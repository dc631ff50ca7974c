//! The table archive: each version of the enrichment tables, under the hash of its bytes.
//!
//! Every process loads its tables from here, so that a row's table version means the same bytes for ever (law 3).
//! Law: what is read has the hash that it was asked for by.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;

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
        // A damaged one is replaced: its name says what it has to hold.
        if self.holds_table(hash)? {
            return Ok(());
        }
        let put = self.objects().put(&name, writer(), &[bytes]);
        put.map_err(StateError::io("write", &self.shown(&name)))
    }

    /// Whether a table version is archived, whole.
    ///
    /// # Errors
    /// `Io`.
    pub fn holds_table(&self, hash: &str) -> Result<bool, StateError> {
        match self.read_table(hash) {
            Ok(_) => Ok(true),
            Err(StateError::Missing { .. } | StateError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Leaves a description beside an archived table version, for people, in place of an older one.
    ///
    /// # Errors
    /// `Io`.
    pub fn describe_table(&self, hash: &str, text: &str) -> Result<(), StateError> {
        let name = description_name(hash);
        let put = self.objects().put(&name, writer(), &[text.as_bytes()]);
        put.map_err(StateError::io("write", &self.shown(&name)))
    }

    /// The description of an archived table version; `None` if nobody has left one.
    ///
    /// # Errors
    /// `Io`.
    pub fn table_description(&self, hash: &str) -> Result<Option<String>, StateError> {
        let name = description_name(hash);
        match self.objects().get(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            text => text
                .map(|text| Some(String::from_utf8_lossy(&text).into_owned()))
                .map_err(StateError::io("read", &self.shown(&name))),
        }
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

/// Tells one writer from all others, in this process and in others that have its number on another host.
fn writer() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The object of its description.
fn description_name(hash: &str) -> String {
    format!("{}.about", table_name(hash))
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
