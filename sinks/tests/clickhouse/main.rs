//! The ClickHouse store against a real engine, whose address is in `FLOW_PIPELINE_TEST_CLICKHOUSE`.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

mod adopt;
mod cut;
mod database;
mod drop_in;
mod earlier;
mod follow;
mod protobuf;
mod raw;
mod rollups;
mod schema;
#[path = "../support/mod.rs"]
mod support;
