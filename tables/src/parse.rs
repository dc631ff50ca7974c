//! One line of a table to one row: `first,last,value`, or `prefix,value`, further fields ignored.
//!
//! Lines are split by hand: a name with a stray quote must not swallow the lines after it, as a full CSV
//! reader would let it.
//!
//! Law: a line is a row, a bad row with a reason, or none (empty, `#` comment, header); it never harms another.

use std::fmt;
use std::net::IpAddr;

/// What a table's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// AS numbers, written `13335` or `AS13335`.
    Asn,
    /// Countries, two letters; as a number `a << 8 | b`.
    Country,
}

impl Kind {
    /// All kinds, in the order of their numbers in an archive.
    pub const ALL: [Kind; 2] = [Kind::Asn, Kind::Country];

    /// Name, as in `--table asn=FILE`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Asn => "asn",
            Kind::Country => "country",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Asn => "an AS number",
            Kind::Country => "a country",
        })
    }
}

/// A row: an inclusive range of one family and its value; 0: no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) family: Family,
    pub(crate) first: u128,
    pub(crate) last: u128,
    pub(crate) value: u32,
}

/// Address family; IPv4 addresses count from 0 to 2^32 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Parses line `number` (from 1). `Ok(None)`: nothing to take from it.
pub(crate) fn parse_line(kind: Kind, number: u64, line: &[u8]) -> Result<Option<Row>, String> {
    let line = line
        .strip_prefix(b"\xef\xbb\xbf")
        .filter(|_| number == 1)
        .unwrap_or(line);
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let mut fields = line.split(|&byte| byte == b',').map(unquote);
    let start = fields.next().unwrap_or_default();
    if number == 1 && line.contains(&b',') && is_column_name(start) {
        return Ok(None);
    }
    let (family, first, last) = if start.contains(&b'/') {
        prefix(start)?
    } else {
        range(start, fields.next().ok_or("only one field")?)?
    };
    let value = value(
        kind,
        fields
            .next()
            .ok_or_else(|| format!("no field with {kind}"))?,
    )?;
    Ok(Some(Row {
        family,
        first,
        last,
        value,
    }))
}

/// A header's field begins with a letter and has neither dots nor colons, as an address would.
fn is_column_name(field: &[u8]) -> bool {
    field.first().is_some_and(u8::is_ascii_alphabetic) && !field.iter().any(|b| b".:/".contains(b))
}

fn unquote(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    field
        .strip_prefix(b"\"")
        .and_then(|f| f.strip_suffix(b"\""))
        .unwrap_or(field)
}

/// `text` as a reason may quote it: short, printable.
fn shown(text: &[u8]) -> String {
    let short = &text[..text.len().min(40)];
    format!(
        "\"{}{}\"",
        short.escape_ascii(),
        if short.len() < text.len() { "..." } else { "" }
    )
}

/// An address with its family: those in `::ffff:0:0/96` are IPv4.
fn address(text: &[u8]) -> Result<(Family, u128), String> {
    let parsed = std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse::<IpAddr>().ok());
    match parsed.map(|a| a.to_canonical()) {
        Some(IpAddr::V4(a)) => Ok((Family::V4, u128::from(u32::from(a)))),
        Some(IpAddr::V6(a)) => Ok((Family::V6, u128::from(a))),
        None => Err(format!("{} is not an IP address", shown(text))),
    }
}

fn range(first: &[u8], last: &[u8]) -> Result<(Family, u128, u128), String> {
    let (a, b) = (address(first)?, address(last)?);
    if a.0 != b.0 {
        return Err(format!(
            "{} and {} are of two families",
            shown(first),
            shown(last)
        ));
    }
    if a.1 > b.1 {
        return Err(format!("{} is above {}", shown(first), shown(last)));
    }
    Ok((a.0, a.1, b.1))
}

fn prefix(text: &[u8]) -> Result<(Family, u128, u128), String> {
    let slash = text.iter().position(|&b| b == b'/').unwrap_or(text.len());
    let (base, length) = (&text[..slash], text.get(slash + 1..).unwrap_or_default());
    let (family, first) = address(base)?;
    // `::ffff:10.0.0.0/104` counts its length from the mapped form.
    let (bits, before): (u32, u32) = match family {
        Family::V4 if base.contains(&b':') => (32, 96),
        Family::V4 => (32, 0),
        Family::V6 => (128, 0),
    };
    let bad = || format!("{} has no valid prefix length", shown(text));
    let length = number(length)
        .and_then(|n| n.checked_sub(before))
        .ok_or_else(bad)?;
    let free = bits.checked_sub(length).ok_or_else(bad)?;
    let host = if free == 0 {
        0
    } else {
        u128::MAX >> (128 - free)
    };
    if first & host != 0 {
        return Err(format!(
            "{} has bits set beyond its prefix length",
            shown(text)
        ));
    }
    Ok((family, first, first | host))
}

/// Decimal digits only: `+5`, which `str::parse` takes, is no number here.
fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|t| t.parse().ok())
}

fn value(kind: Kind, text: &[u8]) -> Result<u32, String> {
    let value = match (kind, text) {
        (_, []) => Some(0),
        (Kind::Asn, [b'A' | b'a', b'S' | b's', digits @ ..]) => number(digits),
        (Kind::Asn, digits) => number(digits),
        (Kind::Country, [a, b]) if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
            Some(u32::from(a.to_ascii_uppercase()) << 8 | u32::from(b.to_ascii_uppercase()))
        }
        (Kind::Country, _) => None,
    };
    value.ok_or_else(|| format!("{} is not {kind}", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asn(line: &str) -> Result<Option<Row>, String> {
        parse_line(Kind::Asn, 2, line.as_bytes())
    }

    fn v4(first: u128, last: u128, value: u32) -> Result<Option<Row>, String> {
        Ok(Some(Row {
            family: Family::V4,
            first,
            last,
            value,
        }))
    }

    #[test]
    fn every_form_of_a_row() {
        assert_eq!(
            asn("1.0.0.0,1.0.0.255,13335,\"Cloudflare, Inc.\""),
            v4(1 << 24, 16_777_471, 13335)
        );
        assert_eq!(
            asn("\"1.0.0.0\",\"1.0.0.255\",\"AS13335\"\r"),
            v4(1 << 24, 16_777_471, 13335)
        );
        assert_eq!(
            asn("1.0.0.0/24,as13335,a \"stray quote"),
            v4(1 << 24, 16_777_471, 13335)
        );
        assert_eq!(asn("0.0.0.0/0,4294967295"), v4(0, 0xffff_ffff, u32::MAX));
        assert_eq!(asn("1.2.3.4/32,0"), v4(0x0102_0304, 0x0102_0304, 0));
        assert_eq!(
            asn("::ffff:10.0.0.0/104,7"),
            v4(10 << 24, (11 << 24) - 1, 7)
        );
        assert_eq!(
            asn("::/0,7").map(|r| r.map(|r| r.last)),
            Ok(Some(u128::MAX))
        );
        let country = |line: &str| parse_line(Kind::Country, 2, line.as_bytes());
        assert_eq!(country("1.0.0.0,1.0.0.0,au"), v4(1 << 24, 1 << 24, 0x4155));
        assert_eq!(country("1.0.0.0,1.0.0.0,"), v4(1 << 24, 1 << 24, 0));
    }

    #[test]
    fn lines_without_a_row() {
        assert_eq!(
            parse_line(Kind::Asn, 1, b"\xef\xbb\xbfstart_ip,end_ip,asn"),
            Ok(None)
        );
        assert_eq!(parse_line(Kind::Asn, 1, b"network,asn"), Ok(None));
        assert_eq!(asn("# made by hand"), Ok(None));
        assert_eq!(asn("  "), Ok(None));
        assert!(
            asn("start_ip,end_ip,asn").is_err(),
            "a header stands in line 1 only"
        );
        assert!(
            parse_line(Kind::Asn, 1, b"fd00::1,1").is_err(),
            "an address is no header"
        );
    }

    #[test]
    fn bad_rows_say_what_is_wrong() {
        for (line, reason) in [
            ("1.0.0.0", "only one field"),
            ("1.0.0.0,1.0.0.255", "no field with an AS number"),
            ("1.0.0,1.0.0.255,1", "\"1.0.0\" is not an IP address"),
            ("1.0.0.9,1.0.0.8,1", "\"1.0.0.9\" is above \"1.0.0.8\""),
            (
                "1.0.0.9,::1,1",
                "\"1.0.0.9\" and \"::1\" are of two families",
            ),
            ("1.0.0.0/33,1", "\"1.0.0.0/33\" has no valid prefix length"),
            ("1.0.0.0/,1", "\"1.0.0.0/\" has no valid prefix length"),
            (
                "::ffff:1.0.0.0/24,1",
                "\"::ffff:1.0.0.0/24\" has no valid prefix length",
            ),
            (
                "1.0.0.1/24,1",
                "\"1.0.0.1/24\" has bits set beyond its prefix length",
            ),
            (
                "1.0.0.0,1.0.0.255,4294967296",
                "\"4294967296\" is not an AS number",
            ),
            ("1.0.0.0,1.0.0.255,+1", "\"+1\" is not an AS number"),
            ("1.0.0.0,1.0.0.255,AS", "\"AS\" is not an AS number"),
            (
                "1.0.0.0,1.0.0.255,\u{1b}[1m",
                "\"\\x1b[1m\" is not an AS number",
            ),
        ] {
            assert_eq!(asn(line), Err(reason.to_owned()), "{line}");
        }
        let country = parse_line(Kind::Country, 2, b"1.0.0.0,1.0.0.255,13335");
        assert_eq!(country, Err("\"13335\" is not a country".to_owned()));
    }
}
