//! sFlow version 5 (sflow.org, July 2004): datagrams of samples, each with its records.
//!
//! Flow samples and expanded flow samples become flows, one packet each; counter samples and others are
//! counted and skipped by their length.
//! Law: no count in the datagram is believed beyond the bytes that are there.

use flow_proto::{Addr, Flow};

use super::exporter::DomainKey;
use super::outcome::{Outcome, Protocol, Reason};
use super::parts::SampleKind;
use super::reader::{Reader, length, zero_filled};
use super::sflow_records;
use super::{Arrival, Decoder};

const FLOW_SAMPLE: u32 = 1;
const COUNTER_SAMPLE: u32 = 2;
const EXPANDED_FLOW_SAMPLE: u32 = 3;
const EXPANDED_COUNTER_SAMPLE: u32 = 4;
/// The interface is the agent itself.
const LOCAL_INTERFACE: u32 = 0x3fff_ffff;

struct Header {
    agent: Addr,
    sub_agent: u32,
    sequence: u32,
    uptime_ms: u32,
    samples: u32,
}

/// An XDR address: a type, then 0, 4 or 16 bytes.
pub(super) fn address(reader: &mut Reader<'_>) -> Option<Addr> {
    match reader.u32()? {
        0 => Some(Addr::NONE),
        1 => reader.array().map(Addr::v4),
        2 => reader.array().map(Addr),
        _ => None,
    }
}

fn header(reader: &mut Reader<'_>) -> Option<Header> {
    reader.u32()?;
    Some(Header {
        agent: address(reader)?,
        sub_agent: reader.u32()?,
        sequence: reader.u32()?,
        uptime_ms: reader.u32()?,
        samples: reader.u32()?,
    })
}

pub(super) fn decode(
    decoder: &mut Decoder,
    arrival: &Arrival<'_>,
    out: &mut Vec<Flow>,
    outcome: &mut Outcome,
) {
    let mut reader = Reader::new(arrival.datagram);
    let Some(header) = header(&mut reader) else {
        return outcome.count(Reason::BadHeader);
    };
    outcome.parts.agent = header.agent;
    let base = Flow {
        sequence_num: header.sequence,
        sampler_address: if header.agent.is_set() {
            header.agent
        } else {
            arrival.source
        },
        observation_domain_id: header.sub_agent,
        time_flow_start_ns: arrival.received_ns,
        time_flow_end_ns: arrival.received_ns,
        packets: 1,
        ..arrival.flow(Protocol::Sflow5)
    };
    for _ in 0..header.samples {
        let (Some(format), Some(bytes)) = (reader.u32(), reader.u32()) else {
            outcome.count(Reason::CountMismatch);
            break;
        };
        let whole = reader.take(length(bytes));
        // A sample that ends past the datagram is read as far as it goes.
        let body = whole.unwrap_or(reader.rest());
        if whole.is_none() {
            outcome.count(Reason::BadSample);
        }
        sample(format, body, &base, out, outcome);
        if whole.is_none() {
            reader = Reader::new(&[]);
            break;
        }
    }
    if !zero_filled(reader.rest()) {
        outcome.count(Reason::TrailingBytes);
    }
    let who = (arrival, DomainKey::Sflow(header.agent, header.sub_agent));
    let clock = (Some(1), Some(header.uptime_ms));
    decoder
        .exporters
        .sequence(who, header.sequence, clock, outcome);
}

fn sample(format: u32, body: &[u8], base: &Flow, out: &mut Vec<Flow>, outcome: &mut Outcome) {
    let kind = match format {
        FLOW_SAMPLE => SampleKind::Flow,
        EXPANDED_FLOW_SAMPLE => SampleKind::ExpandedFlow,
        COUNTER_SAMPLE => SampleKind::Counter,
        EXPANDED_COUNTER_SAMPLE => SampleKind::ExpandedCounter,
        _ => SampleKind::Other,
    };
    let mut reader = Reader::new(body);
    let records = match kind {
        SampleKind::Flow | SampleKind::ExpandedFlow => {
            let mut flow = base.clone();
            let records = sample_header(&mut reader, kind == SampleKind::ExpandedFlow, &mut flow);
            match records {
                Some(records) => {
                    sflow_records::decode(
                        &mut Reader::new(reader.rest()),
                        records,
                        &mut flow,
                        outcome,
                    );
                    out.push(flow);
                }
                None => outcome.count(Reason::BadSample),
            }
            records
        }
        SampleKind::Counter | SampleKind::ExpandedCounter => {
            outcome.counter_samples += 1;
            // Sequence number and data source, as in a flow sample.
            let before = if kind == SampleKind::Counter { 8 } else { 12 };
            reader.take(before).and_then(|_| reader.u32())
        }
        SampleKind::Other => {
            outcome.other_samples += 1;
            None
        }
    };
    // A record has a format and a length.
    let most = u32::try_from(reader.len() / 8).unwrap_or(u32::MAX);
    outcome.parts.sample(kind, records.unwrap_or(0).min(most));
}

/// The sample's fields before its records; the number of records it announces.
fn sample_header(reader: &mut Reader<'_>, expanded: bool, flow: &mut Flow) -> Option<u32> {
    let source_id_words = if expanded { 2 } else { 1 };
    // Sequence number, data source.
    reader.take(4 + 4 * source_id_words)?;
    flow.sampling_rate = u64::from(reader.u32()?);
    // Pool and drops: packets that could have been sampled, samples lost in the agent.
    reader.take(8)?;
    let (input, output) = match expanded {
        true => (
            (reader.u32()?, reader.u32()?),
            (reader.u32()?, reader.u32()?),
        ),
        false => (compact(reader.u32()?), compact(reader.u32()?)),
    };
    flow.in_if = index(input);
    flow.out_if = index(output);
    if let (1, reason) = output {
        flow.forwarding_status = dropped(reason);
    }
    reader.u32()
}

/// Format in the two top bits, value in the others.
fn compact(interface: u32) -> (u32, u32) {
    (interface >> 30, interface & 0x3fff_ffff)
}

/// Only format 0 holds an interface's index: 1 is the reason of a discard, 2 the number of outputs.
fn index((format, value): (u32, u32)) -> u32 {
    match (format, value) {
        (0, LOCAL_INTERFACE | u32::MAX) => 0,
        (0, index) => index,
        _ => 0,
    }
}

/// A discard's reason (sFlow 5: ICMP codes of "destination unreachable", then its own from 256) as IE 89
/// (RFC 7270 4.12).
fn dropped(reason: u32) -> u32 {
    match reason {
        258 => 129,
        0 | 1 | 6 | 7 | 11 | 12 => 131,
        4 | 262 => 133,
        257 => 137,
        261 => 138,
        260 => 139,
        _ => 128,
    }
}
