//! The one place that reads the wall clock; everything else has it injected.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use flow_dataflow::Clock;

/// Nanoseconds since 1970, UTC.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The system's clock as the rooms take it.
pub(crate) fn system() -> Clock {
    Arc::new(now_ns)
}
