//! The tallies of all threads as the text that Prometheus reads (version 0.0.4).
//!
//! Series that two threads share, such as an exporter's whose source ports the kernel has spread, are summed.
//! Law: each series stands there once, under its metric, with every label that was declared.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};
use std::net::SocketAddr;

use super::list::{self, Declared, Kind};
use super::summary::Summary;
use super::tally::{NAMES, NF_ERRORS, SF_ERRORS, Source, Tally};
use flow_proto::Addr;

const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];
const SETS: [&str; 4] = [
    "TemplateFlowSet",
    "OptionsTemplateFlowSet",
    "OptionsDataFlowSet",
    "DataFlowSet",
];
const SAMPLES: [&str; 5] = [
    "FlowSample",
    "ExpandedFlowSample",
    "CounterSample",
    "ExpandedCounterSample",
    "unknown",
];
/// The label of those beyond the bounds.
const OTHER: &str = "other";

/// A series' value.
#[derive(Clone, Debug)]
enum Value {
    Counter(u64),
    /// And by what its values are divided.
    Summary(Box<Summary>, f64),
}

/// Series by metric and labels.
#[derive(Default)]
struct Series(BTreeMap<&'static str, BTreeMap<Vec<String>, Value>>);

impl Series {
    fn counter(&mut self, of: &Declared, labels: Vec<String>, more: u64) {
        // GoFlow shows what has been counted, no zeros.
        if more > 0 {
            self.put(of, labels, Value::Counter(more));
        }
    }

    fn summary(&mut self, of: &Declared, labels: Vec<String>, more: &Summary, divisor: f64) {
        if more.count() > 0 {
            self.put(of, labels, Value::Summary(Box::new(more.clone()), divisor));
        }
    }

    fn put(&mut self, of: &Declared, labels: Vec<String>, more: Value) {
        debug_assert_eq!(of.labels.len(), labels.len());
        let known = self.0.entry(of.name).or_default();
        match (known.get_mut(&labels), &more) {
            (Some(Value::Counter(sum)), Value::Counter(more)) => *sum += more,
            (Some(Value::Summary(sum, _)), Value::Summary(more, _)) => sum.add(more),
            _ => {
                known.insert(labels, more);
            }
        }
    }

    fn tally(&mut self, tally: &Tally) {
        for (name, decoder) in NAMES.iter().zip(&tally.decoders) {
            let worker = || labels(&[&tally.worker, name]);
            self.counter(&list::DECODED, worker(), decoder.good);
            self.counter(&list::DECODER_ERRORS, worker(), decoder.bad);
            let name = || labels(&[name]);
            let (decoding, processing) = (&decoder.decoding_ns, &decoder.processing_ns);
            self.summary(&list::DECODING_TIME, name(), decoding, 1000.0);
            self.summary(&list::PROCESSING_TIME, name(), processing, 1000.0);
        }
        for (address, source) in &tally.sources {
            let router = address.map_or(OTHER.to_owned(), |address| address.to_string());
            self.traffic(&router, tally.local, source);
            self.netflow(&router, source);
            self.sflow(&router, source);
        }
    }

    fn traffic(&mut self, router: &str, local: SocketAddr, source: &Source) {
        let local_ip = match local.ip() {
            // GoFlow shows nothing where it listens at all addresses.
            ip if ip.is_unspecified() => String::new(),
            ip => ip.to_string(),
        };
        for ((port, name), traffic) in &source.traffic {
            let port = port.map_or(OTHER.to_owned(), |port| port.to_string());
            let name = NAMES.get(*name).copied().unwrap_or_default();
            let all = || labels(&[&router, &port, &local_ip, &local.port(), &name]);
            for bytes in [&list::UDP_BYTES, &list::FLOW_BYTES] {
                self.counter(bytes, all(), traffic.bytes);
            }
            for packets in [&list::UDP_PACKETS, &list::FLOW_PACKETS] {
                self.counter(packets, all(), traffic.packets);
            }
            for sizes in [&list::UDP_SIZES, &list::FLOW_SIZES] {
                self.summary(sizes, all(), &traffic.sizes, 1.0);
            }
        }
    }

    fn netflow(&mut self, router: &str, source: &Source) {
        for (version, netflow) in &source.netflow {
            let of = || labels(&[&router, version]);
            self.counter(&list::NF_COUNT, of(), netflow.count);
            self.summary(&list::NF_DELAY, of(), &netflow.delay, 1.0);
            for (kind, (sets, records)) in SETS.iter().zip(netflow.sets) {
                let kind = || labels(&[&router, version, kind]);
                self.counter(&list::NF_SETS, kind(), sets);
                self.counter(&list::NF_RECORDS, kind(), records);
            }
        }
        for ((version, template), count) in &source.templates {
            let labels = match template {
                Some((domain, id, options)) => {
                    let kind = if *options {
                        "options_template"
                    } else {
                        "template"
                    };
                    labels(&[&router, version, domain, id, &kind])
                }
                None => labels(&[&router, version, &OTHER, &OTHER, &OTHER]),
            };
            self.counter(&list::NF_TEMPLATES, labels, *count);
        }
        for (error, count) in NF_ERRORS.iter().zip(source.nf_errors) {
            self.counter(&list::NF_ERRORS, labels(&[&router, error]), count);
        }
    }

    fn sflow(&mut self, router: &str, source: &Source) {
        for (agent, sflow) in &source.agents {
            let agent = agent.as_ref().map_or(OTHER.to_owned(), Addr::to_string);
            let of = labels(&[&router, &agent, &5]);
            self.counter(&list::SF_COUNT, of, sflow.count);
            for (kind, (samples, records)) in SAMPLES.iter().zip(sflow.samples) {
                let kind = || labels(&[&router, &agent, &5, kind]);
                self.counter(&list::SF_SAMPLES, kind(), samples);
                self.counter(&list::SF_RECORDS, kind(), records);
            }
        }
        for (error, count) in SF_ERRORS.iter().zip(source.sf_errors) {
            self.counter(&list::SF_ERRORS, labels(&[&router, error]), count);
        }
    }
}

fn labels(values: &[&dyn Display]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// The text; quantiles are those of `now_ns`.
pub(super) fn text(tallies: &[Tally], now_ns: u64) -> String {
    let mut series = Series::default();
    for tally in tallies {
        series.tally(tally);
    }
    let mut text = String::new();
    for declared in list::ALL {
        if let Some(of) = series.0.get(declared.name) {
            // Writing to a string does not fail.
            let _ = metric(&mut text, declared, of, now_ns);
        }
    }
    text
}

fn metric(
    text: &mut String,
    declared: &Declared,
    series: &BTreeMap<Vec<String>, Value>,
    now_ns: u64,
) -> fmt::Result {
    let name = declared.name;
    let kind = match declared.kind {
        Kind::Counter => "counter",
        Kind::Summary => "summary",
    };
    writeln!(text, "# HELP {name} {}", declared.help)?;
    writeln!(text, "# TYPE {name} {kind}")?;
    for (values, value) in series {
        // Addresses, numbers and words of ours: nothing in them needs an escape.
        let pairs = declared.labels.iter().zip(values);
        let pairs: Vec<String> = pairs.map(|(l, v)| format!("{l}=\"{v}\"")).collect();
        let pairs = pairs.join(",");
        match value {
            Value::Counter(count) => writeln!(text, "{name}{{{pairs}}} {count}")?,
            Value::Summary(summary, divisor) => {
                #[expect(clippy::cast_precision_loss, reason = "text of a scrape is a float")]
                let scaled = |value: u64| value as f64 / divisor;
                for (label, part) in QUANTILES {
                    let value = summary.quantile(part, now_ns).map_or(f64::NAN, scaled);
                    writeln!(text, "{name}{{{pairs},quantile=\"{label}\"}} {value}")?;
                }
                writeln!(text, "{name}_sum{{{pairs}}} {}", scaled(summary.sum()))?;
                writeln!(text, "{name}_count{{{pairs}}} {}", summary.count())?;
            }
        }
    }
    Ok(())
}
