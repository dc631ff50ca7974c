//! Kafka topics against real brokers: `FLOW_PIPELINE_TEST_KAFKA` is Apache Kafka, `FLOW_PIPELINE_TEST_KAFKA2` another.
//!
//! Without them each test says that it was skipped. Every topic has a name of its own.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod broker;
mod conformance;
mod errors;
mod holes;
mod progress;
mod writing;
