//! A proof that several processes have the same state before them, and not one of the same name each on its own disk.

use std::fs;

use crate::{StateDir, StateError, files};

const PROOF_FILE: &str = "proof";

impl StateDir {
    /// Leaves a number for the job's other processes to find; it replaces that of an earlier start.
    ///
    /// # Errors
    /// `Io` if it can't be written.
    pub fn leave_proof(&self, number: u64) -> Result<(), StateError> {
        let target = self.root().join(PROOF_FILE);
        let words = format!("{number:016x}\n");
        let temporary = files::write_temporary(&target, number, &[words.as_bytes()])?;
        files::place_over(&temporary, &target)
    }

    /// Whether this is the number that was left.
    ///
    /// # Errors
    /// `Io` if it can't be read; that there is none is no error.
    pub fn holds_proof(&self, number: u64) -> Result<bool, StateError> {
        let path = self.root().join(PROOF_FILE);
        match fs::read_to_string(&path).map_err(StateError::io("read", &path)) {
            Ok(words) => Ok(words.trim_end() == format!("{number:016x}")),
            Err(StateError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
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
        let state = StateDir::open(here.path()).expect("new");
        let guest = StateDir::visit(here.path()).expect("beside its holder");
        drop(StateDir::open(there.path()).expect("new"));
        let other = StateDir::visit(there.path()).expect("without its holder");
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
        let error = StateDir::visit(folder.path()).expect_err("nothing is there");
        assert!(matches!(error, StateError::Missing { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
    }
}
