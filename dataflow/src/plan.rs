//! The plan: what process 0 decides at a start, for the other processes of the job to go by.
//!
//! Law 1: where a job begins is decided once. Process 0 looks at state, topic and tables; the others read the
//! checkpoint that it names, and load the tables from the archive under the hashes that its timeline holds (law 3).

use std::collections::BTreeMap;

use flow_state::{Position, Timeline};
use serde::{Deserialize, Serialize};

use crate::restore::Start;

/// What every process of a job has to know before its workers start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Id of the job.
    pub job: String,
    /// Id of this attempt: names the segments that all processes write.
    pub attempt: u64,
    /// The checkpoint it goes on from; 0: it begins.
    pub base: u64,
    pub(crate) positions: BTreeMap<u32, Position>,
    pub(crate) ends: BTreeMap<u32, u64>,
    pub(crate) timeline: Timeline,
}

impl Plan {
    pub(crate) fn of(start: &Start) -> Plan {
        Plan {
            job: start.base.job.clone(),
            attempt: start.attempt,
            base: start.base.number,
            positions: start.positions.clone(),
            ends: start.ends.clone(),
            timeline: start.timeline.clone(),
        }
    }
}
