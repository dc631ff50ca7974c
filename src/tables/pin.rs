//! A pinned look-up: an address that an operator knows the value of, and wants to hold in every version of the tables.
//!
//! Law: it is asked of what is to be swapped in, before it is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use flow_proto::country_code;
use flow_tables::{Kind, KindError, TableSet};

/// `KIND:IP=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    kind: Kind,
    address: IpAddr,
    /// As people write it; empty: no value.
    value: String,
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Pin, String> {
        let wrong = || "give KIND:IP=VALUE, as asn:192.0.2.1=AS64500".to_owned();
        let (key, value) = text.rsplit_once('=').ok_or_else(wrong)?;
        let (kind, address) = key.split_once(':').ok_or_else(wrong)?;
        let kind: Kind = kind.parse().map_err(|error: KindError| error.to_string())?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("{address:?} is no IP address"))?;
        let value = match kind {
            Kind::Asn if !value.is_empty() => {
                let digits = value.trim_start_matches(['A', 'S', 'a', 's']);
                let number: u32 = digits
                    .parse()
                    .map_err(|_| format!("{value:?} is no AS number"))?;
                as_number(number)
            }
            Kind::Country => value.to_ascii_uppercase(),
            Kind::Asn | Kind::Attribute(_) => value.to_owned(),
            _ => return Err(format!("{kind}: only look-ups of addresses can be pinned")),
        };
        Ok(Pin {
            kind,
            address,
            value,
        })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = or_none(&self.value);
        write!(f, "{}:{} is {value}", self.kind, self.address)
    }
}

impl Pin {
    /// What the tables have in its place, if it does not hold.
    pub(crate) fn broken(&self, set: &TableSet) -> Option<String> {
        let octets = match self.address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let found = match &self.kind {
            Kind::Asn => as_number(set.asn.as_ref().map_or(0, |table| table.lookup(&octets))),
            Kind::Country => {
                let table = set.country.as_ref();
                country_code(table.map_or(0, |table| table.lookup(&octets)))
            }
            Kind::Attribute(name) => {
                let attribute = set.attributes.get(name);
                let text = attribute.and_then(|it| it.text(it.table.lookup(&octets)));
                text.unwrap_or_default().to_owned()
            }
            _ => String::new(), // none is pinned
        };
        (found != self.value).then(|| or_none(&found).to_owned())
    }
}

fn or_none(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}

/// An AS number for people; empty for none.
fn as_number(number: u32) -> String {
    match number {
        0 => String::new(),
        number => format!("AS{number}"),
    }
}
