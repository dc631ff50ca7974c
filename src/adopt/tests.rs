//! An adoption that is cut short after each of its steps.
//!
//! Law 6: no job takes the stores then, until another adoption has finished them.

use std::path::Path;

use super::half_told::{Cut, leave};
use super::*;
use flow_sinks::{Delta, RawBlock, RawRows, RawSink, Row, Rows, Sink, SinkError};
use flow_topic::Options;

/// Nothing to be written.
#[derive(Debug)]
struct Nothing;

impl Rows for Nothing {
    fn for_each(
        &self,
        _: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        Ok(())
    }
}

impl RawRows for Nothing {
    fn for_each(
        &self,
        _: &mut dyn FnMut(&flow_proto::EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        Ok(())
    }
}

fn open(folder: &Path) -> Vec<Store> {
    let url = |name| format!("sqlite://{}?raw=on", folder.join(name).display());
    let open = |name| {
        let store = flow_sinks::open(&url(name)).expect("a store");
        let (rollups, raw) = (store.rollups.expect("rows"), store.raw.expect("raw"));
        Store {
            rollups: Some(Box::new(Cut(rollups)) as Box<dyn Sink>),
            raw: Some(Box::new(Cut(raw)) as Box<dyn RawSink>),
        }
    };
    vec![open("a"), open("b")]
}

/// Another job has written them, up to these checkpoints.
fn written(stores: &mut [Store]) {
    for (store, to) in stores.iter_mut().zip([7, 9]) {
        let delta = Delta {
            job: "before",
            from: 0,
            to,
            shards: &[0, 1],
            rows: &Nothing,
            slots: &[],
            retired_through: &[],
            watermark_secs: None,
        };
        let sink = store.rollups.as_mut().expect("rows");
        sink.apply(&delta).expect("taken");
        let block = RawBlock {
            job: "before",
            topic: "dir:///t",
            partition: 0,
            from: None,
            to,
            first_offset: 0,
            end_offset: 0,
            rows: &Nothing,
            now_secs: 0,
            watermark_secs: None,
        };
        let raw = store.raw.as_mut().expect("raw");
        raw.apply(&block).expect("taken");
    }
}

/// How many halves this state may write.
fn taken(state: &StateStore, stores: &mut [Store]) -> usize {
    let newest = state.newest().expect("readable");
    let (job, number) = newest.map_or((String::new(), 0), |n| (n.job, n.number));
    let mut taken = 0;
    for store in stores {
        let sink = store.rollups.as_mut().expect("rows");
        let cursors = sink.cursors().expect("readable");
        taken += usize::from(cursors.belong_to("x", &job, number).is_ok());
        let raw = store.raw.as_mut().expect("raw");
        let cursors = raw.cursors().expect("readable");
        taken += usize::from(cursors.belong_to("x", &job, number).is_ok());
    }
    taken
}

#[test]
fn cut_short_after_any_step_it_is_finished_by_another_one() {
    for steps in 0..=4 {
        let folder = tempfile::tempdir().expect("a folder");
        let place = format!("dir://{}", folder.path().join("flows").display());
        let topic = flow_topic::url::open(&place, Some(Options::default())).expect("a topic");
        let state = StateStore::open(folder.path().join("state")).expect("a state");
        let mut stores = open(folder.path());
        written(&mut stores);
        assert_eq!(taken(&state, &mut stores), 0, "refused without it");
        let config = JobConfig::default();
        let adopt = |left: usize, stores: &mut [Store]| {
            leave(left);
            adopt(&config, topic.as_ref(), &state, stores)
        };
        let first = adopt(steps, &mut stores);
        assert_eq!(first.is_ok(), steps == 4);
        if let Err(failure) = first {
            assert_eq!(failure.exit(), Exit::Unavailable);
        }
        let number = |state: &StateStore| state.newest().expect("whole").expect("one").number;
        assert_eq!(number(&state), 10, "above every cursor");
        assert_eq!(taken(&state, &mut stores), steps);
        adopt(4, &mut stores).expect("finished");
        assert_eq!(taken(&state, &mut stores), 4);
        let again = if steps == 4 { 10 } else { 11 };
        assert_eq!(number(&state), again);
        adopt(0, &mut stores).expect("nothing is left to adopt");
        assert_eq!(number(&state), again);
        let newest = state.newest().expect("whole").expect("one");
        assert_eq!(newest.generations.len(), usize::from(steps < 4) + 1);
        assert_eq!(newest.cut.len(), 4, "the recorded start");
    }
}
