//! `schema`: prints, applies and compares the schema of a store; prints that of the messages.
//!
//! Wiring only: a store knows its schema (`flow_sinks::Schema`), `flow-proto` that of the messages.
//! Law: what a script would use goes to standard output, and nothing else does; only `apply` changes anything.

use std::io::{self, Write};

use flow_sinks::Standing;

use crate::cli;
use crate::failure::{Exit, Failure};
use crate::run::rollups;

/// Does what was asked.
pub(crate) fn run(command: &cli::Schema) -> Result<(), Failure> {
    let out = &mut io::stdout().lock();
    match command {
        cli::Schema::Print(options) => print(options, out),
        cli::Schema::Apply(options) => apply(options, out),
        cli::Schema::Diff(options) => diff(options, out),
        cli::Schema::Proto(options) => {
            let text = flow_proto::schema_proto(options.dialect.into());
            Ok(out.write_all(text.as_bytes())?)
        }
    }
}

fn print(options: &cli::SchemaPrint, out: &mut impl Write) -> Result<(), Failure> {
    let schema = flow_sinks::schema_with(&options.sink, rollups(&options.rollup)?)?;
    for statement in schema.print() {
        writeln!(out, "{statement};")?;
    }
    Ok(())
}

fn apply(options: &cli::SchemaApply, out: &mut impl Write) -> Result<(), Failure> {
    let mut schema = flow_sinks::schema_with(&options.sink, rollups(&options.rollup)?)?;
    let done = schema.apply(options.extend)?;
    if done.is_empty() {
        tracing::info!(sink = schema.name(), "nothing to do");
    }
    for line in done {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn diff(options: &cli::SchemaDiff, out: &mut impl Write) -> Result<(), Failure> {
    let mut schema = flow_sinks::schema_with(&options.sink, rollups(&options.rollup)?)?;
    let Standing {
        differences,
        remarks,
        ..
    } = schema.look()?;
    for line in &differences {
        writeln!(out, "{line}")?;
    }
    for line in remarks {
        tracing::info!(sink = schema.name(), "{line}");
    }
    if differences.is_empty() {
        return Ok(());
    }
    let what = format!("sink {}: its schema differs", schema.name());
    Err(Failure::new(Exit::Different, what).hint(format!(
        "flow-pipeline schema apply --sink {} brings it up, unless it is not ours",
        schema.name()
    )))
}
