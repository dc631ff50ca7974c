//! A slot's raw flows, flow by flow: those of the topic beside those of a store, both in the order of the topic.
//!
//! Law: each difference is told once. Neither side is in memory: the topic is read by a thread that runs a little ahead of
//! the store's answer.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use flow_dataflow::JobError;
use flow_proto::Coordinate;
use flow_sinks::{RawLook, RawRange, RawTexts, SinkError};

use super::slot_flows::SlotFlows;
use crate::failure::{Exit, Failure};

/// So many flows the topic's side may run ahead.
const AHEAD: usize = 4_096;

/// How a raw flow differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The store has none of that place.
    Missing,
    /// The topic has none of that place and slot.
    Extra,
    /// Another value in some column.
    Changed,
    /// One more of a place.
    Doubled,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Missing, Kind::Extra, Kind::Changed, Kind::Doubled];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Extra => "extra",
            Kind::Changed => "changed",
            Kind::Doubled => "doubled",
        }
    }
}

/// A raw flow that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) at: Coordinate,
    pub(super) kind: Kind,
    pub(super) computed: Option<RawTexts>,
    pub(super) stored: Option<RawTexts>,
}

/// A flow of the topic; `None`: that was the last.
type Computed = Result<Option<(Coordinate, RawTexts)>, JobError>;

/// Hands over each difference of a slot.
pub(super) fn merge(
    look: &mut RawLook,
    flows: &SlotFlows<'_>,
    (range, slot_secs): (&RawRange, u64),
    take: &mut dyn FnMut(&Difference) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut write = look.writer();
    let (send, receive) = sync_channel::<Computed>(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || {
            let read = flows.of_slot(slot_secs, &mut |flow| match send
                .send(Ok(Some((flow.at, write(flow)))))
            {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
            // Who does not listen any more knows why.
            let _ = send.send(read.map(|()| None));
        });
        let mut merge = Merge {
            computed: receive,
            next: None,
            ended: false,
            place: None,
            take,
        };
        let mut failed = None;
        let read = look.rows((range, true), &mut |flow, at| {
            merge.stored(flow, at).map_err(|failure| {
                failed = Some(failure);
                SinkError::fatal("given up")
            })
        });
        match failed {
            Some(failure) => Err(failure),
            None => read.map_err(Failure::from).and_then(|()| merge.end()),
        }
    })
}

/// What is known of one place.
struct Place {
    at: Coordinate,
    computed: Option<RawTexts>,
    stored: Vec<RawTexts>,
}

struct Merge<'a> {
    computed: Receiver<Computed>,
    next: Option<(Coordinate, RawTexts)>,
    ended: bool,
    place: Option<Place>,
    take: &'a mut dyn FnMut(&Difference) -> Result<(), Failure>,
}

impl Merge<'_> {
    /// The store's next flow.
    fn stored(&mut self, flow: RawTexts, at: Coordinate) -> Result<(), Failure> {
        if let Some(place) = self.place.as_mut().filter(|place| place.at == at) {
            place.stored.push(flow);
            return Ok(());
        }
        self.close()?;
        let mut computed = None;
        while self.peek()?.is_some_and(|next| next <= at) {
            let next = self.next.take();
            match next {
                Some((here, texts)) if here == at => computed = Some(texts),
                Some((here, texts)) => self.missing(here, texts)?,
                None => {}
            }
        }
        self.place = Some(Place {
            at,
            computed,
            stored: vec![flow],
        });
        Ok(())
    }

    /// The store has no more.
    fn end(mut self) -> Result<(), Failure> {
        self.close()?;
        while self.peek()?.is_some() {
            if let Some((at, texts)) = self.next.take() {
                self.missing(at, texts)?;
            }
        }
        Ok(())
    }

    /// Where the topic's next flow stands.
    fn peek(&mut self) -> Result<Option<Coordinate>, Failure> {
        if self.next.is_none() && !self.ended {
            // A thread that is gone without a word has failed, and is no end.
            let gone = || Failure::new(Exit::Bug, "the thread that reads the topic has ended");
            self.next = self.computed.recv().map_err(|_| gone())??;
            self.ended = self.next.is_none();
        }
        Ok(self.next.as_ref().map(|(at, _)| *at))
    }

    fn missing(&mut self, at: Coordinate, computed: RawTexts) -> Result<(), Failure> {
        self.tell(at, Kind::Missing, (Some(computed), None))
    }

    /// No more of the store's flows stand in this place.
    fn close(&mut self) -> Result<(), Failure> {
        let Some(place) = self.place.take() else {
            return Ok(());
        };
        let right = place
            .stored
            .iter()
            .position(|s| Some(s) == place.computed.as_ref());
        let known = place.computed.is_some();
        for (n, stored) in place.stored.into_iter().enumerate() {
            let kind = match (known, right) {
                (false, _) => Kind::Extra,
                (true, Some(right)) if n == right => continue,
                (true, None) if n == 0 => Kind::Changed,
                (true, _) => Kind::Doubled,
            };
            self.tell(place.at, kind, (place.computed.clone(), Some(stored)))?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        at: Coordinate,
        kind: Kind,
        (computed, stored): (Option<RawTexts>, Option<RawTexts>),
    ) -> Result<(), Failure> {
        (self.take)(&Difference {
            at,
            kind,
            computed,
            stored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(offset: u64, text: &str) -> (Coordinate, RawTexts) {
        let at = Coordinate {
            offset,
            ..Coordinate::default()
        };
        (at, RawTexts(vec![Some(text.to_owned())]))
    }

    fn merged(
        computed: Vec<Computed>,
        stored: &[(u64, &str)],
    ) -> Result<Vec<(u64, &'static str)>, Failure> {
        let (send, receive) = sync_channel(100);
        computed
            .into_iter()
            .for_each(|item| send.send(item).unwrap());
        drop(send);
        let mut told = Vec::new();
        let mut take = |difference: &Difference| {
            told.push((difference.at.offset, difference.kind.name()));
            Ok(())
        };
        let mut merge = Merge {
            computed: receive,
            next: None,
            ended: false,
            place: None,
            take: &mut take,
        };
        for (offset, text) in stored {
            let (at, texts) = flow(*offset, text);
            merge.stored(texts, at)?;
        }
        merge.end()?;
        Ok(told)
    }

    fn whole(flows: &[(u64, &str)]) -> Vec<Computed> {
        let flows = flows
            .iter()
            .map(|(offset, text)| Ok(Some(flow(*offset, text))));
        flows.chain([Ok(None)]).collect()
    }

    #[test]
    fn each_difference_is_told_once() {
        let computed = [(1, "a"), (2, "b"), (3, "c"), (5, "e"), (6, "f"), (8, "h")];
        let stored = [
            (0, "x"),
            (2, "b"),
            (3, "c"),
            (3, "c"),
            (4, "d"),
            (5, "x"),
            (5, "y"),
            (6, "x"),
            (6, "f"),
            (7, "x"),
            (7, "x"),
        ];
        let expected = [
            (0, "extra"),
            (1, "missing"),
            (3, "doubled"),
            (4, "extra"),
            (5, "changed"),
            (5, "doubled"),
            (6, "doubled"),
            (7, "extra"),
            (7, "extra"),
            (8, "missing"),
        ];
        assert_eq!(merged(whole(&computed), &stored).unwrap(), expected);
        assert!(merged(whole(&computed), &computed).unwrap().is_empty());
    }

    #[test]
    fn a_topic_that_breaks_off_is_no_end() {
        let mut cut = whole(&[(1, "a"), (2, "b")]);
        cut.pop();
        assert!(merged(cut, &[(1, "a"), (2, "b"), (3, "c")]).is_err());
    }
}
