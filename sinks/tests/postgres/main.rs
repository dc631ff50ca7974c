//! PostgreSQL, a real server: what is refused and how, what is written, and what outages leave behind.
//!
//! The server's address is `FLOW_PIPELINE_TEST_POSTGRES`; each test makes a database of its own there.

// Clippy takes only the functions marked as tests for tests, not their helpers; these say what they skip.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod cuts;
mod dashboards;
mod database;
mod earlier;
mod follow;
mod given;
mod proxy;
mod raw;
mod rights;
mod rollups;
mod schema;
mod tls;
