//! Where `topic tail`, and a job with a new state, reads: partitions, each from an offset on.
//!
//! Law: a time names the first record with that timestamp or a later one, in each partition by itself.

use flow_dataflow::Beginning;
use flow_topic::{Reader, Topic};

use crate::failure::{Exit, Failure};
use crate::units::When;
use crate::{cli, clock};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first retained record.
    Earliest,
    /// After the last record.
    Latest,
    /// At the first record with this time or a later one.
    Time(When),
}

impl From {
    /// Milliseconds since 1970 of a time, by the present clock.
    fn millis(when: When) -> i64 {
        let millis = when.resolve_ns(clock::now_ns()) / 1_000_000;
        i64::try_from(millis).unwrap_or(i64::MAX)
    }
}

impl std::convert::From<From> for Beginning {
    fn from(from: From) -> Beginning {
        match from {
            From::Earliest => Beginning::Earliest,
            From::Latest => Beginning::Latest,
            From::Time(when) => Beginning::Time(From::millis(when)),
        }
    }
}

/// `--from`, and `--start` of a job.
pub(crate) fn from(text: &str) -> Result<From, String> {
    match text {
        "earliest" => Ok(From::Earliest),
        "latest" => Ok(From::Latest),
        _ => crate::units::when(text)
            .map(From::Time)
            .map_err(|_| "give latest, earliest, RFC 3339 or an age, as -2h".to_owned()),
    }
}

/// A partition on its way.
pub(super) struct Source {
    pub(super) partition: u32,
    pub(super) reader: Box<dyn Reader>,
    /// Offset after the last record seen at the start.
    pub(super) end: u64,
}

impl Source {
    /// Whether everything seen at the start has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.reader.position() >= self.end
    }
}

/// The partitions asked for, each where it begins.
pub(super) fn open(topic: &dyn Topic, options: &cli::TopicTail) -> Result<Vec<Source>, Failure> {
    let all = topic.partitions()?;
    if let Some(asked) = options.partition.filter(|asked| *asked >= all) {
        let what = format!("{}: no partition {asked}", topic.url());
        return Err(Failure::new(Exit::Usage, what).hint(format!("it has 0 to {}", all - 1)));
    }
    let chosen = (0..all).filter(|p| options.partition.is_none_or(|asked| asked == *p));
    chosen
        .map(|partition| {
            let bounds = topic.bounds(partition)?;
            let start = match options.from {
                From::Earliest => bounds.earliest,
                From::Latest => bounds.end,
                From::Time(when) => topic
                    .offset_at(partition, From::millis(when))?
                    .unwrap_or(bounds.end),
            };
            let reader = topic.reader(partition, start)?;
            let end = bounds.end;
            Ok(Source {
                partition,
                reader,
                end,
            })
        })
        .collect()
}
