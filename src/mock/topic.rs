//! `mock --topic`: flows straight into a topic, live or as fast as can be.
//!
//! Law: simulated time needs a topic that keeps it; live flows beside records of another time are warned of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_ingest::mock::{Generator, TopicWriter};
use flow_topic::{Timestamps, Topic, TopicError, give_up_after};

use super::{STEP, generator_options};
use crate::failure::{Exit, Failure};
use crate::progress::LiveLine;
use crate::{cli, clock, demo_data, progress, signals};

/// A live writer makes its packs durable so often.
const FLUSH: Duration = Duration::from_millis(50);
/// Flows between two looks at the stop flag and the live line.
const BATCH: u64 = 256;
/// Live flows and records that are further apart are of different times. Milliseconds.
const FAR_MILLIS: i64 = 3_600_000;
/// How long a topic's last record may take to arrive.
const WAIT: Duration = Duration::from_secs(5);

/// Writes until the count is reached, simulated time has caught up with the present, or `stop` is set.
pub(super) fn write(url: &str, options: &cli::Mock, stop: Arc<AtomicBool>) -> Result<(), Failure> {
    let now_ns = clock::now_ns();
    let from_ns = options.from.map_or(now_ns, |from| from.resolve_ns(now_ns));
    let simulated = options.from.is_some();
    if from_ns > now_ns {
        return Err(Failure::new(Exit::Usage, "--from lies in the future"));
    }
    let timestamps = if simulated {
        Timestamps::Create
    } else {
        Timestamps::Append
    };
    let made = flow_topic::Options {
        partitions: options.partitions,
        timestamps,
        ..flow_topic::Options::default()
    };
    let topic = flow_topic::url::open(url, Some(made))?;
    if !simulated && let Some(doubt) = another_time(topic.as_ref(), now_ns)? {
        tracing::warn!("{doubt}");
    }
    let mut writer = TopicWriter::open(topic.as_ref(), simulated, options.shape)?;
    writer.give_up_when(give_up_after(Arc::clone(&stop), signals::DRAIN));
    // Live flows are paced by the clock; simulated ones only if a speed is given.
    let speed = options.speed.or((!simulated).then_some(1.0));
    let until_ns = if simulated { now_ns } else { u64::MAX };
    let generator = Generator::new(generator_options(options, from_ns), &demo_data::blocks()?);
    let count = options.count.unwrap_or(u64::MAX);
    Writing {
        generator,
        writer,
        from_ns,
        until_ns,
        count,
        speed,
    }
    .run(&stop)
}

/// What to say of a topic whose newest records are far from now: a job has its clock there.
fn another_time(topic: &dyn Topic, now_ns: u64) -> Result<Option<String>, TopicError> {
    if topic.timestamps() == Timestamps::Append {
        return Ok(None);
    }
    let now_millis = i64::try_from(now_ns / 1_000_000).unwrap_or(i64::MAX);
    for partition in 0..topic.partitions()? {
        let Some(millis) = newest(topic, partition)? else {
            continue;
        };
        let apart_millis = millis.saturating_sub(now_millis);
        if apart_millis.abs() > FAR_MILLIS {
            let side = if apart_millis < 0 { "before" } else { "after" };
            return Ok(Some(format!(
                "topic {}: the newest record of partition {partition} is of {}, {} min {side} now: a job that reads it has \
                 its clock there, far from these flows; write live flows to a topic of their own, or give --from",
                topic.url(),
                progress::time(u64::try_from(millis / 1000).unwrap_or(0)),
                apart_millis.abs() / 60_000,
            )));
        }
    }
    Ok(None)
}

/// The timestamp of a partition's last record; `None` if there is none.
fn newest(topic: &dyn Topic, partition: u32) -> Result<Option<i64>, TopicError> {
    let bounds = topic.bounds(partition)?;
    if bounds.earliest >= bounds.end {
        return Ok(None);
    }
    let mut reader = topic.reader(partition, bounds.end - 1)?;
    reader.wait(WAIT)?;
    Ok(reader.peek()?.map(|record| record.timestamp_millis))
}

/// Flows on their way into a topic.
struct Writing {
    generator: Generator,
    writer: TopicWriter,
    from_ns: u64,
    until_ns: u64,
    count: u64,
    /// Simulated seconds per second; `None`: as fast as can be.
    speed: Option<f64>,
}

impl Writing {
    fn run(mut self, stop: &AtomicBool) -> Result<(), Failure> {
        let began = Instant::now();
        let mut flushed = began;
        let mut line = LiveLine::new();
        let mut written = 0;
        while written < self.count && self.generator.now_ns() < self.until_ns {
            if written % BATCH == 0 || self.speed.is_some() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                line.show(|| format!("{written} flows written"));
            }
            let Some(flow) = self.generator.next() else {
                break;
            };
            self.wait(began, &mut flushed, stop)?;
            self.writer.write(&flow, self.generator.now_ns())?;
            written += 1;
        }
        let end_ns = self.generator.now_ns();
        let written = self.writer.finish(end_ns)?;
        line.end(&format!(
            "wrote {} flows in {} packs, {} bytes",
            written.flows, written.packs, written.bytes
        ));
        Ok(())
    }

    /// Waits until the newest flow is due.
    fn wait(
        &mut self,
        began: Instant,
        flushed: &mut Instant,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let Some(speed) = self.speed else {
            return Ok(());
        };
        let ahead = Duration::from_nanos(self.generator.now_ns() - self.from_ns).div_f64(speed);
        while began.elapsed() + STEP < ahead && !stop.load(Ordering::Acquire) {
            if flushed.elapsed() >= FLUSH {
                *flushed = Instant::now();
                self.writer.flush()?;
            }
            thread::sleep(STEP);
        }
        Ok(())
    }
}
