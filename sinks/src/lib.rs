//! Room sinks.
