//! `Kind`: what the values of a source are, and its name on the command line.
//!
//! Law: every kind has one name, which reads back as the same kind.

use std::fmt;
use std::str::FromStr;

/// Longest name of an attribute.
const NAME_BYTES: usize = 32;
/// `customer=` is short for `attribute.customer=`.
pub(crate) const CUSTOMER: &str = "customer";

/// What a source says of an address, or of a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// AS numbers of addresses, written `13335` or `AS13335`.
    Asn,
    /// Countries of addresses, two letters; as a number `a << 8 | b`.
    Country,
    /// An attribute of addresses that the user has named; strings or integers.
    Attribute(String),
    /// Names of AS numbers.
    AsNames,
    /// Names of exporters, by address.
    ExporterNames,
    /// Names of interfaces, by exporter and ifIndex.
    InterfaceNames,
}

impl Kind {
    /// The names that `--table` takes, `attribute.NAME` for those that the user makes.
    pub const NAMES: [&'static str; 7] = [
        "asn",
        "country",
        CUSTOMER,
        "attribute.NAME",
        "as-names",
        "exporters",
        "interfaces",
    ];

    /// One of its values, for messages.
    pub(crate) fn noun(&self) -> &str {
        match self {
            Kind::Asn => "an AS number",
            Kind::Country => "a country",
            Kind::Attribute(_) => "a value",
            Kind::AsNames | Kind::ExporterNames | Kind::InterfaceNames => "a name",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Asn => f.write_str("asn"),
            Kind::Country => f.write_str("country"),
            Kind::Attribute(name) if name == CUSTOMER => f.write_str(CUSTOMER),
            Kind::Attribute(name) => write!(f, "attribute.{name}"),
            Kind::AsNames => f.write_str("as-names"),
            Kind::ExporterNames => f.write_str("exporters"),
            Kind::InterfaceNames => f.write_str("interfaces"),
        }
    }
}

/// Why a name is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// None of the names.
    #[error("unknown table {0:?}; there are: {names}", names = Kind::NAMES.join(", "))]
    Unknown(String),
    /// The name of an attribute becomes that of a column.
    #[error(
        "{0:?} can't be the name of an attribute: give a lower-case letter, then letters, digits and _, 32 at most"
    )]
    Attribute(String),
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Kind, KindError> {
        match text {
            "asn" => Ok(Kind::Asn),
            "country" => Ok(Kind::Country),
            CUSTOMER => Ok(Kind::Attribute(CUSTOMER.to_owned())),
            "as-names" => Ok(Kind::AsNames),
            "exporters" => Ok(Kind::ExporterNames),
            "interfaces" => Ok(Kind::InterfaceNames),
            _ => match text.strip_prefix("attribute.") {
                Some(name) if is_attribute_name(name) => Ok(Kind::Attribute(name.to_owned())),
                Some(name) => Err(KindError::Attribute(name.to_owned())),
                None => Err(KindError::Unknown(text.to_owned())),
            },
        }
    }
}

/// `[a-z][a-z0-9_]*`, 32 bytes at most.
pub(crate) fn is_attribute_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= NAME_BYTES
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for name in [
            "asn",
            "country",
            "customer",
            "attribute.rack_2",
            "as-names",
            "exporters",
            "interfaces",
        ] {
            assert_eq!(name.parse::<Kind>().map(|k| k.to_string()), Ok(name.into()));
        }
        assert_eq!("attribute.customer".parse::<Kind>(), "customer".parse());
    }

    #[test]
    fn others_are_refused() {
        let long = format!("attribute.{}", "a".repeat(33));
        for name in [
            "attribute.",
            "attribute.2a",
            "attribute.Rack",
            "attribute.a-b",
            &long,
        ] {
            assert!(
                matches!(name.parse::<Kind>(), Err(KindError::Attribute(_))),
                "{name}"
            );
        }
        let unknown = "city".parse::<Kind>().map_err(|e| e.to_string());
        assert_eq!(
            unknown,
            Err("unknown table \"city\"; there are: asn, country, customer, attribute.NAME, as-names, exporters, \
                 interfaces"
                .to_owned())
        );
    }
}
