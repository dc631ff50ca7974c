//! `mock --topic`: flows straight into a topic, live or as fast as can be.
//!
//! Law: simulated time needs a topic that keeps it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_ingest::mock::{Generator, TopicWriter};
use flow_topic::Timestamps;

use super::{STEP, generator_options};
use crate::failure::{Exit, Failure};
use crate::progress::LiveLine;
use crate::{cli, clock, demo_data};

/// A live writer makes its packs durable so often.
const FLUSH: Duration = Duration::from_millis(50);
/// Flows between two looks at the stop flag and the live line.
const BATCH: u64 = 256;

/// Writes until the count is reached, simulated time has caught up with the present, or `stop` is set.
pub(super) fn write(url: &str, options: &cli::Mock, stop: &AtomicBool) -> Result<(), Failure> {
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
    let writer = TopicWriter::open(topic.as_ref(), simulated, options.shape)?;
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
    .run(stop)
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
