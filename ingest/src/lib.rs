//! From datagrams to packs: pure wire decoders, UDP collector, capture reader, mock exporters.
//!
//! Room law: knows `proto` and `topic`, nothing of the job, the tables or the stores.

pub mod goflow;
pub mod metrics;
pub mod mock;
pub mod pack;
pub mod pcap;
pub mod udp;
pub mod wire;
