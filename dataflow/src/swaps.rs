//! Requests for other tables: looked for in the state, beside the workers.
//!
//! Law 3: they are handed over one at a time, in the order of their numbers, so that a decided number decides all before it.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use flow_state::{StateError, StateStore, SwapRequest};

use crate::turns::{Did, Turns};

/// A gap in the numbers is looked for at one look of so many: nobody leaves one on purpose.
const LOOKS: u32 = 30;

/// A request as it was found: one that can't be read is decided, too.
pub(crate) type FoundRequest = (u64, Result<SwapRequest, String>);

/// The way to the desk that looks for requests, which ends when this is dropped.
pub(crate) struct SwapLookout {
    news: Receiver<FoundRequest>,
    /// Never sent into.
    _alive: mpsc::Sender<()>,
}

impl SwapLookout {
    /// The next request, if there is one. Whoever takes it decides it before it takes another.
    pub(crate) fn next(&self) -> Option<FoundRequest> {
        self.news.try_recv().ok()
    }
}

/// The desk that looks for requests, look by look.
pub(crate) struct SwapDesk {
    state: StateStore,
    pause: Duration,
    next: u64,
    looks: u32,
    /// Found, and not taken yet.
    waiting: Option<FoundRequest>,
    found: SyncSender<FoundRequest>,
    ended: Receiver<()>,
}

impl SwapDesk {
    /// Looks every `pause` for what comes after the last request that was decided.
    pub(crate) fn new(state: StateStore, decided: u64, pause: Duration) -> (SwapLookout, SwapDesk) {
        let (alive, ended) = mpsc::channel();
        let (found, news) = mpsc::sync_channel(1);
        let desk = SwapDesk {
            state,
            pause,
            next: decided + 1,
            looks: 0,
            waiting: None,
            found,
            ended,
        };
        let lookout = SwapLookout {
            news,
            _alive: alive,
        };
        (lookout, desk)
    }

    /// The next request, whole or not.
    fn look(&mut self) -> Result<Option<FoundRequest>, StateError> {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(LOOKS)
            && let Some(later) = self
                .state
                .swap_requests()?
                .into_iter()
                .find(|n| *n >= self.next)
        {
            self.next = later;
        }
        Ok(match self.state.swap_request(self.next) {
            Ok(None) => None,
            Ok(Some(request)) => Some((self.next, Ok(request))),
            Err(error @ (StateError::Damaged { .. } | StateError::Newer { .. })) => {
                Some((self.next, Err(error.to_string())))
            }
            Err(error) => return Err(error),
        })
    }
}

impl Turns for SwapDesk {
    fn turn(&mut self, wait: bool) -> Did {
        let pause = if wait { self.pause } else { Duration::ZERO };
        if self.ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return Did::Over;
        }
        if self.waiting.is_none() {
            match self.look() {
                Ok(found) => self.waiting = found,
                // Whoever writes checkpoints tells that the state is away.
                Err(error) => tracing::debug!(%error, "requests to swap tables can't be read"),
            }
        }
        let Some(found) = self.waiting.take() else {
            return Did::Nothing;
        };
        let number = found.0;
        match self.found.try_send(found) {
            Ok(()) => self.next = number + 1,
            Err(TrySendError::Full(found)) => self.waiting = Some(found),
            Err(TrySendError::Disconnected(_)) => return Did::Over,
        }
        Did::Something
    }
}
