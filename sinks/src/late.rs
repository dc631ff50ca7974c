//! A store that did not answer when the job started: opened when it does.
//!
//! Law 6: a sink that is down costs the others nothing, at the start as at any other time. Opening is tried where the
//! cursors are read, so that the follower's own loop waits, tells and counts; what trying again does not help against
//! ends the job then, as it would have ended the start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use flow_proto::Rollups;
use flow_topic::Timestamps;

use crate::url::{self, Shape, Source, Store};
use crate::{
    Adoption, Applied, Cursors, Delta, Held, RawBlock, RawCursors, RawSink, Sink, SinkError,
};

/// The store of a URL that could not be opened, for the reason given.
///
/// # Errors
/// `Refused` for a URL that cannot be.
pub(crate) fn later(url: &str, source: &Source<'_>, why: &SinkError) -> Result<Store, SinkError> {
    let Shape { name, rollups, raw } = url::shape(url)?;
    let door = Arc::new(Door {
        url: url.to_owned(),
        source: (
            source.url.to_owned(),
            source.partitions,
            source.timestamps,
            source.rollups,
        ),
        opened: Mutex::default(),
    });
    let rollups = rollups.then(|| {
        Late::<dyn Sink>::boxed(&name, &door, why, |store| &mut store.rollups) as Box<dyn Sink>
    });
    let raw = raw.then(|| {
        Late::<dyn RawSink>::boxed(&name, &door, why, |store| &mut store.raw) as Box<dyn RawSink>
    });
    Ok(Store { rollups, raw })
}

/// One half of a store: what writes rollups, or what writes raw flows.
type Half<S> = fn(&mut Store) -> &mut Option<Box<S>>;

/// The way in, shared by the halves of a store, which are opened together.
struct Door {
    url: String,
    /// The topic that the job reads, as a `Source`.
    source: (String, u32, Timestamps, Rollups),
    opened: Mutex<Option<Store>>,
}

impl Door {
    fn take<S: ?Sized>(&self, half: Half<S>) -> Result<Box<S>, SinkError> {
        // No code that can panic leaves the lock in disorder: a store is there or is not.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match opened.as_mut() {
            Some(store) => store,
            None => {
                let (url, partitions, timestamps, rollups) = &self.source;
                let source = Source {
                    url,
                    partitions: *partitions,
                    timestamps: *timestamps,
                    rollups: *rollups,
                };
                opened.insert(url::open_beside(&self.url, &source)?)
            }
        };
        let missing = || {
            SinkError::fatal(format!(
                "sink {}: opened twice",
                flow_topic::shown(&self.url)
            ))
        };
        half(store).take().ok_or_else(missing)
    }
}

/// A half that is not open yet.
struct Late<S: ?Sized> {
    name: String,
    door: Arc<Door>,
    half: Half<S>,
    inner: Option<Box<S>>,
    /// What the start has seen: the first question is answered with it, instead of waiting as long once more.
    seen: Option<SinkError>,
}

impl<S: ?Sized> Late<S> {
    fn boxed(name: &str, door: &Arc<Door>, why: &SinkError, half: Half<S>) -> Box<Late<S>> {
        Box::new(Late {
            name: name.to_owned(),
            door: Arc::clone(door),
            half,
            inner: None,
            seen: Some(why.clone()),
        })
    }

    fn open(&mut self) -> Result<&mut Box<S>, SinkError> {
        if let Some(error) = self.seen.take() {
            return Err(error);
        }
        match self.inner {
            Some(ref mut inner) => Ok(inner),
            None => {
                let inner = self.door.take(self.half)?;
                tracing::info!(sink = self.name, "the store answers now");
                Ok(self.inner.insert(inner))
            }
        }
    }
}

impl Sink for Late<dyn Sink> {
    fn name(&self) -> &str {
        &self.name
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        self.open()?.cursors()
    }

    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        self.open()?.apply(delta)
    }

    fn slot_flows(&mut self, from_secs: u64) -> Result<Option<BTreeMap<u64, u64>>, SinkError> {
        self.open()?.slot_flows(from_secs)
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        self.open()?.held()
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        self.open()?.adopt(adoption)
    }
}

impl RawSink for Late<dyn RawSink> {
    fn name(&self) -> &str {
        &self.name
    }

    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        self.open()?.cursors()
    }

    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        self.open()?.apply(block)
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        self.open()?.held()
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        self.open()?.adopt(adoption)
    }
}
