//! The runtime of an object store's connections: one thread of its own.
//!
//! Callers are threads that wait for what they ask: committer, segment writer, followers, some of them inside a runtime of
//! their own, where no other may be entered. So work is handed over whole. The thread goes on between two questions, too: a
//! connection that the server has closed is known before it is used again.

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: Handle,
    _until: oneshot::Sender<()>,
}

/// No end within the time that was given.
pub(crate) struct TooLong;

impl Runtime {
    pub(crate) fn start() -> io::Result<Runtime> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until, ended) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("state-objects".to_owned())
            // An error is the sender's end.
            .spawn(move || drop(runtime.block_on(ended)))?;
        Ok(Runtime {
            handle,
            _until: until,
        })
    }

    /// Waits for work, so long at most.
    pub(crate) fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, TooLong> {
        let (tell, told) = mpsc::channel();
        drop(self.handle.spawn(async move {
            if let Ok(done) = tokio::time::timeout(limit, work).await {
                // Whoever asked waits below.
                drop(tell.send(done));
            }
        }));
        told.recv().map_err(|_| TooLong)
    }
}
