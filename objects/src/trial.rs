//! A trial of put-if-absent, before a job trusts a store with its checkpoints.
//!
//! Law 5 rests on it: a store that takes `If-None-Match` and does not heed it would let two jobs both win a number. The
//! trial shows the right to delete as well.

use std::io;
use std::path::Path;

use flow_state::{Objects, Placed, StateError};

/// Tries it with an object that no other process has.
///
/// # Errors
/// `Unusable` if the store does not keep it, `Remote` if it does not answer.
pub(crate) fn conditional_put(objects: &dyn Objects, shown: &Path) -> Result<(), StateError> {
    let chance = getrandom::u64().map_err(|error| StateError::Io {
        action: "draw a number for",
        path: shown.to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    let name = format!("trial/{chance:016x}");
    let said = |action| {
        let path = shown.join(&name);
        move |error| StateError::of(action, &path, error)
    };
    // The answer to the first does not matter: it may have been tried twice on the way.
    for last in [false, true] {
        let placed = objects.put_if_absent(&name, chance, &[b"trial\n"]);
        if placed.map_err(said("create"))? == Placed::New && last {
            // Deleted as well as may be; the state is of no use here anyway.
            drop(objects.delete(&name));
            return Err(StateError::Unusable {
                path: shown.to_owned(),
                what: "this store ignores If-None-Match, so two jobs could both win a checkpoint; use a store with \
                       conditional writes, or a directory"
                    .to_owned(),
            });
        }
    }
    objects.delete(&name).map_err(said("delete"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow_state::Opened;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    use crate::remote::Remote;

    /// A store that takes the condition and does not heed it.
    #[derive(Debug)]
    struct Heedless(Remote);

    impl Objects for Heedless {
        fn put(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<()> {
            self.0.put(name, attempt, parts)
        }

        fn put_if_absent(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<Placed> {
            self.put(name, attempt, parts).map(|()| Placed::New)
        }

        fn open(&self, name: &str) -> io::Result<Box<dyn Opened>> {
            self.0.open(name)
        }

        fn list(&self, folder: &str) -> io::Result<Vec<String>> {
            self.0.list(folder)
        }

        fn delete(&self, name: &str) -> io::Result<()> {
            self.0.delete(name)
        }
    }

    #[test]
    fn a_store_that_heeds_the_condition_passes_and_another_does_not() {
        let remote = || Remote::new(Arc::new(InMemory::new()), "a").expect("a thread");
        let (good, shown) = (remote(), Path::new("s3://a"));
        conditional_put(&good, shown).expect("it heeds it");
        let bad = Heedless(remote());
        let line = conditional_put(&bad, shown)
            .expect_err("it does not")
            .to_string();
        assert!(line.contains("If-None-Match"), "{line}");
        for left in [good.list("trial"), bad.list("trial")] {
            assert!(left.expect("listed").is_empty());
        }
    }
}
