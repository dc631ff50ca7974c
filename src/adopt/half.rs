//! The halves of a store, each of which is adopted by itself: its rollups, and its raw flows.
//!
//! Law: none is left out, and each is asked and told by the same steps.

use flow_sinks::{Adoption, Held, RawSink, Sink, SinkError, Store};

/// One half of a store.
pub(super) enum Half<'a> {
    /// Rollups and slots.
    Rows(&'a mut dyn Sink),
    /// Raw flows.
    Raw(&'a mut dyn RawSink),
}

impl Half<'_> {
    /// The store's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Half::Rows(sink) => sink.name(),
            Half::Raw(sink) => sink.name(),
        }
    }

    /// Who has written it.
    pub(super) fn held(&mut self) -> Result<Held, SinkError> {
        match self {
            Half::Rows(sink) => sink.held(),
            Half::Raw(sink) => sink.held(),
        }
    }

    /// Tells it.
    pub(super) fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        match self {
            Half::Rows(sink) => sink.adopt(adoption),
            Half::Raw(sink) => sink.adopt(adoption),
        }
    }
}

/// All halves that these stores have.
pub(super) fn all(stores: &mut [Store]) -> Vec<Half<'_>> {
    let mut halves = Vec::new();
    for store in stores {
        let rows = store.rollups.as_mut();
        halves.extend(rows.map(|sink| Half::Rows(sink.as_mut())));
        let raw = store.raw.as_mut();
        halves.extend(raw.map(|sink| Half::Raw(sink.as_mut())));
    }
    halves
}
