//! Opening the stores of a job: all at once, and no longer than somebody wants it.
//!
//! A server that stands still keeps whoever connects waiting. Law: it keeps neither the other stores waiting, nor a signal
//! that asks for the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use flow_sinks::{SinkError, Store};

use crate::failure::{Exit, Failure};

/// Between two looks at the signal.
const LOOK: Duration = Duration::from_millis(100);

/// What the work comes to; `None`: a signal has asked for the end meanwhile, and the work ends with the process.
///
/// # Errors
/// If there can be no thread for it, or it has died.
pub(crate) fn unless_asked<T: Send + 'static>(
    asked: &AtomicBool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Failure> {
    let (done, result) = mpsc::channel();
    thread::Builder::new()
        .name("opening".to_owned())
        // Nobody hears it any more once the end was asked for.
        .spawn(move || drop(done.send(work())))?;
    loop {
        match result.recv_timeout(LOOK) {
            Ok(result) => return Ok(Some(result)),
            Err(RecvTimeoutError::Timeout) if asked.load(Ordering::Acquire) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(Exit::Bug, "opening the stores has died"));
            }
        }
    }
}

/// Opens each of them in a thread of its own; they come in their order.
///
/// # Errors
/// That of the first one that has any.
pub(crate) fn together(
    urls: &[String],
    open: impl Fn(&str) -> Result<Store, SinkError> + Sync,
) -> Result<Vec<Store>, SinkError> {
    let open = &open;
    thread::scope(|scope| {
        let opening: Vec<_> = urls.iter().map(|url| scope.spawn(|| open(url))).collect();
        let died = |_| SinkError::fatal("a thread that opened a store has died");
        let opened = opening.into_iter();
        opened
            .map(|thread| thread.join().map_err(died).flatten())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Barrier};

    fn empty() -> Store {
        Store {
            rollups: None,
            raw: None,
        }
    }

    #[test]
    fn what_does_not_answer_holds_up_no_end() {
        let (answer, answered) = mpsc::channel::<()>();
        let asked = Arc::new(AtomicBool::new(false));
        let begun = Arc::clone(&asked);
        let deaf = move || {
            begun.store(true, Ordering::Release);
            // Until the other end is gone.
            answered.iter().for_each(drop);
        };
        assert!(unless_asked(&asked, deaf).expect("no failure").is_none());
        drop(answer);
        let fine = unless_asked(&AtomicBool::new(false), || 7);
        assert_eq!(fine.expect("no failure"), Some(7));
    }

    #[test]
    fn none_waits_for_another() {
        let urls: Vec<String> = ["a", "b", "bad"].map(str::to_owned).into();
        let all_are_opening = Barrier::new(urls.len());
        let open = |url: &str| {
            all_are_opening.wait();
            match url {
                "bad" => Err(SinkError::refused("bad")),
                _ => Ok(empty()),
            }
        };
        assert!(together(&urls, open).is_err());
        let found = together(&urls, |_| Ok(empty()));
        assert_eq!(found.expect("no refusal").len(), 3);
    }
}
