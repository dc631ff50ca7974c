//! Room ingest.
