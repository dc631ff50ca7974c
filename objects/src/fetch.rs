//! One object as a whole, or the newest below a prefix: what others put into a bucket for a job to read.
//!
//! Law 8: no more is read than the bound.

use std::io::{self, ErrorKind};
use std::path::Path;

use flow_state::{Objects, StateError};

use crate::remote::Remote;
use crate::s3;
use crate::url::Place;

/// Reads `s3://bucket/key`, or of `s3://bucket/prefix/` the newest object right below that `wanted` takes by its name; with the URL
/// of what was read.
///
/// # Errors
/// `Unusable` for a URL that is none of ours, `Io` or `Remote` for what the store says; `FileTooLarge` above the bound.
pub fn fetch(
    url: &str,
    limit_bytes: u64,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<(String, Vec<u8>), FetchError> {
    let Place::Bucket(mut address) = Place::of(Path::new(url))? else {
        return Err(io::Error::new(ErrorKind::Unsupported, "give s3://BUCKET/KEY").into());
    };
    let key = std::mem::take(&mut address.prefix);
    let is_prefix = url
        .split('?')
        .next()
        .is_some_and(|place| place.ends_with('/'));
    let remote = s3::connect(&address)?;
    let key = match is_prefix {
        true => newest(&remote, &key, wanted)?,
        false => key,
    };
    let bytes = read(&remote, &key, limit_bytes)?;
    Ok((format!("{}/{key}", address.shown().display()), bytes))
}

/// Why an object can't be had.
#[derive(Debug)]
pub enum FetchError {
    /// The URL, or the client that is made of it.
    Place(StateError),
    /// The store's answer.
    Store(io::Error),
}

impl From<StateError> for FetchError {
    fn from(error: StateError) -> FetchError {
        FetchError::Place(error)
    }
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> FetchError {
        FetchError::Store(error)
    }
}

/// By time, of two with one time the last by name.
fn newest(remote: &Remote, prefix: &str, wanted: &dyn Fn(&str) -> bool) -> io::Result<String> {
    let listed = remote.times(prefix)?;
    let listed = listed.into_iter().filter(|(_, name)| wanted(name));
    let none = || io::Error::new(ErrorKind::NotFound, "there is no object below this prefix");
    let (_, name) = listed.max().ok_or_else(none)?;
    Ok(match prefix {
        "" => name,
        _ => format!("{prefix}/{name}"),
    })
}

fn read(objects: &dyn Objects, key: &str, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let opened = objects.open(key)?;
    if opened.length() > limit_bytes {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let length = usize::try_from(opened.length()).map_err(|_| ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; length];
    let mut at = 0;
    for piece in bytes.chunks_mut(crate::reading::PIECE as usize) {
        opened.read_at(at, piece)?;
        at += piece.len() as u64;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    #[test]
    fn the_newest_object_right_below_a_prefix() {
        let store = Remote::new(Arc::new(InMemory::new()), "").expect("a store");
        let put = |name: &str| store.put(name, 0, &[name.as_bytes()]).expect("put");
        let any = |name: &str| !name.ends_with(".tmp");
        assert!(newest(&store, "tables", &any).is_err());
        put("tables/b.csv");
        put("tables/a.csv");
        put("tables/c.tmp");
        put("tables/below/d.csv");
        put("other/e.csv");
        let times = store.times("tables").expect("listed");
        let expected = times.into_iter().filter(|(_, name)| any(name)).max();
        let (_, expected) = expected.expect("some");
        // Memory's clock may give two puts one time; the later of two that differ is the newest.
        assert!(["a.csv", "b.csv"].contains(&expected.as_str()));
        assert_eq!(
            newest(&store, "tables", &any).expect("one"),
            format!("tables/{expected}")
        );
        assert_eq!(
            read(&store, "tables/b.csv", 12).expect("read"),
            b"tables/b.csv"
        );
        let large = read(&store, "tables/b.csv", 11).expect_err("a bound");
        assert_eq!(large.kind(), ErrorKind::FileTooLarge);
    }
}
