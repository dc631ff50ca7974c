//! The compose files, dashboards, alerts and units, without a container engine and without Grafana.
//!
//! Why: what stands in YAML and JSON breaks in silence when a flag, a metric or a column changes its name. Law: every
//! command line, name and query in them is tried on the real thing: this build's binary, `promtool`, the real stores.
//! What no test here can see: whether an image of that name exists, and what a panel looks like.

mod commands;
mod dashboards;
mod files;
mod health;
mod initializer;
mod macros;
mod metric_names;
#[cfg(test)] // clippy lets tests print
mod program;
#[cfg(test)] // clippy lets tests print
mod rules;
mod scrapes;
mod setups;
#[cfg(test)] // clippy lets tests print
mod stores;
#[cfg(test)] // clippy lets tests print
mod theirs;
