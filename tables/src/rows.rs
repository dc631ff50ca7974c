//! The rows of one source in whatever format: ranges for tables of addresses, records for tables of names.
//!
//! Law: every format gives the same form; what can't be taken is handed over with its reason.

use crate::format::{ARRAY, Format};
use crate::found::{Found, Item, Take};
use crate::kind::Kind;
use crate::parse::span;
use crate::roles::{Each, Roles};
use crate::{csv, json, mmdb, mrt, routes};

/// Ranges and the texts of their values. `Err`: the source is none of this format.
pub(crate) fn read_ranges(
    bytes: &[u8],
    format: Format,
    roles: &Roles<'_>,
    take: &mut Take<'_>,
) -> Result<(), String> {
    let fields = &roles.values;
    match format {
        Format::Mmdb => return mmdb::read(bytes, fields, take),
        Format::Dat | Format::Pfx2as | Format::Mrt if *roles.kind != Kind::Asn => {
            return Err(format!("{format} holds AS numbers, and nothing else"));
        }
        Format::Mrt => return mrt::read(bytes, fields, take),
        Format::Csv | Format::Json | Format::Dat | Format::Pfx2as => {}
    }
    let mut each = |line, record: Result<crate::roles::Record<'_>, String>| {
        let found = record.and_then(|record| {
            let (family, first, last) = span(record.key, record.second)?;
            Ok(Found {
                family,
                first,
                last,
                value: record.value,
            })
        });
        take(line, found.map_or_else(Item::Bad, Item::Row));
    };
    match format {
        Format::Dat => {
            routes::read_dat(bytes, &mut each);
            Ok(())
        }
        Format::Pfx2as => {
            routes::read_pfx2as(bytes, &mut each);
            Ok(())
        }
        _ => read_records(bytes, format, roles, &mut each),
    }
}

/// Records of formats that have fields with names.
pub(crate) fn read_records(
    bytes: &[u8],
    format: Format,
    roles: &Roles<'_>,
    each: &mut Each<'_>,
) -> Result<(), String> {
    match format {
        Format::Csv => csv::read(bytes, roles, each),
        Format::Json if bytes.trim_ascii_start().starts_with(b"[") => Err(ARRAY.to_owned()),
        Format::Json => {
            json::read(bytes, roles, each);
            Ok(())
        }
        _ => Err(format!(
            "names are read from csv and json, not from {format}"
        )),
    }
}
