//! Mock exporters: seeded flows, straight into a topic or as real datagrams over UDP.
//!
//! The demo, the benchmark and many tests live on them, and the encoders are the decoders' round-trip partners.
//! Law: the same options give the same flows, bit for bit; nothing is sent anywhere but to the given target.

mod address;
mod chance;
mod encoder;
mod exporter;
mod generator;
mod ipfix;
mod model;
mod netflow_v5;
mod netflow_v9;
mod packet;
mod sets;
mod sflow;
mod topic_writer;

pub use address::{AddressBlock, BlockError};
pub use encoder::{Device, Encoder, MAX_DATAGRAM_BYTES, encoder};
pub use exporter::{Pace, Sent, UdpExporter};
pub use generator::{Disorder, Generator, Options};
pub use topic_writer::{MockError, TopicWriter, Written};
