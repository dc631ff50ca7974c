//! `Format`: how the bytes of a source are to be read, told by what they begin with.
//!
//! Law: what is none of the formats is refused in one line that says what it looks like.

use std::fmt;

use crate::kind::Kind;
use crate::lines::Lines;
use crate::parse::{address, number};
use crate::{mmdb, mrt};

/// Formats of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Rows of fields with commas, semicolons or tabs between them.
    Csv,
    /// pyasn's `prefix<TAB>asn`.
    Dat,
    /// CAIDA's `base<TAB>length<TAB>asn`.
    Pfx2as,
    /// MaxMind DB.
    Mmdb,
    /// A dump of a BGP table, RFC 6396.
    Mrt,
    /// JSON, an object a line.
    Json,
}

impl Format {
    /// Whether it has lines.
    pub(crate) fn is_text(self) -> bool {
        !matches!(self, Format::Mmdb | Format::Mrt)
    }

    /// All there are.
    pub const ALL: [Format; 6] = [
        Format::Csv,
        Format::Dat,
        Format::Pfx2as,
        Format::Mmdb,
        Format::Mrt,
        Format::Json,
    ];

    /// By content: first bytes, then the first row.
    pub(crate) fn of(bytes: &[u8], kind: &Kind) -> Result<Format, String> {
        if mmdb::is(bytes) {
            return Ok(Format::Mmdb);
        }
        if mrt::is(bytes) {
            return Ok(Format::Mrt);
        }
        if bytes[..bytes.len().min(4096)].contains(&0) {
            return Err("it is binary, and neither MMDB nor MRT".to_owned());
        }
        let Some((_, line)) = Lines::new(bytes).next() else {
            return Ok(Format::Csv);
        };
        match line {
            [b'{', ..] => Ok(Format::Json),
            [b'[', ..] => Err(ARRAY.to_owned()),
            [b'<', ..] => Err(
                "it is HTML or XML, not a table; was the download answered with a page?".to_owned(),
            ),
            _ if *kind == Kind::Asn => Ok(of_row(line)),
            _ => Ok(Format::Csv),
        }
    }
}

/// Why an array is not read.
pub(crate) const ARRAY: &str =
    "it is a JSON array; give JSON with an object a line, as `jq -c '.[]'` makes of it";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Csv => "csv",
            Format::Dat => "dat",
            Format::Pfx2as => "pfx2as",
            Format::Mmdb => "mmdb",
            Format::Mrt => "mrt",
            Format::Json => "json",
        })
    }
}

/// The routing researchers' formats, which have tabs, no header, and exactly so many fields.
fn of_row(line: &[u8]) -> Format {
    let fields: Vec<&[u8]> = line.splitn(4, |b| *b == b'\t').collect();
    match fields[..] {
        [prefix, value]
            if prefix.contains(&b'/')
                && value
                    .first()
                    .is_some_and(|b| b"{".contains(b) || b.is_ascii_digit()) =>
        {
            Format::Dat
        }
        [base, length, _] if address(base).is_ok() && number(length).is_some() => Format::Pfx2as,
        _ => Format::Csv,
    }
}
