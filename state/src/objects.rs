//! `Objects`: what a state store stands on, named objects that are there whole or not at all.
//!
//! The level at which a local directory, an object store and a simulator are alike. Names are relative paths of one
//! or two parts (`format`, `segments/NAME`), made by this crate alone.
//! Law 5: an object appears whole or not at all; after an `Err` of a put its outcome is unknown; a put that returned
//! `Ok` is durable, and every list and read that begins after it sees it.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// Whether a name was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is ours now.
    New,
    /// It was there before: another writer's, or this one's by an earlier call whose outcome was unknown.
    Existed,
}

/// Named immutable objects. Errors are the system's own: `NotFound` says that an object is not there, any other kind
/// that this is not known.
pub trait Objects: Send + Sync + Debug {
    /// Puts an object of these parts, one after the other, in the place of what has its name. `attempt` is the
    /// writer's id, by which its leftovers can be told.
    ///
    /// # Errors
    /// The outcome is unknown: what was there before, or this object, but never a mixture.
    fn put(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<()>;

    /// Puts an object if its name is free: of all writers, in whatever processes, one is told `New`, or none.
    ///
    /// # Errors
    /// The outcome is unknown. None that was created is ever told `New` by a later call.
    fn put_if_absent(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<Placed>;

    /// Opens an object to be read in pieces.
    ///
    /// # Errors
    /// `NotFound`, or what the store says.
    fn open(&self, name: &str) -> io::Result<Box<dyn Opened>>;

    /// Makes a folder, where objects have folders and it is not there.
    ///
    /// # Errors
    /// What the store says.
    fn make_folder(&self, _folder: &str) -> io::Result<()> {
        Ok(())
    }

    /// Names of the objects in a folder (`""`: of objects and folders at the top), without the folder, ascending. A
    /// folder that is not there is empty. What the store keeps for itself is not among them.
    ///
    /// # Errors
    /// What the store says.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// It may be there still, or not.
    fn delete(&self, name: &str) -> io::Result<()>;

    /// A whole object.
    ///
    /// # Errors
    /// As `open` and `read_at`.
    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        let object = self.open(name)?;
        let too_large = |_| io::Error::other("larger than memory");
        let mut bytes = vec![0; usize::try_from(object.length()).map_err(too_large)?];
        object.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Moves an object, in the place of what has the other name. An end in the middle leaves it under either name, or
    /// under both.
    ///
    /// # Errors
    /// As an end in the middle.
    fn set_aside(&self, name: &str, to: &str) -> io::Result<()> {
        self.put(to, 0, &[&self.get(name)?])?;
        self.delete(name)
    }

    /// Removes what unfinished puts of other attempts have left in a folder, and tells how many they were.
    ///
    /// # Errors
    /// What the store says; what is left over goes with the next call.
    fn sweep(&self, _folder: &str, _attempt: u64) -> io::Result<u64> {
        Ok(0)
    }
}

/// An object that is being read. A file of a directory stays readable if it is deleted meanwhile, an object of a remote
/// store is `NotFound` from then on.
pub trait Opened: Send + Sync + Debug {
    /// Its length in bytes.
    fn length(&self) -> u64;

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if it is shorter, `NotFound` if it is not there any more, or what the store says.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

/// An object in memory.
impl Opened for Arc<[u8]> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..));
        let found = rest.and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
