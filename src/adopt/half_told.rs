//! Stores of a test, of which only so many halves are told of an adoption before the process is gone.
//!
//! Law: what is not told has not changed; everything else is the store's own.

use std::cell::Cell;

use flow_sinks::{
    Adoption, Applied, Cursors, Delta, Held, RawBlock, RawCursors, RawSink, Sink, SinkError,
};

thread_local! {
    /// So many halves of stores are told before the process is gone.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// The process is gone after so many.
pub(super) fn leave(halves: usize) {
    LEFT.with(|left| left.set(halves));
}

fn told() -> Result<(), SinkError> {
    LEFT.with(|left| match left.get() {
        0 => Err(SinkError::retry("killed")),
        more => {
            left.set(more - 1);
            Ok(())
        }
    })
}

/// A half that the process may not come to.
pub(super) struct Cut<S: ?Sized>(pub(super) Box<S>);

impl Sink for Cut<dyn Sink> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        self.0.cursors()
    }
    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        self.0.apply(delta)
    }
    fn held(&mut self) -> Result<Held, SinkError> {
        self.0.held()
    }
    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        told().and_then(|()| self.0.adopt(adoption))
    }
}

impl RawSink for Cut<dyn RawSink> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        self.0.cursors()
    }
    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        self.0.apply(block)
    }
    fn held(&mut self) -> Result<Held, SinkError> {
        self.0.held()
    }
    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        told().and_then(|()| self.0.adopt(adoption))
    }
}
