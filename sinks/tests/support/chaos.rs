//! A store whose answers get lost now and then, and which may be broken on purpose.
//!
//! Why broken ones: a run that does not find them proves nothing.

use flow_sinks::{Applied, Cursors, Delta, Sink, SinkError};

use super::Chance;

/// How a store is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    Nothing,
    /// Takes the stored cursor for the one it started from.
    CursorNotCompared,
    /// Takes "somebody else was here" for "written".
    MovedTakenForDone,
    /// Says "written" when the outcome is unknown.
    UnknownTakenForDone,
}

/// A store whose answers get lost now and then, before or after the transaction; and whose breakage is `how`.
pub(crate) struct Chaos {
    pub(crate) inner: Box<dyn Sink>,
    pub(crate) chance: Chance,
    pub(crate) how: Break,
}

impl Sink for Chaos {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        if self.chance.one_in(10) {
            return Err(SinkError::retry("down"));
        }
        self.inner.cursors()
    }

    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        if self.chance.one_in(10) {
            let done = self.how == Break::UnknownTakenForDone;
            return if done {
                Ok(Applied::Done { rows: 0 })
            } else {
                Err(SinkError::retry("down"))
            };
        }
        let from = match self.how {
            Break::CursorNotCompared => self.inner.cursors()?.of(0),
            _ => delta.from,
        };
        let applied = self.inner.apply(&Delta { from, ..*delta })?;
        if self.chance.one_in(10) {
            return Err(SinkError::retry("the answer was lost"));
        }
        match applied {
            Applied::CursorMoved if self.how == Break::MovedTakenForDone => {
                Ok(Applied::Done { rows: 0 })
            }
            other => Ok(other),
        }
    }
}
