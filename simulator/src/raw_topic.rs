//! The topic as raw followers read it: the job's own reader behind the sinks' trait, joined here as the binary joins them.
//!
//! Law 1: single flows are judged and enriched by the functions of the job.

use std::ops::ControlFlow;

use flow_dataflow::{JobError, RawReader, RawSpan};
use flow_proto::EnrichedFlow;
use flow_sinks::{RawTopic, RawWalked, SinkError};
use flow_topic::TopicError;

/// A raw reader for the sinks.
pub(crate) struct ReadAgain(pub(crate) RawReader);

impl RawTopic for ReadAgain {
    fn name(&self) -> String {
        self.0.url()
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
        let read = self.0.read(&span, &mut |flow| match take(flow) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let read = read.map_err(|error| match error {
            JobError::Topic(TopicError::Unreachable { .. }) => SinkError::retry(error.to_string()),
            _ => SinkError::fatal(error.to_string()),
        })?;
        Ok(RawWalked {
            flows: read.flows,
            missing_offsets: read.missing_offsets,
        })
    }
}
