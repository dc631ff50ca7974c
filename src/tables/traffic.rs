//! `tables diff --topic`: how much of recent traffic has other values by one table than by another.
//!
//! Law: what a flow's own fields say is not asked; a flow counts once, whichever end differs, and a flow that no job would
//! count, or a message that cannot be read, not at all.

use std::io::Write;
use std::time::Duration;

use flow_dataflow::acceptance::PLAUSIBLE_MAX;
use flow_proto::{FlowCore, Framing, PACK_HEADER, messages};
use flow_topic::{Reader, Topic, TopicError};
use serde_json::json;

use super::compared::Compared;
use crate::failure::Failure;
use crate::progress::time;
use crate::units::When;
use crate::{cli, clock};

/// How long a broker may take for the next records.
const PATIENCE: Duration = Duration::from_secs(30);

/// Flows, and bytes times their sampling rates.
#[derive(Clone, Copy, Default)]
struct Sum {
    flows: u64,
    bytes: u128,
}

impl Sum {
    fn add(&mut self, bytes: u128) {
        self.flows += 1;
        self.bytes += bytes;
    }
}

/// Reads the topic from a time on, and prints what of it each kind's change concerns.
///
/// # Errors
/// If the topic cannot be read.
pub(super) fn run(
    (url, from): (&str, When),
    compared: &[Compared<'_>],
    (options, out): (&cli::TablesDiff, &mut impl Write),
) -> Result<(), Failure> {
    let topic = flow_topic::url::open(url, None)?;
    let from_ns = from.resolve_ns(clock::now_ns());
    let from_millis = i64::try_from(from_ns / 1_000_000).unwrap_or(i64::MAX);
    let (mut all, mut concerned) = (Sum::default(), vec![Sum::default(); compared.len()]);
    for partition in 0..topic.partitions()? {
        read(topic.as_ref(), (partition, from_millis), |flow| {
            let rate = u128::from(flow.sampling_rate.max(1));
            let [bytes, packets] = [flow.bytes, flow.packets].map(|n| u128::from(n) * rate);
            if bytes.max(packets) > PLAUSIBLE_MAX {
                return;
            }
            all.add(bytes);
            for (one, sum) in compared.iter().zip(&mut concerned) {
                if [flow.src_addr, flow.dst_addr]
                    .iter()
                    .any(|at| one.differs(&at.0))
                {
                    sum.add(bytes);
                }
            }
        })?;
    }
    let since = time(from_ns / 1_000_000_000);
    if !options.json {
        writeln!(
            out,
            "traffic since {since}: {} flows, {} bytes by sampling rate",
            all.flows, all.bytes
        )?;
    }
    for (one, sum) in compared.iter().zip(concerned) {
        let shares = [
            share(sum.flows.into(), all.flows.into()),
            share(sum.bytes, all.bytes),
        ];
        let kind = one.kind.to_string();
        if options.json {
            let line = json!({ "table": kind, "traffic_since": since, "flows": all.flows, "scaled_bytes": all.bytes.to_string(),
                "changed_flows": sum.flows, "changed_scaled_bytes": sum.bytes.to_string(),
                "flows_share": shares[0], "bytes_share": shares[1] });
            writeln!(out, "{line}")?;
        } else {
            let [flows, bytes] = shares.map(|share| share * 100.0);
            writeln!(
                out,
                "{kind}: {flows:.3} % of the flows and {bytes:.3} % of the bytes have another value at one end or both"
            )?;
        }
    }
    Ok(())
}

/// Every flow of a partition from a time on, to the end that it had at the beginning.
fn read(
    topic: &dyn Topic,
    (partition, from_millis): (u32, i64),
    mut take: impl FnMut(&FlowCore),
) -> Result<(), Failure> {
    let bounds = topic.bounds(partition)?;
    let begin = topic.offset_at(partition, from_millis)?;
    let mut reader = topic.reader(partition, begin.unwrap_or(bounds.end))?;
    while reader.position() < bounds.end && is_there(reader.as_mut())? {
        let Some(record) = reader.peek()?.filter(|record| record.offset < bounds.end) else {
            break;
        };
        let ours = record.headers.get(PACK_HEADER.0) == Some(PACK_HEADER.1);
        let split = messages(record.payload, ours, Framing::Auto);
        for message in split.into_iter().flatten() {
            FlowCore::decode(message).iter().for_each(&mut take);
        }
        reader.advance();
    }
    Ok(())
}

/// Waits for the next record; what retention has taken meanwhile is passed over.
fn is_there(reader: &mut dyn Reader) -> Result<bool, Failure> {
    match reader.wait(PATIENCE) {
        Err(TopicError::Gap { earliest, .. }) => {
            reader.seek(earliest)?;
            Ok(reader.wait(PATIENCE)?)
        }
        there => Ok(there?),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a share")]
fn share(part: u128, all: u128) -> f64 {
    match all {
        0 => 0.0,
        all => part as f64 / all as f64,
    }
}
