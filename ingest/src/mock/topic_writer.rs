//! Generated flows as packs in a topic, at full speed or paced.
//!
//! The shortest way to a full topic: no datagram, no socket.
//! Law: what is returned as written is durable in the topic, flow by flow and pack by pack.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flow_proto::{Dialect, Flow};
use flow_topic::{Timestamps, Topic, TopicError, Writer};

use super::Generator;
use crate::pack::{Limits, Packer};
use crate::udp::Clock;
use crate::wire::assume_rate;

/// Made durable after that many bytes, or that long after the last time.
const FLUSH_BYTES: u64 = 8 << 20;
const FLUSH_NS: u64 = 50_000_000;
/// How long it waits when nothing is due.
const WAIT: Duration = Duration::from_millis(5);
/// Flows between two looks at the clock.
const BATCH: u64 = 256;

/// How flows are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// How many; `None`: until stopped.
    pub count: Option<u64>,
    /// Flows and records carry the generator's simulated times; else they are moved to the clock's.
    pub simulated: bool,
    /// Seconds of the generator's time per second of the clock; `None`: as fast as it goes.
    pub speed: Option<f64>,
    /// When packs are closed, by the times that they carry.
    pub limits: Limits,
    /// Numbering of the messages.
    pub dialect: Dialect,
}

/// What has been written, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Flows.
    pub flows: u64,
    /// Packs.
    pub packs: u64,
    /// Bytes of the packs.
    pub pack_bytes: u64,
    /// Sum of the flows' bytes as sent.
    pub bytes: u64,
    /// Sum of the flows' packets as sent.
    pub packets: u64,
}

/// Why nothing, or not all, was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// The topic would overwrite the simulated time of records.
    #[error(
        "{url}: the topic sets its records' timestamps itself, so simulated time cannot be written to it; \
         make a topic with timestamps `create`"
    )]
    AppendTopic {
        /// The topic's URL.
        url: String,
    },
    /// The topic failed; what was written since its last flush is not known.
    #[error(transparent)]
    Topic(#[from] TopicError),
}

/// Writes flows until `options.count` or `stop`; `clock` gives ns since 1970.
///
/// # Errors
/// If time is simulated and the topic sets timestamps itself, or if the topic fails.
pub fn write_topic(
    topic: &dyn Topic,
    generator: &mut Generator,
    options: &WriteOptions,
    clock: &Clock,
    stop: &AtomicBool,
) -> Result<Totals, MockError> {
    if options.simulated && topic.timestamps() == Timestamps::Append {
        return Err(MockError::AppendTopic { url: topic.url() });
    }
    let partitions = topic.partitions()?;
    let mut writing = Writing {
        writer: topic.writer()?,
        packer: Packer::new(partitions, options.limits, options.dialect),
        generator,
        options,
        totals: Totals::default(),
        flushed_bytes: 0,
        flushed_ns: clock(),
    };
    let (began_ns, first_ns) = (clock(), writing.generator.now_ns());
    while !stop.load(Ordering::Relaxed) && writing.left() > 0 {
        let now_ns = clock();
        let due_ns = options.speed.map_or(u64::MAX, |speed| {
            first_ns.saturating_add((now_ns.saturating_sub(began_ns) as f64 * speed) as u64)
        });
        let any = writing.batch(due_ns, now_ns)?;
        writing.flush_when_due(now_ns)?;
        if !any {
            std::thread::sleep(WAIT);
        }
    }
    writing.finish(clock())
}

struct Writing<'a> {
    writer: Box<dyn Writer>,
    packer: Packer,
    generator: &'a mut Generator,
    options: &'a WriteOptions,
    totals: Totals,
    flushed_bytes: u64,
    flushed_ns: u64,
}

impl Writing<'_> {
    fn left(&self) -> u64 {
        self.options
            .count
            .map_or(u64::MAX, |count| count.saturating_sub(self.totals.flows))
    }

    /// The time that packs go by.
    fn pack_time_ns(&self, now_ns: u64) -> u64 {
        if self.options.simulated {
            self.generator.now_ns()
        } else {
            now_ns
        }
    }

    /// Writes flows due up to `due_ns` of the generator's time, a batch at most. False: none was due.
    fn batch(&mut self, due_ns: u64, now_ns: u64) -> Result<bool, TopicError> {
        let mut any = false;
        for _ in 0..BATCH.min(self.left()) {
            if self.generator.now_ns() > due_ns {
                break;
            }
            any = true;
            let pack_ns = self.pack_time_ns(now_ns);
            let made_ns = self.generator.now_ns();
            let mut flow = self.generator.next();
            if !self.options.simulated {
                shift(&mut flow, now_ns.wrapping_sub(made_ns));
            }
            assume_rate(&mut flow);
            self.packer.push(&flow, pack_ns, self.writer.as_mut())?;
            self.totals.flows += 1;
            self.totals.bytes += flow.bytes;
            self.totals.packets += flow.packets;
        }
        if !any && !self.options.simulated {
            self.packer.poll(now_ns, self.writer.as_mut())?;
        }
        Ok(any)
    }

    fn flush_when_due(&mut self, now_ns: u64) -> Result<(), TopicError> {
        let bytes = self.packer.bytes() - self.flushed_bytes;
        let full = bytes >= FLUSH_BYTES;
        // At full speed it is the bytes that count: a disk is not to be asked 20 times a second for nothing.
        let aged =
            self.options.speed.is_some() && now_ns.saturating_sub(self.flushed_ns) >= FLUSH_NS;
        if full || (aged && bytes > 0) {
            self.writer.flush()?;
            self.flushed_bytes = self.packer.bytes();
            self.flushed_ns = now_ns;
        }
        Ok(())
    }

    fn finish(mut self, now_ns: u64) -> Result<Totals, MockError> {
        let pack_ns = self.pack_time_ns(now_ns);
        self.packer.flush(pack_ns, self.writer.as_mut())?;
        self.writer.flush()?;
        self.totals.packs = self.packer.packs();
        self.totals.pack_bytes = self.packer.bytes();
        Ok(self.totals)
    }
}

/// Moves the flow's times by the same signed difference, in two's complement.
fn shift(flow: &mut Flow, by_ns: u64) {
    for time in [
        &mut flow.time_received_ns,
        &mut flow.time_flow_start_ns,
        &mut flow.time_flow_end_ns,
    ] {
        *time = time.wrapping_add(by_ns);
    }
}
