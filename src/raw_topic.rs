//! The topic for the raw followers: the job's own decode, acceptance and enrichment over records read again.
//!
//! Wiring only: stores know no operators and the dataflow knows no stores, so the two meet here.

use std::ops::ControlFlow;

use flow_dataflow::{JobError, RawReader, RawSpan};
use flow_proto::EnrichedFlow;
use flow_sinks::{RawTopic, RawWalked, SinkError};
use flow_topic::TopicError;

/// One follower's way to the topic.
pub(crate) struct JobTopic {
    reader: RawReader,
    name: String,
}

impl JobTopic {
    pub(crate) fn new(reader: RawReader) -> JobTopic {
        let name = flow_topic::shown(&reader.url());
        JobTopic { reader, name }
    }
}

impl RawTopic for JobTopic {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn walk(
        &self,
        span: &flow_sinks::RawSpan<'_>,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<RawWalked, SinkError> {
        let span = RawSpan {
            partition: span.partition,
            from: span.from,
            end_offset: span.end_offset,
            timeline: span.timeline,
            gaps: span.gaps,
        };
        let mut refused = None;
        let read = self.reader.read(&span, &mut |flow| match take(flow) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let read = read.map_err(|error| explain(&error))?;
        Ok(RawWalked {
            flows: read.flows,
            missing_offsets: read.missing_offsets,
        })
    }
}

/// What may pass is tried again: the job meets the same topic, and ends by itself if it must.
pub(crate) fn explain(error: &JobError) -> SinkError {
    let line = format!("raw flows: {error}");
    match error {
        JobError::Topic(TopicError::Damaged { .. } | TopicError::Foreign { .. })
        | JobError::State(_)
        | JobError::Tables { .. } => SinkError::fatal(line),
        _ => SinkError::retry(line),
    }
}
