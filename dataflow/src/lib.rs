//! Room dataflow.
