//! How far a store has come, for those who look while its follower waits for it.
//!
//! Law 6 lets a store be down for as long as it likes; law 7 asks that this be seen. A store that stands still holds its
//! follower's thread, so the gauges are set from outside, too.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flow_state::Published;
use prometheus_client::metrics::gauge::Gauge;

use crate::FollowerConfig;

/// One follower's lag. Clones are the same.
#[derive(Clone)]
pub struct Lag(Arc<Standing>);

struct Standing {
    published: Arc<Published>,
    now_secs: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The last checkpoint that the store is known to have; 0 while nothing is known of it.
    reached: AtomicU64,
    /// Since when there is one that it lacks, seconds since 1970.
    since_secs: Mutex<Option<u64>>,
    /// Cursor, checkpoints behind, seconds behind.
    gauges: [Gauge; 3],
}

impl Lag {
    pub(crate) fn new(
        published: &Arc<Published>,
        config: &FollowerConfig,
        gauges: [&Gauge; 3],
    ) -> Lag {
        Lag(Arc::new(Standing {
            published: Arc::clone(published),
            now_secs: Arc::clone(&config.now_secs),
            reached: AtomicU64::new(0),
            since_secs: Mutex::default(),
            gauges: gauges.map(Gauge::clone),
        }))
    }

    /// The store has this checkpoint.
    pub(crate) fn reach(&self, number: u64) {
        self.0.reached.store(number, Ordering::Release);
        self.show();
    }

    /// Sets the gauges, by the newest checkpoint and the time of now.
    pub fn show(&self) {
        let standing = &self.0;
        let newest = standing.published.newest();
        let reached = standing.reached.load(Ordering::Acquire);
        let behind = newest.map_or(0, |newest| newest.number.saturating_sub(reached));
        let now_secs = (standing.now_secs)();
        // No code that can panic runs under this lock.
        let held = standing.since_secs.lock();
        let mut since = held.unwrap_or_else(PoisonError::into_inner);
        *since = (behind > 0).then(|| since.unwrap_or(now_secs));
        let secs = since.map_or(0, |since| now_secs.saturating_sub(since));
        for (gauge, number) in standing.gauges.iter().zip([reached, behind, secs]) {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

impl fmt::Debug for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lag").field(&self.0.reached).finish()
    }
}
