//! Waiting for a server: within a limit, and told when it takes long.
//!
//! Law 8: every wait ends. A server that stands still, paused or swapped out, keeps its connections open and says
//! nothing, so that only time tells it from one that works on something large.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// A server that lives answers a question in this time, or that it has waited for a lock in vain. What takes longer is
/// told.
pub(crate) const SLOW: Duration = Duration::from_secs(25);

/// What the work gives, or `None` after `limit`. After `slow`, if that is less, one line says that it is waited for.
pub(crate) async fn patiently<T>(
    sink: &str,
    (slow, limit): (Duration, Duration),
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let first = slow.min(limit);
    if let Ok(done) = tokio::time::timeout(first, work.as_mut()).await {
        return Some(done);
    }
    if first == limit {
        return None;
    }
    let (waited_secs, limit_secs) = (first.as_secs(), limit.as_secs());
    tracing::warn!(
        sink,
        waited_secs,
        limit_secs,
        "the server has not answered yet"
    );
    tokio::time::timeout(limit - first, work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[test]
    fn every_wait_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let millis = Duration::from_millis;
        for (slow, limit) in [(0, 1), (1, 1), (2, 1)] {
            let times = (millis(slow), millis(limit));
            assert_eq!(
                runtime.block_on(patiently("x", times, pending::<()>())),
                None
            );
            assert_eq!(runtime.block_on(patiently("x", times, ready(7))), Some(7));
        }
    }
}
