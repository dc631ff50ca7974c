//! The plan: what process 0 decides at a start, for the other processes of the job to go by.
//!
//! Law 1: where a job begins is decided once. Process 0 looks at state, topic and tables; the others read the
//! checkpoint that it names, and load the tables from the archive under the hashes that its timeline holds (law 3).

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flow_state::{Position, Timeline};
use serde::{Deserialize, Serialize};

use crate::restore::Start;

/// A plan larger than this was not written by us.
const MAX_BYTES: u32 = 64 << 20;

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

    /// Sends it to a process.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn send(&self, to: &mut impl Write) -> std::io::Result<()> {
        let body = postcard::to_stdvec(self).map_err(std::io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(std::io::Error::other)?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&body)?;
        to.flush()
    }

    /// Waits for it.
    ///
    /// # Errors
    /// If the connection is lost, or what comes is no plan.
    pub fn receive(from: &mut impl Read) -> std::io::Result<Plan> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > MAX_BYTES {
            return Err(std::io::Error::other("that is no plan of a job"));
        }
        let mut body = Vec::new();
        from.take(u64::from(length)).read_to_end(&mut body)?;
        postcard::from_bytes(&body).map_err(std::io::Error::other)
    }
}
