//! flow-pipeline.
fn main() {}
