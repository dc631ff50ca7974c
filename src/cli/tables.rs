//! Flags that name tables.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use flow_tables::{AsnOrder, Kind, KindError, Order, SourceSpec, SpecError};

use super::{TablesList, TablesSwap};
use crate::settings::nearest;
use crate::units::When;

/// The tables of a job.
#[derive(Clone, Debug, Args)]
pub(crate) struct Tables {
    /// Table for enrichment: asn, country, customer, attribute.NAME, as-names, exporters or interfaces; a file, a folder (its newest
    /// file) or s3://BUCKET/KEY, with ?format=, field= and value= where they can't be told. May be repeated; of one kind the first that
    /// has a value wins.
    #[arg(long, value_name = "KIND=PLACE", value_parser = source)]
    pub(crate) table: Vec<SourceSpec>,
    /// Where AS numbers come from, in order: table,flow (as without it), flow,table, table or flow; EXPORTER=ORDER for one exporter; may be
    /// repeated.
    #[arg(long, value_name = "[EXPORTER=]ORDER", value_parser = asn_order, requires = "table")]
    pub(crate) asn_order: Vec<(Option<IpAddr>, Order)>,
}

impl Tables {
    /// What the orders say together; the last for an exporter holds.
    pub(crate) fn order(&self) -> AsnOrder {
        let mut order = AsnOrder::default();
        for (exporter, one) in &self.asn_order {
            match exporter {
                None => order.all = *one,
                Some(IpAddr::V4(address)) => {
                    let mapped = address.to_ipv6_mapped().octets();
                    order.exporters.insert(mapped, *one);
                }
                Some(IpAddr::V6(address)) => {
                    order.exporters.insert(address.octets(), *one);
                }
            }
        }
        order
    }
}

/// `tables`.
#[derive(Debug, Subcommand)]
pub(crate) enum TablesCommand {
    /// Load tables as run would, and show what is in them; exit code 1 if rows were kept out.
    Check(TablesCheck),
    /// Show what addresses map to, and which row says so.
    Lookup(TablesLookup),
    /// Show where two tables, or two versions of a job's, differ.
    Diff(TablesDiff),
    /// Other tables for a running job, in force from one slot on, in all its processes.
    Swap(TablesSwap),
    /// The versions that a job has had, from which slot on each is in force, and requests that wait or were refused.
    List(TablesList),
}

/// `tables check`.
#[derive(Debug, Args)]
pub(crate) struct TablesCheck {
    /// Table, as for run; may be repeated.
    #[arg(long, value_name = "KIND=PLACE", value_parser = source, required = true)]
    pub(crate) table: Vec<SourceSpec>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tables lookup`.
#[derive(Debug, Args)]
pub(crate) struct TablesLookup {
    /// What to look up.
    #[arg(value_name = "ADDRESS", required = true)]
    pub(crate) address: Vec<IpAddr>,
    /// Table, as for run; may be repeated.
    #[arg(long, value_name = "KIND=PLACE", value_parser = source, required_unless_present = "state", conflicts_with = "state")]
    pub(crate) table: Vec<SourceSpec>,
    /// In the tables of the job whose state this is: a directory, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: Option<PathBuf>,
    /// Version of the job's tables; else the newest.
    #[arg(long, value_name = "VERSION", requires = "state")]
    pub(crate) tables: Option<u32>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tables diff`.
#[derive(Debug, Args)]
pub(crate) struct TablesDiff {
    /// The one before: KIND=PLACE, or with --state the number of a version.
    #[arg(value_name = "A")]
    pub(crate) before: String,
    /// The one after.
    #[arg(value_name = "B")]
    pub(crate) after: String,
    /// Compare versions of the tables of the job whose state this is: a directory, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: Option<PathBuf>,
    /// Say, too, how much of the traffic in this topic has another value: kafka://HOST:PORT/TOPIC or dir:///PATH.
    #[arg(long, value_name = "URL")]
    pub(crate) topic: Option<String>,
    /// Traffic from this time on (RFC 3339, or -2h), by the topic's timestamps.
    #[arg(long, value_name = "TIME", default_value = "-1h", requires = "topic", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) from: When,
    /// How many differences are shown, the largest first, of each family.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) largest: usize,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `KIND=PLACE`.
pub(crate) fn source(text: &str) -> Result<SourceSpec, String> {
    text.parse().map_err(|error| match &error {
        SpecError::Kind(KindError::Unknown(name)) => {
            let names = Kind::NAMES.map(str::to_owned);
            match nearest::nearest(name, &names) {
                Some(near) => format!("{error}; did you mean {near}?"),
                None => error.to_string(),
            }
        }
        _ => error.to_string(),
    })
}

fn asn_order(text: &str) -> Result<(Option<IpAddr>, Order), String> {
    match text.split_once('=') {
        None => Ok((None, text.parse()?)),
        Some((exporter, order)) => {
            let exporter = exporter.parse::<IpAddr>();
            let exporter = exporter.map_err(|_| "give EXPORTER=ORDER, as 192.0.2.1=flow,table")?;
            Ok((Some(exporter.to_canonical()), order.parse()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told() {
        let refused = |text: &str| source(text).expect_err(text);
        assert!(refused("ans=x.csv").ends_with("; did you mean asn?"));
        assert!(refused("interface=x.csv").ends_with("; did you mean interfaces?"));
        assert!(refused("weather=x.csv").ends_with(", interfaces"));
    }

    #[test]
    fn orders_are_for_all_or_for_one_exporter() {
        let order = |texts: &[&str]| -> Result<AsnOrder, String> {
            let orders = texts.iter().map(|text| asn_order(text));
            let asn_order = orders.collect::<Result<_, _>>()?;
            let table = Vec::new();
            Ok(Tables { table, asn_order }.order())
        };
        let found =
            order(&["flow", "::ffff:192.0.2.1=table", "192.0.2.2=flow,table"]).expect("orders");
        let at = |address: &str| {
            let address: std::net::Ipv4Addr = address.parse().expect("an address");
            found.of(&address.to_ipv6_mapped().octets())
        };
        assert_eq!(
            [at("192.0.2.1"), at("192.0.2.2"), at("192.0.2.3")],
            [Order::Table, Order::FlowTable, Order::Flow]
        );
        assert!(order(&["here=flow"]).is_err() && order(&["flow,flow"]).is_err());
    }
}
