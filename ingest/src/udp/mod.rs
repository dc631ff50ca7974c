//! The collector: UDP sockets to a topic.
//!
//! ```text
//! socket ─▶ receiver ─queue (bytes)─▶ decoding ─packs─▶ writing ─▶ topic
//! socket ─▶ receiver ─queue (bytes)─▶ decoding ──┘
//!                                        │ templates, rates (shared, kept in a file)
//! ```
//!
//! Two threads per socket, so that a slow decoder never keeps a socket waiting; any number of sockets per port; one
//! thread that writes. UDP cannot wait, so each queue is bounded and what does not fit is counted. Law: at each arrow
//! in = out + dropped{reason}, exact once `stop` has returned, which it does whatever becomes of the topic.

mod batch;
mod decode;
mod keep;
mod kernel;
mod listen;
mod queue;
mod receiver;
mod watch;
mod write;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use flow_topic::{Topic, TopicError, give_up_after};

use crate::metrics::{Metrics, Totals};
use crate::pack::{self, Packer, Shape};
use crate::wire::{Limits, SharedDecoder};
pub use listen::{Listen, Scheme};

/// Nanoseconds since 1970, UTC.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Packs between the decoders and the writer; a megabyte or so by default.
const PACKS_QUEUED: usize = 64;

/// What a collector is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Sockets for each of these, sharing its port; at least 1.
    pub sockets: usize,
    /// Receive buffer asked of the kernel for each socket.
    pub receive_buffer_bytes: usize,
    /// Bound of the queues between sockets and decoders, all together.
    pub queue_bytes: usize,
    /// A pack is closed at this size.
    pub pack_bytes: usize,
    /// A pack waits that long for more flows.
    pub pack_wait: Duration,
    /// How flows become records.
    pub shape: Shape,
    /// Bounds of the exporters' state.
    pub limits: Limits,
    /// File in which templates and sampling rates outlive the process.
    pub state: Option<PathBuf>,
    /// How long after `stop` the topic may take what is left; the rest counts as dropped.
    pub stop_wait: Duration,
}

impl Default for Config {
    /// No listener; one socket each, 32 MiB of receive buffer, queues of 64 MiB, packs of 16 KiB or 50 ms, 32 MiB for
    /// data sets that come before their template, no file, 15 s for the topic at the end.
    fn default() -> Config {
        Config {
            listen: Vec::new(),
            sockets: 1,
            receive_buffer_bytes: 32 << 20,
            queue_bytes: 64 << 20,
            pack_bytes: 16 << 10,
            pack_wait: Duration::from_millis(50),
            shape: Shape::default(),
            limits: Limits {
                early_bytes: 32 << 20,
                // Parts of the state are divided by exporter: a large one must find room in its part.
                entries: 1 << 21,
                ..Limits::default()
            },
            state: None,
            stop_wait: Duration::from_secs(15),
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
    /// The file of templates cannot be had.
    #[error("{path}: cannot keep templates here")]
    State {
        /// The file.
        path: String,
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

/// A running collector. Dropped without `stop`, its threads end by themselves, as by `stop`.
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
        let bind = |listen| listen::bind(listen, config.sockets, config.receive_buffer_bytes);
        let bound = config
            .listen
            .iter()
            .map(bind)
            .collect::<Result<Vec<_>, _>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let given_up = give_up_after(Arc::clone(&stop), config.stop_wait);
        let writing = write::Writing::open(
            Arc::clone(&topic),
            config.shape.form,
            (clock.clone(), given_up),
            metrics.clone(),
        )?;
        let partitions = topic.partitions()?;
        let decoder = Arc::new(SharedDecoder::new(config.limits));
        let first = |sockets: &Vec<listen::Listener>| sockets.first().map(|s| s.listen.clone());
        let listeners: Vec<Listen> = bound.iter().filter_map(first).collect();
        let budget = queue::Budget::new(config.queue_bytes);
        let keeper = keep::Keeper {
            decoder: Arc::clone(&decoder),
            state: config.state.clone(),
            budget: budget.clone(),
            listening: names(&listeners),
            clock: Arc::clone(&clock),
            metrics: metrics.clone(),
        };
        keeper.restore()?;
        let (packs, written) = sync_channel(PACKS_QUEUED);
        let (alive, ended) = channel();
        let mut collector = Collector {
            stop,
            threads: Vec::new(),
            listeners,
            metrics,
        };
        collector.show_buffers(&bound, config.receive_buffer_bytes);
        let shared = Shared {
            config,
            partitions,
            decoder,
            budget,
            packs,
            alive,
            clock,
        };
        for sockets in bound {
            let warned = Arc::new(AtomicBool::new(false));
            for socket in sockets {
                collector.socket(socket, &warned, &shared)?;
            }
        }
        drop(shared);
        collector.spawn("topic-write".to_owned(), move || writing.run(&written))?;
        collector.spawn("keep".to_owned(), move || keeper.run(&ended))?;
        Ok(collector)
    }

    /// Starts a socket's two threads.
    fn socket(
        &mut self,
        listener: listen::Listener,
        warned: &Arc<AtomicBool>,
        shared: &Shared<'_>,
    ) -> Result<(), CollectError> {
        let number = self.threads.len() / 2;
        let config = shared.config;
        let limits = pack::Limits {
            bytes: config.pack_bytes,
            age_ns: u64::try_from(config.pack_wait.as_nanos()).unwrap_or(u64::MAX),
        };
        // Threads begin at different partitions: together they take turns, too.
        let first_partition = u32::try_from(number).unwrap_or(0);
        let (entrance, exit) = queue::queue(shared.budget.clone());
        let decoding = decode::Decoding {
            exit,
            decoder: Arc::clone(&shared.decoder),
            packer: Packer::new(shared.partitions, first_partition, limits, config.shape),
            packs: shared.packs.clone(),
            listen: listener.listen.clone(),
            warned: Arc::clone(warned),
            clock: Arc::clone(&shared.clock),
            metrics: self.metrics.clone(),
            goflow: self.metrics.goflow.worker(number, &listener.listen),
            alive: shared.alive.clone(),
        };
        let receiver = receiver::Receiver {
            listener,
            entrance,
            stop: Arc::clone(&self.stop),
            clock: Arc::clone(&shared.clock),
            metrics: self.metrics.clone(),
        };
        self.spawn(format!("receive-{number}"), move || receiver.run())?;
        self.spawn(format!("decode-{number}"), move || decoding.run())
    }

    /// Says what was bound, and when the kernel gave less of a buffer than asked.
    fn show_buffers(&self, bound: &[Vec<listen::Listener>], asked_bytes: usize) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.asked_buffer_bytes.set(gauge(asked_bytes));
        self.metrics
            .sockets
            .set(gauge(bound.iter().map(Vec::len).sum()));
        let mut least_bytes = usize::MAX;
        for sockets in bound {
            let Some(first) = sockets.first() else {
                continue;
            };
            let (listen, count) = (&first.listen, sockets.len());
            // Linux reports twice what it granted: half is for its own book-keeping.
            let granted = sockets.iter().map(|socket| socket.receive_buffer_bytes / 2);
            let granted_bytes = granted.min().unwrap_or(0);
            least_bytes = least_bytes.min(granted_bytes);
            tracing::info!(%listen, sockets = count, receive_buffer_bytes = granted_bytes, "listening");
            if granted_bytes < asked_bytes {
                tracing::info!(
                    %listen,
                    asked_bytes,
                    granted_bytes,
                    "smaller receive buffer than asked: sysctl net.core.rmem_max sets the limit"
                );
            }
        }
        self.metrics.granted_buffer_bytes.set(gauge(least_bytes));
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

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What it has done so far.
    pub fn totals(&self) -> Totals {
        self.metrics.totals()
    }

    /// Stops reading, empties the queues, makes durable what the topic takes within `Config::stop_wait`; the totals then
    /// balance.
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

/// What the threads of all sockets are given.
struct Shared<'c> {
    config: &'c Config,
    partitions: u32,
    decoder: Arc<SharedDecoder>,
    budget: queue::Budget,
    packs: SyncSender<write::Parcel>,
    alive: Sender<()>,
    clock: Clock,
}

fn names(listeners: &[Listen]) -> String {
    let names: Vec<String> = listeners.iter().map(Listen::to_string).collect();
    names.join(" ")
}
