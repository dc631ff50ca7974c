//! The collector: UDP sockets to a topic.
//!
//! ```text
//! socket ─▶ receiver ─queue (bytes)─▶ decoding ─packs─▶ writing ─▶ topic
//! ```
//!
//! A thread per socket, one that decodes, one that writes. UDP cannot wait, so each queue is bounded and what does
//! not fit is counted. Law: at each arrow in = out + dropped{reason}, exact once `stop` has returned.

mod decode;
mod kernel;
mod listen;
mod queue;
mod receiver;
mod watch;
mod write;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use flow_proto::{Dialect, PackBuilder};
use flow_topic::{Topic, TopicError};

use crate::metrics::{Metrics, Totals};
use crate::wire::{Decoder, Limits};
pub use listen::{Listen, Scheme};

/// Nanoseconds since 1970, UTC.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Packs between decoder and writer; a megabyte or so by default.
const PACKS_QUEUED: usize = 64;

/// What a collector is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Receive buffer asked of the kernel for each socket.
    pub receive_buffer_bytes: usize,
    /// Bound of the queue between the sockets and the decoder.
    pub queue_bytes: usize,
    /// A pack is closed at this size.
    pub pack_bytes: usize,
    /// A pack waits that long for more flows.
    pub pack_wait: Duration,
    /// Numbering of the messages.
    pub dialect: Dialect,
    /// Bounds of the exporters' state.
    pub limits: Limits,
}

impl Default for Config {
    /// No listener; 32 MiB of receive buffer, a queue of 64 MiB, packs of 16 KiB or 50 ms.
    fn default() -> Config {
        Config {
            listen: Vec::new(),
            receive_buffer_bytes: 32 << 20,
            queue_bytes: 64 << 20,
            pack_bytes: 16 << 10,
            pack_wait: Duration::from_millis(50),
            dialect: Dialect::default(),
            limits: Limits::default(),
        }
    }
}

/// Why a collector did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// No listener's URL.
    #[error("{url}: {what}")]
    BadUrl {
        /// As given.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The address cannot be had.
    #[error("{listen}: cannot listen")]
    Bind {
        /// The listener.
        listen: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The topic cannot be written.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// No thread to be had.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A running collector. Dropped without `stop`, its threads end by themselves and nothing taken is lost.
#[derive(Debug)]
pub struct Collector {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    listeners: Vec<Listen>,
    metrics: Metrics,
}

impl Collector {
    /// Binds, takes the topic's writer and starts the threads.
    ///
    /// # Errors
    /// If any listener, the topic or a thread cannot be had; nothing is left running then.
    pub fn start(
        config: &Config,
        topic: Arc<dyn Topic>,
        metrics: Metrics,
        clock: Clock,
    ) -> Result<Collector, CollectError> {
        let bind = |listen| listen::bind(listen, config.receive_buffer_bytes);
        let sockets = config
            .listen
            .iter()
            .map(bind)
            .collect::<Result<Vec<_>, _>>()?;
        let listeners: Vec<Listen> = sockets.iter().map(|socket| socket.listen.clone()).collect();
        let writing = write::Writing::open(topic, Arc::clone(&clock), metrics.clone())?;
        let (entrance, exit) = queue::queue(config.queue_bytes);
        let (packs, written) = sync_channel(PACKS_QUEUED);
        let decoding = decode::Decoding {
            exit,
            decoder: Decoder::new(config.limits),
            pack: PackBuilder::new(config.pack_bytes, config.dialect),
            pack_wait_ns: u64::try_from(config.pack_wait.as_nanos()).unwrap_or(u64::MAX),
            packs,
            listeners: listeners.clone(),
            clock: Arc::clone(&clock),
            metrics: metrics.clone(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut collector = Collector {
            stop: Arc::clone(&stop),
            threads: Vec::new(),
            listeners,
            metrics,
        };
        for (number, listener) in sockets.into_iter().enumerate() {
            report(&listener, config.receive_buffer_bytes);
            let receiver = receiver::Receiver {
                listener,
                number,
                entrance: entrance.clone(),
                stop: Arc::clone(&stop),
                clock: Arc::clone(&clock),
                metrics: collector.metrics.clone(),
            };
            collector.spawn(format!("receive-{number}"), move || receiver.run())?;
        }
        collector.spawn("decode".to_owned(), move || decoding.run())?;
        collector.spawn("topic-write".to_owned(), move || writing.run(&written))?;
        Ok(collector)
    }

    fn spawn(
        &mut self,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), CollectError> {
        // An error drops the collector, and with it the threads started so far.
        self.threads.push(
            Builder::new()
                .name(name)
                .spawn(body)
                .map_err(CollectError::Thread)?,
        );
        Ok(())
    }

    /// Where it listens, in the order of the configuration, with the ports it got.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|listen| listen.address).collect()
    }

    /// The same as URLs.
    pub fn listeners(&self) -> &[Listen] {
        &self.listeners
    }

    /// What it has done so far.
    pub fn totals(&self) -> Totals {
        self.metrics.totals()
    }

    /// Stops reading, empties the queues, makes everything durable; the totals then balance.
    pub fn stop(mut self) -> Totals {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // The binary's panic hook has ended the process already; in tests the totals will not balance.
            let _ = thread.join();
        }
        self.metrics.totals()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Says what was bound, and when the kernel gave less of a buffer than asked.
fn report(listener: &listen::Listener, asked_bytes: usize) {
    let listen = &listener.listen;
    // Linux reports twice what it granted: half is for its own book-keeping.
    let granted_bytes = listener.receive_buffer_bytes / 2;
    tracing::info!(%listen, receive_buffer_bytes = granted_bytes, "listening");
    if granted_bytes < asked_bytes {
        tracing::info!(
            %listen,
            asked_bytes,
            granted_bytes,
            "smaller receive buffer than asked: sysctl net.core.rmem_max sets the limit"
        );
    }
}
