//! Addresses, ranges and prefixes as text.
//!
//! Law: a text is an address exactly as the standard library reads it, or a reason that quotes it; nothing is guessed.

use std::net::IpAddr;

/// Address family; IPv4 addresses count from 0 to 2^32 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// `text` as a reason may quote it: short, printable.
pub(crate) fn shown(text: &[u8]) -> String {
    let short = &text[..text.len().min(40)];
    format!(
        "\"{}{}\"",
        short.escape_ascii(),
        if short.len() < text.len() { "..." } else { "" }
    )
}

/// An address with its family: those in `::ffff:0:0/96` are IPv4.
pub(crate) fn address(text: &[u8]) -> Result<(Family, u128), String> {
    let parsed = std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse::<IpAddr>().ok());
    match parsed.map(|a| a.to_canonical()) {
        Some(IpAddr::V4(a)) => Ok((Family::V4, u128::from(u32::from(a)))),
        Some(IpAddr::V6(a)) => Ok((Family::V6, u128::from(a))),
        None => Err(format!("{} is not an IP address", shown(text))),
    }
}

/// The range of a row: first and last address, or one field that says both.
pub(crate) fn span(first: &[u8], last: Option<&[u8]>) -> Result<(Family, u128, u128), String> {
    match last {
        Some(last) => range(first, last),
        None if first.contains(&b'/') => prefix(first),
        None => match first.iter().position(|b| *b == b'-') {
            Some(dash) => range(first[..dash].trim_ascii(), first[dash + 1..].trim_ascii()),
            None => address(first).map(|(family, address)| (family, address, address)),
        },
    }
}

/// An address in 16 bytes, IPv4 mapped.
pub(crate) fn octets(text: &[u8]) -> Result<[u8; 16], String> {
    let (family, address) = address(text)?;
    Ok(match family {
        Family::V4 => (0xffff << 32 | address).to_be_bytes(),
        Family::V6 => address.to_be_bytes(),
    })
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
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|t| t.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_range() {
        let span = |first: &str, last: Option<&str>| {
            span(first.as_bytes(), last.map(str::as_bytes)).expect(first)
        };
        let v4 = |first: u128, last: u128| (Family::V4, first, last);
        assert_eq!(
            span("1.0.0.0", Some("1.0.0.255")),
            v4(1 << 24, (1 << 24) + 255)
        );
        assert_eq!(span("1.0.0.0/24", None), v4(1 << 24, (1 << 24) + 255));
        assert_eq!(
            span("1.0.0.0 - 1.0.0.255", None),
            v4(1 << 24, (1 << 24) + 255)
        );
        assert_eq!(span("1.0.0.0", None), v4(1 << 24, 1 << 24));
        assert_eq!(span("0.0.0.0/0", None), v4(0, 0xffff_ffff));
        assert_eq!(
            span("::ffff:10.0.0.0/104", None),
            v4(10 << 24, (11 << 24) - 1)
        );
        assert_eq!(span("::/0", None), (Family::V6, 0, u128::MAX));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (first, last, reason) in [
            ("1.0.0", None, "\"1.0.0\" is not an IP address"),
            (
                "1.0.0.9",
                Some("1.0.0.8"),
                "\"1.0.0.9\" is above \"1.0.0.8\"",
            ),
            (
                "1.0.0.9",
                Some("::1"),
                "\"1.0.0.9\" and \"::1\" are of two families",
            ),
            (
                "1.0.0.0/33",
                None,
                "\"1.0.0.0/33\" has no valid prefix length",
            ),
            ("1.0.0.0/", None, "\"1.0.0.0/\" has no valid prefix length"),
            (
                "1.0.0.0/+8",
                None,
                "\"1.0.0.0/+8\" has no valid prefix length",
            ),
            (
                "::ffff:1.0.0.0/24",
                None,
                "\"::ffff:1.0.0.0/24\" has no valid prefix length",
            ),
            (
                "1.0.0.1/24",
                None,
                "\"1.0.0.1/24\" has bits set beyond its prefix length",
            ),
            ("\u{1b}[1m", None, "\"\\x1b[1m\" is not an IP address"),
        ] {
            let found = span(first.as_bytes(), last.map(str::as_bytes));
            assert_eq!(found, Err(reason.to_owned()), "{first}");
        }
    }
}
