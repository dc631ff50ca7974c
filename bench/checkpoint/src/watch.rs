//! The watch on one worker: how long it does other things between two packs that it reads.
//!
//! Both by the clock and by the CPU time of the worker's own thread: other work on the machine makes the first
//! longer, never the second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Gaps are told apart by pieces of the run this long: the longest of each counts.
const PIECE: Duration = Duration::from_millis(500);

/// The longest gap of a piece: by the clock, and of the thread's CPU.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gap {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

#[derive(Debug)]
struct Seen {
    first: Instant,
    last: (Instant, Duration),
    piece: Instant,
    longest: Gap,
    gaps: Vec<Gap>,
}

/// One worker's.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Option<Seen>>);

impl Watch {
    /// The worker has read a pack.
    pub(crate) fn read(&self) {
        let now = (Instant::now(), cpu(ClockId::CLOCK_THREAD_CPUTIME_ID));
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = held.get_or_insert_with(|| Seen {
            first: now.0,
            last: now,
            piece: now.0,
            longest: Gap::default(),
            gaps: Vec::new(),
        });
        let longest = &mut seen.longest;
        longest.wall = longest.wall.max(now.0 - seen.last.0);
        longest.cpu = longest.cpu.max(now.1.saturating_sub(seen.last.1));
        seen.last = now;
        if now.0 - seen.piece >= PIECE {
            seen.gaps.push(std::mem::take(longest));
            seen.piece = now.0;
        }
    }

    /// The longest gap of each whole piece of the run.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref()
            .map(|seen| seen.gaps.clone())
            .unwrap_or_default()
    }

    /// When the first pack was read.
    pub(crate) fn first(&self) -> Option<Instant> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|seen| seen.first)
    }
}

/// CPU time of this thread or of the whole process.
pub(crate) fn cpu(clock: ClockId) -> Duration {
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}
