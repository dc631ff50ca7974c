//! Sampling rates that a replay takes in the place of those that exporters have sent.
//!
//! Law 1: a flow's rate is a function of its exporter and of what the replay was told. The job itself is never told any.

use std::collections::BTreeMap;

use flow_proto::{Addr, Flow, FlowCore};
use serde::{Deserialize, Serialize};

/// Packets per sampled packet, by exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplingRates(BTreeMap<[u8; 16], u64>);

impl SamplingRates {
    /// Of these exporters, by the address in `sampler_address`; a rate of 0 is unknown, as on the wire.
    pub fn new(rates: impl IntoIterator<Item = (Addr, u64)>) -> SamplingRates {
        SamplingRates(rates.into_iter().map(|(at, rate)| (at.0, rate)).collect())
    }

    /// Whether every exporter keeps its own.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the rate in the flow's place that was decoded from this message, if its exporter is one of these. The address is
    /// none of the fields that rows are made of: the message is read a second time, by the whole decoder.
    pub(crate) fn put(&self, message: &[u8], flow: &mut FlowCore) {
        if self.0.is_empty() {
            return;
        }
        let sampler = Flow::decode(message).map(|whole| whole.sampler_address);
        if let Some(rate) = sampler.ok().and_then(|at| self.0.get(&at.0)) {
            flow.sampling_rate = *rate;
        }
    }
}
