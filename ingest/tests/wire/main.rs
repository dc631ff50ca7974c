//! Tests of the wire decoders and the capture reader, from outside.
//!
//! Datagrams are written here byte by byte, or come from real exporters' captures; expected values are
//! literals.

mod captures;
mod datagrams;
mod early;
mod hostile;
mod mutated;
mod netflow;
mod reader;
mod saved;
mod second_decoder;
mod sflow;
mod state;
