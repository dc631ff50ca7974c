//! The raw writer's way through a history: block by block between the checkpoints that the state has kept.

use std::ops::ControlFlow;
use std::sync::Arc;

use flow_dataflow::{JobConfig, RawReader, RawSpan, TableShelf};
use flow_proto::EnrichedFlow;
use flow_state::{Checkpoint, Position};
use flow_tables::TableSet;

use super::history::Outcome;

/// Where a partition begins.
fn start(checkpoint: &Checkpoint, partition: u32) -> Position {
    Position::beginning(checkpoint.starts[&partition])
}

fn read(reader: &RawReader, span: &RawSpan<'_>) -> Vec<EnrichedFlow> {
    let mut flows = Vec::new();
    let gone = |offset: &u64| span.gaps.iter().any(|g| g.holds(span.partition, *offset));
    let missing = (span.from.offset..span.end_offset).filter(gone).count() as u64;
    let read = reader.read(span, &mut |flow: &EnrichedFlow| {
        flows.push(flow.clone());
        ControlFlow::Continue(())
    });
    let read = read.expect("the topic can be read");
    assert_eq!(
        (read.flows, read.missing_offsets),
        (flows.len() as u64, missing)
    );
    flows
}

/// All flows below the last cut, each block with the timeline of its own checkpoint; checked against one walk over the
/// whole with the last timeline.
pub fn flows(outcome: &Outcome, config: &JobConfig, tables: &Arc<TableSet>) -> Vec<EnrichedFlow> {
    let reader = RawReader::new(
        Arc::new(outcome.topic.clone()),
        config.clone(),
        TableShelf::new(outcome.state.clone(), Arc::clone(tables)),
    );
    // What the job could not read is left out here, too, although the topic shows it again.
    outcome.topic.give_back();
    let last = &outcome.checkpoint;
    let mut all = Vec::new();
    for (partition, end) in &last.cut {
        let mut flows = Vec::new();
        let mut from = start(last, *partition);
        for number in outcome.state.numbers().expect("a listing") {
            let to = outcome.state.checkpoint(number).expect("whole");
            let to = to.expect("no raw cursor lets go of it");
            let Some(cut) = to.cut.get(partition).copied() else {
                continue; // found later
            };
            from.offset = from.offset.max(to.starts[partition]);
            let span = RawSpan {
                partition: *partition,
                from,
                end_offset: cut.offset,
                timeline: &to.timeline,
                gaps: &to.gaps,
            };
            flows.extend(read(&reader, &span));
            from = cut;
        }
        let whole = RawSpan {
            partition: *partition,
            from: start(last, *partition),
            end_offset: end.offset,
            timeline: &outcome.timeline,
            gaps: &last.gaps,
        };
        assert_eq!(
            flows,
            read(&reader, &whole),
            "a later timeline says the same"
        );
        all.extend(flows);
    }
    all
}
