//! Rows of fields: `first,last,value` or `prefix,value`, with or without a header, with commas, semicolons or tabs.
//!
//! With a header fields are found by name. Without one a row of addresses is a prefix if there is a `/` in its first field,
//! else a range, and its value stands next; iptoasn.com's rows are known by their form.
//!
//! Law: a line is a row, a bad row with a reason, or none; it never harms another.

use crate::kind::Kind;
use crate::lines::{Fields, Lines, separator, undoubled};
use crate::parse::{address, number, shown};
use crate::roles::{Each, Record, Roles};
use crate::value;

/// Where the fields of a row stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    key: usize,
    second: Option<usize>,
    value: usize,
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug)]
enum Layout {
    /// The same for every row.
    Fixed(Columns),
    /// A prefix or a range, row by row; the value's column, if it does not stand next.
    ByRow(Option<usize>),
}

/// Reads all rows.
pub(crate) fn read(bytes: &[u8], roles: &Roles<'_>, each: &mut Each<'_>) -> Result<(), String> {
    let mut lines = Lines::new(bytes);
    let Some((_, first)) = lines.clone().next() else {
        return Ok(());
    };
    let separator = separator(first);
    let fields: Vec<&[u8]> = Fields::new(first, separator).collect();
    let layout = if is_header(&fields, roles.kind) {
        lines.next();
        Layout::Fixed(by_name(&fields, roles)?)
    } else {
        by_form(&fields, roles)?
    };
    let mut buffer = Vec::new();
    for (line, text) in lines {
        let columns = match layout {
            Layout::Fixed(columns) => columns,
            Layout::ByRow(value) => by_row(text, separator, value),
        };
        match record(text, separator, columns, roles.kind) {
            Ok(found) => {
                let value = undoubled(found.value, &mut buffer);
                each(line, Ok(Record { value, ..found }));
            }
            Err(reason) => each(line, Err(reason)),
        }
    }
    Ok(())
}

/// A header names two columns at least; a name begins with a letter and has neither dots nor colons, as an address
/// would, and is no `AS13335`.
fn is_header(fields: &[&[u8]], kind: &Kind) -> bool {
    let is_name = |field: &[u8]| {
        field.first().is_some_and(u8::is_ascii_alphabetic)
            && !field.iter().any(|b| b".:/".contains(b))
    };
    fields.len() > 1
        && is_name(fields[0])
        && !(*kind == Kind::AsNames && value::asn(fields[0]).is_ok())
}

fn by_name(header: &[&[u8]], roles: &Roles<'_>) -> Result<Columns, String> {
    let plain = |name: &[u8]| -> Vec<u8> {
        let letter = |b: &u8| {
            if b" -".contains(b) {
                b'_'
            } else {
                b.to_ascii_lowercase()
            }
        };
        name.iter().map(letter).collect()
    };
    let names: Vec<Vec<u8>> = header.iter().map(|name| plain(name)).collect();
    let find = |wanted: &[&str]| {
        let mut wanted = wanted.iter();
        wanted.find_map(|wanted| {
            names
                .iter()
                .position(|name| *name == plain(wanted.as_bytes()))
        })
    };
    let there_are = || {
        let list: Vec<_> = header.iter().take(20).map(|name| shown(name)).collect();
        list.join(", ")
    };
    let mut keys = roles.keys.iter().filter_map(|(key, second)| match second {
        [] => Some((find(key)?, None)),
        _ => Some((find(key)?, Some(find(second)?))),
    });
    let (key, second) = keys.next().ok_or_else(|| {
        let noun = roles.key_noun();
        format!(
            "no column with {noun} in the header; there are: {}",
            there_are()
        )
    })?;
    let value = find(&roles.values).or_else(|| numbered(roles));
    let value = value.filter(|at| *at < header.len()).ok_or_else(|| {
        let noun = roles.kind.noun();
        format!(
            "no column with {noun} in the header, name it by field=; there are: {}",
            there_are()
        )
    })?;
    Ok(Columns { key, second, value })
}

/// `field=3`: the third column.
fn numbered(roles: &Roles<'_>) -> Option<usize> {
    let given = roles.values.first().filter(|_| roles.is_given)?;
    usize::try_from(number(given.as_bytes())?)
        .ok()?
        .checked_sub(1)
}

/// Without a header, from the first row.
fn by_form(first: &[&[u8]], roles: &Roles<'_>) -> Result<Layout, String> {
    let given = numbered(roles);
    if given.is_none() && roles.is_given {
        let name = roles.values.join("");
        return Err(format!(
            "field={name}: there is no header; give the column's number, from 1 on"
        ));
    }
    let is_range = first.len() > 3 && address(first[0]).is_ok() && address(first[1]).is_ok();
    let fixed = |key, second, value| {
        let value = given.unwrap_or(value);
        Ok(Layout::Fixed(Columns { key, second, value }))
    };
    match roles.kind {
        // iptoasn.com: first, last, AS number, country, name.
        Kind::Country if is_range && first.len() > 4 && number(first[2]).is_some() => {
            fixed(0, Some(1), 3)
        }
        Kind::Asn | Kind::Country | Kind::Attribute(_) => Ok(Layout::ByRow(given)),
        Kind::AsNames if is_range => fixed(2, None, first.len() - 1),
        Kind::AsNames | Kind::ExporterNames => fixed(0, None, 1),
        Kind::InterfaceNames => fixed(0, Some(1), 2),
    }
}

fn by_row(line: &[u8], separator: u8, value: Option<usize>) -> Columns {
    let first = Fields::new(line, separator).next().unwrap_or_default();
    let second = if first.contains(&b'/') { None } else { Some(1) };
    Columns {
        key: 0,
        second,
        value: value.unwrap_or(1 + usize::from(second.is_some())),
    }
}

fn record<'a>(
    line: &'a [u8],
    separator: u8,
    columns: Columns,
    kind: &Kind,
) -> Result<Record<'a>, String> {
    let (mut key, mut second, mut value) = (None, None, None);
    let most = columns
        .key
        .max(columns.value)
        .max(columns.second.unwrap_or(0));
    let mut count = 0;
    for (at, field) in Fields::new(line, separator).take(most + 1).enumerate() {
        count = at + 1;
        if at == columns.key {
            key = Some(field);
        }
        if Some(at) == columns.second {
            second = Some(field);
        }
        if at == columns.value {
            value = Some(field);
        }
    }
    if count < 2 {
        return Err("only one field".to_owned());
    }
    let (Some(key), Some(value)) = (key, value) else {
        return Err(format!("no field with {}", kind.noun()));
    };
    if columns.second.is_some() && second.is_none() {
        return Err("too few fields".to_owned());
    }
    Ok(Record { key, second, value })
}
