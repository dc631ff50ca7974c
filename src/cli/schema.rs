//! The command line of `schema`.

use clap::{Args, Subcommand};

use super::Dialect;

/// `schema`.
#[derive(Debug, Subcommand)]
pub(crate) enum Schema {
    /// Print the SQL that makes a store's schema.
    Print(SchemaPrint),
    /// Bring a store's schema up to this version.
    Apply(SchemaApply),
    /// Print what differs from this version's schema; exit code 1 if anything does.
    Diff(SchemaDiff),
    /// Print the .proto of the messages in a topic.
    Proto(SchemaProto),
}

/// `schema print`.
#[derive(Debug, Args)]
pub(crate) struct SchemaPrint {
    /// The store, as postgres://USER@HOST/DATABASE, clickhouse://… or sqlite:///FILE; nothing is written to it.
    #[arg(long, value_name = "URL")]
    pub(crate) sink: String,
    /// The rollups that it holds, as `run` is given them; may be repeated.
    #[arg(long, value_name = "NAME=DIMENSIONS")]
    pub(crate) rollup: Vec<String>,
}

/// `schema apply`.
#[derive(Debug, Args)]
pub(crate) struct SchemaApply {
    /// The store, as postgres://USER@HOST/DATABASE, clickhouse://… or sqlite:///FILE.
    #[arg(long, value_name = "URL")]
    pub(crate) sink: String,
    /// The rollups that it holds, as `run` is given them; may be repeated.
    #[arg(long, value_name = "NAME=DIMENSIONS")]
    pub(crate) rollup: Vec<String>,
    /// Add our columns to a table of the same name that has only those of cloudflare/flow-pipeline.
    #[arg(long)]
    pub(crate) extend: bool,
}

/// `schema diff`.
#[derive(Debug, Args)]
pub(crate) struct SchemaDiff {
    /// The store, as postgres://USER@HOST/DATABASE, clickhouse://… or sqlite:///FILE; nothing is written to it.
    #[arg(long, value_name = "URL")]
    pub(crate) sink: String,
    /// The rollups that it holds, as `run` is given them; may be repeated.
    #[arg(long, value_name = "NAME=DIMENSIONS")]
    pub(crate) rollup: Vec<String>,
}

/// `schema proto`.
#[derive(Debug, Args)]
pub(crate) struct SchemaProto {
    /// Whose names: goflow2's, or GoFlow's as ClickHouse's Kafka engine takes them.
    #[arg(long, value_enum, default_value_t = Dialect::Goflow2)]
    pub(crate) dialect: Dialect,
}
