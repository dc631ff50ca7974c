//! What `topic tail` prints: flows as JSON or protobuf, or records.
//!
//! Law: a JSON line begins with its place: partition, offset, and for a flow its index.

use std::io::{self, BufWriter, Write};

use flow_proto::{Dialect, Flow, Messages};
use flow_topic::RecordRef;
use serde_json::{Map, Value, json};

use crate::cli::TailFormat;

/// Prints in one format.
pub(super) struct Lines<W: Write> {
    out: BufWriter<W>,
    format: TailFormat,
    text: String,
    bytes: Vec<u8>,
}

impl<W: Write> Lines<W> {
    /// To `out`.
    pub(super) fn new(out: W, format: TailFormat) -> Lines<W> {
        Lines {
            out: BufWriter::with_capacity(1 << 16, out),
            format,
            text: String::new(),
            bytes: Vec::new(),
        }
    }

    /// What was printed so far is seen.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// One flow.
    pub(super) fn flow(
        &mut self,
        (partition, offset, index): (u32, u64, usize),
        flow: &Flow,
    ) -> io::Result<()> {
        if self.format == TailFormat::Protobuf {
            self.bytes.clear();
            flow.encode_delimited(Dialect::default(), &mut self.bytes);
            return self.out.write_all(&self.bytes);
        }
        self.text.clear();
        flow.write_json(&mut self.text);
        let place = format!("\"partition\":{partition},\"offset\":{offset},\"index\":{index}");
        // The flow's object always has its type, so that a comma is right.
        let fields = self.text.strip_prefix('{').unwrap_or_default();
        writeln!(self.out, "{{{place},{fields}")
    }

    /// One record, with its messages if it can be split; returns how many could not be read.
    pub(super) fn record(
        &mut self,
        partition: u32,
        record: &RecordRef<'_>,
        split: Option<Messages<'_>>,
    ) -> io::Result<u64> {
        let (mut flows, mut unreadable) = (0_u64, u64::from(split.is_none()));
        for message in split.into_iter().flatten() {
            match Flow::decode(message) {
                Ok(_) => flows += 1,
                Err(_) => unreadable += 1,
            }
        }
        let headers: Map<String, Value> = record
            .headers
            .iter()
            .map(|(name, value)| (text(name), text(value).into()))
            .collect();
        let line = json!({
            "partition": partition, "offset": record.offset, "time": super::time(record.timestamp_millis),
            "headers": headers, "bytes": record.payload.len(), "flows": flows, "unreadable": unreadable,
        });
        writeln!(self.out, "{line}")?;
        Ok(unreadable)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
