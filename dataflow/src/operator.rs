//! Which operator runs on this thread: for whoever has to say where something went wrong.

use std::cell::Cell;

thread_local! {
    static RUNNING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The operator that runs on this thread now, if any.
pub fn operator() -> Option<&'static str> {
    RUNNING.get()
}

/// Until it is dropped, this operator runs.
pub(crate) struct Running;

pub(crate) fn enter(name: &'static str) -> Running {
    RUNNING.set(Some(name));
    Running
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_while_it_runs() {
        assert_eq!(operator(), None);
        let running = enter("source");
        assert_eq!(operator(), Some("source"));
        drop(running);
        assert_eq!(operator(), None);
    }
}
