//! GoFlow's metrics, each declared once: name, meaning, labels.
//!
//! After its v3 (`utils/metrics.go`); `udp_traffic_…` are the names by which dashboards of some of its users know
//! `flow_traffic_…`. Law: names, labels and their order are GoFlow's, whatever ours would have been.

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Quantiles 0.5, 0.9 and 0.99, sum and count.
    Summary,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name, as a scrape shows it.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
}

const TRAFFIC: &[&str] = &["remote_ip", "remote_port", "local_ip", "local_port", "type"];
const DECODER: &[&str] = &["worker", "name"];
const NAME: &[&str] = &["name"];
const VERSION: &[&str] = &["router", "version"];
const SETS: &[&str] = &["router", "version", "type"];
const TEMPLATE: &[&str] = &["router", "version", "obs_domain_id", "template_id", "type"];
const AGENT: &[&str] = &["router", "agent", "version"];
const SAMPLES: &[&str] = &["router", "agent", "version", "type"];
const ERROR: &[&str] = &["router", "error"];

macro_rules! declare {
    ($($constant:ident $name:literal $kind:ident $labels:ident $help:literal;)*) => {
        $(pub(super) const $constant: Declared = Declared {
            name: $name,
            help: $help,
            kind: Kind::$kind,
            labels: $labels,
        };)*

        /// All of them.
        pub const ALL: &[Declared] = &[$($constant,)*];
    };
}

declare! {
    UDP_BYTES "udp_traffic_bytes" Counter TRAFFIC "Bytes received by the application.";
    UDP_PACKETS "udp_traffic_packets" Counter TRAFFIC "Packets received by the application.";
    UDP_SIZES "udp_traffic_summary_size_bytes" Summary TRAFFIC "Summary of packet size.";
    FLOW_BYTES "flow_traffic_bytes" Counter TRAFFIC "Bytes received by the application.";
    FLOW_PACKETS "flow_traffic_packets" Counter TRAFFIC "Packets received by the application.";
    FLOW_SIZES "flow_traffic_summary_size_bytes" Summary TRAFFIC "Summary of packet size.";
    DECODED "flow_decoder_count" Counter DECODER "Decoder processed count.";
    DECODER_ERRORS "flow_decoder_error_count" Counter DECODER "Decoder processed error count.";
    DECODING_TIME "flow_summary_decoding_time_us" Summary NAME "Decoding time summary.";
    PROCESSING_TIME "flow_summary_processing_time_us" Summary NAME "Processing time summary.";
    NF_COUNT "flow_process_nf_count" Counter VERSION "NetFlows processed.";
    NF_ERRORS "flow_process_nf_errors_count" Counter ERROR "NetFlows processed errors.";
    NF_RECORDS "flow_process_nf_flowset_records_sum" Counter SETS "NetFlows FlowSets sum of records.";
    NF_SETS "flow_process_nf_flowset_sum" Counter SETS "NetFlows FlowSets sum.";
    NF_DELAY "flow_process_nf_delay_summary_seconds" Summary VERSION
        "NetFlows time difference between time of flow and processing.";
    NF_TEMPLATES "flow_process_nf_templates_count" Counter TEMPLATE "NetFlows Template count.";
    SF_COUNT "flow_process_sf_count" Counter AGENT "sFlows processed.";
    SF_ERRORS "flow_process_sf_errors_count" Counter ERROR "sFlows processed errors.";
    SF_SAMPLES "flow_process_sf_samples_sum" Counter SAMPLES "SFlows samples sum.";
    SF_RECORDS "flow_process_sf_samples_records_sum" Counter SAMPLES "SFlows samples sum of records.";
}
