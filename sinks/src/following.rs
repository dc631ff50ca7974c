//! What a follower of rows and one of raw flows have in common: the loop, and the bound of a cursor.
//!
//! Law 6: whatever may pass is tried again without end, at a growing distance; a cursor ahead of what this job can have
//! written is refused.

use std::time::Duration;

use flow_state::Published;
use prometheus_client::metrics::counter::Counter;

use crate::{Backoff, FollowerConfig, SinkError, Step};

/// With nothing to do, how long a follower sleeps before it looks again by itself.
const IDLE: Duration = Duration::from_secs(3600);

/// A follower, as the loop sees it.
pub(crate) trait Following {
    /// What is said when a step has failed.
    const FAILED: &'static str;

    /// One step.
    fn step(&mut self) -> Result<Step, SinkError>;
    /// Caught up, it waits for a checkpoint above this one.
    fn reached(&self) -> u64;
    /// Called when a step has done something: an error ends the loop.
    fn go_on(&self) -> Result<(), SinkError> {
        Ok(())
    }
    /// Counts tries that failed.
    fn retries(&self) -> &Counter;
}

/// Follows until `Published::close`, catches up with the newest checkpoint and returns.
///
/// # Errors
/// What trying again does not help against. After `Published::abandon` the last `Retry`.
pub(crate) fn follow<F: Following>(
    mut follower: F,
    published: &Published,
    config: Backoff,
) -> Result<(), SinkError> {
    let mut backoff = config.first;
    loop {
        match follower.step() {
            Ok(Step::CaughtUp) => {
                backoff = config.first;
                let next = published.wait_beyond(follower.reached(), IDLE);
                if next.is_none() && published.is_closed() {
                    return Ok(());
                }
            }
            Ok(Step::Applied(_)) => {
                backoff = config.first;
                follower.go_on()?;
            }
            // A store whose disk is full can be read, and written none the sooner.
            Ok(Step::Again) => follower.go_on()?,
            Err(error) if error.is_retry() => {
                let retry_in_millis = backoff.as_millis();
                tracing::warn!(%error, retry_in_millis, "{}", F::FAILED);
                follower.retries().inc();
                if published.wait_abandoned(backoff) {
                    return Err(error);
                }
                backoff = (backoff * 2).min(config.most);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Highest checkpoint that a store's cursors may name: at its first reading the one that the job has restored, later
/// any that it has published.
pub(crate) fn bound(published: &Published, config: &FollowerConfig, admitted: bool) -> u64 {
    let newest = published.newest().map_or(0, |newest| newest.number);
    if admitted {
        newest.max(config.base)
    } else {
        config.base
    }
}
