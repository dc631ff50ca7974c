//! The schema as text: `FlowMessage` for other programs, with goflow2's names of fields or with GoFlow's.
//!
//! One text, `schema/flow.proto`, which a test compares with the field table; GoFlow's names are made from it, so that
//! neither can lack a field. Law: both have the same numbers and types, and differ in names alone; field 38 is named
//! for what the dialect means by it.

use std::fmt::Write;

use crate::Dialect;

/// goflow2's.
const GOFLOW2: &str = include_str!("../schema/flow.proto");

/// What stands above GoFlow's.
const GOFLOW_HEAD: &str = "\
// Flow records as flow-pipeline writes and reads them, with the names of GoFlow's schema: what ClickHouse's Kafka engine
// and other consumers of cloudflare/flow-pipeline's topic take. 38 is the start of the flow in seconds where the topic
// is written with --dialect goflow; elsewhere it is ip_flags, and the start is in 111.
syntax = \"proto3\";

package flowprotob;
";

/// Names that are not made by rule.
const GOFLOW_NAMES: [(&str, &str); 7] = [
    ("ip_flags", "TimeFlowStart"),
    ("tcp_flags", "TCPFlags"),
    ("mpls_ttl", "MPLSTTL"),
    ("mpls_label", "MPLSLabel"),
    ("ipv6_flow_label", "IPv6FlowLabel"),
    ("ingress_vrf_id", "IngressVrfID"),
    ("egress_vrf_id", "EgressVrfID"),
];

/// The schema as a `.proto` file.
pub fn schema_proto(dialect: Dialect) -> String {
    match dialect {
        Dialect::Goflow2 => GOFLOW2.to_owned(),
        Dialect::Goflow => goflow(),
    }
}

fn goflow() -> String {
    let mut text = String::from(GOFLOW_HEAD);
    let body = GOFLOW2
        .split_once("package flowpb;\n")
        .map_or("", |(_, body)| body);
    for line in body.lines() {
        // Writing to a `String` does not fail.
        _ = match renamed(line) {
            Some(field) => writeln!(text, "{field}"),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// A line that declares a field, with GoFlow's name; the comment stays where it was.
fn renamed(line: &str) -> Option<String> {
    let (before, after) = line.split_once(" = ")?;
    let (kind, name) = before.rsplit_once(' ')?;
    if kind.trim().is_empty() {
        return None; // a value of an enumeration
    }
    let (number, comment) = after.split_once(';')?;
    let field = format!("{kind} {} = {number};", goflow_name(name));
    let comment = if number == "38" { "" } else { comment.trim() };
    if comment.is_empty() {
        return Some(field);
    }
    Some(format!("{field:<38}{comment}"))
}

/// `src_as` is `SrcAS`, `ip_tos` is `IPTos`.
fn goflow_name(name: &str) -> String {
    if let Some((_, special)) = GOFLOW_NAMES.iter().find(|(ours, _)| *ours == name) {
        return (*special).to_owned();
    }
    name.split('_')
        .map(|word| match word {
            "as" => "AS".to_owned(),
            "ip" => "IP".to_owned(),
            "ttl" => "TTL".to_owned(),
            "ipv6" => "IPv6".to_owned(),
            _ => {
                let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
                first.to_uppercase() + rest
            }
        })
        .collect()
}
