//! `Remote`: the state's objects in any store that `object_store` knows.
//!
//! Law 5: an object appears whole or not at all, since a put is one request; whether it was there is the store's answer
//! to `If-None-Match: *`. What is not answered is an error, and its outcome unknown.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flow_state::{Objects, Opened, Placed};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ListResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload,
};

use crate::fault;
use crate::reading::{PIECE, Reading};
use crate::runtime::Runtime;

/// For a request with little to carry.
const LIMIT_SECS: u64 = 30;
/// Carried in a second at least, else it is a time-out.
const SLOWEST: u64 = 1 << 20;

/// Objects below a prefix of a store.
#[derive(Debug)]
pub struct Remote {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    runtime: Runtime,
}

impl Remote {
    /// Objects below a prefix (`""`: of all the store).
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> io::Result<Remote> {
        Ok(Remote {
            inner: Arc::new(Inner {
                store,
                prefix: Path::from(prefix),
                runtime: Runtime::start()?,
            }),
        })
    }

    fn place(&self, name: &str, mode: PutMode, parts: &[&[u8]]) -> io::Result<Placed> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let parts = parts.iter().map(|part| Bytes::copy_from_slice(part));
        let payload: PutPayload = parts.collect();
        let path = self.inner.path(name);
        let is_condition = mode == PutMode::Create;
        let put = self.inner.answer(bytes as u64, |store| async move {
            store.put_opts(&path, payload, PutOptions::from(mode)).await
        });
        match put? {
            Ok(_) => Ok(Placed::New),
            Err(error) if is_condition && fault::is_precondition(&error) => Ok(Placed::Existed),
            Err(error) => Err(fault::of(&error)),
        }
    }
}

impl Remote {
    /// Times of modification, in microseconds (no store tells more), and names of the objects right below a folder.
    pub(crate) fn times(&self, folder: &str) -> io::Result<Vec<(i64, String)>> {
        let listed = self.inner.listed(folder)?;
        let objects = listed.objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?.to_owned();
            Some((object.last_modified.timestamp_micros(), name))
        });
        Ok(objects.collect())
    }
}

impl Inner {
    fn listed(&self, folder: &str) -> io::Result<ListResult> {
        let path = self.path(folder);
        let listed = self.answer(0, |store| async move {
            let prefix = Some(&path).filter(|path| !path.is_root());
            store.list_with_delimiter(prefix).await
        });
        listed?.map_err(|error| fault::of(&error))
    }

    fn path(&self, name: &str) -> Path {
        self.prefix
            .parts()
            .chain(Path::from(name).parts())
            .collect()
    }

    /// Waits for an answer, for longer the more it carries.
    fn answer<T, F>(&self, bytes: u64, ask: impl FnOnce(Arc<dyn ObjectStore>) -> F) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let secs = LIMIT_SECS + bytes / SLOWEST;
        let work = ask(Arc::clone(&self.store));
        let answered = self.runtime.within(Duration::from_secs(secs), work);
        answered.map_err(|_| fault::no_answer(secs))
    }

    /// Some bytes of an object.
    pub(crate) fn range(&self, path: &Path, range: Range<u64>) -> io::Result<Bytes> {
        let (path, bytes) = (path.clone(), range.end.saturating_sub(range.start));
        let got = self.answer(
            bytes,
            |store| async move { store.get_range(&path, range).await },
        );
        got?.map_err(|error| fault::of(&error))
    }

    /// An object's length, and its first bytes with it.
    fn begin(&self, path: &Path) -> io::Result<(u64, Bytes)> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(0..PIECE)),
            ..GetOptions::default()
        };
        let asked = path.clone();
        let first = self.answer(PIECE, |store| async move {
            let got = store.get_opts(&asked, options).await?;
            Ok((got.meta.size, got.bytes().await?))
        });
        match first? {
            Ok(first) => Ok(first),
            Err(error @ (Error::NotFound { .. } | Error::PermissionDenied { .. })) => {
                Err(fault::of(&error))
            }
            // Of an empty object there is no range.
            Err(error) => {
                let asked = path.clone();
                match self.answer(0, |store| async move { store.head(&asked).await })? {
                    Ok(meta) if meta.size == 0 => Ok((0, Bytes::new())),
                    _ => Err(fault::of(&error)),
                }
            }
        }
    }
}

impl Objects for Remote {
    fn put(&self, name: &str, _attempt: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.place(name, PutMode::Overwrite, parts).map(drop)
    }

    fn put_if_absent(&self, name: &str, _attempt: u64, parts: &[&[u8]]) -> io::Result<Placed> {
        self.place(name, PutMode::Create, parts)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Opened>> {
        let path = self.inner.path(name);
        let (length, first) = self.inner.begin(&path)?;
        let inner = Arc::clone(&self.inner);
        Ok(Box::new(Reading::new(inner, path, length, first)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let listed = self.inner.listed(folder)?;
        let objects = listed.objects.iter().map(|object| &object.location);
        let folders = listed.common_prefixes.iter().filter(|_| folder.is_empty());
        let mut names: Vec<String> = objects
            .chain(folders)
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let path = self.inner.path(name);
        let deleted = self
            .inner
            .answer(0, |store| async move { store.delete(&path).await });
        match deleted? {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(fault::of(&error)),
        }
    }
}
