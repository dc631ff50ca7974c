//! What `topic tail` prints: flows as JSON or protobuf, or records.
//!
//! Law: a JSON line begins with its place: partition, offset, and for a flow its index.

use std::io::{self, BufWriter, Write};

use flow_proto::{Dialect, Enrichment, Flow, Messages};
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

    /// One flow, and what the job has found of it if the message says so.
    pub(super) fn flow(
        &mut self,
        (partition, offset, index): (u32, u64, usize),
        flow: &Flow,
        more: &Enrichment<'_>,
    ) -> io::Result<()> {
        if self.format == TailFormat::Protobuf {
            self.bytes.clear();
            flow.encode(Dialect::default(), &mut self.bytes);
            more.encode(&mut self.bytes);
            self.out.write_all(&length(self.bytes.len()))?;
            return self.out.write_all(&self.bytes);
        }
        self.text.clear();
        flow.write_json(&mut self.text);
        let place = format!("\"partition\":{partition},\"offset\":{offset},\"index\":{index}");
        // The flow's object always has its type, so that a comma is right.
        let fields = self.text.strip_prefix('{').unwrap_or_default();
        let fields = fields.strip_suffix('}').unwrap_or(fields);
        writeln!(self.out, "{{{place},{fields}{}}}", enrichment(more))
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

/// The enriched fields that there are, each behind a comma, with the schema's names.
fn enrichment(more: &Enrichment<'_>) -> String {
    let fields = [
        ("src_country", Value::from(more.src_country)),
        ("dst_country", Value::from(more.dst_country)),
        ("table_version", Value::from(more.table_version)),
        ("refused", Value::from(more.refused)),
        ("slot", Value::from(more.slot)),
        ("src_customer", Value::from(more.src_customer)),
        ("dst_customer", Value::from(more.dst_customer)),
        ("exporter_name", Value::from(more.exporter_name)),
        ("in_if_name", Value::from(more.in_if_name)),
        ("out_if_name", Value::from(more.out_if_name)),
    ];
    let there = fields
        .into_iter()
        .filter(|(_, value)| !["\"\"", "0"].contains(&value.to_string().as_str()));
    there
        .map(|(name, value)| format!(",\"{name}\":{value}"))
        .collect()
}

/// A length as a varint.
fn length(bytes: usize) -> Vec<u8> {
    let (mut rest, mut varint) = (bytes, Vec::with_capacity(4));
    while rest >= 0x80 {
        varint.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    varint.push(rest.to_le_bytes()[0]);
    varint
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
