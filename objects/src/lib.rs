//! Job state in an object store, behind the state's own handle: `s3://bucket/prefix` where a directory could stand.
//!
//! A room of its own, so that neither the state nor the job has a runtime or HTTP within reach.
//! Room law: knows objects only, by name and bytes; what they mean is `flow-state`'s.

mod connector;
mod digest;
mod fault;
mod fetch;
mod reading;
mod remote;
mod runtime;
mod s3;
mod trial;
mod url;

use std::path::Path;
use std::sync::Arc;

use flow_state::{StateError, StateStore};

pub use fetch::{FetchError, fetch};
pub use remote::Remote;
pub use url::{Address, Place};

/// Opens a state wherever it stands, as `StateStore::open` does in a directory. In an object store there is no lock:
/// of two jobs on one state the first checkpoint decides (law 5), and the loser ends.
///
/// # Errors
/// Those of `StateStore::open`, `Unusable`, and `Remote` for what an object store says.
pub fn open(place: &Path) -> Result<StateStore, StateError> {
    match Place::of(place)? {
        Place::Directory(path) => StateStore::open(path),
        Place::Bucket(address) => {
            let objects = Arc::new(s3::connect(&address)?);
            let state = StateStore::over(objects.clone(), address.shown())?;
            trial::conditional_put(objects.as_ref(), &address.shown())?;
            Ok(state)
        }
    }
}

/// Opens a state that another process holds, or that is only to be looked at, as `StateStore::join`.
///
/// # Errors
/// `Missing` if there is none; else as `open`.
pub fn join(place: &Path) -> Result<StateStore, StateError> {
    match Place::of(place)? {
        Place::Directory(path) => StateStore::join(path),
        Place::Bucket(address) => {
            StateStore::join_over(Arc::new(s3::connect(&address)?), address.shown())
        }
    }
}
