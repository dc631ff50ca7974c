//! What a job has made of a request to swap tables.
//!
//! Law 3: it is what a checkpoint of the job says.

use std::thread;
use std::time::{Duration, Instant};

use flow_state::{Amendment, Checkpoint, StateStore};

use crate::failure::Failure;

/// Between two looks for the job's answer.
const LOOK: Duration = Duration::from_millis(200);

/// What has become of a request: a version, its first slot and what is queued of the past, a refusal, or nothing yet.
pub(super) enum Answer {
    InForce(u32, u64, Option<Amendment>),
    Refused(String),
    None,
}

/// Waits so long for it.
pub(super) fn answer(
    state: &StateStore,
    request: u64,
    patience: Duration,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = state.newest()?.and_then(|newest| of(&newest, request)) {
            return Ok(answer);
        }
        if begun.elapsed() >= patience {
            return Ok(Answer::None);
        }
        // Nothing tells another process of a checkpoint: it can only look.
        thread::sleep(LOOK);
    }
}

fn of(checkpoint: &Checkpoint, request: u64) -> Option<Answer> {
    let outcome = checkpoint.swaps.outcome(request)?;
    Some(match &outcome.result {
        Err(why) => Answer::Refused(why.clone()),
        Ok(number) => {
            let mut versions = checkpoint.timeline.versions.iter();
            let from = versions.find(|(_, version)| version.number == *number);
            let amended = checkpoint.swaps.amended.iter();
            let amended = amended.rev().find(|it| it.request == request).cloned();
            Answer::InForce(*number, from.map_or(0, |(from, _)| *from), amended)
        }
    })
}
