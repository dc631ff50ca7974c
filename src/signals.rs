//! Signals: the first SIGINT or SIGTERM drains, the second one ends the process at once; SIGHUP has tables loaded again.
//!
//! Law: draining ends, whatever becomes of a topic: half a minute after the signal the process is gone, before a
//! supervisor kills it (systemd's units and Compose give it a minute).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

/// How long after the signal a topic may take what is left.
pub(crate) const DRAIN: Duration = Duration::from_secs(15);

/// The flag that SIGHUP raises; whoever sees it lowers it.
pub(crate) fn hangup() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&flag))?;
    Ok(flag)
}

/// The flag that the first signal raises. After it the next one exits with 128 + its number.
pub(crate) fn install() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Registered first, so that it sees the flag as the signal before this one has left it.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}
