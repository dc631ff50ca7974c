//! A proof that several processes have the same state before them, and not one of the same name each on its own disk.

use std::io::ErrorKind;

use crate::layout::PROOF;
use crate::{StateError, StateStore};

impl StateStore {
    /// Leaves a number for the job's other processes to find; it replaces that of an earlier start.
    ///
    /// # Errors
    /// `Io` if it can't be written.
    pub fn leave_proof(&self, number: u64) -> Result<(), StateError> {
        let words = format!("{number:016x}\n");
        let put = self.objects().put(PROOF, number, &[words.as_bytes()]);
        put.map_err(StateError::io("write", &self.shown(PROOF)))
    }

    /// Whether this is the number that was left.
    ///
    /// # Errors
    /// `Io` if it can't be read; that there is none is no error.
    pub fn holds_proof(&self, number: u64) -> Result<bool, StateError> {
        match self.objects().get(PROOF) {
            Ok(words) => Ok(words.trim_ascii_end() == format!("{number:016x}").as_bytes()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StateError::io("read", &self.shown(PROOF))(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_found_by_guests_of_the_same_folder_only() {
        let (here, there) = (tempfile::tempdir(), tempfile::tempdir());
        let (here, there) = (here.expect("a folder"), there.expect("a folder"));
        let state = StateStore::open(here.path()).expect("new");
        let guest = StateStore::join(here.path()).expect("beside its holder");
        drop(StateStore::open(there.path()).expect("new"));
        let other = StateStore::join(there.path()).expect("without its holder");
        assert!(!guest.holds_proof(7).expect("readable"));
        state.leave_proof(7).expect("written");
        assert!(guest.holds_proof(7).expect("readable"));
        state.leave_proof(8).expect("written");
        assert!(!guest.holds_proof(7).expect("readable"));
        assert!(!other.holds_proof(8).expect("readable"));
    }

    #[test]
    fn a_guest_makes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = StateStore::join(folder.path()).expect_err("nothing is there");
        assert!(matches!(error, StateError::Missing { .. }), "{error}");
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("readable").count(),
            0
        );
    }
}
