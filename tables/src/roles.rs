//! Which fields make a row: their names in headers and objects, for each kind of table.
//!
//! Law: a field is found by name where there are names; one that is not found is named, with what there is.

use crate::kind::Kind;

type Names = &'static [&'static str];
const FIRST: Names = &[
    "start_ip",
    "first",
    "start",
    "first_ip",
    "ip_start",
    "range_start",
    "ip_from",
    "from",
];
const LAST: Names = &[
    "end_ip",
    "last",
    "end",
    "last_ip",
    "ip_end",
    "range_end",
    "ip_to",
    "to",
];
const PREFIX: Names = &[
    "network",
    "prefix",
    "cidr",
    "range",
    "subnet",
    "ip_prefix",
    "ip_range",
    "ip",
    "address",
];
const ASN: Names = &[
    "autonomous_system_number",
    "asn",
    "as",
    "as_number",
    "origin_asn",
];
const COUNTRY: Names = &[
    "country_code",
    "iso_code",
    "country_iso_code",
    "country.iso_code",
    "country",
];
const AS_NAME: Names = &[
    "as_name",
    "autonomous_system_organization",
    "name",
    "organization",
    "org",
    "description",
];
const EXPORTER: Names = &[
    "exporter",
    "exporter_address",
    "sampler_address",
    "sampler",
    "address",
    "ip",
];
const IF_INDEX: Names = &["if_index", "ifindex", "index", "interface"];
const EXPORTER_NAME: Names = &["name", "exporter_name", "hostname"];
const INTERFACE_NAME: Names = &[
    "name",
    "if_name",
    "ifname",
    "interface_name",
    "description",
    "if_alias",
    "ifalias",
];

/// The fields of a row: one or two that say what it is about, one that holds the value.
#[derive(Clone, Debug)]
pub(crate) struct Roles<'a> {
    /// Pairs of names of the key's fields; the second is empty where one says all. The first pair that is there is taken.
    pub(crate) keys: &'static [(Names, Names)],
    /// Names of the value's field, in order of preference.
    pub(crate) values: Vec<&'a str>,
    /// What the value is.
    pub(crate) kind: &'a Kind,
    /// Whether `values` was given by the user.
    pub(crate) is_given: bool,
}

impl<'a> Roles<'a> {
    /// `field`: the one that the user names.
    pub(crate) fn new(kind: &'a Kind, field: Option<&'a str>) -> Roles<'a> {
        let values: Vec<&str> = match (field, kind) {
            (Some(field), _) => vec![field],
            (None, Kind::Attribute(name)) => vec![name.as_str(), "value"],
            (None, Kind::Asn) => ASN.to_vec(),
            (None, Kind::Country) => COUNTRY.to_vec(),
            (None, Kind::AsNames) => AS_NAME.to_vec(),
            (None, Kind::ExporterNames) => EXPORTER_NAME.to_vec(),
            (None, Kind::InterfaceNames) => INTERFACE_NAME.to_vec(),
        };
        let keys: &[(Names, Names)] = match kind {
            Kind::Asn | Kind::Country | Kind::Attribute(_) => &[(FIRST, LAST), (PREFIX, &[])],
            Kind::AsNames => &[(ASN, &[])],
            Kind::ExporterNames => &[(EXPORTER, &[])],
            Kind::InterfaceNames => &[(EXPORTER, IF_INDEX)],
        };
        Roles {
            keys,
            values,
            kind,
            is_given: field.is_some(),
        }
    }

    /// What its key is, for messages.
    pub(crate) fn key_noun(&self) -> &'static str {
        match self.kind {
            Kind::Asn | Kind::Country | Kind::Attribute(_) => "addresses",
            Kind::AsNames => "AS numbers",
            Kind::ExporterNames => "exporters",
            Kind::InterfaceNames => "exporters and interfaces",
        }
    }
}

/// A row as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) second: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
}

/// Takes rows, by line.
pub(crate) type Each<'t> = dyn FnMut(u64, Result<Record<'_>, String>) + 't;
